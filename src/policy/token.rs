//! The token of a request as policies see it.
//! Never the token itself, nor a claim that the schema has no place for.

use std::collections::BTreeMap;

use crate::access::Timestamp;
use crate::identity::TokenFacts;
use crate::value::{Extension, Value};

/// The token as policies see it: `context.token`.
pub fn token_value(facts: &TokenFacts) -> Value {
    let TokenFacts { token, audience, binding, actor } = facts;
    let texts = |texts: &[String]| Value::Set(texts.iter().cloned().map(Value::String).collect());
    let text = |text: &str| Value::String(text.to_owned());
    let mut members = BTreeMap::from([
        ("issuer".to_owned(), text(&token.issuer)),
        ("audience".to_owned(), text(audience)),
        ("scopes".to_owned(), texts(&token.scopes)),
        ("binding".to_owned(), text(binding.name())),
    ]);
    if let Some(actor) = actor {
        members.insert("actor".to_owned(), text(actor.name()));
    }
    if let Some(acr) = &token.acr {
        members.insert("acr".to_owned(), text(acr));
    }
    if !token.amr.is_empty() {
        members.insert("amr".to_owned(), texts(&token.amr));
    }
    if let Some(issued_s) = token.issued_s {
        let issued = Timestamp(issued_s.saturating_mul(1000)).to_string();
        members.insert("issued".to_owned(), Value::Extension(Extension::Datetime, issued));
    }
    Value::Record(members)
}
