//! What one server runs and another refuses, and what no honest client sends: all of it is denied, and on record.

use serde_json::json;

use super::ask::{Exchange, start};

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

/// The good message with one piece of its text changed.
fn changed(from: &str, to: &str) -> Vec<u8> {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1).into_bytes()
}

/// Bodies, with the code that JSON-RPC has for each.
fn bodies() -> Vec<Body> {
    [texts(), twice(), messages(), params()].concat()
}

type Body = (&'static str, Vec<u8>, i64);

/// The good message with bytes before and after it.
fn around(before: &[u8], after: &[u8]) -> Vec<u8> {
    [before, GOOD.as_bytes(), after].concat()
}

fn deep(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

/// What is no JSON, or not one JSON.
fn texts() -> Vec<Body> {
    let inside = |bytes: &[u8]| [&GOOD.as_bytes()[..98], bytes, &GOOD.as_bytes()[98..]].concat();
    vec![
        ("empty", vec![], -32600),
        ("white space", b" \r\n".to_vec(), -32700),
        ("a string", b"\"tools/call\"".to_vec(), -32600),
        ("a number", b"1".to_vec(), -32600),
        ("null", b"null".to_vec(), -32600),
        ("an empty object", b"{}".to_vec(), -32600),
        ("an empty batch", b"[]".to_vec(), -32600),
        ("a batch of nothing", b"[null]".to_vec(), -32600),
        ("a batch in a batch", around(b"[[", b"]]"), -32600),
        ("half of it", GOOD.as_bytes()[..60].to_vec(), -32700),
        ("a byte less", GOOD.as_bytes()[..GOOD.len() - 1].to_vec(), -32700),
        ("two documents", around(b"", GOOD.as_bytes()), -32700),
        ("two documents on two lines", around(b"", format!("\n{GOOD}").as_bytes()), -32700),
        ("a harmless document first", around(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, b""), -32700),
        ("text behind it", around(b"", b"x"), -32700),
        ("a NUL behind it", around(b"", b"\0"), -32700),
        ("a brace behind it", around(b"", b"}"), -32700),
        ("a byte order mark", around(b"\xef\xbb\xbf", b""), -32700),
        ("UTF-16", GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect(), -32700),
        (
            "UTF-16 with a mark",
            [&[0xff, 0xfe][..], &GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()].concat(),
            -32700,
        ),
        ("a lone byte", inside(b"\xff"), -32700),
        ("an overlong encoding", inside(b"\xc0\xaf"), -32700),
        ("a surrogate in UTF-8", inside(b"\xed\xa0\x80"), -32700),
        ("beyond Unicode", inside(b"\xf4\x90\x80\x80"), -32700),
        ("a lone first surrogate", changed("o-1", r"\ud800"), -32700),
        ("a lone second surrogate", changed("o-1", r"\udc00"), -32700),
        ("surrogates the wrong way round", changed("o-1", r"\udc00\ud800"), -32700),
        ("a raw line break in a string", changed("o-1", "o\n1"), -32700),
        ("a raw NUL in a string", changed("o-1", "o\u{0}1"), -32700),
        ("an escape that JSON does not have", changed("o-1", r"\x41"), -32700),
        ("single quotes", changed("\"o-1\"", "'o-1'"), -32700),
        ("no quotes", changed("\"id\"", "id"), -32700),
        ("a comment", changed("\"id\"", "/* x */\"id\""), -32700),
        ("a line comment", around(b"// x\n", b""), -32700),
        ("a trailing comma", changed("\"amount\":30", "\"amount\":30,"), -32700),
        ("NaN", changed("30", "NaN"), -32700),
        ("Infinity", changed("30", "Infinity"), -32700),
        ("a leading zero", changed("30", "030"), -32700),
        ("a hexadecimal number", changed("30", "0x1e"), -32700),
        ("a plus sign", changed("30", "+30"), -32700),
    ]
}

/// What one reader takes for another thing than the next.
fn twice() -> Vec<Body> {
    vec![
        ("a method twice", changed("\"method\"", r#""method":"ping","method""#), -32700),
        ("a method twice, the other last", changed("}}}", r#"}},"method":"ping"}"#), -32700),
        ("a method twice, once escaped", changed("\"method\"", r#""m\u0065thod":"ping","method""#), -32700),
        ("params twice", changed("}}}", r#"}},"params":{}}"#), -32700),
        ("an id twice", changed("\"id\":1", "\"id\":1,\"id\":2"), -32700),
        ("a name twice", changed("\"name\"", r#""name":"lookup_customer","name""#), -32700),
        ("an argument twice", changed("\"amount\":30", "\"amount\":30,\"amount\":300"), -32700),
        ("a method in capital letters too", changed("\"method\"", r#""Method":"ping","method""#), -32600),
        ("only a method in capital letters", changed("\"method\"", "\"METHOD\""), -32600),
        ("params in capital letters too", changed("}}}", r#"}},"Params":{}}"#), -32600),
        ("a name in capital letters too", changed("\"name\"", r#""Name":"export_customers","name""#), -32600),
        ("only a name in capital letters", changed("\"name\"", "\"NAME\""), -32600),
        ("arguments in capital letters too", changed("}}}", r#"},"Arguments":{"amount":300}}}"#), -32600),
        ("arguments with a long s", changed("\"arguments\"", "\"argument\u{17f}\""), -32600),
        (
            "an argument in capital letters too",
            changed("\"amount\":30", "\"amount\":30,\"Amount\":300"),
            -32600,
        ),
        ("a member that JSON-RPC does not have", changed("\"id\":1", "\"id\":1,\"x\":1"), -32600),
    ]
}

/// What is no message.
fn messages() -> Vec<Body> {
    vec![
        ("no version", changed("\"jsonrpc\":\"2.0\",", ""), -32600),
        ("another version", changed("\"2.0\"", "\"1.0\""), -32600),
        ("a version that is a number", changed("\"2.0\"", "2.0"), -32600),
        ("an id of null", changed("\"id\":1", "\"id\":null"), -32600),
        ("an id that is an object", changed("\"id\":1", "\"id\":{}"), -32600),
        ("an id that is a list", changed("\"id\":1", "\"id\":[1]"), -32600),
        ("an id that is true", changed("\"id\":1", "\"id\":true"), -32600),
        ("an id with a fraction", changed("\"id\":1", "\"id\":1.5"), -32600),
        ("an id of very many digits", changed("\"id\":1", "\"id\":100000000000000000000"), -32600),
        ("a very long id", changed("\"id\":1", &format!("\"id\":\"{}\"", "x".repeat(300))), -32600),
        ("a call without an id", changed("\"id\":1,", ""), -32600),
        ("a notification with an id", changed("tools/call", "notifications/progress"), -32600),
        ("a method that is a number", changed("\"tools/call\"", "1"), -32600),
        ("no method", changed("\"method\":\"tools/call\",", ""), -32600),
        ("a request and an answer", changed("\"id\":1", "\"id\":1,\"result\":{}"), -32600),
        ("a request and an error", changed("\"id\":1", "\"id\":1,\"error\":{}"), -32600),
        (
            "an answer with two results",
            br#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#.to_vec(),
            -32600,
        ),
        ("an answer without an id", br#"{"jsonrpc":"2.0","result":{}}"#.to_vec(), -32600),
        ("an answer outside a session", br#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_vec(), -32600),
    ]
}

/// Messages of which nobody knows what they ask.
fn params() -> Vec<Body> {
    vec![
        (
            "params as a list",
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["issue_refund"]}"#.to_vec(),
            -32600,
        ),
        (
            "params as a string",
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"issue_refund"}"#.to_vec(),
            -32600,
        ),
        ("arguments as a string", changed(r#"{"order":"o-1","amount":30}"#, r#""{}""#), -32602),
        ("arguments as a list", changed(r#"{"order":"o-1","amount":30}"#, "[]"), -32602),
        ("a name that is a list", changed("\"issue_refund\"", "[\"issue_refund\"]"), -32602),
        ("an empty name", changed("issue_refund", ""), -32602),
        ("a method in another spelling", changed("tools/call", "Tools/Call"), -32602),
        ("a method with a space", changed("tools/call", "tools/call "), -32602),
        ("a method with an escaped NUL", changed("tools/call", r"tools/call\u0000"), -32602),
        ("a method nobody knows", changed("tools/call", "tools/run"), -32602),
        ("a method of the newer era", changed("tools/call", "server/discover"), -32602),
        ("a method of servers", changed("tools/call", "sampling/createMessage"), -32600),
        ("another method of servers", changed("tools/call", "elicitation/create"), -32600),
        (
            "a notification with a way out",
            br#"{"jsonrpc":"2.0","method":"notifications/../tools/call"}"#.to_vec(),
            -32602,
        ),
        ("an amount that is a text", changed("30", "\"30\""), -32602),
        ("an amount with a fraction", changed("30", "30.5"), -32602),
        ("an amount of very many digits", changed("30", "99999999999999999999"), -32602),
        ("an argument too many", changed("\"amount\":30", "\"amount\":30,\"to\":\"me\""), -32602),
        ("arguments too deep", changed("\"o-1\"", &deep(40)), -32700),
        ("very many brackets", deep(5000).into_bytes(), -32700),
        (
            "the revision of the other era in `_meta`",
            changed("\"name\"", r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"name""#),
            -32020,
        ),
        (
            "a batch with `initialize`",
            br#"[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}]"#.to_vec(),
            -32600,
        ),
        ("a batch with something that is no message", around(b"[", b",1]"), -32600),
        (
            "a batch with a lone call without an id",
            around(b"[", br#",{"jsonrpc":"2.0","method":"tools/call"}]"#),
            -32600,
        ),
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
        ("a token in the query", Exchange { path: "/mcp?x=1&access_token=a.b.c".into(), ..good() }),
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
    assert!(bodies.len() >= 80, "only {} bodies", bodies.len());
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
    for (what, exchange) in ways() {
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
        // The newer era has no sessions: a name of one is nothing.
        modern().header("mcp-session-id", ""),
    ] {
        let answer = good.clone().ask(&pdp).await;
        assert!(answer.permit, "{good:?}: {answer:?}");
    }
}
