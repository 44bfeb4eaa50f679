mod denied;
mod headers;

use std::collections::BTreeMap;

use super::method::{Direction, METHODS, NOTIFICATION, Target, Version};
use super::*;
use crate::diagnostic::{File, Level};
use crate::json;
use crate::value::{Members, Value};

const TOOLS: &str = r#"{"tools": [
  {"name": "issue_refund", "description": "Pays money back.",
   "inputSchema": {"type": "object", "required": ["order"], "additionalProperties": false,
     "properties": {"order": {"type": "integer"}, "note": {"type": "string", "x-mcp-header": "Note"},
                    "dry_run": {"type": "boolean", "x-mcp-header": "Dry-Run"},
                    "level": {"type": "integer", "x-mcp-header": "Level"},
                    "latitude": {"type": "number"}}}}
]}"#;

const FACTS: &str = "
tools:
  issue_refund:
    data_classes: [payment]
    untyped: [latitude]
resources:
  - uri: 'crm://customers/*'
    data_classes: [personal, confidential]
  - uri: 'crm://public/*'
    data_classes: [public]
prompts:
  summarise: { data_classes: [public] }
";

fn catalog() -> Catalog {
    let files = [File::new("tools/crm.json", TOOLS), File::new("tools/crm.facts.yaml", FACTS)];
    let (catalog, findings) = Catalog::load(&files);
    let errors: Vec<_> = findings.iter().filter(|finding| finding.level == Level::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    catalog
}

fn message(version: Version, method: &str, params: &str) -> Message {
    Message {
        server: "crm".into(),
        method: method.into(),
        params: params.as_bytes().to_vec().into(),
        protocol_version: Some(version.name().into()),
        ..Message::default()
    }
}

fn legacy(method: &str, params: &str) -> Message {
    message(Version::V20251125, method, params)
}

fn modern(method: &str, params: &str) -> Message {
    message(Version::V20260728, method, params)
}

/// The step that a message comes to, or a failed test.
fn step(message: &Message) -> Step<'_> {
    match map(message, &catalog(), &Limits::default()) {
        Mapped::Ask(step) => step,
        other => panic!("{message:?} came to {other:?}"),
    }
}

fn refusal(message: &Message) -> Refusal<'_> {
    match map(message, &catalog(), &Limits::default()) {
        Mapped::Deny(refusal) => refusal,
        other => panic!("{message:?} came to {other:?}"),
    }
}

/// A question in one line: action, resource, and the parents of what was derived.
fn line(question: &Question) -> String {
    let parents = question.derived.iter().flat_map(|entity| &entity.parents);
    let stands_in: Vec<_> = parents.map(|uid| format!(" in {uid}")).collect();
    format!("{} on {}{}", question.action, question.resource, stands_in.concat())
}

fn lines(message: &Message) -> String {
    match map(message, &catalog(), &Limits::default()) {
        Mapped::Pass => "passes".into(),
        Mapped::Ask(step) => step.questions().map(line).collect::<Vec<_>>().join("; "),
        Mapped::AskBack(back) => {
            format!("by {}: {}", back.principal, line(&back.question(Uid::new("Agent", "bot"))))
        }
        Mapped::Deny(refusal) => format!("{:?}: {}", refusal.reason, refusal.words),
    }
}

fn example_params(target: Target) -> &'static str {
    match target {
        Target::Nothing | Target::Server | Target::Client => "",
        Target::Tool => r#"{"name":"issue_refund","arguments":{"order":7}}"#,
        Target::Resource => r#"{"uri":"CRM://Customers/%37"}"#,
        Target::Prompt => r#"{"name":"summarise"}"#,
        Target::Completion => r#"{"ref":{"type":"ref/prompt","name":"summarise"}}"#,
        Target::Task => r#"{"taskId":"t1"}"#,
        Target::Subscriptions => r#"{"notifications":{"resourceSubscriptions":["crm://public/a"]}}"#,
    }
}

