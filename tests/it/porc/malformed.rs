//! Bodies that no honest client sends: each is an exact status with a short text, and the server goes on.

use serde_json::json;

use super::{PATH, ask, call};
use crate::authzen::ask::{post_with, raw};
use crate::pdp::{TOKEN, TestPdp};

const GOOD: &str = r#"{"principal":{"sub":"ana","mannotations":{"agent":"support-bot"}},"operation":"mcp:tool:call","resource":"mrn:mcp:crm:tool:lookup_customer","context":{"mcp":{"feature":"tool","operation":"call","resource_id":"lookup_customer","args":{"customer_id":"c-1"}}}}"#;

/// The good question with one piece of its text changed.
fn changed(from: &str, to: &str) -> Vec<u8> {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1).into_bytes()
}

/// Bodies that are no JSON object, or could be read in two ways, and what their refusal says.
fn texts() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let with = |before: &[u8], after: &[u8]| [before, GOOD.as_bytes(), after].concat();
    let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
    vec![
        ("empty", vec![], "empty"),
        ("an array", bytes("[]"), "object"),
        ("a batch", with(b"[", b"]"), "object"),
        ("null", bytes("null"), "object"),
        ("half of it", bytes(&GOOD[..60]), "too early"),
        ("a trailing comma", changed(r#""c-1""#, r#""c-1","#), "comma"),
        ("two documents", with(b"", GOOD.as_bytes()), "nothing after"),
        ("a NUL behind it", with(b"", b"\0"), "nothing after"),
        ("a byte order mark", with(b"\xef\xbb\xbf", b""), "JSON"),
        ("UTF-16", GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect(), "JSON"),
        (
            "bytes that are no UTF-8",
            [&GOOD.as_bytes()[..22], b"\xff", &GOOD.as_bytes()[22..]].concat(),
            "UTF-8",
        ),
        ("half a surrogate pair", changed(r#""c-1""#, r#""\ud800""#), "at byte"),
        ("a control character", changed(r#""c-1""#, "\"c\n1\""), "control"),
        ("NaN", changed(r#""c-1""#, "NaN"), "number"),
        ("a member twice", changed(r#"{"principal""#, r#"{"operation":"mcp:tool:list","principal""#), "once"),
        ("an argument twice", changed(r#""customer_id""#, r#""customer_id":"c-2","customer_id""#), "once"),
        ("a tool twice by an escape", changed(r#","context""#, r#","r\u0065source":"x","context""#), "once"),
        ("too deep", changed(r#""c-1""#, &deep), "nest"),
    ]
}

/// Bodies whose members are not those of a PORC, and what their refusal says.
fn members() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("no principal", changed(r#""principal""#, r#""Principal""#), "`principal` is required"),
        (
            "a principal that is a text",
            changed(r#"{"sub":"ana","mannotations":{"agent":"support-bot"}}"#, r#""ana""#),
            "`principal` must be an object",
        ),
        ("a subject that is a number", changed(r#""ana""#, "7"), "`principal.sub` must be a string"),
        (
            "annotations that are a text",
            changed(r#"{"agent":"support-bot"}"#, r#""{}""#),
            "`principal.mannotations` must be an object",
        ),
        ("no operation", changed(r#""operation""#, r#""method""#), "`operation` is required"),
        ("an operation that is null", changed(r#""mcp:tool:call""#, "null"), "`operation` is required"),
        (
            "an operation that is an object",
            changed(r#""mcp:tool:call""#, "{}"),
            "`operation` must be a string",
        ),
        ("no resource", changed(r#""resource""#, r#""id""#), "`resource` is required"),
        (
            "a resource that is an object",
            changed(r#""mrn:mcp:crm:tool:lookup_customer""#, r#"{"id":"mrn:mcp:crm:tool:lookup_customer"}"#),
            "`resource` must be a string",
        ),
        ("a resource without end", changed("lookup_customer", &"x".repeat(5000)), "`resource`"),
        (
            "a context that is a text",
            changed(r#"{"mcp""#, r#""x","y":{"mcp""#),
            "`context` must be an object",
        ),
        (
            "a message that is a text",
            changed(r#"{"feature""#, r#""x","y":{"feature""#),
            "`context.mcp` must be an object",
        ),
        (
            "a feature that is a number",
            changed(r#""feature":"tool""#, r#""feature":1"#),
            "`context.mcp.feature` must be a string",
        ),
        (
            "arguments that are a list",
            changed(r#"{"customer_id":"c-1"}"#, r#"["c-1"]"#),
            "`context.mcp.args` must be an object",
        ),
        (
            "arguments that are a text",
            changed(r#"{"customer_id":"c-1"}"#, r#""{}""#),
            "`context.mcp.args` must be an object",
        ),
    ]
}

#[tokio::test]
async fn a_body_that_is_malformed_is_400_and_says_where() {
    let pdp = TestPdp::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let headers =
        [("Authorization", &*bearer), ("Content-Type", "application/json"), ("X-Request-ID", "find-me")];
    let bodies = [texts(), members()].concat();
    assert!(bodies.len() >= 30);
    for (what, body, words) in bodies {
        let answer = post_with(&pdp, PATH, &headers, &body).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(answer.body.contains(words), "{what}: {}", answer.body);
        assert!(!answer.body.contains("c-1") && answer.body.len() < 300, "{what}: {}", answer.body);
        assert_eq!(answer.header("x-request-id"), Some("find-me"), "{what}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{what}");
    }
    assert!(pdp.ledger.records().is_empty());
    assert_eq!(
        ask(&pdp, &call("lookup_customer", &json!({"customer_id": "c-1"}))).await.body,
        r#"{"allow":true}"#
    );
}

#[tokio::test]
async fn what_http_says_around_it_must_be_right_too() {
    let pdp = TestPdp::start().await;
    let bearer = format!("Bearer {TOKEN}");
    for content_type in
        ["text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded"]
    {
        let headers = [("Authorization", &*bearer), ("Content-Type", content_type)];
        assert_eq!(post_with(&pdp, PATH, &headers, GOOD.as_bytes()).await.status, 400, "{content_type}");
    }
    let headers =
        [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    assert_eq!(post_with(&pdp, PATH, &headers, GOOD.as_bytes()).await.status, 400);
    let long = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {bearer}\r\n\
        Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
    );
    assert_eq!(raw(&pdp, long.as_bytes()).await.status, 413);
    for (request, status) in [("GET /decision", 405), ("PUT /decision", 405), ("POST /decision/", 404)] {
        let text = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = raw(&pdp, text.as_bytes()).await;
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST"), "{request}");
    }
}
