//! An explanation in words, one line per policy that was looked at.
//! Never decides.

use crate::access::{Effect, Half};
use crate::policy::{Explanation, Truth};

/// `for the agent: permit support/bots (policies/org/support.cedar:3) did not apply: when … was false`
pub(super) fn line(explanation: &Explanation) -> String {
    let Explanation { half, policy, satisfied, conditions } = explanation;
    let party = match half {
        Half::Principal => "principal",
        Half::Actor => "actor",
    };
    let effect = match policy.effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    };
    let verdict = if *satisfied { "applies" } else { "does not apply" };
    let told: Vec<String> = conditions.iter().filter_map(|(text, truth)| condition(text, truth)).collect();
    let because = match (told.is_empty(), satisfied) {
        (true, true) => "its scope fits".to_owned(),
        (true, false) => "its conditions do not hold".to_owned(),
        (false, _) => told.join("; "),
    };
    format!("{party}: {effect} `{}` ({}:{}) {verdict}: {because}", policy.id, policy.path, policy.line)
}

fn condition(text: &str, truth: &Truth) -> Option<String> {
    match truth {
        Truth::Held => Some(format!("`{text}` is true")),
        Truth::Failed => Some(format!("`{text}` is false")),
        Truth::Erred(why) => Some(format!("`{text}` could not be evaluated: {why}")),
        Truth::NotReached => None,
    }
}
