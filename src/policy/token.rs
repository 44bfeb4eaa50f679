//! The token of a request as policies see it.
//! Never the token itself, nor a claim that the schema has no place for.

use crate::access::Timestamp;
use crate::identity::TokenFacts;
use crate::value::{Extension, Members, Value};

/// The token as policies see it: `context.token`.
pub fn token_value(facts: &TokenFacts) -> Value {
    let TokenFacts { token, audience, binding, actor } = facts;
    let texts = |texts: &[String]| Value::Set(texts.iter().map(|text| Value::String(text.into())).collect());
    let text = |text: &str| Value::String(text.into());
    let mut members = Members::from_iter([
        ("issuer".into(), text(&token.issuer)),
        ("audience".into(), text(audience)),
        ("scopes".into(), texts(&token.scopes)),
        ("binding".into(), text(binding.name())),
    ]);
    if let Some(actor) = actor {
        members.insert("actor".into(), text(actor.name()));
    }
    if let Some(acr) = &token.acr {
        members.insert("acr".into(), text(acr));
    }
    if !token.amr.is_empty() {
        members.insert("amr".into(), texts(&token.amr));
    }
    if let Some(issued_s) = token.issued_s {
        let issued = Timestamp(issued_s.saturating_mul(1000)).to_string();
        members.insert("issued".into(), Value::Extension(Extension::Datetime, issued.into()));
    }
    Value::Record(members)
}
