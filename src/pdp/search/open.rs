//! Questions about a tool whose arguments nobody knows yet: could a call of it be permitted?
//! Never says no unless it is certain that no arguments would be.

use std::collections::BTreeSet;

use super::question_of;
use crate::access::{DenyReason, Possible, Question, Timestamp};
use crate::catalog::{INPUT, Tool};
use crate::pdp::establish::{Established, facts};
use crate::pdp::judge::actor_missing;
use crate::pdp::{Ask, Pdp, Request, again};
use crate::policy::{Round, Snapshot};
use crate::value::Uid;

/// The action that all tools belong to.
const TOOL_GROUP: &str = "tools/call";

/// Whether the action stands for all tools: each is asked about by its own.
pub(super) fn is_tool_group(snapshot: &Snapshot, action: &Uid, kind: &str) -> bool {
    kind == "Tool"
        && *action == Uid::new("Action", TOOL_GROUP)
        && snapshot.catalog().servers().next().is_some()
}

/// Whether an action may be asked about this resource: a tool is called by its own action.
pub(super) fn is_own_action(snapshot: &Snapshot, action: &Uid, resource: &Uid) -> bool {
    tool_at(snapshot, resource).is_none_or(|tool| tool.action() == *action) && {
        let of_a_tool =
            action.id.split_once('/').and_then(|(server, name)| snapshot.catalog().tool(server, name));
        of_a_tool.filter(|_| action.kind == "Action").is_none_or(|tool| tool.uid() == *resource)
    }
}

fn tool_at<'s>(snapshot: &'s Snapshot, resource: &Uid) -> Option<&'s Tool> {
    let (server, name) = resource.id.split_once('/').filter(|_| resource.kind == "Tool")?;
    snapshot.catalog().tool(server, name)
}

/// The call of a tool, with what can be said of its arguments beforehand, and what cannot.
pub(in crate::pdp) fn call_of(tool: &Tool, question: &Question) -> (Question, BTreeSet<String>) {
    let mut question = Question { action: tool.action(), resource: tool.uid(), ..question.clone() };
    let (certain, blanks) = tool.beforehand();
    question.established.extend(certain);
    (question, blanks)
}

impl<S> Pdp<S> {
    /// Whether the question of a request would be permitted; for a tool without its arguments, whether it could be.
    pub(super) fn would(
        &self,
        round: &mut Round<'_, '_>,
        request: &Request,
        established: &Established,
        now: Timestamp,
    ) -> bool {
        let Some(question) = question_of(request) else { return false };
        let snapshot = round.snapshot();
        let tool = tool_at(snapshot, &question.resource);
        match tool
            .filter(|tool| tool.action() == question.action && !question.established.contains_key(INPUT))
        {
            Some(tool) => self.would_call(round, request, established, call_of(tool, question), now),
            None => self.judge_step(round, request, established, now).decision.outcome.is_permit(),
        }
    }

    /// Whether the call of a tool could be permitted; of one that takes no arguments, whether it would be.
    pub(super) fn would_call(
        &self,
        round: &mut Round<'_, '_>,
        request: &Request,
        established: &Established,
        (question, blanks): (Question, BTreeSet<String>),
        now: Timestamp,
    ) -> bool {
        if blanks.is_empty() {
            let request = Request { ask: Ask::Access(question), ..request.clone() };
            return self.judge_step(round, &request, established, now).decision.outcome.is_permit();
        }
        !self.possible(round, request, established, (&question, &blanks), now).is_never()
    }

    /// What a question could come to while these members of its context are not known.
    pub(in crate::pdp) fn possible(
        &self,
        round: &mut Round<'_, '_>,
        request: &Request,
        established: &Established,
        (question, blanks): (&Question, &BTreeSet<String>),
        now: Timestamp,
    ) -> Possible {
        let snapshot = round.snapshot();
        let known = established.task.as_deref();
        if known.is_some_and(|known| !again::still_granted(snapshot, known)) {
            return Possible::Never(DenyReason::PolicyDrift);
        }
        let stops = self.tasks.as_ref().map(|tasks| tasks.stops());
        let terms = self.terms(request, known, stops.as_deref().map(AsRef::as_ref));
        let facts = facts(established, request, now);
        let is_call = tool_at(snapshot, &question.resource).is_some();
        if (is_call || snapshot.expects_actor(&question.action)) && actor_missing(&facts, &terms) {
            return Possible::Never(DenyReason::ActorMissing);
        }
        match terms.within.holds_for_some(snapshot, question) {
            Ok(()) => round.possible(question, &facts, blanks),
            Err(outside) => Possible::Never(outside.reason),
        }
    }
}
