//! What the record of a search says, and by what two pages of one search know each other.
//! Never what was found.

use super::Sought;
use crate::access::DenyReason;
use crate::audit::digest::KEY_BYTES;
use crate::audit::{AuditError, AuditSink, Receipt, Record, SearchKind, Searched};
use crate::identity::Principal;
use crate::pdp::establish::Established;
use crate::pdp::{Ask, Occasion, Pdp, Request};
use crate::policy::Snapshot;
use crate::value::Uid;

/// The parties of a search, as far as they are established, for its record.
#[derive(Debug, Default)]
pub(in crate::pdp) struct Parties {
    pub(in crate::pdp) principal: Option<Principal>,
    pub(in crate::pdp) task: Option<String>,
}

/// How a search came out, for its record.
#[derive(Debug, Clone, Copy)]
pub(in crate::pdp) struct Tally<'a> {
    pub(in crate::pdp) kind: SearchKind,
    pub(in crate::pdp) sought: &'a str,
    pub(in crate::pdp) server: Option<&'a str>,
    pub(in crate::pdp) evaluated: usize,
    pub(in crate::pdp) found: usize,
    pub(in crate::pdp) more: bool,
    pub(in crate::pdp) reason: Option<DenyReason>,
}

impl<S: AuditSink> Pdp<S> {
    /// Writes the record of a search.
    pub(in crate::pdp) fn tell(
        &self,
        snapshot: &Snapshot,
        request: &Request,
        occasion: &Occasion<'_>,
        parties: &Parties,
        tally: Tally<'_>,
    ) -> Result<Receipt, AuditError> {
        let Tally { kind, sought, server, evaluated, found, more, reason } = tally;
        let established = parties.principal.as_ref();
        let claim = request.claim.as_ref().filter(|_| established.is_none());
        let question = match &request.ask {
            Ask::Access(question) => Some(question),
            Ask::Mcp(_) | Ask::Task(_) | Ask::Unclear(_) => None,
        };
        let has_action = !matches!(kind, SearchKind::Actions | SearchKind::Reach);
        let has_resource = matches!(kind, SearchKind::Subjects | SearchKind::Actions);
        let told = Searched {
            time: occasion.now,
            id: &occasion.id,
            revision: snapshot.revision(),
            face: request.face,
            caller: &request.caller.name,
            request_id: &request.request_id,
            kind,
            principal: established
                .map(Principal::subject)
                .or(claim.map(|claim| &claim.principal))
                .filter(|_| kind != SearchKind::Subjects),
            actor: established.and_then(Principal::actor).or(claim.and_then(|claim| claim.actor.as_ref())),
            assurance: established.map(Principal::assurance),
            session: request.session.as_deref(),
            task: parties.task.as_deref(),
            action: question.map(|question| &question.action).filter(|_| has_action),
            resource: question.map(|question| &question.resource).filter(|_| has_resource),
            sought,
            server,
            evaluated,
            found,
            more,
            reason,
            trace_id: request.trace_id.as_deref(),
            duration_us: (occasion.elapsed_us)(),
        };
        self.sink.record(&Record::Searched(&told))
    }

    /// A digest of what is looked for, and for whom. It is no proof of anything: two pages of one search have the same.
    pub(super) fn digest_of(&self, request: &Request, sought: &Sought, parties: &Parties) -> [u8; KEY_BYTES] {
        let said = request.claim.as_ref().filter(|_| parties.principal.is_none());
        let actor = said.and_then(|claim| claim.actor.as_ref());
        let principal =
            said.map(|claim| &claim.principal).filter(|_| !matches!(sought, Sought::Subjects { .. }));
        let earlier = said.map(|claim| &claim.earlier_actors);
        let whom = match &parties.principal {
            Some(shown) => {
                format!("{:?}", (shown.subject(), shown.actor(), shown.earlier_actors(), &parties.task))
            }
            None => format!("{:?}", (principal, actor, earlier)),
        };
        let mut ask = request.ask.clone();
        if let (Ask::Access(question), Sought::Actions) = (&mut ask, sought) {
            question.action = Uid::new("", "");
        }
        // The form for debugging has every member, with texts in quotes.
        let what = format!("{sought:?} {ask:?}");
        self.digest_key.for_use("palisade search").sign([whom.as_bytes(), what.as_bytes()])
    }
}

impl Parties {
    pub(in crate::pdp) fn of(established: Option<&Established>) -> Self {
        let task = established.and_then(|established| established.task.as_ref());
        Self {
            principal: established.map(|established| established.principal.clone()),
            task: task.map(|known| known.lent.grant.id.to_string()),
        }
    }
}
