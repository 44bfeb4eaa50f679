//! What one server runs and another refuses, and what no honest client sends: all of it is denied, and on record.

use serde_json::{Value as Json, json};

use super::ask::{Exchange, start};

/// The bodies, which tests/e2e sends through a real gateway too; it says itself how it is to be read.
const MALFORMED: &str = include_str!("../../data/malformed.json");
/// A call that is permitted as it stands.
const GOOD: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"issue_refund","arguments":{"order":"o-1","amount":30}}}"#;
const MODERN: &str = "2026-07-28";

fn good() -> Exchange {
    Exchange::post(GOOD)
}

fn modern() -> Exchange {
    good()
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", "tools/call")
        .header("mcp-name", "issue_refund")
}

/// Bodies, with the code that JSON-RPC has for each.
fn bodies() -> Vec<(String, Vec<u8>, i64)> {
    let file: Json = serde_json::from_str(MALFORMED).unwrap();
    assert_eq!(file["good"], GOOD);
    let listed = file["bodies"].as_array().unwrap().iter().map(|case| {
        let code = case["code"].as_i64().unwrap();
        (case["what"].as_str().unwrap().to_owned(), bytes(&text(case), case["as"].as_str()), code)
    });
    let brackets = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let outside = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let others = [
        ("very many brackets".to_owned(), brackets.into_bytes(), -32700),
        ("an answer outside a session".to_owned(), outside.to_vec(), -32600),
    ];
    listed.chain(others).collect()
}

/// A body as a text: a whole one, or the good message with one piece changed.
fn text(case: &Json) -> String {
    match (&case["body"], &case["from"], &case["to"]) {
        (Json::String(body), Json::Null, Json::Null) => body.replace('@', GOOD),
        (Json::Null, Json::String(from), Json::String(to)) => {
            assert!(GOOD.contains(from), "{case}");
            GOOD.replacen(from, to, 1)
        }
        _ => panic!("{case}"),
    }
}

fn bytes(text: &str, encoding: Option<&str>) -> Vec<u8> {
    match encoding {
        None => text.as_bytes().to_vec(),
        Some("latin-1") => text.chars().map(|c| u8::try_from(c).unwrap()).collect(),
        Some("utf-16-le") => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Some("utf-32-le") => text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
        Some(other) => panic!("{other}"),
    }
}

/// A subscription that names this member.
fn listening(member: &str) -> Exchange {
    let params = json!({"notifications": {member: true}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params});
    Exchange::post(body.to_string())
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "subscriptions/listen")
}

/// Messages that say more, or less, than they seem to.
fn disguises() -> Vec<(&'static str, Exchange)> {
    vec![
        ("a token in the query", Exchange { path: "/mcp?x=1&access_token=a.b.c".into(), ..good() }),
        ("a token in the query, escaped", Exchange { path: "/mcp?access%5Ftoken=a.b.c".into(), ..good() }),
        (
            "a token in the query, after a semicolon",
            Exchange { path: "/mcp?x=1;Access_Token=a".into(), ..good() },
        ),
        ("a text that may have been other bytes", good().passed_as_text("o-1", "o-1\u{fffd}")),
        ("a subscription in other letters", listening("ToolsListChanged")),
    ]
}