#[test]
fn every_method_in_every_era_comes_to_the_question_that_governs_it() {
    let mut found = Vec::new();
    for version in [Version::V20251125, Version::V20260728] {
        for method in METHODS {
            let name = if method == NOTIFICATION { "notifications/cancelled" } else { method.name };
            let came_to = lines(&message(version, name, example_params(method.target)));
            found.push(format!("{version} {name:<25} {came_to}\n"));
        }
    }
    let (wanted, found) = (include_str!("tests/mapped.golden"), found.concat());
    assert!(found == wanted, "{}", similar::TextDiff::from_lines(wanted, &found).unified_diff());
}

#[test]
fn every_revision_maps_as_its_era_does() {
    for method in METHODS.iter().filter(|method| **method != NOTIFICATION) {
        for version in Version::ALL {
            let of_era = match version.era() {
                method::Era::Legacy => Version::V20251125,
                method::Era::Modern => Version::V20260728,
            };
            let params = example_params(method.target);
            let plain = |version: Version| {
                lines(&message(version, method.name, params)).replace(version.name(), "the revision")
            };
            assert_eq!(plain(version), plain(of_era));
        }
    }
}

#[test]
fn without_a_version_it_is_2025_03_26() {
    let mut sent = legacy("initialize", "");
    sent.protocol_version = None;
    assert_eq!(lines(&sent), lines(&legacy("initialize", "")));
    sent.method = "server/discover".into();
    assert!(refusal(&sent).words.contains("2025-03-26"));
}

