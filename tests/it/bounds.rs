//! Bad input over gRPC: too long, too many, too deep, missing, unparsable. Each has its code, its words and no record.

use std::collections::BTreeMap;

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_request::Question;
use palisade::api::proto::v1::value::Kind;
use prost::Message as _;
use serde_json::json;
use tonic::{Code, Request, Status};

use crate::asks::{access, by, crm, lookup, message, streamed, uid};
use crate::pdp::TestPdp;
use crate::raw;

const AUTHORIZE: &str = "/palisade.v1.Authorization/Authorize";

fn ask() -> v1::AuthorizeRequest {
    let asked = access("Action::\"tools/list\"", "Server::\"crm\"");
    by("Human::\"ana\"", Some("Agent::\"support-bot\""), asked)
}

/// The request with something changed in its schema form.
fn changed(change: impl FnOnce(&mut v1::Access)) -> v1::AuthorizeRequest {
    let mut request = ask();
    let Some(Question::Access(access)) = &mut request.question else { unreachable!() };
    change(access);
    request
}

/// The request with something changed in its message.
fn spoken(change: impl FnOnce(&mut v1::McpMessage)) -> v1::AuthorizeRequest {
    let mut request = lookup();
    change(message(&mut request));
    request
}

fn subject(change: impl FnOnce(&mut v1::Subject)) -> v1::AuthorizeRequest {
    let mut request = lookup();
    change(request.subject.as_mut().unwrap());
    request
}

fn value(kind: Kind) -> v1::Value {
    v1::Value { kind: Some(kind) }
}

fn record(name: &str, value: v1::Value) -> v1::Value {
    let members = BTreeMap::from([(name.to_owned(), value)]);
    self::value(Kind::RecordValue(v1::ValueRecord { members }))
}

fn set(items: Vec<v1::Value>) -> v1::Value {
    value(Kind::SetValue(v1::ValueSet { items }))
}

/// A value that nests this deep.
fn nested(depth: usize, wrap: impl Fn(v1::Value) -> v1::Value) -> v1::Value {
    (1..depth).fold(value(Kind::BoolValue(true)), |inner, _| wrap(inner))
}

fn context(value: v1::Value) -> v1::AuthorizeRequest {
    changed(|access| drop(access.context.insert("colour".into(), value)))
}

async fn refused(pdp: &TestPdp, field: &str, request: v1::AuthorizeRequest) {
    match pdp.client().await.authorize(request).await {
        Ok(answer) => panic!("{field}: {answer:?}"),
        Err(status) => {
            assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status}");
            assert!(status.message().contains(field), "{field}: {status}");
            assert!(status.message().len() < 300, "{field}: the words are long: {status}");
        }
    }
    assert_eq!(pdp.ledger.records().len(), 0, "{field}: what is malformed is not decided");
}

