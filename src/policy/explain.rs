//! Why an answer came out as it did, in words: which policy, which part of its scope, which condition.
//! Never decides, and shows policy source: only for those who may see it.

use std::sync::Arc;

use cedar_policy::Policy;
use serde_json::{Value as Json, json};

use super::cedar::{Blanks, Condition, Evaluation};
use super::decide::{Evaluable, slice, tell_late};
use super::prepare::prepare;
use super::rule::Rule;
use super::snapshot::{PolicyInfo, Snapshot};
use crate::access::{Effect, Facts, Half, Question};

/// How many policies one half of an explanation tells about.
const POLICIES_MAX: usize = 8;

/// What became of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It held.
    Held,
    /// It did not.
    Failed,
    /// It could not be evaluated, and why.
    Erred(String),
    /// An earlier condition settled the matter.
    NotReached,
}

/// One policy, looked at for one half of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// For whom.
    pub half: Half,
    /// Which policy.
    pub policy: Arc<PolicyInfo>,
    /// Whether it was satisfied: its effect took place.
    pub satisfied: bool,
    /// Its conditions as Cedar text in order, each with what became of it. For `unless`, a condition that held is
    /// what kept the policy from applying.
    pub conditions: Vec<(String, Truth)>,
}

/// Explains a question: every satisfied or failing policy, and the permits whose scope fits but whose conditions do
/// not. Empty when the question is refused before any policy is asked.
pub fn explain(snapshot: &Snapshot, question: &Question, facts: &Facts) -> Vec<Explanation> {
    let Ok(prepared) = prepare(snapshot, question, facts, &Blanks::new()) else { return Vec::new() };
    let in_scope = |half| snapshot.index.in_scope(prepared.about(half));
    let mut halves: Vec<Evaluable> = prepared
        .halves
        .iter()
        .map(|half| Evaluable {
            place: half.principal.place,
            asked: prepared.asked(half),
            candidates: in_scope(half),
        })
        .collect();
    if tell_late(snapshot, &prepared, &mut halves).is_err() {
        return Vec::new();
    }
    let sliced;
    let entities = if prepared.brought.is_empty() {
        snapshot.store.entities()
    } else {
        let Some(slice) = slice(&snapshot.index, &snapshot.store, &prepared.brought, &halves) else {
            return Vec::new();
        };
        sliced = slice;
        &sliced
    };
    let mut explanations = Vec::new();
    for (half, Evaluable { place: _, asked, candidates }) in prepared.halves.iter().zip(halves) {
        let evaluation = Evaluation::new(asked, entities);
        let mut rules: Vec<_> = candidates.iter().map(|candidate| candidate.rule).collect();
        rules.sort_unstable();
        let told = rules
            .into_iter()
            .filter_map(|rule| look_at(snapshot.rules.get(rule as usize)?, half.half, &evaluation))
            .take(POLICIES_MAX);
        explanations.extend(told);
    }
    explanations
}

fn look_at(rule: &Rule, half: Half, evaluation: &Evaluation<'_>) -> Option<Explanation> {
    let form = Policy::parse(None, rule.text()).ok()?.to_json().ok()?;
    let conditions = conditions(&form, evaluation);
    let satisfied = conditions.iter().all(|condition| condition.satisfied);
    let erred = conditions.iter().any(|condition| matches!(condition.truth, Truth::Erred(_)));
    // A forbid that does not apply is no part of the answer.
    if rule.info.effect == Effect::Forbid && !satisfied && !erred {
        return None;
    }
    let conditions = conditions.into_iter().map(|condition| (condition.text, condition.truth)).collect();
    Some(Explanation { half, policy: rule.info.clone(), satisfied, conditions })
}

struct Told {
    text: String,
    truth: Truth,
    satisfied: bool,
}

/// Takes `when` apart at `&&` and `unless` at `||`, and evaluates from left to right as Cedar does.
fn conditions(form: &Json, evaluation: &Evaluation<'_>) -> Vec<Told> {
    let mut told = Vec::new();
    let mut settled = false;
    for clause in form.get("conditions").and_then(Json::as_array).into_iter().flatten() {
        let unless = clause.get("kind").and_then(Json::as_str) == Some("unless");
        let mut parts = Vec::new();
        let body = clause.get("body").unwrap_or(&Json::Null);
        flatten(body, if unless { "||" } else { "&&" }, &mut parts);
        for part in parts {
            let bare = json!({
                "effect": "permit", "principal": {"op": "All"}, "action": {"op": "All"}, "resource": {"op": "All"},
                "conditions": [{"kind": "when", "body": part}],
            });
            let truth = if settled { Truth::NotReached } else { truth(evaluation, &bare) };
            let satisfied = truth == if unless { Truth::Failed } else { Truth::Held };
            settled |= !satisfied;
            let keyword = if unless { "unless" } else { "when" };
            told.push(Told { text: format!("{keyword} {}", text_of(&bare)), truth, satisfied });
        }
    }
    told
}

fn flatten<'a>(body: &'a Json, operator: &str, parts: &mut Vec<&'a Json>) {
    match body.get(operator) {
        Some(both) => {
            for side in ["left", "right"] {
                if let Some(side) = both.get(side) {
                    flatten(side, operator, parts);
                }
            }
        }
        None => parts.push(body),
    }
}

fn truth(evaluation: &Evaluation<'_>, form: &Json) -> Truth {
    let Ok(policy) = Policy::from_json(None, form.clone()) else { return Truth::NotReached };
    match evaluation.holds(&Condition::of(policy.as_ref())) {
        Ok(true) => Truth::Held,
        Ok(false) => Truth::Failed,
        Err(error) => Truth::Erred(error.to_string()),
    }
}

/// The condition of a policy of one condition, as Cedar text on one line.
fn text_of(form: &Json) -> String {
    let text =
        Policy::from_json(None, form.clone()).ok().and_then(|policy| policy.to_cedar()).unwrap_or_default();
    let body = text.split_once("when {").map_or(text.as_str(), |(_, body)| body);
    let body = body.trim_end().trim_end_matches(';').trim_end().trim_end_matches('}');
    body.split_whitespace().collect::<Vec<_>>().join(" ")
}
