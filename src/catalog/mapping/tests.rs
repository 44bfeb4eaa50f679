use super::*;
use crate::json;

fn found(schema: &str) -> Vec<(Level, String)> {
    let read = |text: &str| json::parse(text.as_bytes(), json::Limits::default()).unwrap();
    let faults = faults(&Object::new(), &read(schema));
    assert!(faults.iter().all(|(_, _, help)| !help.is_empty()));
    faults.into_iter().map(|(level, message, _)| (level, message)).collect()
}

fn of(mapping: &str) -> Vec<(Level, String)> {
    found(&format!(r#"{{"type":"object","x-authzen-mapping":{mapping}}}"#))
}

#[track_caller]
fn refused(mapping: &str, wanted: &str) {
    let found = of(mapping);
    assert!(
        found.iter().any(|(level, message)| *level == Level::Error && message.contains(wanted)),
        "{mapping}: {found:?}"
    );
}

#[track_caller]
fn warned(mapping: &str, wanted: &str) {
    let found = of(mapping);
    assert!(found.iter().all(|(level, _)| *level == Level::Warning), "{found:?}");
    assert!(found.iter().any(|(_, message)| message.contains(wanted)), "{mapping}: {found:?}");
}

const ACTION: &str = r#""action":{"name":"refund"}"#;
const RESOURCE: &str = r#""resource":{"type":"order","id":"$params.arguments.order"}"#;

#[test]
fn the_mappings_of_the_binding_have_no_faults() {
    for good in [
        r#"{"evaluation":{"action":{"name":"refund"},"resource":{"type":"order","id":"$params.arguments.order"},
            "context":{"agent":"$token.?client_id","amount":"$params.arguments.amount"}}}"#,
        r#"{"evaluations":{
            "subject":{"type":"identity","id":"$token.sub"},
            "context":{"agent":"$token.?client_id","declared":true},
            "options":{"evaluations_semantic":"deny_on_first_deny"},
            "evaluations":[
              {"action":{"name":"read"}, "resource":{"type":"blob","id":"$params.arguments.from"}},
              {"action":{"name":"write"},"resource":{"type":"blob","id":"$params.arguments.to",
                 "properties":{"public":"$params.arguments.to.startsWith('/public/')"}}}]}}"#,
        r#"{"evaluations":{"action":{"name":"read"},"evaluations":[{"resource":{"type":"blob","id":"$$x"}}]}}"#,
    ] {
        assert!(of(good).is_empty(), "{good}: {:?}", of(good));
    }
    assert!(found(r#"{"type":"object"}"#).is_empty());
}

#[test]
fn a_mapping_has_exactly_one_envelope() {
    for bad in ["{}", "[]", "\"$x\"", r#"{"evaluation":{},"evaluations":{}}"#, "null"] {
        refused(bad, "exactly one member");
    }
    refused(r#"{"search":{}}"#, "the envelope `search`");
    refused(r#"{"evaluation":[]}"#, "`evaluation` of the mapping is no object");
}

#[test]
fn what_a_request_needs_must_be_in_the_mapping() {
    refused(&format!(r#"{{"evaluation":{{{RESOURCE}}}}}"#), "`evaluation.action` is missing");
    refused(&format!(r#"{{"evaluation":{{{ACTION}}}}}"#), "`evaluation.resource` is missing");
    refused(
        &format!(r#"{{"evaluation":{{{ACTION},"resource":{{"type":"order"}}}}}}"#),
        "`evaluation.resource.id` is missing",
    );
    refused(
        &format!(r#"{{"evaluation":{{{RESOURCE},"action":{{"name":7}}}}}}"#),
        "`evaluation.action.name` is no text",
    );
    refused(
        &format!(r#"{{"evaluation":{{{RESOURCE},"action":"refund"}}}}"#),
        "neither an object nor an expression",
    );
    refused(&format!(r#"{{"evaluation":{{{ACTION},{RESOURCE},"context":[]}}}}"#), "`evaluation.context`");
    refused(
        &format!(r#"{{"evaluations":{{{ACTION},"evaluations":[{{}}]}}}}"#),
        "`evaluations.evaluations[0].resource` is missing",
    );
    refused(&format!(r#"{{"evaluations":{{{ACTION},{RESOURCE}}}}}"#), "no list of entries");
    refused(&format!(r#"{{"evaluations":{{{ACTION},{RESOURCE},"evaluations":[]}}}}"#), "no list of entries");
    refused(
        &format!(r#"{{"evaluations":{{{ACTION},{RESOURCE},"evaluations":"$params.x"}}}}"#),
        "makes no entries",
    );
    refused(
        &format!(r#"{{"evaluation":{{{ACTION},{RESOURCE},"context":{{"a":{{"b":["$"]}}}}}}}}"#),
        "`evaluation.context.a.b` is an empty expression",
    );
}

#[test]
fn an_entry_has_no_subject_of_its_own_and_all_must_be_permitted() {
    let entry = format!(r#"{{"subject":{{"id":"$token.sub"}},{ACTION},{RESOURCE}}}"#);
    refused(
        &format!(r#"{{"evaluations":{{"evaluations":[{entry}]}}}}"#),
        "`evaluations.evaluations[0]` has a `subject`",
    );
    let options = |semantic: &str| {
        format!(
            r#"{{"evaluations":{{{ACTION},{RESOURCE},"options":{{"evaluations_semantic":{semantic}}},"evaluations":[{{}}]}}}}"#
        )
    };
    refused(&options("\"permit_on_first_permit\""), "one permit would stand for all");
    refused(&options("\"first\""), "none of the semantics");
    refused(&options("1"), "none of the semantics");
}

#[test]
fn a_subject_that_the_author_names_is_warned_about() {
    let with = |subject: &str| format!(r#"{{"evaluation":{{"subject":{subject},{ACTION},{RESOURCE}}}}}"#);
    warned(&with(r#"{"id":"$params.arguments.user"}"#), "the tool's author says who asks");
    assert!(of(&with(r#"{"type":"identity"}"#)).is_empty());
    refused(&with(r#"{"id":7}"#), "`evaluation.subject.id` is no text");
    warned(&format!(r#"{{"evaluation":{{{ACTION},{RESOURCE},"contxt":{{}}}}}}"#), "member `contxt`");
}

#[test]
fn the_old_name_is_warned_about_and_a_mapping_in_the_wrong_place_is_refused() {
    let old = found(r#"{"type":"object","x-coaz-mapping":{"resource":[{}]}}"#);
    assert!(matches!(old.as_slice(), [(Level::Warning, message)] if message.contains("old name")), "{old:?}");
    let beside = Object::from_iter([(MEMBER.into(), Value::Null)]);
    assert!(matches!(faults(&beside, &Value::Null).as_slice(), [(Level::Error, ..)]));
}

#[test]
fn a_mapping_says_nothing_that_only_an_enforcement_point_may_say() {
    for member in ["supported_mandatory_extensions", "supported_obligations", "approval", "palisade"] {
        let context = format!(r#""context":{{"{member}":"$params.arguments.x"}}"#);
        let wanted = format!("context.{member}` is protocol");
        refused(&format!(r#"{{"evaluation":{{{ACTION},{RESOURCE},{context}}}}}"#), &wanted);
        let entries = format!(r#""evaluations":[{{{ACTION},{RESOURCE}}}]"#);
        refused(&format!(r#"{{"evaluations":{{{context},{entries}}}}}"#), &wanted);
        let entries = format!(r#""evaluations":[{{{ACTION},{RESOURCE},{context}}}]"#);
        refused(&format!(r#"{{"evaluations":{{{entries}}}}}"#), &format!("evaluations[0].{wanted}"));
    }
}

#[test]
fn a_context_that_is_one_expression_is_a_warning() {
    let open = r#""context":"$params.arguments""#;
    warned(
        &format!(r#"{{"evaluation":{{{ACTION},{RESOURCE},{open}}}}}"#),
        "`evaluation.context` is one expression",
    );
    let entries = format!(r#""evaluations":[{{{ACTION},{RESOURCE},{open}}}]"#);
    warned(&format!(r#"{{"evaluations":{{{entries}}}}}"#), "evaluations[0].context` is one expression");
}
