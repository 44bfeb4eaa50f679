//! Answers as agentgateway takes them: pass, pass this instead, or an error of JSON-RPC.
//! Never a permit whose duty was not done, and never more of a decision than an agent may see.

use serde_json::json;

use crate::access::{DecisionId, DenyReason, Outcome};
use crate::api::gateway::{INTERNAL, metadata, snake};
use crate::api::proto::ext_mcp as wire;
use crate::mcp::Redaction;
use crate::pdp::Answer;
use wire::authorization_error::Code;
use wire::mcp_request_result::Result as Request;
use wire::mcp_response_result::Result as Response;

/// What an answer needs beside the decisions.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The code for what cannot be read.
    pub(super) code: Option<i64>,
    /// The headers that must not go on.
    pub(super) remove: Vec<String>,
}

/// The answer to a request with these `params`, all of whose questions must be permitted.
pub(super) fn encode(answers: &[Answer], params: Option<&[u8]>, told: Told) -> wire::McpRequestResult {
    let refused = |error| wire::McpRequestResult {
        result: Some(Request::Error(error)),
        header_mutation: None,
        metadata: None,
    };
    if let Some(error) = denied(answers, told.code) {
        return refused(error);
    }
    let (Some(first), Some(result)) = (answers.first(), permitted(answers, params)) else {
        return refused(defect());
    };
    let Told { code: _, remove } = told;
    let header_mutation = (!remove.is_empty()).then_some(wire::HeaderMutation { set: vec![], remove });
    wire::McpRequestResult { result: Some(result), header_mutation, metadata: Some(metadata(first, answers)) }
}

/// What goes on; none when something else than what was decided on would.
fn permitted(answers: &[Answer], params: Option<&[u8]>) -> Option<Request> {
    let duties: Vec<_> = answers.iter().flat_map(|answer| answer.decision.obligations.clone()).collect();
    if duties.is_empty() {
        return Some(Request::Pass(wire::Pass {}));
    }
    let redaction = Redaction::of(&duties).filter(|_| answers.len() == 1)?;
    redaction.applied_to(params?).map(Request::Mutated)
}

/// The error of the first question that is denied.
pub(super) fn denied(answers: &[Answer], code: Option<i64>) -> Option<wire::AuthorizationError> {
    answers.iter().find_map(|answer| match answer.decision.outcome {
        Outcome::Permit => None,
        Outcome::Deny(reason) => Some(error(&answer.id, reason, answer.decision.reason.clone(), code)),
    })
}

/// An error for this reason. `code` is that of what cannot be read.
pub(super) fn error(
    id: &DecisionId,
    reason: DenyReason,
    words: String,
    code: Option<i64>,
) -> wire::AuthorizationError {
    let code = match (reason, code) {
        (DenyReason::InvalidInput, Some(INTERNAL)) => Code::Unknown,
        (reason, _) => code_of(reason),
    };
    // What the gateway makes `data` of.
    let data = json!({"decision_id": id.to_string(), "reason": snake(reason.name())});
    wire::AuthorizationError {
        code: code.into(),
        reason: words,
        mcp_error: Some(data.to_string().into_bytes()),
    }
}

fn defect() -> wire::AuthorizationError {
    let reason = "the answer could not be made; please report it".to_owned();
    wire::AuthorizationError { code: Code::Unknown.into(), reason, mcp_error: None }
}

fn code_of(reason: DenyReason) -> Code {
    match reason {
        DenyReason::InvalidInput => Code::Invalid,
        DenyReason::OverBudget => Code::ResourceExhausted,
        DenyReason::Unauthenticated
        | DenyReason::BindingMissing
        | DenyReason::NoPermit
        | DenyReason::Forbidden
        | DenyReason::PolicyError
        | DenyReason::ActorMissing
        | DenyReason::SessionMismatch
        | DenyReason::TaskRequired
        | DenyReason::TaskExpired
        | DenyReason::TaskRevoked
        | DenyReason::PolicyDrift
        | DenyReason::OutOfScope
        | DenyReason::ApprovalRequired
        | DenyReason::ObligationUnsupported
        | DenyReason::UnknownTool
        | DenyReason::ToolDrift
        | DenyReason::Stale => Code::PermissionDenied,
    }
}

/// The result goes back as it is.
pub(super) fn pass() -> wire::McpResponseResult {
    wire::McpResponseResult { result: Some(Response::Pass(wire::Pass {})) }
}

/// Another result goes back; as it is when there is no other.
pub(super) fn instead(result: Option<Vec<u8>>) -> wire::McpResponseResult {
    match result {
        Some(result) => wire::McpResponseResult { result: Some(Response::Mutated(result)) },
        None => pass(),
    }
}

/// An error goes back.
pub(super) fn refused(error: wire::AuthorizationError) -> wire::McpResponseResult {
    wire::McpResponseResult { result: Some(Response::Error(error)) }
}
