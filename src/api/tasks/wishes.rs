//! Requests for a task, from the wire to what is asked of the PDP.
//! Never believes who is said to ask: that is established later.

use std::sync::Arc;

use super::super::proto::v1;
use super::super::wire::{
    Malformed, NAME_BYTES_MAX, decode_claim, decode_credentials, decode_uid, optional, required_uid,
};
use super::{Common, idempotency_key, wire};
use crate::identity::{Caller, TOKEN_BYTES_MAX, Token};
use crate::lifecycle::{Wish, fresh_id};
use crate::pdp::{self, TaskAsk};

/// Makes the request.
pub(super) type MakeRequest = fn(Arc<Caller>, Option<String>, Common) -> Result<pdp::Request, Malformed>;

pub(super) fn start(
    caller: Arc<Caller>,
    trace_id: Option<String>,
    request: v1::StartRequest,
    make: MakeRequest,
) -> Result<Wish, Malformed> {
    let v1::StartRequest {
        credentials,
        subject,
        purpose,
        intent,
        wanted,
        approvals,
        session,
        mode,
        idempotency_key: key,
        request_id,
    } = request;
    let credentials = credentials.map(decode_credentials).transpose()?.unwrap_or_default();
    if credentials.task.is_some() {
        let problem = "is not what a task is started with: delegate a part of that task";
        return Err(Malformed::new("credentials.task_token", problem));
    }
    let ask = TaskAsk::Start {
        id: fresh_id(),
        purpose: required_uid("purpose", purpose)?,
        wanted: wire::wanted(wanted)?,
        again: false,
    };
    let common = Common {
        credentials,
        claim: subject.map(decode_claim).transpose()?,
        ask,
        session: optional("session", session, NAME_BYTES_MAX)?,
        intent: wire::intent(intent)?,
        request_id,
        mode,
    };
    let request = make(caller, trace_id, common)?;
    Ok(Wish { request, approvals: wire::approvals(approvals)?, idempotency_key: idempotency_key(key)? })
}

pub(super) fn delegate(
    caller: Arc<Caller>,
    trace_id: Option<String>,
    request: v1::DelegateRequest,
    make: MakeRequest,
) -> Result<Wish, Malformed> {
    let v1::DelegateRequest {
        task,
        actor_token,
        actor,
        wanted,
        intent,
        mode,
        idempotency_key: key,
        request_id,
    } = request;
    let (mut credentials, id) = wire::handle(task)?;
    if id.is_some() {
        return Err(Malformed::new("task", "must be its token: only who has its key hands a part on"));
    }
    credentials.actor = optional("actor_token", actor_token, TOKEN_BYTES_MAX)?.map(Token::new);
    let agent = actor.map(|uid| decode_uid("actor", uid)).transpose()?;
    let ask = TaskAsk::Delegate { id: fresh_id(), agent, wanted: wire::wanted(wanted)? };
    let intent = wire::intent(intent)?;
    let common = Common { credentials, claim: None, ask, session: None, intent, request_id, mode };
    let request = make(caller, trace_id, common)?;
    Ok(Wish { request, approvals: vec![], idempotency_key: idempotency_key(key)? })
}