#[test]
fn a_tool_call_carries_its_typed_arguments_and_their_bytes() {
    let params =
        r#"{ "name":"issue_refund", "\u0061rguments" : {"order": 9223372036854775807 , "latitude":1.5}}"#;
    let sent = legacy("tools/call", params);
    let step = step(&sent);
    let established = Members::from_iter([
        ("input".into(), Value::record([("order", Value::Long(i64::MAX))])),
        ("input_unseen".into(), Value::Set(vec![Value::String("latitude".into())])),
    ]);
    assert_eq!(step.question.established, established);
    assert_eq!(step.arguments, Some(&br#"{"order": 9223372036854775807 , "latitude":1.5}"#[..]));
    assert_eq!(step.data_classes, BTreeSet::from(["payment".to_owned()]));
    assert!(step.question.context.is_empty() && step.question.brought.is_empty());
}

#[test]
fn large_integers_are_never_rounded_onto_each_other() {
    for order in [i64::MIN, -9_007_199_254_740_993, 9_007_199_254_740_993, i64::MAX] {
        let sent =
            legacy("tools/call", &format!(r#"{{"name":"issue_refund","arguments":{{"order":{order}}}}}"#));
        let wanted = Value::record([("order", Value::Long(order))]);
        assert_eq!(step(&sent).question.established.get("input"), Some(&wanted));
    }
}

#[test]
fn a_resource_is_known_by_its_canonical_uri_and_has_the_classes_of_its_place() {
    let sent = legacy("resources/read", r#"{"uri":"CRM://customers/public/%2e%2e/7"}"#);
    let step = step(&sent);
    let uid = Uid::new("Resource", "crm/crm://customers/7");
    let class = |id: &str| Uid::new("DataClass", id);
    let wanted = crate::access::Entity {
        uid: uid.clone(),
        attributes: Members::from_iter([(
            "data_classes".into(),
            Value::Set(vec![Value::Entity(class("confidential")), Value::Entity(class("personal"))]),
        )]),
        parents: vec![Uid::new("Server", "crm"), class("confidential"), class("personal")],
    };
    assert_eq!(step.question.resource, uid);
    assert_eq!(step.question.derived, [wanted]);
    assert_eq!(step.arguments, None);
}

#[test]
fn what_has_no_class_is_unclassified() {
    for sent in [
        legacy("resources/read", r#"{"uri":"crm://elsewhere/7"}"#),
        legacy("prompts/get", r#"{"name":"unheard of"}"#),
        legacy("completion/complete", r#"{"ref":{"type":"ref/resource","uri":"crm://{area}/7"}}"#),
    ] {
        assert_eq!(step(&sent).data_classes, BTreeSet::from(["unclassified".to_owned()]), "{sent:?}");
    }
}

#[test]
fn a_completion_is_about_the_prompt_or_the_template_that_it_completes() {
    for (reference, wanted) in [
        (r#"{"type":"ref/prompt","name":"summarise"}"#, r#"Prompt::"crm/summarise""#),
        (
            r#"{"type":"ref/resource","uri":"CRM://Customers/{id}"}"#,
            r#"Resource::"crm/crm://customers/{id}""#,
        ),
        (r#"{"type":"ref/resource","uri":"crm://public/a"}"#, r#"Resource::"crm/crm://public/a""#),
    ] {
        let sent = modern("completion/complete", &format!(r#"{{"ref":{reference},"argument":{{}}}}"#));
        assert_eq!(step(&sent).question.resource.to_string(), wanted);
    }
}

#[test]
fn listening_asks_about_the_server_and_about_each_resource_once() {
    let sent = modern(
        "subscriptions/listen",
        r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":
            ["crm://public/a","CRM://public/./a","crm://customers/7"]}}"#,
    );
    let step = step(&sent);
    let asked: Vec<_> = step.questions().map(|q| format!("{} {}", q.action.id, q.resource)).collect();
    assert_eq!(
        asked,
        [
            r#"subscriptions/listen Server::"crm""#,
            r#"resources/subscribe Resource::"crm/crm://public/a""#,
            r#"resources/subscribe Resource::"crm/crm://customers/7""#,
        ]
    );
    assert_eq!(step.data_classes.iter().collect::<Vec<_>>(), ["confidential", "personal", "public"]);
    assert!(self::step(&modern("subscriptions/listen", "{}")).also.is_empty());
}

#[test]
fn a_servers_request_is_asked_with_the_servers_authority() {
    for method in METHODS.iter().filter(|method| method.direction() == Direction::FromServer) {
        let sent = modern(method.name, r#"{"messages":[]}"#);
        let Mapped::AskBack(back) = map(&sent, &catalog(), &Limits::default()) else {
            panic!("{} is not asked back", method.name);
        };
        let question = back.question(Uid::new("Human", "ana"));
        assert_eq!(back.principal, Uid::new("Server", "crm"));
        assert_eq!(question, Question::new(Uid::new("Action", method.name), Uid::new("Human", "ana")));
    }
}

#[test]
fn what_an_attacker_writes_beside_the_question_changes_nothing() {
    let plain = modern("tools/call", r#"{"name":"issue_refund","arguments":{"order":7}}"#);
    let dressed = modern(
        "tools/call",
        r#"{"name":"issue_refund","arguments":{"order":7},"requestState":"admin","inputResponses":{"a":{"action":"accept"}},
            "task":{"ttl":1},"uri":"crm://public/a","_meta":{"io.modelcontextprotocol/clientInfo":{"name":"root"}}}"#,
    );
    assert_eq!(step(&dressed), step(&plain));
}

#[test]
fn the_reviewed_definition_of_a_tool_may_come_along() {
    let definition = json::member_bytes(TOOLS.as_bytes(), "tools").unwrap();
    let definition = std::str::from_utf8(definition).unwrap().trim_start_matches('[').trim_end_matches(']');
    let mut sent = modern("tools/call", r#"{"name":"issue_refund","arguments":{"order":7}}"#);
    sent.tool_definition = Some(definition.into());
    assert_eq!(step(&sent).question.action, Uid::new("Action", "crm/issue_refund"));
    sent.tool_definition = Some(definition.replace("Pays money back.", "Pays money back. Always.").into());
    assert_eq!(refusal(&sent).reason, DenyReason::ToolDrift);
}
