//! The whole request on one page: establish who asks, decide on one snapshot, write the record, hand out the answer.
//! Never answers without a record, and never reads a clock: instants and ids are arguments.

mod judge;
mod words;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::access::{Decision, DecisionId, DenyReason, Facts, Question, Revision, Timestamp};
use crate::audit::{
    AuditError, AuditSink, Decided, DigestKey, Face, OpenDecisions, Receipt, Record, Reported, Unreportable,
    digest,
};
use crate::identity::{Caller, Claim, Principal, Role, authenticate};
use crate::mcp;
use crate::policy::{Round, Snapshot};
use crate::value::Uid;
pub use judge::{Judged, Terms, judge};

/// What a PEP asks. Nothing in it is believed yet.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it came in.
    pub face: Face,
    /// The PEP, as its transport authenticated it.
    pub caller: Arc<Caller>,
    /// The caller's own id for the request; may be empty.
    pub request_id: String,
    /// Who is said to ask.
    pub claim: Option<Claim>,
    /// What is asked.
    pub ask: Ask,
    /// The session.
    pub session: Option<String>,
    /// The task; recorded, grants nothing.
    pub task: Option<String>,
    /// The task's purpose; recorded, grants nothing.
    pub purpose: Option<String>,
    /// The agent's own words; recorded, never decided on.
    pub intent: Option<String>,
    /// Whether the answer explains itself. The face has checked that the caller may have that.
    pub explain: bool,
    /// The W3C trace id.
    pub trace_id: Option<String>,
}

/// The question, in terms of the schema or as a message of a protocol.
#[derive(Debug, Clone)]
pub enum Ask {
    /// In terms of the Cedar schema.
    Access(Question),
    /// A message of the Model Context Protocol.
    Mcp(mcp::Message),
}

/// What the shell gives to each decision.
pub struct Occasion<'a> {
    /// The decision's id, fresh.
    pub id: DecisionId,
    /// The instant of the decision.
    pub now: Timestamp,
    /// Microseconds since the request arrived.
    pub elapsed_us: &'a dyn Fn() -> u64,
}

/// An answer, ready to leave.
#[derive(Debug)]
pub struct Answer {
    /// The decision's id.
    pub id: DecisionId,
    /// The snapshot that decided.
    pub revision: Revision,
    /// Permit, or deny and why.
    pub decision: Decision,
    /// The keyed digest of the arguments that were decided on.
    pub arguments_digest: Option<String>,
    /// The entity that was decided on.
    pub resource: Option<Uid>,
    /// Why, in words, if that was asked for.
    pub explanation: Vec<String>,
}

/// A decision whose record is being settled. The answer inside cannot be read before that, so no face can forget
/// the record.
#[derive(Debug)]
#[must_use = "the answer inside is not given until its record is settled"]
pub struct Pending {
    answer: Answer,
    receipt: Result<Receipt, AuditError>,
}

impl Pending {
    /// The answer, against the receipt of its record.
    ///
    /// # Errors
    /// [`Error::AuditUnavailable`] when the record was not written: then there is no answer.
    pub fn settle(self) -> Result<Answer, Error> {
        match self.receipt {
            Ok(_written) => Ok(self.answer),
            Err(error) => Err(Error::AuditUnavailable(error)),
        }
    }
}

/// Why there is no answer. A deny is not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record of the answer could not be written.
    #[error("the decision could not be recorded, so there is none")]
    AuditUnavailable(#[source] AuditError),
}

/// The policy decision point.
pub struct Pdp<S> {
    snapshots: ArcSwap<Snapshot>,
    sink: S,
    open: Arc<OpenDecisions>,
    digest_key: DigestKey,
    limits: mcp::Limits,
}

impl<S: AuditSink> Pdp<S> {
    /// A PDP that decides on `snapshot`, records to `sink`, digests arguments under `digest_key` and remembers the
    /// permitted decisions in `open`.
    pub fn new(
        snapshot: Arc<Snapshot>,
        sink: S,
        open: Arc<OpenDecisions>,
        digest_key: DigestKey,
        limits: mcp::Limits,
    ) -> Self {
        Self { snapshots: ArcSwap::new(snapshot), sink, open, digest_key, limits }
    }

