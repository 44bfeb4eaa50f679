//! `trust.issuers[].human`: how people are named, and what becomes of those whom the bundle does not have.
//! Never an attribute that Cedar could not hold.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::super::ConfigError;
use super::super::check::ConfigFile;
use super::named;
use crate::identity::{Describe, HumanClaims, ParentClaim};
use crate::json;
use crate::value::Value;

/// `trust.issuers[].human`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    claim: Option<Spanned<String>>,
    #[serde(rename = "type")]
    kind: Option<Spanned<String>>,
    unregistered: Option<Unregistered>,
}

/// `trust.issuers[].human.unregistered`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unregistered {
    #[serde(default)]
    parents: Vec<Parent>,
    #[serde(default)]
    attributes: BTreeMap<String, Spanned<serde_json::Value>>,
}

/// `trust.issuers[].human.unregistered.parents[]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parent {
    claim: Spanned<String>,
    #[serde(rename = "type")]
    kind: Spanned<String>,
}

/// Checks all of it.
pub(super) fn check(file: &ConfigFile<'_>, key: &str, typed: Typed) -> Result<HumanClaims, ConfigError> {
    let Typed { claim, kind, unregistered } = typed;
    let claim =
        claim.map_or(Ok("sub".to_owned()), |claim| named(file, &format!("{key}.claim"), &claim, "`sub`"))?;
    let kind =
        kind.map_or(Ok("Human".to_owned()), |kind| entity_type(file, &format!("{key}.type"), &kind))?;
    let key = format!("{key}.unregistered");
    let unregistered = unregistered.map(|typed| described(file, &key, typed)).transpose()?;
    Ok(HumanClaims { claim, kind, unregistered })
}

fn described(file: &ConfigFile<'_>, key: &str, typed: Unregistered) -> Result<Describe, ConfigError> {
    let Unregistered { parents, attributes } = typed;
    let parent = |(at, Parent { claim, kind }): (usize, Parent)| {
        let key = format!("{key}.parents[{at}]");
        let claim = named(file, &format!("{key}.claim"), &claim, "`groups`")?;
        Ok(ParentClaim { claim, kind: entity_type(file, &format!("{key}.type"), &kind)? })
    };
    let value = |(name, typed): (String, Spanned<serde_json::Value>)| {
        let refused =
            |problem: String| file.invalid(&format!("{key}.attributes.{name}"), Some(&typed), problem);
        let value = json::parse(typed.value.to_string().as_bytes(), json::Limits::default())
            .map_err(|error| refused(error.to_string()))?;
        match uncedar(&value) {
            None => Ok((name.into(), value)),
            Some(problem) => Err(refused(problem)),
        }
    };
    Ok(Describe {
        parents: parents.into_iter().enumerate().map(parent).collect::<Result<_, _>>()?,
        attributes: attributes.into_iter().map(value).collect::<Result<_, _>>()?,
    })
}

/// What keeps a value from being one of Cedar's.
fn uncedar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("it is or holds null, which Cedar does not have; leave it out".to_owned()),
        Value::Set(items) => items.iter().find_map(uncedar),
        Value::Record(members) => members.values().find_map(uncedar),
        Value::Number(_)
        | Value::Bool(_)
        | Value::Long(_)
        | Value::String(_)
        | Value::Entity(_)
        | Value::Extension(..) => None,
    }
}

fn entity_type(file: &ConfigFile<'_>, key: &str, typed: &Spanned<String>) -> Result<String, ConfigError> {
    let whole = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|next| next.is_ascii_alphanumeric() || next == '_')
    };
    if typed.value.split("::").all(whole) {
        return Ok(typed.value.clone());
    }
    let problem = format!("`{}` is no entity type; write one of the schema's, such as `Human`", typed.value);
    Err(file.invalid(key, Some(typed), problem))
}
