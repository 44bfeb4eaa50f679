//! Parameters and results that can be read in two ways, or in none: all of it is refused, and on record.

use palisade::api::proto::ext_mcp::authorization_error::Code;

use super::ask::{Asked, Came, Does, start};

/// The parameters of a call that is permitted as they stand.
const GOOD: &str = r#"{"name":"issue_refund","arguments":{"order":"o-1","amount":30}}"#;
/// A list that is read as it stands.
const LIST: &str = r#"{"tools":[{"name":"a","inputSchema":{}}],"nextCursor":"n"}"#;

type Text = (&'static str, Vec<u8>);

fn changed(text: &str, from: &str, to: &str) -> Vec<u8> {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

fn around(text: &str, before: &[u8], after: &[u8]) -> Vec<u8> {
    [before, text.as_bytes(), after].concat()
}

fn deep(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

/// What no strict reader of JSON takes, whatever it means.
fn texts(text: &str) -> Vec<Text> {
    let bytes = text.as_bytes();
    let inside = |between: &[u8]| [&bytes[..10], between, &bytes[10..]].concat();
    vec![
        ("nothing", vec![]),
        ("white space", b" \n".to_vec()),
        ("half of it", bytes[..bytes.len() / 2].to_vec()),
        ("a byte less", bytes[..bytes.len() - 1].to_vec()),
        ("two documents", around(text, b"", bytes)),
        ("a harmless document first", around(text, b"{}", b"")),
        ("text behind it", around(text, b"", b"x")),
        ("a NUL behind it", around(text, b"", b"\0")),
        ("a byte order mark", around(text, b"\xef\xbb\xbf", b"")),
        ("UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("a lone byte", inside(b"\xff")),
        ("an overlong encoding", inside(b"\xc0\xaf")),
        ("a lone surrogate", changed(text, "\"name\":\"", r#""x":"\ud800","name":""#)),
        ("a raw line break in a string", changed(text, "\"name\":\"", "\"x\":\"\n\",\"name\":\"")),
        ("a comment", changed(text, "{", "{/* x */")),
        ("single quotes", changed(text, "\"name\"", "'name'")),
        ("a trailing comma", changed(text, "}", ",}")),
        ("NaN", changed(text, "\"name\":\"", "\"x\":NaN,\"name\":\"")),
        ("a leading zero", changed(text, "\"name\":\"", "\"x\":01,\"name\":\"")),
        ("a name twice", changed(text, "\"name\":\"", "\"name\":\"lookup_customer\",\"name\":\"")),
        (
            "a name twice, once escaped",
            changed(text, "\"name\":\"", r#""n\u0061me":"lookup_customer","name":""#),
        ),
        ("very many brackets", deep(5000).into_bytes()),
        ("null", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a string", b"\"issue_refund\"".to_vec()),
    ]
}

fn params() -> Vec<Text> {
    let changed = |from, to: &str| changed(GOOD, from, to);
    let own = vec![
        ("nothing asked for", b"{}".to_vec()),
        ("an empty name", changed("issue_refund", "")),
        ("a name that is a list", changed("\"issue_refund\"", "[\"issue_refund\"]")),
        ("a name in capital letters too", changed("\"name\"", r#""Name":"export_customers","name""#)),
        ("only a name in capital letters", changed("\"name\"", "\"NAME\"")),
        ("arguments in capital letters too", changed("}}", r#"},"Arguments":{"amount":300}}"#)),
        ("arguments with a long s", changed("\"arguments\"", "\"argument\u{17f}\"")),
        ("an argument twice", changed("\"amount\":30", "\"amount\":30,\"amount\":300")),
        ("an argument in capital letters too", changed("\"amount\":30", "\"amount\":30,\"Amount\":300")),
        ("arguments as a string", changed(r#"{"order":"o-1","amount":30}"#, r#""{}""#)),
        ("arguments as a list", changed(r#"{"order":"o-1","amount":30}"#, "[]")),
        ("an amount that is a text", changed("30", "\"30\"")),
        ("an amount with a fraction", changed("30", "30.5")),
        ("an amount of very many digits", changed("30", "99999999999999999999")),
        ("an argument too many", changed("\"amount\":30", "\"amount\":30,\"to\":\"me\"")),
        ("an argument missing", changed(",\"amount\":30", "")),
        ("arguments too deep", changed("\"o-1\"", &deep(40))),
    ];
    [texts(GOOD), own].concat()
}

fn results() -> Vec<Text> {
    let changed = |from, to: &str| changed(LIST, from, to);
    let own = vec![
        ("no list", b"{}".to_vec()),
        ("another list", changed("tools", "prompts")),
        (
            "a list that is an object",
            changed("[{", "{\"x\":{").iter().map(|b| if *b == b']' { b'}' } else { *b }).collect(),
        ),
        ("a list that is null", changed(r#"[{"name":"a","inputSchema":{}}]"#, "null")),
        ("a second list in capital letters", changed("\"nextCursor\"", "\"Tools\":[],\"nextCursor\"")),
        ("a second list with a long s", changed("\"nextCursor\"", "\"tool\u{17f}\":[],\"nextCursor\"")),
        ("a list twice", changed("\"nextCursor\"", "\"tools\":[],\"nextCursor\"")),
        ("a tool that is a string", changed(r#"{"name":"a","inputSchema":{}}"#, "\"a\"")),
        ("a tool without a name", changed("\"name\":\"a\",", "")),
        ("a tool whose name is a number", changed("\"a\"", "1")),
        ("a tool with a second name", changed("\"name\"", "\"Name\":\"b\",\"name\"")),
        ("two tools of one name", changed("[{", r#"[{"name":"a"},{"#)),
        ("a result that waits for more", br#"{"resultType":"input_required","inputRequests":{}}"#.to_vec()),
    ];
    [texts(LIST), own].concat()
}

fn refuses(does: &Does, wanted: Code) -> bool {
    matches!(does, Does::Refuse(code, words, data)
        if *code == wanted && !words.is_empty() && !words.contains("o-1") && !words.contains("customer")
            && data["reason"] == "invalid_input" && data["decision_id"].is_string())
}

#[tokio::test]
async fn parameters_that_can_be_read_in_two_ways_go_nowhere() {
    let (all, pdp) = (params(), start().await);
    assert!(all.len() >= 40, "only {}", all.len());
    assert_eq!(Asked::of("tools/call", GOOD).ask(&pdp).await.does, Does::Pass);
    let mut wrong = Vec::new();
    for (what, params) in all {
        let before = pdp.ledger.records().len();
        let answer = Asked::of("tools/call", params).ask(&pdp).await;
        let on_record = pdp.ledger.records().len() == before + 1 && pdp.ledger.last()["outcome"] == "deny";
        if !refuses(&answer.does, Code::Invalid) || !on_record {
            wrong.push(format!("{what}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn lists_that_can_be_read_in_two_ways_do_not_come_back() {
    let (all, pdp) = (results(), start().await);
    assert!(all.len() >= 35, "only {}", all.len());
    assert!(matches!(Came::of("tools/list", LIST).ask(&pdp).await, Does::Instead(_)));
    let mut wrong = Vec::new();
    for (what, result) in all {
        let before = pdp.ledger.records().len();
        let does = Came::of("tools/list", result).ask(&pdp).await;
        let on_record = pdp.ledger.records().len() == before + 1 && pdp.ledger.last()["outcome"] == "deny";
        if !refuses(&does, Code::Unknown) || !on_record {
            wrong.push(format!("{what}: {does:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn requests_that_come_in_no_good_way_go_nowhere() {
    let pdp = start().await;
    let good = || Asked::of("tools/call", GOOD);
    let modern = || good().header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
    let named = || modern().header("mcp-name", "issue_refund");
    assert_eq!(named().ask(&pdp).await.does, Does::Pass);
    let ways = [
        ("another method in the header", good().header("mcp-method", "tools/list")),
        ("another name in the header", good().header("Mcp-Name", "lookup_customer")),
        ("the method twice in the header", named().header("mcp-method", "tools/call")),
        ("the name twice in the header", named().header("Mcp-Name", "issue_refund")),
        ("two revisions", named().header("mcp-protocol-version", "2025-11-25")),
        ("a revision nobody published", good().header("mcp-protocol-version", "2031-01-01")),
        (
            "no method in the header",
            good().header("mcp-protocol-version", "2026-07-28").header("mcp-name", "issue_refund"),
        ),
        ("no name in the header", modern()),
        ("a name in broken base64", modern().header("mcp-name", "=?base64?!!!?=")),
        ("a name that is no text", modern().header("mcp-name", b"\xff".to_vec())),
        ("a header of a parameter that repeats nothing", named().header("mcp-param-region", "eu")),
        ("an authorization that is no token", good().header("authorization", "Basic YW5hOng=")),
        ("an authorization that is no text", good().header("authorization", b"Bearer \xff".to_vec())),
        (
            "two tokens",
            good().header("authorization", "Bearer a.b.c").header("authorization", "Bearer a.b.c"),
        ),
        ("a session without a name", good().header("mcp-session-id", "")),
        ("a very long session", good().header("mcp-session-id", "s".repeat(300))),
        ("a proof of no place", good().header("dpop", "a.b.c")),
        ("no parameters", Asked::plain("tools/call")),
    ];
    let mut wrong = Vec::new();
    for (what, asked) in ways {
        let answer = asked.ask(&pdp).await;
        if !refuses(&answer.does, Code::Invalid) || pdp.ledger.last()["outcome"] != "deny" {
            wrong.push(format!("{what}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