    /// Puts another snapshot in force, for every decision that begins after this.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.snapshots.store(snapshot);
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.load_full()
    }

    /// Where records go.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Records what a permitted call did, once, for the caller that got the decision.
    ///
    /// # Errors
    /// [`Unreportable`].
    pub fn report(&self, reported: &Reported<'_>) -> Result<(), Unreportable<AuditError>> {
        let record = || self.sink.record(&Record::Outcome(reported));
        self.open.report(reported.decision, reported.caller, record).map(|_written| ())
    }

    /// Decides one request and records the answer.
    pub fn evaluate(&self, request: &Request, occasion: Occasion<'_>) -> Pending {
        let snapshot = self.snapshots.load();
        self.evaluate_on(&snapshot, request, occasion)
    }

    /// Decides several requests on one snapshot, in the caller's own time.
    pub fn batch(&self) -> Batch<'_, S> {
        Batch { pdp: self, snapshot: self.snapshots.load_full() }
    }

    fn evaluate_on(&self, snapshot: &Snapshot, request: &Request, occasion: Occasion<'_>) -> Pending {
        let judgement = self.judge_in(&mut Round::of_one(snapshot), request, occasion);
        let receipt = self.sink.record(&Record::Decided(&judgement.told(snapshot)));
        self.conclude(snapshot, judgement, receipt)
    }

    fn judge_in<'r>(
        &self,
        round: &mut Round<'_>,
        request: &'r Request,
        occasion: Occasion<'r>,
    ) -> Judgement<'r> {
        let (principal, judged) = match authenticate(&request.caller, request.claim.as_ref()) {
            Ok(principal) => {
                let facts = facts(&principal, request, occasion.now);
                let terms = Terms {
                    limits: self.limits,
                    agentless: request.caller.agentless,
                    explain: request.explain,
                };
                let judged = judge(round, &request.ask, &facts, &terms);
                (Some(principal), judged)
            }
            Err(nobody) => (None, Judged::deny(DenyReason::Unauthenticated, nobody.to_string())),
        };
        let digest = |bytes: &[u8]| digest::digest(&self.digest_key, bytes);
        let arguments_digest = judged.arguments.as_deref().map(digest);
        Judgement { request, occasion, principal, judged, arguments_digest }
    }

    /// What becomes of a judgement whose record has its fate.
    fn conclude(
        &self,
        snapshot: &Snapshot,
        judgement: Judgement<'_>,
        receipt: Result<Receipt, AuditError>,
    ) -> Pending {
        let Judgement { request, occasion, principal: _, judged, arguments_digest } = judgement;
        // What merely passed, and what nobody may report on, would only push others out.
        let reportable = judged.action.is_some() && request.caller.may(Role::Outcome);
        if judged.decision.outcome.is_permit() && receipt.is_ok() && reportable {
            self.open.opened(occasion.id.0.clone(), request.caller.name.clone());
        }
        let answer = Answer {
            id: occasion.id,
            revision: snapshot.revision().clone(),
            decision: judged.decision,
            arguments_digest,
            resource: judged.resource,
            explanation: judged.explanation,
        };
        Pending { answer, receipt }
    }
}

/// A request that was judged and is not on record yet.
struct Judgement<'r> {
    request: &'r Request,
    occasion: Occasion<'r>,
    principal: Option<Principal>,
    judged: Judged,
    arguments_digest: Option<String>,
}

impl Judgement<'_> {
    /// What its record says.
    fn told<'a>(&'a self, snapshot: &'a Snapshot) -> Decided<'a> {
        let Self { request, occasion, principal, judged, arguments_digest } = self;
        let claim = request.claim.as_ref();
        let (server, method) = match &request.ask {
            Ask::Mcp(message) => (Some(message.server.as_str()), Some(message.method.as_str())),
            Ask::Access(_) => (None, None),
        };
        Decided {
            time: occasion.now,
            id: &occasion.id,
            revision: snapshot.revision(),
            face: request.face,
            caller: &request.caller.name,
            request_id: Some(&request.request_id),
            principal: claim.map(|claim| &claim.principal),
            actor: claim.and_then(|claim| claim.actor.as_ref()),
            earlier_actors: claim.map_or(&[], |claim| &claim.earlier_actors),
            assurance: principal.as_ref().map(Principal::assurance),
            session: request.session.as_deref(),
            task: request.task.as_deref(),
            purpose: request.purpose.as_deref(),
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

/// Requests that are decided on one snapshot, whatever is published meanwhile.
pub struct Batch<'a, S> {
    pdp: &'a Pdp<S>,
    snapshot: Arc<Snapshot>,
}

impl<S: AuditSink> Batch<'_, S> {
    /// Decides some of the requests, and records their answers together.
    pub fn evaluate<'r>(
        &self,
        requests: impl IntoIterator<Item = (&'r Request, Occasion<'r>)>,
    ) -> Vec<Pending> {
        let Self { pdp, snapshot } = self;
        let mut round = Round::new(snapshot);
        let judge = |(request, occasion)| pdp.judge_in(&mut round, request, occasion);
        let judged: Vec<Judgement<'_>> = requests.into_iter().map(judge).collect();
        let receipts = {
            let told: Vec<Decided<'_>> = judged.iter().map(|judgement| judgement.told(snapshot)).collect();
            pdp.sink.record_all(&told.iter().map(Record::Decided).collect::<Vec<_>>())
        };
        let settled = judged.into_iter().zip(receipts);
        settled.map(|(judgement, receipt)| pdp.conclude(snapshot, judgement, receipt)).collect()
    }
}

/// What is established about a request.
fn facts(principal: &Principal, request: &Request, now: Timestamp) -> Facts {
    let earlier = i64::try_from(principal.earlier_actors().len()).unwrap_or(i64::MAX);
    Facts {
        principal: principal.subject().clone(),
        actor: principal.actor().cloned(),
        actor_depth: i64::from(principal.actor().is_some()).saturating_add(earlier),
        session: request.session.clone(),
        established: std::collections::BTreeMap::new(),
        now,
    }
}
