//! What must not be written down: arguments, tokens and headers stand in no file, log, metric or answer.

use std::fmt::Write as _;
use std::fs;

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_request::Question;
use serde_json::json;

use super::http;
use super::place::{Place, tree};
use super::server::{is_permit, probe_with, text, tool_call};

/// Every canary begins so.
const CANARY: &str = "c4n4ry";

/// Canaries, each another one.
struct Canaries(u32);

impl Canaries {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("{CANARY}-{:04}", self.0)
    }
}

/// Tool calls whose arguments fit, do not fit, or cannot be read.
fn calls(canaries: &mut Canaries) -> Vec<v1::AuthorizeRequest> {
    let mut raw = |params: &dyn Fn(String) -> String| {
        let mut request = tool_call("lookup_customer", &json!({}));
        if let Some(Question::Mcp(message)) = &mut request.question {
            message.params = params(canaries.next()).into_bytes();
        }
        request
    };
    let broken = vec![
        raw(&|canary| format!("{{\"name\":\"lookup_customer\",\"arguments\":{{\"customer_id\":\"{canary}\"")),
        raw(&|canary| format!("\"{canary}\"")),
        raw(&|canary| format!("{{\"name\":\"lookup_customer\",\"arguments\":\"{canary}\"}}")),
        raw(&|canary| {
            format!("{{\"name\":\"lookup_customer\",\"arguments\":{{\"{canary}\":1,\"{canary}\":2}}}}")
        }),
        raw(&|canary| {
            format!("{{\"name\":\"lookup_customer\",\"arguments\":{{\"customer_id\":[\"{canary}\"]}}}}")
        }),
    ];
    let mut next = || canaries.next();
    let mut calls = vec![
        tool_call("lookup_customer", &json!({"customer_id": next()})),
        tool_call("lookup_customer", &json!({"customer_id": {"deep": next()}})),
        tool_call("lookup_customer", &json!({"customer_id": "c-1", "extra": next()})),
        tool_call("issue_refund", &json!({"order": next(), "amount": 10, "note": next()})),
        tool_call("issue_refund", &json!({"order": next(), "amount": 10_000, "note": next()})),
        tool_call("issue_refund", &json!({"order": next(), "amount": next()})),
        tool_call("send_email", &json!({"to": next(), "subject": next(), "body": next()})),
        tool_call("no_such_tool", &json!({"secret": next()})),
    ];
    let mut drifted = tool_call("lookup_customer", &json!({"customer_id": next()}));
    if let Some(Question::Mcp(message)) = &mut drifted.question {
        let definition =
            json!({"name": "lookup_customer", "description": next(), "inputSchema": {"type": "object"}});
        message.tool_definition = definition.to_string().into_bytes();
    }
    calls.push(drifted);
    calls.push(probe_with([("note".to_owned(), text(&next())), ("input".to_owned(), text(&next()))]));
    calls.extend(broken);
    calls
}

#[test]
fn arguments_tokens_and_headers_are_found_nowhere() {
    let place = Place::shipped();
    place.configure("log: { level: \"info,palisade=trace\" }\n");
    let server = place.start();
    let client = server.client();
    let mut canaries = Canaries(0);
    let mut told = String::new();
    let (mut permits, mut denies, mut errors) = (0, 0, 0);
    for call in calls(&mut canaries) {
        let (header, state) = (canaries.next(), canaries.next());
        let metadata = [("x-secret", header.as_str()), ("tracestate", state.as_str())];
        match client.ask_with(call, &metadata) {
            Ok(answer) => {
                let count = if is_permit(&answer) { &mut permits } else { &mut denies };
                *count += 1;
                writeln!(told, "{answer:?}").unwrap();
            }
            Err(status) => {
                errors += 1;
                writeln!(told, "{status:?}").unwrap();
            }
        }
    }
    let token = format!("Bearer {}", canaries.next());
    let good = tool_call("lookup_customer", &json!({"customer_id": "c-1"}));
    let refused = client.ask_with(good, &[("authorization", &token)]).unwrap_err();
    let bundle = http::request(server.admin, "GET", "/bundle", &[("Authorization", &token)]);
    let basic = format!("Basic {}", canaries.next());
    let reload = http::request(server.admin, "POST", "/reload", &[("Authorization", &basic)]);
    writeln!(told, "{refused:?}\n{bundle:?}\n{reload:?}").unwrap();
    assert!(permits >= 2 && denies >= 8, "{permits} permits, {denies} denies, {errors} errors: {told}");
    assert!(canaries.0 > 50, "{}", canaries.0);

    let found = |place: &str, text: &str| {
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(CANARY)).collect();
        assert!(lines.is_empty(), "in {place}:\n{}", lines.join("\n"));
    };
    found("answers", &told);
    found("/metrics", &server.get("/metrics").body);
    found("/bundle", &server.bundle().to_string());
    let operator = server.token();
    let ended = server.stop();
    found("standard error", &ended.stderr);
    found("standard output", &ended.stdout);
    assert!(ended.stderr.contains("decided"), "the log tells of decisions");
    let secret = operator.strip_prefix("Bearer ").unwrap();
    assert!(!ended.stderr.contains(secret), "the operator's token is in the log");
    for path in tree(&place.data()).into_iter().filter(|path| path.is_file()) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        found(&path.display().to_string(), &text);
        assert!(path.ends_with("admin.token") || !text.contains(secret), "the token is in {path:?}");
    }
    let digests =
        place.records_of("decided").iter().filter(|line| line["arguments_digest"].is_string()).count();
    assert!(digests >= 8, "arguments stand as digests: {digests}");
    println!("{} canaries, 0 found; {permits} permits, {denies} denies, {errors} errors", canaries.0);
}
