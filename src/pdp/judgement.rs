//! A judgement, and what its record says.
//! Never more of a request than a record may hold.

use std::sync::Arc;

use super::{Ask, Judged, Occasion, Request, Unclear};
use crate::audit::{Decided, Mode, TokenSeen};
use crate::identity::{Assurance, Principal, Verified};
use crate::policy::Snapshot;
use crate::task::{Grant, TaskId};
use crate::value::SmolStr;

/// A request that was judged and is not on record yet.
pub(super) struct Judgement<'r> {
    pub(super) request: &'r Request,
    pub(super) occasion: Occasion<'r>,
    pub(super) principal: Option<Principal>,
    /// The subject's token, when it was good and refused for something else.
    pub(super) refused: Option<Arc<Verified>>,
    /// The task that it belongs to or is about, as far as it was verified.
    pub(super) task: Option<TaskTold>,
    pub(super) judged: Judged,
    pub(super) arguments_digest: Option<String>,
}

/// What a record says of a task.
pub(super) struct TaskTold {
    pub(super) id: TaskId,
    /// The id as text.
    pub(super) name: String,
    purpose: SmolStr,
}

impl TaskTold {
    pub(super) fn of(grant: &Grant) -> Self {
        Self { id: grant.id, name: grant.id.to_string(), purpose: grant.purpose.id.clone() }
    }
}

impl<'r> Judgement<'r> {
    /// The judgement on what could not be put in one way only: nobody is established for it.
    pub(super) fn unclear(request: &'r Request, occasion: Occasion<'r>, unclear: &Unclear) -> Self {
        let judged = Judged::unclear(unclear);
        Self { request, occasion, principal: None, refused: None, task: None, judged, arguments_digest: None }
    }
}

impl Judgement<'_> {
    /// What its record says.
    pub(super) fn told<'a>(&'a self, snapshot: &'a Snapshot) -> Decided<'a> {
        let Self { request, occasion, principal, refused, task, judged, arguments_digest } = self;
        // Whoever was established, else who was said to ask.
        let claim = request.claim.as_ref().filter(|_| principal.is_none());
        let established = principal.as_ref();
        let (server, method) = match &request.ask {
            Ask::Mcp(message) => (Some(message.server.as_str()), Some(message.method.as_str())),
            Ask::Access(_) | Ask::Task(_) | Ask::Unclear(_) => (None, None),
        };
        let (said_task, said_purpose) = (request.task.as_deref(), request.purpose.as_deref());
        Decided {
            time: occasion.now,
            id: &occasion.id,
            revision: snapshot.revision(),
            face: request.face,
            caller: &request.caller.name,
            request_id: Some(&request.request_id),
            principal: established.map(Principal::subject).or(claim.map(|claim| &claim.principal)),
            actor: established.and_then(Principal::actor).or(claim.and_then(|claim| claim.actor.as_ref())),
            earlier_actors: established
                .map(Principal::earlier_actors)
                .or(claim.map(|claim| claim.earlier_actors.as_slice()))
                .unwrap_or_default(),
            assurance: established.map(Principal::assurance),
            actor_assurance: established.and_then(Principal::actor_assurance),
            token: established.and_then(Principal::token).map(TokenSeen::from),
            actor_token: established.and_then(Principal::actor_token).map(TokenSeen::from),
            refused_token: refused.as_deref().map(TokenSeen::refused),
            session: request.session.as_deref(),
            task: task.as_ref().map(|task| task.name.as_str()).or(said_task),
            task_assurance: task.as_ref().map(|_| Assurance::Verified),
            purpose: task.as_ref().map(|task| task.purpose.as_str()).or(said_purpose),
            mode: request.preview.then_some(Mode::Preview),
            intent: request.intent.as_deref(),
            server,
            method,
            tool: judged.tool.as_deref(),
            action: judged.action.as_ref(),
            resource: judged.resource.as_ref(),
            also: &judged.also,
            authority: judged.authority.as_ref(),
            data_classes: judged.data_classes.iter().map(String::as_str).collect(),
            arguments_digest: arguments_digest.as_deref(),
            decision: &judged.decision,
            trace_id: request.trace_id.as_deref(),
            duration_us: (occasion.elapsed_us)(),
        }
    }
}
