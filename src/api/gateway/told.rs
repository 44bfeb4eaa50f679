//! What a gateway is told of a decision beside whether the request goes on.
//! Never more than an agent may see.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Plain};

use crate::access::Outcome;
use crate::pdp::Answer;

/// What the filters behind and the access log may see.
pub(in crate::api) fn metadata(first: &Answer, all: &[Answer]) -> Struct {
    let text = |text: String| Plain { kind: Some(Kind::StringValue(text)) };
    let list = |items: Vec<String>| Plain {
        kind: Some(Kind::ListValue(ListValue { values: items.into_iter().map(text).collect() })),
    };
    let (decision, reason) = match first.decision.outcome {
        Outcome::Permit => ("permit", None),
        Outcome::Deny(reason) => ("deny", Some(snake(reason.name()))),
    };
    let mut policies: Vec<String> =
        first.decision.determining.iter().map(|policy| policy.id.to_string()).collect();
    policies.dedup();
    let mut fields = vec![
        ("decision", text(decision.to_owned())),
        ("decision_id", text(first.id.to_string())),
        ("policies", list(policies)),
        ("revision", text(first.revision.to_string())),
    ];
    fields.extend(reason.map(|reason| ("reason", text(reason))));
    if all.len() > 1 {
        fields.push(("decision_ids", list(all.iter().map(|answer| answer.id.to_string()).collect())));
    }
    Struct { fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
}

/// `NoPermit` as `no_permit`.
pub(in crate::api) fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (at, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}
