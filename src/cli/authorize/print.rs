//! The answer on paper: the word first, then why, then what to quote.
//! Never prints more than the server sent.

use serde_json::json;

use crate::api::proto::v1;
use crate::cli::Format;

pub(super) fn answer(format: Format, request: &v1::AuthorizeRequest, answer: &v1::AuthorizeResponse) {
    match format {
        Format::Human => human(request, answer),
        Format::Json => anstream::println!("{:#}", document(answer)),
    }
}

/// The name of an enum's value without the prefix that protobuf wants: `PERMIT`, `FORBIDDEN`.
fn word<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// `DENY_REASON_NO_PERMIT` as records and policy tests write it: `NoPermit`; empty for a permit.
fn reason(answer: &v1::AuthorizeResponse) -> String {
    let letters = |part: &str| {
        part.chars().take(1).chain(part.chars().skip(1).map(|c| c.to_ascii_lowercase())).collect()
    };
    match answer.reason() {
        v1::DenyReason::Unspecified => String::new(),
        reason => word(reason.as_str_name(), "DENY_REASON_")
            .split('_')
            .map(letters)
            .collect::<Vec<String>>()
            .concat(),
    }
}

fn human(request: &v1::AuthorizeRequest, answer: &v1::AuthorizeResponse) {
    let (green, red, dim, reset) = ("\u{1b}[1;32m", "\u{1b}[1;31m", "\u{1b}[2m", "\u{1b}[0m");
    if answer.decision() == v1::Decision::Permit {
        anstream::println!("{green}PERMIT{reset}");
    } else {
        let reason = reason(answer);
        anstream::println!("{red}DENY{reset} {reason}: {}", answer.reason_text);
    }
    for policy in &answer.determining {
        let effect = word(policy.effect().as_str_name(), "EFFECT_").to_lowercase();
        let half = match (policy.half(), request.subject.as_ref().and_then(|subject| subject.actor.as_ref()))
        {
            (v1::Half::Actor, _) => " for the agent",
            (v1::Half::Principal, Some(_)) => " for the principal",
            (v1::Half::Principal | v1::Half::Unspecified, _) => "",
        };
        let controls = policy.annotations.get("control").map(|list| format!(" [{list}]")).unwrap_or_default();
        anstream::println!("  {effect} `{}`{half}{controls}", policy.id);
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
    let determining: Vec<_> = answer
        .determining
        .iter()
        .map(|policy| {
            json!({
                "id": policy.id,
                "effect": word(policy.effect().as_str_name(), "EFFECT_"),
                "half": word(policy.half().as_str_name(), "HALF_"),
                "annotations": policy.annotations,
            })
        })
        .collect();
    let errors: Vec<_> = answer
        .errors
        .iter()
        .map(|error| json!({"policy": error.policy_id, "message": error.message}))
        .collect();
    json!({
        "decision": word(answer.decision().as_str_name(), "DECISION_"),
        "reason": reason(answer),
        "reason_text": answer.reason_text,
        "decision_id": answer.decision_id,
        "revision": answer.revision,
        "determining": determining,
        "errors": errors,
        "resource": answer.resource.as_ref().map(|uid| json!({"type": uid.r#type, "id": uid.id})),
        "arguments_digest": answer.arguments_digest,
        "explanation": answer.explanation,
    })
}
