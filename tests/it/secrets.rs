//! What callers send in confidence: strings planted in arguments, tokens and headers turn up nowhere.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_request::Question;
use palisade::api::proto::v1::value::Kind;
use serde_json::{Value as Json, json};
use tonic::Request;
use tracing_subscriber::fmt::MakeWriter;

use crate::asks::{access, by, crm, lookup, mcp, message, uid};
use crate::pdp::{TOKEN, TestPdp};

/// How often each way of planting is tried, each time with another string.
const ROUNDS: usize = 10;

/// What goes out: a request with its own authorization.
type Planted = Request<v1::AuthorizeRequest>;

/// A way to plant a string.
type Way = (&'static str, fn(&str) -> Planted);

const WAYS: [Way; 22] = [
    ("an argument of a permitted call", |s| plain(crm(&lookup_of(&json!(s))))),
    ("an argument of a denied call", |s| {
        plain(crm(&json!({ "name": "delete_customer", "arguments": { "customer_id": s } })))
    }),
    ("an argument of the wrong type", |s| plain(crm(&lookup_of(&json!([s]))))),
    ("inside an argument of the wrong type", |s| plain(crm(&lookup_of(&json!({ "inner": { "x": s } }))))),
    ("the value of an undeclared argument", |s| {
        plain(crm(&json!({ "name": "lookup_customer", "arguments": { "customer_id": "c", "more": s } })))
    }),
    ("a word that is not one of the enumerated", |s| {
        let params = json!({ "name": "get-structured-content", "arguments": { "location": s } });
        plain(by("Human::\"bo\"", Some("Agent::\"coder\""), mcp("everything", "tools/call", &params)))
    }),
    ("an argument that is no URI", |s| {
        let params = json!({ "name": "fetch", "arguments": { "url": format!("://{s}") } });
        plain(by("Human::\"bo\"", Some("Agent::\"coder\""), mcp("fetch", "tools/call", &params)))
    }),
    ("an argument of a tool that is unknown", |s| {
        plain(crm(&json!({ "name": "unknown", "arguments": { "password": s } })))
    }),
    ("arguments that are no object", |s| plain(crm(&json!({ "name": "lookup_customer", "arguments": s })))),
    ("what is no JSON", |s| params(&format!("{{\"name\": \"lookup_customer\", \"arguments\": {s}"))),
    ("a member that stands twice", |s| params(&format!("{{\"a\": \"{s}\", \"a\": \"{s}\"}}"))),
    ("what is not UTF-8", |s| {
        let mut request = lookup();
        message(&mut request).params = [s.as_bytes(), &[0xff, 0xfe]].concat();
        plain(request)
    }),
    ("a meta member", |s| {
        let mut params = lookup_of(&json!("c-1"));
        params["_meta"] = json!({ "progressToken": s });
        plain(crm(&params))
    }),
    ("the live definition of the tool", |s| {
        let mut request = lookup();
        message(&mut request).tool_definition = json!({ "name": "x", "description": s }).to_string().into();
        plain(request)
    }),
    ("a live definition that is no JSON", |s| {
        let mut request = lookup();
        message(&mut request).tool_definition = s.into();
        plain(request)
    }),
    ("a mirrored header", |s| {
        let mut request = lookup();
        let message = message(&mut request);
        message.protocol_version = "2026-07-28".into();
        message.headers = BTreeMap::from([
            ("MCP-Protocol-Version".into(), "2026-07-28".into()),
            ("Mcp-Method".into(), "tools/call".into()),
            ("Mcp-Name".into(), s.into()),
            ("Mcp-Param-Key".into(), s.into()),
        ]);
        plain(request)
    }),
    ("a member of the context", |s| plain(context("colour", text(s)))),
    ("a member of the context that is Palisade's", |s| plain(context("session", text(s)))),
    ("a malformed instant", |s| plain(context("now", value(Kind::DatetimeValue(s.into()))))),
    ("an attribute of an entity", |s| {
        let mut request = context("colour", text("red"));
        let Some(Question::Access(access)) = &mut request.question else { unreachable!() };
        let attributes = BTreeMap::from([("audience".to_owned(), text(s)), ("digest".to_owned(), text(s))]);
        access.entities = vec![v1::Entity { uid: Some(uid("Server::\"new\"")), attributes }];
        plain(request)
    }),
    ("a token", |s| authorized(&format!("Bearer {s}"), lookup())),
    ("credentials of another kind", |s| authorized(&format!("Basic {s}"), lookup())),
];

#[tokio::test]
async fn no_record_no_answer_no_error_and_no_log_repeats_what_was_sent_in_confidence() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("palisade=trace")
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    // The whole test runs on one thread, the server too.
    let _guard = tracing::subscriber::set_default(subscriber);
    let pdp = TestPdp::start().await;
    let mut client = pdp.client_of(None).await;
    let mut planted = Vec::new();
    let mut said = Vec::new();
    for (way, plant) in WAYS {
        for round in 0..ROUNDS {
            let secret = format!("canary-{:04}-{:08x}", planted.len(), 0x9e37_79b9 * (round + 7));
            let mut request = plant(&secret);
            request.metadata_mut().insert("x-forwarded-key", secret.parse().unwrap());
            match client.authorize(request).await {
                Ok(answer) => said.push(format!("{answer:?}")),
                Err(status) => said.push(format!("{status:?}")),
            }
            planted.push((way, secret));
        }
    }
    assert!(planted.len() >= 200, "only {} strings", planted.len());
    let log = log.text();
    let records: Vec<String> = pdp.ledger.records().iter().map(Json::to_string).collect();
    assert!(records.len() > 150, "only {} records", records.len());
    assert!(log.contains("decided"), "the log was not looked at");
    for (way, secret) in &planted {
        for (place, texts) in [("a record", &records), ("an answer", &said), ("the log", &vec![log.clone()])]
        {
            let found = texts.iter().find(|text| text.contains(secret.as_str()));
            assert!(found.is_none(), "{place} repeats {way}: {found:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_sent_in_confidence_would_be_found() {
    let pdp = TestPdp::start().await;
    let request = v1::AuthorizeRequest { intent: "canary-in-words".into(), ..lookup() };
    pdp.client().await.authorize(request).await.unwrap();
    assert!(pdp.ledger.last().to_string().contains("canary-in-words"));
}

#[tokio::test]
async fn arguments_stand_in_the_record_as_a_keyed_digest() {
    let pdp = TestPdp::start().await;
    pdp.client().await.authorize(crm(&lookup_of(&json!("canary")))).await.unwrap();
    let record = pdp.ledger.last();
    let digest = record["arguments_digest"].as_str().unwrap();
    assert_eq!(digest.len(), "hmac-sha256:".len() + 64, "{digest}");
    assert!(!record.to_string().contains("canary"));
}

fn plain(request: v1::AuthorizeRequest) -> Planted {
    authorized(&format!("Bearer {TOKEN}"), request)
}

fn authorized(authorization: &str, request: v1::AuthorizeRequest) -> Planted {
    let mut request = Request::new(request);
    request.metadata_mut().insert("authorization", authorization.parse().unwrap());
    request
}

fn lookup_of(customer: &Json) -> Json {
    json!({ "name": "lookup_customer", "arguments": { "customer_id": customer } })
}

fn params(text: &str) -> Planted {
    let mut request = lookup();
    message(&mut request).params = text.into();
    plain(request)
}

fn context(name: &str, value: v1::Value) -> v1::AuthorizeRequest {
    let asked = access("Action::\"tools/list\"", "Server::\"crm\"");
    let mut request = by("Human::\"ana\"", Some("Agent::\"support-bot\""), asked);
    let Some(Question::Access(access)) = &mut request.question else { unreachable!() };
    access.context.insert(name.to_owned(), value);
    request
}

fn text(text: &str) -> v1::Value {
    value(Kind::StringValue(text.into()))
}

fn value(kind: Kind) -> v1::Value {
    v1::Value { kind: Some(kind) }
}

/// Everything that was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
