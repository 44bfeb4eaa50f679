//! The answer on paper: the word first, then why, then what to quote.
//! Never prints more than the server sent.

use serde_json::json;

use crate::api::proto::v1;
use crate::cli::Format;
use crate::cli::words::{entity, policies, policy, reason, word};

pub(super) fn answer(format: Format, request: &v1::AuthorizeRequest, answer: &v1::AuthorizeResponse) {
    match format {
        Format::Human => human(request, answer),
        Format::Json => anstream::println!("{:#}", document(answer)),
    }
}

fn human(request: &v1::AuthorizeRequest, answer: &v1::AuthorizeResponse) {
    let (green, red, dim, reset) = ("\u{1b}[1;32m", "\u{1b}[1;31m", "\u{1b}[2m", "\u{1b}[0m");
    if answer.decision() == v1::Decision::Permit {
        anstream::println!("{green}PERMIT{reset}");
    } else {
        let reason = reason(answer.reason());
        anstream::println!("{red}DENY{reset} {reason}: {}", answer.reason_text);
    }
    let is_delegated = request.subject.as_ref().is_some_and(|subject| subject.actor.is_some());
    for determining in &answer.determining {
        anstream::println!("  {}", policy(determining, is_delegated));
    }
    for v1::Obligation { id, r#type, properties } in &answer.obligations {
        anstream::println!("  obliges to {type} `{id}` {properties}");
    }
    for error in &answer.errors {
        anstream::println!("  failed `{}` {}", error.policy_id, error.message);
    }
    if !answer.explanation.is_empty() {
        anstream::println!("why:");
        answer.explanation.iter().for_each(|line| anstream::println!("  {line}"));
    }
    anstream::println!("{dim}decision {}  revision {}{reset}", answer.decision_id, answer.revision);
}

fn document(answer: &v1::AuthorizeResponse) -> serde_json::Value {
    let errors: Vec<_> = answer
        .errors
        .iter()
        .map(|error| json!({"policy": error.policy_id, "message": error.message}))
        .collect();
    let obligations: Vec<_> = answer
        .obligations
        .iter()
        .map(|one| {
            let properties: serde_json::Value = serde_json::from_str(&one.properties).unwrap_or_default();
            json!({"id": one.id, "type": one.r#type, "properties": properties})
        })
        .collect();
    json!({
        "decision": word(answer.decision().as_str_name(), "DECISION_"),
        "reason": reason(answer.reason()),
        "reason_text": answer.reason_text,
        "decision_id": answer.decision_id,
        "revision": answer.revision,
        "determining": policies(&answer.determining),
        "errors": errors,
        "obligations": obligations,
        "resource": answer.resource.as_ref().map(entity),
        "arguments_digest": answer.arguments_digest,
        "explanation": answer.explanation,
    })
}
