//! What no honest client sends: each is an exact status with a short text, and the server goes on.

use std::fmt::Write as _;

use super::ask::{Answer, post, post_with, raw};
use crate::pdp::{TOKEN, TestPdp};

const GOOD: &str = r#"{"subject":{"type":"identity","id":"ana"},"action":{"name":"tools/call"},"resource":{"type":"tool","id":"lookup_customer","properties":{"arguments":{"customer_id":"c-1"}}},"context":{"agent":"support-bot"}}"#;

/// The good question with one piece of its text changed.
fn changed(from: &str, to: &str) -> Vec<u8> {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1).into_bytes()
}

async fn ask(pdp: &TestPdp, content_type: &[(&str, &str)], body: &[u8]) -> Answer {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [&[("Authorization", &*bearer), ("X-Request-ID", "find-me")], content_type].concat();
    post_with(pdp, "/access/v1/evaluation", &headers, body).await
}

/// A body as HTTP/1.1 sends it without saying how long it is.
fn in_pieces(body: &[u8], len: usize) -> String {
    body.chunks(len).fold(String::new(), |mut text, piece| {
        write!(text, "{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece)).unwrap();
        text
    })
}

/// Bodies that are no JSON object, or could be read in two ways, and what their refusal says.
fn texts() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let with = |before: &[u8], after: &[u8]| [before, GOOD.as_bytes(), after].concat();
    vec![
        ("empty", vec![], "empty"),
        ("white space", bytes("  \r\n"), "too early"),
        ("an array", bytes("[]"), "object"),
        ("a string", bytes("\"x\""), "object"),
        ("a number", bytes("1"), "object"),
        ("null", bytes("null"), "object"),
        ("half of it", bytes(&GOOD[..40]), "too early"),
        ("no quotes", bytes("{subject:1}"), "quotes"),
        ("single quotes", bytes("{'subject':1}"), "quotes"),
        ("a trailing comma", changed("\"agent\":\"support-bot\"", "\"agent\":\"support-bot\","), "comma"),
        ("a comment", with(b"/* hello */", b""), "JSON"),
        ("two documents", with(b"", GOOD.as_bytes()), "nothing after"),
        ("text behind it", with(b"", b"x"), "nothing after"),
        ("a NUL behind it", with(b"", b"\0"), "nothing after"),
        ("a byte order mark", with(b"\xef\xbb\xbf", b""), "JSON"),
        ("UTF-16", GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect(), "JSON"),
        (
            "bytes that are no UTF-8",
            [&GOOD.as_bytes()[..30], b"\xff\xfe", &GOOD.as_bytes()[30..]].concat(),
            "UTF-8",
        ),
        (
            "an overlong encoding",
            [&GOOD.as_bytes()[..30], b"\xc0\xaf", &GOOD.as_bytes()[30..]].concat(),
            "UTF-8",
        ),
        ("half a surrogate pair", changed("\"ana\"", "\"\\ud800\""), "at byte"),
        ("the other half", changed("\"ana\"", "\"\\udc00\""), "at byte"),
        ("an unknown escape", changed("\"ana\"", "\"\\x41\""), "escapes"),
        ("a control character", changed("\"ana\"", "\"a\na\""), "control"),
        ("NaN", changed("\"agent\":\"support-bot\"", "\"n\":NaN"), "number"),
        ("Infinity", changed("\"agent\":\"support-bot\"", "\"n\":-Infinity"), "number"),
        ("a leading zero", changed("\"agent\":\"support-bot\"", "\"n\":01"), "number"),
        ("a hexadecimal number", changed("\"agent\":\"support-bot\"", "\"n\":0x1f"), "JSON"),
        ("a member twice", changed("{\"subject\"", "{\"action\":{},\"subject\""), "once"),
        ("a member twice inside", changed("\"id\":\"ana\"", "\"id\":\"ana\",\"id\":\"bo\""), "once"),
        (
            "a member twice by an escape",
            changed("\"id\":\"ana\"", "\"id\":\"ana\",\"\\u0069d\":\"bo\""),
            "once",
        ),
        ("a member twice in the context", changed("\"agent\"", "\"agent\":\"coder\",\"agent\""), "once"),
    ]
}

