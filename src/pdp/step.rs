//! A step, judged: by its task, by policies, and by what is left of the task's calls.
//! Never spends for a deny or a preview.

use std::sync::Arc;

use super::again::still_granted;
use super::establish::{Established, Refused, facts};
use super::obliged::told;
use super::{Judged, Pdp, Request, Terms, Within, judge};
use crate::access::{Decision, DenyReason, Timestamp};
use crate::policy::Round;
use crate::task::{Known, NotInForce, Stops};

impl<S> Pdp<S> {
    /// A step: what its task says of it, then what policies say, then what it costs.
    pub(super) fn judge_step(
        &self,
        round: &mut Round<'_, '_>,
        request: &Request,
        established: &Established,
        now: Timestamp,
    ) -> Judged {
        let known = established.task.as_deref();
        if let Some(known) = known
            && !still_granted(round.snapshot(), known)
        {
            return Judged::deny(DenyReason::PolicyDrift, DenyReason::PolicyDrift.words());
        }
        let stops = self.tasks.as_ref().map(|tasks| tasks.stops());
        let terms = self.terms(request, known, stops.as_deref().map(Arc::as_ref));
        let facts = facts(established, request, now);
        let judged = judge(round, &request.ask, &facts, &terms);
        let judged =
            Judged { decision: told(judged.decision, request, round.snapshot(), &self.limits), ..judged };
        match known.filter(|_| judged.decision.outcome.is_permit() && judged.action.is_some()) {
            Some(known) if !request.preview => self.spend(known, judged),
            Some(_) | None => judged,
        }
    }

    /// The terms on which a step of this task is judged.
    pub(super) fn terms<'a>(
        &self,
        request: &Request,
        known: Option<&'a Known>,
        stops: Option<&'a Stops>,
    ) -> Terms<'a> {
        let within = Within {
            scope: known.map(|known| &known.lent.grant.scope),
            stops,
            required: self.tasks.as_ref().map(|tasks| tasks.rules().required).unwrap_or_default(),
        };
        Terms { limits: self.limits, within, agentless: request.caller.agentless, explain: request.explain }
    }

    /// A permitted step costs one of its task's calls, and the task has seen what the step handles.
    fn spend(&self, known: &Known, judged: Judged) -> Judged {
        let head = &known.head;
        let wants_more = match head.calls.spend() {
            Ok(wants_more) => wants_more,
            Err(fault) => {
                if let (NotInForce::Uncharged, Some(tasks)) = (&fault, &self.tasks) {
                    tasks.want(head);
                }
                let Refused { reason, words, .. } = fault.into();
                let decision = Decision::deny(reason, words);
                return Judged { decision, ..judged };
            }
        };
        if let Some(tasks) = &self.tasks {
            tasks.saw(head, &judged.data_classes);
            if wants_more {
                tasks.want(head);
            }
        }
        judged
    }
}