#[tokio::test]
async fn every_text_and_every_list_has_a_limit_and_its_refusal_names_the_field() {
    let pdp = TestPdp::start().await;
    let long = |bytes_max: usize| "x".repeat(bytes_max + 1);
    let request = |change: &dyn Fn(&mut v1::AuthorizeRequest)| {
        let mut request = lookup();
        change(&mut request);
        request
    };
    let id = |len: usize| v1::EntityUid { r#type: "Human".into(), id: "x".repeat(len) };
    let entity = || v1::Entity { uid: Some(uid("Server::\"x\"")), attributes: BTreeMap::new() };
    for (field, request) in [
        ("request_id", request(&|r| r.request_id = long(128))),
        ("session", request(&|r| r.session = long(256))),
        ("task", request(&|r| r.task = long(256))),
        ("purpose", request(&|r| r.purpose = long(256))),
        ("intent", request(&|r| r.intent = long(1024))),
        ("subject.principal", subject(|s| s.principal = Some(id(4097)))),
        ("subject.actor", subject(|s| s.actor = Some(id(4097)))),
        ("subject.earlier_actors", subject(|s| s.earlier_actors = vec![id(1); 9])),
        ("mcp.server", spoken(|m| m.server = long(256))),
        ("mcp.method", spoken(|m| m.method = long(256))),
        ("mcp.protocol_version", spoken(|m| m.protocol_version = long(256))),
        (
            "mcp.headers",
            spoken(|m| m.headers = (0..65).map(|at| (format!("Mcp-{at}"), String::new())).collect()),
        ),
        ("access.resource", changed(|a| a.resource = Some(id(4097)))),
        ("access.entities", changed(|a| a.entities = (0..257).map(|_| entity()).collect())),
        ("access.context", changed(|a| drop(a.context.insert(long(256), value(Kind::BoolValue(true)))))),
        ("context_nodes_max", context(set(vec![value(Kind::BoolValue(true)); 10_000]))),
    ] {
        refused(&pdp, field, request).await;
    }
}

#[tokio::test]
async fn what_is_exactly_at_its_limit_is_decided() {
    let pdp = TestPdp::start().await;
    let mut most = lookup();
    most.request_id = "x".repeat(128);
    most.session = "x".repeat(256);
    most.task = "x".repeat(256);
    most.purpose = "x".repeat(256);
    most.intent = "x".repeat(1024);
    let answer = pdp.client().await.authorize(most).await.unwrap().into_inner();
    assert_eq!(answer.decision(), v1::Decision::Permit);
    let full = context(set(vec![value(Kind::BoolValue(true)); 9_999]));
    assert_eq!(
        pdp.client().await.authorize(full).await.unwrap().into_inner().decision(),
        v1::Decision::Permit
    );
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let pdp = TestPdp::start().await;
    let nameless = || Some(v1::EntityUid { r#type: "Human".into(), id: String::new() });
    let typeless = || Some(v1::EntityUid { r#type: String::new(), id: "ana".into() });
    for (field, request) in [
        ("question", v1::AuthorizeRequest { question: None, ..lookup() }),
        ("subject.principal", subject(|s| s.principal = None)),
        ("subject.principal", subject(|s| s.principal = nameless())),
        ("subject.actor", subject(|s| s.actor = typeless())),
        ("access.action", changed(|a| a.action = None)),
        ("access.resource", changed(|a| a.resource = None)),
        ("access.entities.uid", changed(|a| a.entities = vec![v1::Entity::default()])),
        ("access.context", context(v1::Value { kind: None })),
        ("access.context", context(set(vec![v1::Value { kind: None }]))),
        ("access.context", context(value(Kind::EntityValue(v1::EntityUid::default())))),
    ] {
        refused(&pdp, field, request).await;
    }
}

#[tokio::test]
async fn a_value_nests_as_deep_as_its_limit_and_no_deeper() {
    let pdp = TestPdp::builder().gateway().limits(|limits| limits.context_depth_max = 8).start().await;
    let wraps: [fn(v1::Value) -> v1::Value; 2] = [|inner| record("x", inner), |inner| set(vec![inner])];
    for wrap in wraps {
        refused(&pdp, "access.context", context(nested(9, wrap))).await;
        let entity = v1::Entity {
            uid: Some(uid("Server::\"x\"")),
            attributes: BTreeMap::from([("x".to_owned(), nested(9, wrap))]),
        };
        refused(&pdp, "access.entities.attributes", changed(|a| a.entities = vec![entity])).await;
    }
    for wrap in wraps {
        let answer = pdp.client().await.authorize(context(nested(8, wrap))).await.unwrap().into_inner();
        assert_eq!(answer.decision(), v1::Decision::Permit);
    }
}

#[tokio::test]
async fn a_value_that_nests_without_end_is_refused_before_it_is_built() {
    let pdp = TestPdp::start().await;
    for (depth, code, words) in [
        (33, Code::InvalidArgument, "`context_depth_max` of 32"),
        (64, Code::Internal, "recursion limit"),
        (5_000, Code::Internal, "recursion limit"),
    ] {
        let refused = sent(&pdp, &deep(depth)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{depth}: {refused}");
        assert!(refused.message().contains(words), "{depth}: {refused}");
    }
    assert_eq!(pdp.ledger.records().len(), 0);
    assert!(pdp.client().await.authorize(lookup()).await.is_ok(), "the server still answers");
}

/// The bytes of a request with a set in a set in a set, written without building it: its own drop would recurse.
fn deep(depth: usize) -> Vec<u8> {
    let field = |number: u8, inner: &[u8]| {
        let mut bytes = vec![number << 3 | 2];
        prost::encode_length_delimiter(inner.len(), &mut bytes).unwrap();
        bytes.extend_from_slice(inner);
        bytes
    };
    let scalar = vec![1 << 3, 1];
    let value = (1..depth).fold(scalar, |inner, _| field(5, &field(1, &inner)));
    let entry = [field(1, b"colour"), field(2, &value)].concat();
    let Some(Question::Access(access)) = ask().question else { unreachable!() };
    let access = [access.encode_to_vec(), field(3, &entry)].concat();
    let rest = v1::AuthorizeRequest { question: None, ..ask() };
    [rest.encode_to_vec(), field(3, &access)].concat()
}

async fn sent(pdp: &TestPdp, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    raw::call(pdp, AUTHORIZE, bytes.to_vec()).await
}

#[tokio::test]
async fn the_bytes_of_a_request_that_is_deep_but_not_too_deep_are_read() {
    let pdp = TestPdp::start().await;
    let answer = v1::AuthorizeResponse::decode(&*sent(&pdp, &deep(32)).await.unwrap()).unwrap();
    assert_eq!(answer.decision(), v1::Decision::Permit);
    let records = context(nested(32, |inner| record("x", inner)));
    let answer = pdp.client().await.authorize(records).await.unwrap().into_inner();
    assert_eq!(answer.decision(), v1::Decision::Permit, "a record takes more messages a level than a set");
}

#[tokio::test]
async fn bytes_that_are_no_message_get_an_error_and_no_record() {
    let pdp = TestPdp::start().await;
    let good = lookup().encode_to_vec();
    for bytes in [
        vec![0xff; 64],
        vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
        good[..good.len() - 1].to_vec(),
        vec![0x0a, 0x02, 0xc3, 0x28],
        vec![0x13],
    ] {
        let refused = sent(&pdp, &bytes).await.unwrap_err();
        // gRPC has INTERNAL for a message that cannot be parsed.
        assert_eq!(refused.code(), Code::Internal, "{bytes:?}: {refused}");
        assert!(refused.message().contains("decode"), "{refused}");
    }
    assert_eq!(pdp.ledger.records().len(), 0);
    assert!(sent(&pdp, &good).await.is_ok());
}

#[tokio::test]
async fn bytes_that_are_no_message_end_their_stream_and_no_other() {
    let pdp = TestPdp::start().await;
    let path = "/palisade.v1.Authorization/AuthorizeStream";
    let good = || streamed(lookup()).encode_to_vec();
    let (answers, error) = raw::stream(&pdp, path, vec![good(), good(), vec![0xff; 8], good()]).await;
    assert_eq!((answers.len(), error.map(|status| status.code())), (2, Some(Code::Internal)));
    let (answers, error) = raw::stream(&pdp, path, vec![good(); 3]).await;
    assert_eq!((answers.len(), error.map(|status| status.code())), (3, None));
    assert_eq!(pdp.ledger.records().len(), 5);
}

#[tokio::test]
async fn no_prefix_of_a_request_is_more_than_the_request() {
    let pdp = TestPdp::start().await;
    let good =
        crm(&json!({ "name": "delete_customer", "arguments": { "customer_id": "c-1" } })).encode_to_vec();
    for len in 0..=good.len() {
        if let Ok(answer) = sent(&pdp, &good[..len]).await {
            let answer = v1::AuthorizeResponse::decode(&*answer).unwrap();
            assert_eq!(answer.decision(), v1::Decision::Deny, "the first {len} bytes are permitted");
        }
    }
}

#[tokio::test]
async fn a_method_nobody_serves_is_unimplemented() {
    let pdp = TestPdp::start().await;
    for path in ["/palisade.v1.Authorization/Permit", "/palisade.v2.Authorization/Authorize", "/"] {
        assert_eq!(raw::call(&pdp, path, vec![]).await.unwrap_err().code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let pdp =
        TestPdp::builder().gateway().limits(|limits| limits.message_bytes_max = 64 * 1024).start().await;
    let sized = |bytes: usize| {
        let mut request = lookup();
        message(&mut request).tool_definition = vec![b' '; bytes - request_len(&lookup()) - 4];
        request
    };
    let over = sized(64 * 1024 + 100);
    let refused = pdp.client().await.authorize(over).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("65536"), "{refused}");
    let under = sized(64 * 1024 - 100);
    assert!(pdp.client().await.authorize(under).await.is_ok());
    assert_eq!(pdp.ledger.records().len(), 1);
}

fn request_len(request: &v1::AuthorizeRequest) -> usize {
    request.encoded_len()
}

#[tokio::test]
async fn parameters_over_their_limit_are_an_answer_and_that_is_no() {
    let pdp = TestPdp::builder().gateway().limits(|limits| limits.context_bytes_max = 1024).start().await;
    let asked = |len: usize| {
        crm(&json!({ "name": "lookup_customer", "arguments": { "customer_id": "x".repeat(len) } }))
    };
    let mut client = pdp.client().await;
    assert_eq!(client.authorize(asked(900)).await.unwrap().into_inner().decision(), v1::Decision::Permit);
    let answer = client.authorize(asked(1024)).await.unwrap().into_inner();
    assert_eq!(answer.reason(), v1::DenyReason::InvalidInput);
    assert!(answer.reason_text.contains("1024"), "{}", answer.reason_text);
}

#[tokio::test]
async fn headers_over_the_limit_are_refused_and_the_server_goes_on() {
    let pdp = TestPdp::builder().gateway().limits(|limits| limits.header_list_bytes_max = 4096).start().await;
    let with = |bytes: usize| {
        let mut request = Request::new(lookup());
        request.metadata_mut().insert("x-much", "y".repeat(bytes).parse().unwrap());
        request
    };
    assert!(pdp.client().await.authorize(with(2048)).await.is_ok());
    let refused = pdp.client().await.authorize(with(8192)).await.unwrap_err();
    // HTTP/2 refuses them before there is a call that could have a status of its own.
    assert_eq!(refused.code(), Code::Unknown);
    assert!(refused.message().contains("431"), "{refused}");
    let mut many = Request::new(lookup());
    for at in 0..200 {
        many.metadata_mut().insert(
            tonic::metadata::MetadataKey::from_bytes(format!("x-{at}").as_bytes()).unwrap(),
            "y".parse().unwrap(),
        );
    }
    assert!(pdp.client().await.authorize(many).await.is_err());
    assert_eq!(pdp.ledger.records().len(), 1);
    assert!(pdp.client().await.authorize(lookup()).await.is_ok());
}