/// Good bodies that came in no good way.
fn ways() -> Vec<(&'static str, Exchange)> {
    let with = |name: &str, value: &str| good().header(name, value);
    let modern_with = |name: &str, value: &str| modern().header(name, value);
    let named = |method: &str| Exchange { method: method.into(), ..good() };
    vec![
        ("no content type", good().without("content-type")),
        ("plain text", with("content-type", "text/plain")),
        ("a form", with("content-type", "application/x-www-form-urlencoded")),
        ("JSON-RPC's other type", with("content-type", "application/json-rpc")),
        ("two types", with("content-type", "application/json, text/plain")),
        ("two types that are the same", with("content-type", "application/json,application/json")),
        ("another charset", with("content-type", "application/json; charset=utf-16")),
        ("a charset that some read as Latin", with("content-type", "application/json; charset=iso-8859-1")),
        ("two charsets", with("content-type", "application/json; charset=utf-8; charset=utf-7")),
        ("an odd parameter", with("content-type", "application/json; boundary=x")),
        ("a compressed body", with("content-encoding", "gzip")),
        ("a body in part", with("x-envoy-auth-partial-body", "true")),
        ("a body that may be whole", with("x-envoy-auth-partial-body", "false,true")),
        ("a length that is not the body's", with("content-length", "10")),
        ("two lengths", with("content-length", "118,118")),
        ("another method by a header", with("x-http-method-override", "GET")),
        ("PUT", named("PUT")),
        ("PATCH", named("PATCH")),
        ("OPTIONS", named("OPTIONS")),
        ("HEAD", named("HEAD")),
        ("a method in small letters", named("post")),
        ("a stream with a body", Exchange { method: "GET".into(), ..good() }),
        ("a revision nobody published", with("mcp-protocol-version", "2031-01-01")),
        ("two revisions", with("mcp-protocol-version", "2025-11-25,2026-07-28")),
        ("another method in the header, in the older era", with("mcp-method", "tools/list")),
        ("another name in the header, in the older era", with("mcp-name", "lookup_customer")),
        ("no method in the header", modern().without("mcp-method")),
        ("no name in the header", modern().without("mcp-name")),
        ("another method in the header", modern_with("mcp-method", "tools/list")),
        ("the method twice in the header", modern_with("mcp-method", "tools/call,tools/call")),
        ("another spelling in the header", modern_with("mcp-method", "Tools/Call")),
        ("another name in the header", modern_with("mcp-name", "lookup_customer")),
        ("another name in base64", modern_with("mcp-name", "=?base64?bG9va3VwX2N1c3RvbWVy?=")),
        ("a name in broken base64", modern_with("mcp-name", "=?base64?!!!?=")),
        ("a name in base64 that is no text", modern_with("mcp-name", "=?base64?/w==?=")),
        ("a name in base64 with large markers", modern_with("mcp-name", "=?BASE64?aXNzdWVfcmVmdW5k?=")),
        ("a header of a parameter that repeats nothing", modern_with("mcp-param-region", "eu")),
        ("an authorization that is no token", with("authorization", "Basic YW5hOng=")),
        ("two tokens", with("authorization", "Bearer a.b.c,Bearer d.e.f")),
        ("a session without a name", with("mcp-session-id", "")),
        ("two sessions, joined by the gateway", with("mcp-session-id", "s-1, s-2")),
        ("a session that is no name", with("mcp-session-id", "s 1")),
        ("a very long session", with("mcp-session-id", &"s".repeat(300))),
        ("another message, says the gateway", good().metadata("mcp_proxy", &json!({"method": "ping"}))),
        (
            "another tool, says the gateway",
            good().metadata(
                "envoy.filters.http.mcp",
                &json!({"method": "tools/call", "params": {"name": "x"}}),
            ),
        ),
        (
            "no body, but the gateway's word",
            Exchange::post("").metadata("mcp_proxy", &json!({"method": "tools/list"})),
        ),
        ("a route of no profile", good().route("profile", "soap")),
        (
            "a route of two servers",
            good().route("mcp_resource", "https://crm.acme.example/mcp").route("server", "git"),
        ),
        ("a route of a tenant", good().route("tenant", "t1")),
        ("a route of a server that nobody has", good().route("mcp_resource", "https://nobody.example/")),
    ]
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_denied() {
    let (bodies, pdp) = (bodies(), start().await);
    assert!(bodies.len() >= 100, "only {} bodies", bodies.len());
    assert!(good().ask(&pdp).await.permit, "the good message is not good");
    let mut wrong = Vec::new();
    for (what, body, code) in bodies {
        let before = pdp.ledger.records().len();
        let answer = Exchange::post(body).ask(&pdp).await;
        let json = answer.json();
        let found = (answer.permit, answer.status, json["error"]["code"].as_i64());
        if found != (false, 400, Some(code)) {
            wrong.push(format!("{what}: {found:?}, {}", answer.body));
        }
        let words = json["error"]["message"].as_str().unwrap_or_default();
        if words.is_empty() || words.contains("o-1") || words.contains("customer") {
            wrong.push(format!("{what}: says {words:?}"));
        }
        if pdp.ledger.records().len() != before + 1 || pdp.ledger.last()["outcome"] != "deny" {
            wrong.push(format!("{what}: is not on record"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn what_comes_in_no_good_way_is_denied() {
    let pdp = start().await;
    assert!(modern().ask(&pdp).await.permit, "the good message is not good");
    let mut wrong = Vec::new();
    for (what, exchange) in ways().into_iter().chain(disguises()) {
        let answer = exchange.ask(&pdp).await;
        if answer.permit || answer.status != 400 || pdp.ledger.last()["outcome"] != "deny" {
            wrong.push(format!("{what}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn ways_that_are_odd_and_mean_one_thing_are_taken() {
    let pdp = start().await;
    for good in [
        good().header("content-type", "application/json; charset=utf-8"),
        good().header("content-type", "Application/JSON;charset=\"UTF-8\""),
        good().header("x-envoy-auth-partial-body", "false"),
        good().without("content-length"),
        good().header("mcp-method", "tools/call").header("mcp-name", "issue_refund"),
        good().route("mcp_resource", "https://crm.acme.example/mcp"),
        good().metadata("mcp_proxy", &json!({"method": "tools/call", "params": {"name": "issue_refund"}})),
        modern().header("mcp-name", "=?base64?aXNzdWVfcmVmdW5k?="),
        good().passed_as_text("o-1", "o-2"),
        listening("toolsListChanged"),
        // The newer era has no sessions: a name of one is nothing.
        modern().header("mcp-session-id", ""),
    ] {
        let answer = good.clone().ask(&pdp).await;
        assert!(answer.permit, "{good:?}: {answer:?}");
    }
}
