//! How the wire's names are written on paper.
//! Never lets a text that somebody sent steer the terminal.

use serde_json::{Value as Json, json};

use crate::api::proto::v1;
use crate::value::Uid;

/// The name of an enum's value without the prefix that protobuf wants: `PERMIT`, `FORBIDDEN`.
pub(super) fn word<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// `DENY_REASON_NO_PERMIT` as records and policy tests write it: `NoPermit`; empty when nothing was denied.
pub(super) fn reason(reason: v1::DenyReason) -> String {
    let letters = |part: &str| {
        part.chars().take(1).chain(part.chars().skip(1).map(|c| c.to_ascii_lowercase())).collect()
    };
    match reason {
        v1::DenyReason::Unspecified => String::new(),
        reason => word(reason.as_str_name(), "DENY_REASON_")
            .split('_')
            .map(letters)
            .collect::<Vec<String>>()
            .concat(),
    }
}

/// A determining policy in a line.
pub(super) fn policy(policy: &v1::DeterminingPolicy, is_delegated: bool) -> String {
    let effect = word(policy.effect().as_str_name(), "EFFECT_").to_lowercase();
    let half = match (policy.half(), is_delegated) {
        (v1::Half::Actor, _) => " for the agent",
        (v1::Half::Principal, true) => " for the principal",
        (v1::Half::Principal | v1::Half::Unspecified, _) => "",
    };
    let controls = policy.annotations.get("control").map(|list| format!(" [{list}]")).unwrap_or_default();
    format!("{effect} `{}`{half}{controls}", policy.id)
}

/// Determining policies for programs.
pub(super) fn policies(policies: &[v1::DeterminingPolicy]) -> Vec<Json> {
    let policies = policies.iter().map(|policy| {
        json!({
            "id": policy.id,
            "effect": word(policy.effect().as_str_name(), "EFFECT_"),
            "half": word(policy.half().as_str_name(), "HALF_"),
            "annotations": policy.annotations,
        })
    });
    policies.collect()
}

/// An entity as a policy writes it; `-` for none.
pub(super) fn uid(uid: Option<&v1::EntityUid>) -> String {
    uid.map_or_else(|| "-".to_owned(), |uid| plain(&Uid::new(&uid.r#type, &uid.id).to_string()))
}

/// An entity for programs.
pub(super) fn entity(uid: &v1::EntityUid) -> Json {
    json!({ "type": uid.r#type, "id": uid.id })
}

/// A text of others in one line: what would move the cursor or change colours is written out.
pub(super) fn plain(text: &str) -> String {
    let steers = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let letters = text.chars().flat_map(|c| {
        let (written, itself) = if steers(c) { (Some(c.escape_unicode()), None) } else { (None, Some(c)) };
        written.into_iter().flatten().chain(itself)
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_written_as_records_have_them() {
        assert_eq!(reason(v1::DenyReason::NoPermit), "NoPermit");
        assert_eq!(reason(v1::DenyReason::Stale), "Stale");
        assert_eq!(reason(v1::DenyReason::Unspecified), "");
    }

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        assert_eq!(
            plain("a\u{1b}[2Jb\r\n\u{202e}c\u{9b}d é"),
            "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{202e}c\\u{9b}d é"
        );
    }
}
