//! `@obligation`: what a policy demands of the enforcement point when it makes the difference. Read once, when the bundle
//! is compiled.
//! Never takes what an enforcement point could misread: a misspelt type or property is an error.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::Policy;
use serde_json::{Map, Value as Json};

use super::policies::place_of_annotation;
use crate::access::{Obligation, ObligationType};
use crate::diagnostic::{Diagnostic, File};

/// The annotation's name.
pub(super) const ANNOTATION: &str = "obligation";
/// The longest annotation, in bytes.
const BYTES_MAX: usize = 4096;
/// How many obligations one policy may have.
const PER_POLICY_MAX: usize = 16;

const HELP: &str = "write it in YAML, as in `@obligation(\"step-up: { acr_value: 'urn:acme:loa:3' }\")`, several as a list in \
                    brackets; docs/obligations.md has every type";

/// What is wrong with an annotation.
type Wrong = String;

/// The obligations of a policy with this id.
pub(super) fn read(
    policy: &Policy,
    id: &str,
    file: &File,
    span: &Range<usize>,
    findings: &mut Vec<Diagnostic>,
) -> Arc<[Obligation]> {
    for (name, _) in policy.annotations().filter(|(name, _)| name.starts_with(ANNOTATION)) {
        if name != ANNOTATION {
            let message = format!("`@{name}` is no annotation that demands anything");
            findings.push(
                Diagnostic::error("policy::obligation", message)
                    .at(file, place_of_annotation(name, file, span), "this annotation")
                    .help("put all obligations of a policy into one `@obligation`, as a list"),
            );
        }
    }
    let Some(text) = policy.annotation(ANNOTATION) else { return Arc::default() };
    match obligations(text, id) {
        Ok(obligations) => obligations.into(),
        Err(wrong) => {
            findings.push(
                Diagnostic::error("policy::obligation", wrong)
                    .at(file, place_of_annotation(ANNOTATION, file, span), "this annotation")
                    .help(HELP),
            );
            Arc::default()
        }
    }
}

fn obligations(text: &str, policy: &str) -> Result<Vec<Obligation>, Wrong> {
    if text.len() > BYTES_MAX {
        return Err(format!("an `@obligation` has at most {BYTES_MAX} bytes"));
    }
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: 16 },
    };
    let written: Json = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let said = error.without_snippet().to_string();
        format!("the `@obligation` cannot be read: {}", said.lines().next().unwrap_or("it is no YAML"))
    })?;
    let list = match written {
        Json::Array(list) => list,
        one @ (Json::Object(_) | Json::String(_) | Json::Null | Json::Bool(_) | Json::Number(_)) => vec![one],
    };
    if list.is_empty() || list.len() > PER_POLICY_MAX {
        return Err(format!("an `@obligation` names 1 to {PER_POLICY_MAX} obligations"));
    }
    let numbered = list.into_iter().zip(1..);
    numbered.map(|(one, number)| obligation(one, format!("{policy}#{number}"))).collect()
}

/// `step-up: { acr_value: … }`
fn obligation(written: Json, id: String) -> Result<Obligation, Wrong> {
    let one = match written {
        Json::Object(members) if members.len() == 1 => members.into_iter().next(),
        _ => None,
    };
    let Some((name, properties)) = one else {
        return Err("an obligation is its type, a colon and its properties".into());
    };
    let Some(kind) = ObligationType::named(&name) else {
        let known = ObligationType::ALL.map(ObligationType::name).join("`, `");
        return Err(format!("`{name}` is no type of obligation; they are `{known}`"));
    };
    let Json::Object(properties) = properties else {
        return Err(format!("the properties of `{kind}` are a mapping: `{kind}: {{ … }}`"));
    };
    check(kind, &properties)?;
    Ok(Obligation { id: id.into(), kind, properties: Arc::new(properties) })
}

/// What a property holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Texts,
    /// A text, or a subject with `type` and `id`.
    Subject,
}

/// A property's name, what it holds, and whether it must be there.
type Property = (&'static str, Holds, bool);

const STEP_UP: &[Property] = &[("acr_value", Holds::Text, true), ("amr_values", Holds::Texts, false)];
const NOTIFICATION: &[Property] =
    &[("to", Holds::Text, true), ("body", Holds::Text, false), ("topic", Holds::Text, false)];
const SESSION_TERMINATION: &[Property] = &[("subject", Holds::Subject, true)];

fn check(kind: ObligationType, properties: &Map<String, Json>) -> Result<(), Wrong> {
    let known = match kind {
        ObligationType::StepUp => STEP_UP,
        ObligationType::Notification => NOTIFICATION,
        ObligationType::SessionTermination => SESSION_TERMINATION,
        ObligationType::Custom if properties.is_empty() => {
            return Err("`custom` says nothing of what is to be done".into());
        }
        ObligationType::Custom if properties.values().any(holds_null) => {
            return Err("a property of `custom` has no value".into());
        }
        ObligationType::Custom => return Ok(()),
    };
    for (name, value) in properties {
        let Some((_, holds, _)) = known.iter().find(|(known, ..)| known == name) else {
            let names: Vec<&str> = known.iter().map(|(name, ..)| *name).collect();
            return Err(format!("`{kind}` has no property `{name}`; it has `{}`", names.join("`, `")));
        };
        let (fits, what) = match holds {
            Holds::Text => (is_text(value), "a text"),
            Holds::Texts => (
                value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_text)),
                "a list of texts",
            ),
            Holds::Subject => (is_text(value) || is_subject(value), "a text, or a `type` and an `id`"),
        };
        if !fits {
            return Err(format!("`{name}` of `{kind}` must be {what}"));
        }
    }
    match known.iter().find(|(name, _, required)| *required && !properties.contains_key(*name)) {
        Some((name, ..)) => Err(format!("`{kind}` needs `{name}`")),
        None => Ok(()),
    }
}

fn is_text(value: &Json) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn is_subject(value: &Json) -> bool {
    let named = |members: &Map<String, Json>| {
        ["type", "id"].iter().all(|name| members.get(*name).is_some_and(is_text))
    };
    value.as_object().is_some_and(|members| members.len() == 2 && named(members))
}

fn holds_null(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.iter().any(holds_null),
        Json::Object(members) => members.values().any(holds_null),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

#[cfg(test)]
mod tests;