/// Bodies whose members are not AuthZEN's or ours, and what their refusal says.
fn members() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("no subject", changed("\"subject\"", "\"object\""), "`subject` is required"),
        ("no type", changed("\"type\":\"identity\",", ""), "`subject.type` is required"),
        ("null for an id", changed("\"ana\"", "null"), "`subject.id` is required"),
        ("a number for an id", changed("\"ana\"", "7"), "`subject.id` must be a string"),
        ("an object for an id", changed("\"ana\"", "{}"), "`subject.id` must be a string"),
        (
            "a list for the subject",
            changed("{\"type\":\"identity\",\"id\":\"ana\"}", "[]"),
            "`subject` must be an object",
        ),
        (
            "text for an action",
            changed("{\"name\":\"tools/call\"}", "\"tools/call\""),
            "`action` must be an object",
        ),
        ("no name", changed("\"name\"", "\"nome\""), "`action.name` is required"),
        ("a flag for a name", changed("\"tools/call\"", "true"), "`action.name` must be a string"),
        (
            "text for the context",
            changed("{\"agent\":\"support-bot\"}", "\"x\""),
            "`context` must be an object",
        ),
        (
            "a list for properties",
            changed("{\"arguments\":{\"customer_id\":\"c-1\"}}", "[]"),
            "`resource.properties` must be",
        ),
        ("an id that is too long", changed("\"ana\"", &format!("\"{}\"", "a".repeat(5000))), "limit"),
        ("what nests too deep", changed("\"c-1\"", &format!("{}{}", "[".repeat(60), "]".repeat(60))), "nest"),
        ("too many values", changed("\"c-1\"", &format!("[{}1]", "1,".repeat(70_000))), "at most"),
        (
            "a misspelt member of ours",
            changed("\"agent\"", "\"palisade\":{\"preveiw\":true},\"agent\""),
            "not known",
        ),
        (
            "a flag of ours that is text",
            changed("\"agent\"", "\"palisade\":{\"preview\":\"no\"},\"agent\""),
            "preview` must be",
        ),
        (
            "two proofs",
            changed(
                "\"agent\"",
                "\"palisade\":{\"proof\":{\"key_thumbprint\":\"a\",\"certificate_sha256\":\"b\"}},\"agent\"",
            ),
            "proof` must have one",
        ),
        (
            "a proof of nothing",
            changed("\"agent\"", "\"palisade\":{\"proof\":{\"dpop\":{}}},\"agent\""),
            "proof.dpop.proof` must be",
        ),
        (
            "a list that is none",
            changed("\"agent\"", "\"supported_obligations\":\"all\",\"agent\""),
            "`context.supported_obligations` must be",
        ),
    ]
}

