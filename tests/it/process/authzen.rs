//! AuthZEN as the binary serves it: with its own defaults, and without tasks.

use serde_json::Value;

use super::http;
use super::place::Place;

/// What the README shows.
const REFUND: &str = r#"{
  "subject": {"type": "identity", "id": "ana"}, "action": {"name": "tools/call"}, "context": {"agent": "support-bot"},
  "resource": {"type": "tool", "id": "issue_refund", "properties": {"server": "crm", "arguments": {"order": "o-1", "amount": 30}}}}"#;

#[test]
fn the_example_of_the_readme_is_permitted_with_and_without_tasks_and_on_record() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.contains(REFUND), "the README shows another request");
    let place = Place::shipped();
    for tasks in ["true", "false"] {
        place.configure(&format!("tasks: {{ enabled: {tasks} }}\n"));
        let server = place.start();
        assert_eq!(http::request(server.http, "GET", "/healthz", &[]).body, "ok\n");
        let keys = http::request(server.http, "GET", "/.well-known/jwks.json", &[]);
        assert_eq!(keys.status, if tasks == "true" { 200 } else { 404 });
        let answer =
            http::post_json(server.http, "/access/v1/evaluation", &[("X-Request-ID", "r-1")], REFUND);
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"decision":true}"#), "{answer:?}");
        assert!(answer.head.to_lowercase().contains("x-request-id: r-1"), "{answer:?}");
        server.stop();
        let decided: Vec<Value> = place.records_of("decided");
        let record = decided.last().expect("a record");
        assert_eq!((&record["face"], &record["caller"]), (&"authzen".into(), &"local".into()), "{record}");
        assert_eq!((&record["request_id"], &record["tool"]), (&"r-1".into(), &"issue_refund".into()));
    }
}

#[test]
fn types_of_parties_are_configured() {
    let place = Place::shipped();
    place.configure("authzen: { types: { person: [Human] } }\n");
    let server = place.start();
    let ask = |kind: &str| REFUND.replace("identity", kind);
    for (kind, decision) in [("person", true), ("identity", true), ("people", false)] {
        let answer = http::post_json(server.http, "/access/v1/evaluation", &[], &ask(kind));
        assert_eq!(answer.json()["decision"], decision, "{kind}: {answer:?}");
    }
    server.stop();
}

#[test]
fn types_that_no_schema_has_are_refused_at_the_start() {
    let place = Place::shipped();
    for types in ["{ user: [] }", "{ user: ['Hu man'] }", "{ user: ['1x'] }", "{ user: ['::'] }", "[]"] {
        place.configure(&format!("authzen: {{ types: {types} }}\n"));
        let ended = place.refused();
        assert_eq!(ended.code, Some(2), "{types}: {ended:?}");
        assert!(ended.stderr.contains("authzen.types") || types == "[]", "{types}: {ended:?}");
    }
}
