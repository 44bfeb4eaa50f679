//! Why an answer came out as it did, in words: which policy, which part of its scope, which condition.
//! Never decides, and shows policy source: only for those who may see it.

use std::sync::Arc;

use cedar_policy::{Authorizer, Effect as CedarEffect, Entities, Policy, PolicyId, PolicySet, Request};
use serde_json::{Value as Json, json};

use super::prepare::prepare;
use super::snapshot::{PolicyInfo, Snapshot};
use crate::access::{Facts, Half, Question};

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
    let Ok(prepared) = prepare(snapshot, question, facts) else { return Vec::new() };
    let mut explanations = Vec::new();
    for (half, request) in &prepared.halves {
        let mut infos: Vec<(&PolicyId, &Arc<PolicyInfo>)> = snapshot.infos.iter().collect();
        infos.sort_by(|a, b| a.1.id.cmp(&b.1.id));
        let told = infos
            .into_iter()
            .filter_map(|(id, info)| {
                look_at(snapshot, snapshot.policies.policy(id)?, info, *half, request, &prepared.entities)
            })
            .take(POLICIES_MAX);
        explanations.extend(told);
    }
    explanations
}

fn look_at(
    snapshot: &Snapshot,
    policy: &Policy,
    info: &Arc<PolicyInfo>,
    half: Half,
    request: &Request,
    entities: &Entities,
) -> Option<Explanation> {
    let form = policy.to_json().ok()?;
    let mut scope = form.clone();
    scope.as_object_mut()?.insert("conditions".into(), json!([]));
    if truth(&snapshot.authorizer, &scope, request, entities) != Truth::Held {
        return None;
    }
    let conditions = conditions(&snapshot.authorizer, &form, request, entities);
    let satisfied = conditions.iter().all(|condition| condition.satisfied);
    let erred = conditions.iter().any(|condition| matches!(condition.truth, Truth::Erred(_)));
    // A forbid that does not apply is no part of the answer.
    if policy.effect() == CedarEffect::Forbid && !satisfied && !erred {
        return None;
    }
    let conditions = conditions.into_iter().map(|condition| (condition.text, condition.truth)).collect();
    Some(Explanation { half, policy: info.clone(), satisfied, conditions })
}

struct Condition {
    text: String,
    truth: Truth,
    satisfied: bool,
}

/// Takes `when` apart at `&&` and `unless` at `||`, and evaluates from left to right as Cedar does.
fn conditions(
    authorizer: &Authorizer,
    form: &Json,
    request: &Request,
    entities: &Entities,
) -> Vec<Condition> {
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
            let truth = if settled { Truth::NotReached } else { truth(authorizer, &bare, request, entities) };
            let satisfied = truth == if unless { Truth::Failed } else { Truth::Held };
            settled |= !satisfied;
            let keyword = if unless { "unless" } else { "when" };
            told.push(Condition { text: format!("{keyword} {}", text_of(&bare)), truth, satisfied });
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

fn truth(authorizer: &Authorizer, form: &Json, request: &Request, entities: &Entities) -> Truth {
    let mut form = form.clone();
    if let Some(object) = form.as_object_mut() {
        object.insert("effect".into(), json!("permit"));
    }
    let Ok(policy) = Policy::from_json(None, form) else { return Truth::NotReached };
    let Ok(set) = PolicySet::from_policies([policy]) else { return Truth::NotReached };
    let answer = authorizer.is_authorized(request, &set, entities);
    match (answer.diagnostics().errors().next(), answer.decision()) {
        (Some(cedar_policy::AuthorizationError::PolicyEvaluationError(error)), _) => {
            Truth::Erred(error.inner().to_string())
        }
        (None, cedar_policy::Decision::Allow) => Truth::Held,
        (None, cedar_policy::Decision::Deny) => Truth::Failed,
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
