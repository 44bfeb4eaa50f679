//! The answer as AuthZEN says it: lean, and never with an empty context.
//! Never tells an agent more than the reason and safe words; policies and values are for callers with `explain`.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use serde::Serialize;

use crate::access::{
    DenyReason, Determining, Effect, Half, Obligation, ObligationType, Outcome, PolicyError,
};
use crate::pdp::Answer;

const DECISION_ID: HeaderName = HeaderName::from_static("x-palisade-decision-id");
pub(super) const REVISION: HeaderName = HeaderName::from_static("x-palisade-revision");
pub(super) const STATE: HeaderName = HeaderName::from_static("x-palisade-state-revision");

/// A decision.
#[derive(Debug, Serialize)]
pub(super) struct Said<'a> {
    decision: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context<'a>>,
}

/// What a decision says of itself.
#[derive(Debug, Default, Serialize)]
struct Context<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_user: Option<InEnglish<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_admin: Option<Admin<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    obligations: Vec<Duty<'a>>,
}

/// An obligation (AuthZEN Obligations extension, "Response").
#[derive(Debug, Serialize)]
struct Duty<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: ObligationType,
    properties: &'a serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct InEnglish<'a> {
    en: &'a str,
}

/// Why in detail.
#[derive(Debug, Serialize)]
struct Admin<'a> {
    determining: Vec<Policy<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Failed<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    explanation: &'a [String],
}

#[derive(Debug, Serialize)]
struct Policy<'a> {
    id: &'a str,
    effect: Effect,
    half: Half,
}

#[derive(Debug, Serialize)]
struct Failed<'a> {
    id: &'a str,
    half: Half,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct Error<'a> {
    status: u16,
    message: &'a str,
}

/// What may be told, and to whom.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Telling {
    /// Whether the caller may see policies.
    pub(super) explains: bool,
    /// Whether the explanation was asked for.
    pub(super) explain: bool,
    /// Whether also a permit says its id: where many answers share the headers and the caller reports outcomes.
    pub(super) ids: bool,
}

impl<'a> Said<'a> {
    /// Of an answer.
    pub(super) fn of(answer: &'a Answer, telling: Telling) -> Self {
        let Telling { explains, explain, ids } = telling;
        let decision = &answer.decision;
        let mut context = match decision.outcome {
            Outcome::Permit => Context { evaluation_id: ids.then_some(&*answer.id.0), ..Context::default() },
            Outcome::Deny(reason) => Context {
                evaluation_id: Some(&answer.id.0),
                reason: Some(code(reason)),
                reason_user: Some(InEnglish { en: &decision.reason }),
                error: (reason == DenyReason::InvalidInput)
                    .then_some(Error { status: 400, message: &decision.reason }),
                ..Context::default()
            },
        };
        if explains && (explain || !decision.outcome.is_permit()) {
            context.reason_admin = Some(Admin {
                determining: decision.determining.iter().map(policy).collect(),
                errors: decision.errors.iter().map(failed).collect(),
                explanation: &answer.explanation,
            });
        }
        context.obligations = decision.obligations.iter().map(duty).collect();
        let bare = decision.outcome.is_permit()
            && context.evaluation_id.is_none()
            && context.reason_admin.is_none()
            && context.obligations.is_empty();
        Self { decision: decision.outcome.is_permit(), context: (!bare).then_some(context) }
    }

    /// Of an item of a batch that gets no answer.
    pub(super) fn error(status: u16, message: &'a str) -> Self {
        let context = Context { error: Some(Error { status, message }), ..Context::default() };
        Self { decision: false, context: Some(context) }
    }
}

fn duty(obligation: &Obligation) -> Duty<'_> {
    let Obligation { id, kind, properties } = obligation;
    Duty { id, kind: *kind, properties }
}

fn policy(policy: &Determining) -> Policy<'_> {
    Policy { id: &policy.id, effect: policy.effect, half: policy.half }
}

fn failed(error: &PolicyError) -> Failed<'_> {
    Failed { id: &error.id, half: error.half, message: &error.message }
}

/// The answer to one question, with its id beside it.
pub(super) fn single(answer: &Answer, telling: Telling) -> Response {
    let said = Said::of(answer, telling);
    let mut response = match said.context {
        None => json(br#"{"decision":true}"#.as_slice().into()),
        Some(_) => written(&said),
    };
    name(&mut response, answer);
    response
}

/// One answer in the words of another protocol, with its id beside it.
pub(in crate::api) fn said_of(answer: &Answer, body: &'static [u8]) -> Response {
    let mut response = json(body.into());
    name(&mut response, answer);
    response
}

fn name(response: &mut Response, answer: &Answer) {
    response.headers_mut().extend(value(&answer.id.0).map(|id| (DECISION_ID, id)));
    beside(response, answer);
}

/// The answers to a batch, all of one snapshot.
pub(super) fn several(said: &[Said<'_>], last: Option<&Answer>) -> Response {
    #[derive(Serialize)]
    struct Several<'s> {
        evaluations: &'s [Said<'s>],
    }
    let mut response = written(&Several { evaluations: said });
    if let Some(answer) = last {
        beside(&mut response, answer);
    }
    response
}

pub(super) fn written(said: &impl Serialize) -> Response {
    // These have no maps with keys that are no text, and writing to memory does not fail.
    json(serde_json::to_vec(said).unwrap_or_default().into())
}

/// What the answer rests on.
fn beside(response: &mut Response, answer: &Answer) {
    let headers = response.headers_mut();
    headers.extend(value(&answer.revision.0).map(|revision| (REVISION, revision)));
    headers.extend(answer.state.map(|state| (STATE, HeaderValue::from(state))));
}

pub(super) fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

fn json(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Every step is asked again.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The reason as a code. A closed set, as [`DenyReason`] is.
pub(super) fn code(reason: DenyReason) -> &'static str {
    match reason {
        DenyReason::NoPermit => "no_permit",
        DenyReason::Forbidden => "forbidden",
        DenyReason::PolicyError => "policy_error",
        DenyReason::InvalidInput => "invalid_input",
        DenyReason::Unauthenticated => "unauthenticated",
        DenyReason::ActorMissing => "actor_missing",
        DenyReason::BindingMissing => "binding_missing",
        DenyReason::SessionMismatch => "session_mismatch",
        DenyReason::TaskRequired => "task_required",
        DenyReason::TaskExpired => "task_expired",
        DenyReason::TaskRevoked => "task_revoked",
        DenyReason::PolicyDrift => "policy_drift",
        DenyReason::OutOfScope => "out_of_scope",
        DenyReason::OverBudget => "over_budget",
        DenyReason::ApprovalRequired => "approval_required",
        DenyReason::UnknownTool => "unknown_tool",
        DenyReason::ToolDrift => "tool_drift",
        DenyReason::Stale => "stale",
        DenyReason::ObligationUnsupported => "obligation_unsupported",
    }
}