#[tokio::test]
async fn bodies_that_can_be_read_in_two_ways_or_in_none_are_400() {
    let pdp = TestPdp::start().await;
    let json = [("Content-Type", "application/json")];
    assert_eq!(ask(&pdp, &json, GOOD.as_bytes()).await.body, r#"{"decision":true}"#);
    let before = pdp.ledger.records().len();
    let bodies = [texts(), members()].concat();
    assert!(bodies.len() >= 40);
    for (name, body, words) in bodies {
        let answer = ask(&pdp, &json, &body).await;
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert!(answer.body.contains(words), "{name}: {}", answer.body);
        assert!(answer.body.len() < 300, "{name}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{name}");
        assert_eq!(answer.header("x-request-id"), Some("find-me"), "{name}");
    }
    assert_eq!(pdp.ledger.records().len(), before, "what was not understood is no decision");
    assert_eq!(ask(&pdp, &json, GOOD.as_bytes()).await.body, r#"{"decision":true}"#);
}

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_400() {
    let pdp = TestPdp::start().await;
    let json = "application/json";
    for headers in [
        &[][..],
        &[("Content-Type", "")],
        &[("Content-Type", "text/json")],
        &[("Content-Type", "application/x-www-form-urlencoded")],
        &[("Content-Type", "application/jsonp")],
        &[("Content-Type", "application/json, text/plain")],
        &[("Content-Type", "application/json; charset=iso-8859-1")],
        &[("Content-Type", "application/json; charset=utf-16")],
        &[("Content-Type", json), ("Content-Type", json)],
        &[("Content-Type", json), ("Content-Encoding", "gzip")],
    ] {
        let answer = ask(&pdp, headers, GOOD.as_bytes()).await;
        assert_eq!(answer.status, 400, "{headers:?}: {answer:?}");
    }
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json;charset=\"UTF-8\"",
        "application/json; x=y",
    ] {
        assert_eq!(
            ask(&pdp, &[("Content-Type", content_type)], GOOD.as_bytes()).await.status,
            200,
            "{content_type}"
        );
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_however_it_comes() {
    let pdp = TestPdp::builder().gateway().limits(|limits| limits.message_bytes_max = 1000).start().await;
    let json = [("Content-Type", "application/json")];
    assert_eq!(ask(&pdp, &json, GOOD.as_bytes()).await.status, 200);
    let long = changed("\"ana\"", &format!("\"ana\",\"properties\":{{\"x\":\"{}\"}}", "a".repeat(1000)));
    let answer = ask(&pdp, &json, &long).await;
    assert_eq!((answer.status, answer.body.contains("message_bytes_max")), (413, true), "{answer:?}");
    let head = format!(
        "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\n"
    );
    // In pieces, without a length; and with a length that is only a promise.
    let pieces = in_pieces(&long, 100);
    assert_eq!(
        raw(&pdp, format!("{head}Transfer-Encoding: chunked\r\n\r\n{pieces}0\r\n\r\n").as_bytes())
            .await
            .status,
        413
    );
    assert_eq!(
        raw(&pdp, format!("{head}Content-Length: 99999999999\r\n\r\n{{").as_bytes()).await.status,
        413
    );
    let pieces = in_pieces(GOOD.as_bytes(), 50);
    let whole =
        raw(&pdp, format!("{head}Transfer-Encoding: chunked\r\n\r\n{pieces}0\r\n\r\n").as_bytes()).await;
    assert_eq!(whole.status, 200, "{whole:?}");
}

#[tokio::test]
async fn messages_that_are_no_http_get_no_decision() {
    let pdp = TestPdp::start().await;
    let auth = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
    let length = GOOD.len();
    for head in [
        format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{auth}Content-Length: {length}\r\nContent-Length: 3\r\n\r\n"
        ),
        format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{auth}Content-Length: -1\r\n\r\n"
        ),
        format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{auth}X: a\nb\r\nContent-Length : {length}\r\n\r\n"
        ),
        format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nConnection: close\r\n{auth}Content-Length: {length}\r\n\r\n"
        ),
        format!(
            "POST /access/v1/evaluation HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n{auth}Content-Length: {length}\r\n\r\n"
        ),
        format!(
            "POST /access/v1/evaluation HTTP/7\r\nHost: localhost\r\n{auth}Content-Length: {length}\r\n\r\n"
        ),
    ] {
        let answer = raw(&pdp, format!("{head}{GOOD}").as_bytes()).await;
        assert!((400..500).contains(&answer.status), "{head}: {answer:?}");
    }
    assert!(pdp.ledger.records().is_empty());
    let good: serde_json::Value = serde_json::from_str(GOOD).unwrap();
    assert!(post(&pdp, "/access/v1/evaluation", &good).await.decision());
}
