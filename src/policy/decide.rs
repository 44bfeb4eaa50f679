//! The decision: Cedar's answer for every party that must be permitted, made strict and put together.
//! Never has a side effect: the same snapshot, question and facts give the same decision.

use cedar_policy::{Entities, Request, Response};

use super::cedar;
use super::prepare::{Refusal, prepare};
use super::snapshot::Snapshot;
use crate::access::{Decision, DenyReason, Determining, Effect, Facts, Half, Outcome, PolicyError, Question};

/// Decides one question on one snapshot. When an agent acts for somebody, both halves are evaluated and both must
/// permit. Any policy that fails to evaluate makes the answer a deny, for Cedar skips such a policy and a skipped
/// `forbid` would permit.
pub fn decide(snapshot: &Snapshot, question: &Question, facts: &Facts) -> Decision {
    let prepared = match prepare(snapshot, question, facts) {
        Ok(prepared) => prepared,
        Err(Refusal { reason, words }) => return Decision::deny(reason, words),
    };
    let answers: Vec<(Half, Response)> = prepared
        .halves
        .iter()
        .map(|(half, request)| (*half, evaluate(snapshot, request, &prepared.entities)))
        .collect();
    combine(snapshot, &answers)
}

pub(super) fn evaluate(snapshot: &Snapshot, request: &Request, entities: &Entities) -> Response {
    snapshot.authorizer.is_authorized(request, &snapshot.policies, entities)
}

fn combine(snapshot: &Snapshot, answers: &[(Half, Response)]) -> Decision {
    let mut satisfied: Vec<Determining> = Vec::new();
    let mut errors: Vec<PolicyError> = Vec::new();
    let mut unpermitted: Option<Half> = None;
    for (half, answer) in answers {
        let determining = answer.diagnostics().reason().filter_map(|id| snapshot.infos.get(id));
        satisfied.extend(determining.map(|info| Determining {
            id: info.id.clone(),
            effect: info.effect,
            half: *half,
            annotations: info.annotations.clone(),
        }));
        errors.extend(answer.diagnostics().errors().map(|error| policy_error(error, *half)));
        // Cedar's word counts: only where it allows may the answer be a permit.
        if answer.decision() == cedar_policy::Decision::Deny {
            unpermitted = unpermitted.or(Some(*half));
        }
    }
    satisfied.sort_by(|a, b| (&a.id, a.half).cmp(&(&b.id, b.half)));
    errors.sort_by(|a, b| (&a.id, a.half).cmp(&(&b.id, b.half)));

    let forbidden = satisfied.iter().any(|policy| policy.effect == Effect::Forbid);
    let (outcome, reason) = match (errors.is_empty(), forbidden, unpermitted) {
        (false, _, _) => deny(DenyReason::PolicyError, DenyReason::PolicyError.words().to_owned()),
        (true, true, _) => deny(DenyReason::Forbidden, author_words(&satisfied)),
        (true, false, Some(half)) => deny(DenyReason::NoPermit, no_permit_words(half, answers.len() > 1)),
        (true, false, None) => (Outcome::Permit, String::new()),
    };
    let makes_the_difference = |policy: &Determining| match outcome {
        Outcome::Permit => policy.effect == Effect::Permit,
        Outcome::Deny(DenyReason::Forbidden) => policy.effect == Effect::Forbid,
        Outcome::Deny(_) => false,
    };
    satisfied.retain(makes_the_difference);
    Decision { outcome, reason, determining: satisfied, errors }
}

fn deny(reason: DenyReason, words: String) -> (Outcome, String) {
    (Outcome::Deny(reason), words)
}

fn policy_error(error: &cedar_policy::AuthorizationError, half: Half) -> PolicyError {
    let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
    let id: &str = error.policy_id().as_ref();
    PolicyError {
        id: id.into(),
        half,
        kind: cedar::error_kind(error.inner()),
        message: error.inner().to_string(),
    }
}

/// The `@reason` of every forbidding policy, each once; the general words when none has one.
fn author_words(satisfied: &[Determining]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for policy in satisfied.iter().filter(|policy| policy.effect == Effect::Forbid) {
        if let Some(reason) = policy.annotations.get("reason")
            && !words.contains(&reason.as_str())
        {
            words.push(reason);
        }
    }
    if words.is_empty() { DenyReason::Forbidden.words().to_owned() } else { words.join("; ") }
}

fn no_permit_words(half: Half, delegated: bool) -> String {
    match (half, delegated) {
        (_, false) => DenyReason::NoPermit.words().to_owned(),
        (Half::Principal, true) => {
            "no policy permits this step to the party that the agent acts for".to_owned()
        }
        (Half::Actor, true) => "no policy permits this step to the agent".to_owned(),
    }
}
