//! Arguments that are taken out of a call before it goes on: an obligation that whoever passes the call on can fulfil.
//! Never takes out a part of what is named, and never touches anything else.

use serde_json::{Map, Value as Json};

use crate::access::{Obligation, ObligationType};
use crate::json;

/// The properties of `custom` that say so, and nothing beside them.
const ACTION: &str = "action";
const REDACT: &str = "redact";
/// JSON pointers (RFC 6901) into `params`.
const POINTERS: &str = "json_pointers";
/// The member of `params` that holds the arguments.
const ARGUMENTS: &str = "arguments";

/// The arguments that some obligations name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redaction(Vec<Vec<String>>);

impl Redaction {
    /// What these obligations come to; none when one of them is anything else.
    pub fn of(obligations: &[Obligation]) -> Option<Self> {
        let mut paths = Vec::new();
        for Obligation { id: _, kind, properties } in obligations {
            match kind {
                ObligationType::Custom => paths.extend(named(properties)?),
                ObligationType::StepUp
                | ObligationType::Notification
                | ObligationType::SessionTermination => return None,
            }
        }
        Some(Self(paths))
    }

    /// The `params` of a call without them, every other byte of a value as it was; none when one is not there, or not at
    /// the end of a way through objects alone.
    pub fn applied_to(&self, params: &[u8]) -> Option<Vec<u8>> {
        let paths: Vec<Vec<&str>> =
            self.0.iter().map(|path| path.iter().map(String::as_str).collect()).collect();
        without(params, &paths.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

/// The pointers of `custom: { action: redact, json_pointers: [/arguments/iban] }`.
fn named(properties: &Map<String, Json>) -> Option<Vec<Vec<String>>> {
    let pointers = properties.get(POINTERS)?.as_array()?;
    let is_one =
        properties.len() == 2 && properties.get(ACTION)?.as_str() == Some(REDACT) && !pointers.is_empty();
    pointers.iter().map(|pointer| segments(pointer.as_str()?)).collect::<Option<Vec<_>>>().filter(|_| is_one)
}

/// The names on the way of a pointer to an argument.
fn segments(pointer: &str) -> Option<Vec<String>> {
    let unescaped = |segment: &str| {
        let whole = segment.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        whole.then(|| segment.replace("~1", "/").replace("~0", "~"))
    };
    let segments: Vec<String> =
        pointer.strip_prefix('/')?.split('/').map(unescaped).collect::<Option<_>>()?;
    (segments.len() > 1 && segments.first()? == ARGUMENTS).then_some(segments)
}

/// The text of an object without the members at these paths. Each must be there.
fn without(object: &[u8], paths: &[&[&str]]) -> Option<Vec<u8>> {
    let members = json::members_bytes(object)?;
    let is_there =
        |path: &&[&str]| path.first().is_some_and(|name| members.iter().any(|(own, _)| own == name));
    if !paths.iter().all(is_there) {
        return None;
    }
    let mut kept = Vec::with_capacity(members.len());
    for (name, value) in &members {
        let here = paths.iter().filter_map(|path| path.split_first().filter(|(first, _)| *first == name));
        let deeper: Vec<&[&str]> = here.map(|(_, rest)| rest).collect();
        let whole = deeper.iter().any(|rest| rest.is_empty());
        let named: Vec<&[&str]> = deeper.into_iter().filter(|rest| !rest.is_empty()).collect();
        let rest = if named.is_empty() { value.to_vec() } else { without(value, &named)? };
        if !whole {
            kept.push((name, rest));
        }
    }
    Some(json::object_text(kept.iter().map(|(name, value)| (name.as_str(), value.as_slice()))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn of(properties: &Json) -> Option<Redaction> {
        let properties = Arc::new(properties.as_object().unwrap().clone());
        Redaction::of(&[Obligation { id: "p#1".into(), kind: ObligationType::Custom, properties }])
    }

    fn applied(pointers: &Json, params: &str) -> Option<String> {
        let redaction = of(&json!({ "action": "redact", "json_pointers": pointers })).unwrap();
        redaction.applied_to(params.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_is_named_is_gone_and_everything_else_is_as_it_was() {
        let params = r#"{"name": "pay", "arguments": { "iban" : "DE1", "to":{"b":1.50, "a":[ 2 ]}, "~/":0 },"_meta":{}}"#;
        let check = |pointers: Json, expected: &str| {
            assert_eq!(applied(&pointers, params).as_deref(), Some(expected), "{pointers}");
        };
        check(
            json!(["/arguments/iban"]),
            r#"{"name":"pay","arguments":{"to":{"b":1.50, "a":[ 2 ]},"~/":0},"_meta":{}}"#,
        );
        check(
            json!(["/arguments/to/a", "/arguments/~0~1"]),
            r#"{"name":"pay","arguments":{"iban":"DE1","to":{"b":1.50}},"_meta":{}}"#,
        );
        check(
            json!(["/arguments/to/a", "/arguments/to"]),
            r#"{"name":"pay","arguments":{"iban":"DE1","~/":0},"_meta":{}}"#,
        );
        check(
            json!(["/arguments/iban", "/arguments/iban"]),
            r#"{"name":"pay","arguments":{"to":{"b":1.50, "a":[ 2 ]},"~/":0},"_meta":{}}"#,
        );
    }

    #[test]
    fn what_is_not_there_cannot_be_taken_out() {
        for params in [
            "{}",
            r#"{"arguments":{}}"#,
            r#"{"arguments":[1]}"#,
            r#"{"arguments":{"a":{"c":1}}}"#,
            r#"{"arguments":{"a":"b"}}"#,
        ] {
            assert_eq!(applied(&json!(["/arguments/a/b"]), params), None, "{params}");
        }
        assert_eq!(applied(&json!(["/arguments/a/0"]), r#"{"arguments":{"a":[1]}}"#), None);
        assert_eq!(applied(&json!(["/arguments/a", "/arguments/a/b"]), r#"{"arguments":{"a":1}}"#), None);
    }

    #[test]
    fn only_pointers_alone_are_understood() {
        for other in [
            json!({"action": "redact"}),
            json!({"json_pointers": ["/arguments/a"]}),
            json!({"action": "mask", "json_pointers": ["/arguments/a"]}),
            json!({"action": "redact", "json_pointers": []}),
            json!({"action": "redact", "json_pointers": "/arguments/a"}),
            json!({"action": "redact", "json_pointers": [1]}),
            json!({"action": "redact", "json_pointers": ["arguments/a"]}),
            json!({"action": "redact", "json_pointers": ["/name"]}),
            json!({"action": "redact", "json_pointers": ["/arguments"]}),
            json!({"action": "redact", "json_pointers": [""]}),
            json!({"action": "redact", "json_pointers": ["/arguments/a~2"]}),
            json!({"action": "redact", "json_pointers": ["/arguments/~~10"]}),
            json!({"action": "redact", "json_pointers": ["/arguments/a", "/_meta/b"]}),
            json!({"vendor": "acme", "action": "redact", "json_pointers": ["/arguments/a"]}),
        ] {
            assert_eq!(of(&other), None, "{other}");
        }
        let step_up =
            Obligation { id: "p#1".into(), kind: ObligationType::StepUp, properties: Arc::default() };
        assert_eq!(Redaction::of(&[step_up]), None);
    }
}
