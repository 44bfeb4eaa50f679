//! The whole request on one page: establish who asks, decide on one snapshot, write the record, hand out the answer.
//! Never answers without a record, and never reads a clock: instants and ids are arguments.

mod again;
mod batch;
mod establish;
mod house;
mod judge;
mod judgement;
mod lending;
mod obliged;
mod reach;
mod request;
mod scope;
mod search;
mod step;
mod vocabulary;
mod within;
mod words;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::access::{Decision, DecisionId, DenyReason, Revision, Timestamp};
use crate::audit::{
    Administered, AuditError, AuditSink, DigestKey, OpenDecisions, Receipt, Record, Reported, Unreportable,
    digest,
};
use crate::identity::{Caller, Proof, Proofs, Role, Sessions, Token, Trust};
use crate::mcp;
use crate::policy::{Round, Snapshot};
use crate::task::{Known, Lent, Tasks};
use crate::value::Uid;
pub use again::would_grant;
pub use batch::{Batch, Current};
use establish::{Established, Refused};
pub use house::HouseRules;
pub use judge::{Judged, Terms, judge};
use judgement::{Judgement, TaskTold};
pub use lending::{TaskAsk, Wanted};
pub use reach::{REACH_QUESTIONS_MAX, Reach, Reached};
pub use request::{Ask, Occasion, Request, Unclear};
pub use search::{
    Found, Listed, ListedTools, Offers, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, PAGE_QUESTIONS_MAX,
    PAGE_TOKEN_BYTES_MAX, Page, PageFault, Search, Sought, Thing, ToolList, ToolListFault, Unsettled, Usable,
};
pub use vocabulary::{TwoAgents, Vocabulary};
pub use within::Within;

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
    /// The state of tasks and revocations that the answer knows; none where there is none.
    pub state: Option<u64>,
    /// What was lent, when that was asked for. Nothing has it yet: who asked commits it.
    pub lent: Option<Box<Lent>>,
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

/// What decides at one instant: the bundle, and whose tokens are believed. Swapped together, so that no request sees new
/// policies with old keys.
#[derive(Clone)]
struct InForce {
    snapshot: Arc<Snapshot>,
    trust: Arc<Trust>,
}

/// How many sessions are remembered unless told otherwise.
pub const SESSIONS_MAX: usize = 100_000;

/// The policy decision point.
pub struct Pdp<S> {
    in_force: ArcSwap<InForce>,
    /// One at a time may put something else in force.
    publishing: Mutex<()>,
    proofs: Proofs,
    sessions: Sessions,
    tasks: Option<Arc<Tasks>>,
    sink: S,
    open: Arc<OpenDecisions>,
    digest_key: DigestKey,
    limits: mcp::Limits,
}

impl<S> Pdp<S> {
    /// The state of tasks and revocations that answers know.
    fn state(&self) -> Option<u64> {
        Some(self.tasks.as_ref()?.revision())
    }
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
        let in_force = InForce { snapshot, trust: Arc::new(Trust::nobody()) };
        Self {
            in_force: ArcSwap::from_pointee(in_force),
            publishing: Mutex::default(),
            proofs: Proofs::default(),
            sessions: Sessions::new(SESSIONS_MAX),
            tasks: None,
            sink,
            open,
            digest_key,
            limits,
        }
    }

    /// With room for so many sessions.
    #[must_use]
    pub fn with_sessions_max(self, sessions_max: usize) -> Self {
        Self { sessions: Sessions::new(sessions_max), ..self }
    }

    /// Serving these tasks.
    #[must_use]
    pub fn with_tasks(self, tasks: Arc<Tasks>) -> Self {
        Self { tasks: Some(tasks), ..self }
    }

    /// The tasks that it serves, if it does.
    pub fn tasks(&self) -> Option<&Arc<Tasks>> {
        self.tasks.as_ref()
    }

    /// Taking no proof that was made before this instant: it may have been used with what ran before.
    #[must_use]
    pub fn with_proofs_since(self, now: Timestamp) -> Self {
        Self { proofs: Proofs::since(now.seconds()), ..self }
    }

    /// Puts another snapshot in force, for every decision that begins after this.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.swap(|before| InForce { snapshot, trust: before.trust.clone() });
    }

    /// Puts another trust in force, for every decision that begins after this.
    pub fn trust(&self, trust: Arc<Trust>) {
        self.swap(|before| InForce { snapshot: before.snapshot.clone(), trust });
    }

    fn swap(&self, change: impl FnOnce(&InForce) -> InForce) {
        // Nothing panics while it is held.
        let _turn = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        self.in_force.store(Arc::new(change(&self.in_force.load())));
    }

    /// Ends a session of a caller, on the record. Whether it was open.
    ///
    /// # Errors
    /// [`Error::AuditUnavailable`] when the record was not written; then the session goes on.
    pub fn end_session(
        &self,
        ended: &Administered<'_>,
        caller: &Caller,
        session: &str,
    ) -> Result<bool, Error> {
        let _written = self.sink.record(&Record::Admin(ended)).map_err(Error::AuditUnavailable)?;
        Ok(self.sessions.end(caller, session, ended.time.seconds()))
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.in_force.load().snapshot.clone()
    }

    /// The trust in force.
    pub fn trusted(&self) -> Arc<Trust> {
        self.in_force.load().trust.clone()
    }

    /// The task of a token, with the proof of its key.
    ///
    /// # Errors
    /// Why it does not stand, or is not shown, in words that may be shown.
    pub fn show_task(
        &self,
        token: &Token,
        proof: Option<&Proof>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Arc<Known>, (DenyReason, String)> {
        establish::show_task(self, token, proof, caller, now)
            .map_err(|refused| (refused.reason, refused.words))
    }

    /// The task of a token, if it stands and would still be granted. Whoever has the token may be anybody.
    pub fn standing_task(&self, token: &Token, now: Timestamp) -> Option<Arc<Known>> {
        let known = self.tasks.as_ref()?.present(token, now.seconds()).ok()?;
        again::still_granted(&self.snapshot(), &known).then_some(known)
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
        let task = self.open.task_of(reported.decision, reported.caller);
        let record = || self.sink.record(&Record::Outcome(reported));
        self.open.report(reported.decision, reported.caller, record).map(|_written| ())?;
        if let Some((tasks, task)) = self.tasks.as_ref().zip(task) {
            // Only what the bundle knows can mean anything to it, and be kept for as long as the task.
            let snapshot = self.snapshot();
            let known = reported.data_classes.iter().filter(|class| snapshot.classes_below(class).is_some());
            if let Some(head) = tasks.find(task) {
                tasks.saw(&head, &known.cloned().collect());
            }
        }
        Ok(())
    }

    /// Decides one request and records the answer.
    pub fn evaluate(&self, request: &Request, occasion: Occasion<'_>) -> Pending {
        let in_force = self.in_force.load();
        self.evaluate_on(&in_force, request, occasion)
    }

    fn evaluate_on(&self, in_force: &InForce, request: &Request, occasion: Occasion<'_>) -> Pending {
        let InForce { snapshot, trust } = in_force;
        let judgement = self.judge_in(&mut Round::of_one(snapshot), trust, request, occasion);
        let receipt = self.sink.record(&Record::Decided(&judgement.told(snapshot)));
        self.conclude(snapshot, judgement, receipt)
    }

    fn judge_in<'r>(
        &self,
        round: &mut Round<'_, '_>,
        trust: &Trust,
        request: &'r Request,
        occasion: Occasion<'r>,
    ) -> Judgement<'r> {
        if let Ask::Unclear(unclear) = &request.ask {
            return Judgement::unclear(request, occasion, unclear);
        }
        let established = establish::establish(self, round.snapshot(), trust, request, occasion.now);
        let digest = |bytes: &[u8]| digest::digest(&self.digest_key, bytes);
        match established {
            Ok(established) => {
                let judged = match &request.ask {
                    Ask::Task(ask) => {
                        lending::judge(self, round, trust, request, ask, &established, occasion.now)
                    }
                    Ask::Access(_) | Ask::Mcp(_) | Ask::Unclear(_) => {
                        self.judge_step(round, request, &established, occasion.now)
                    }
                };
                let Established { principal, task, about } = established;
                let arguments_digest = judged.arguments.as_deref().map(digest);
                let task = match (&judged.lent, task, about) {
                    (Some(lent), _, _) => Some(TaskTold::of(&lent.grant)),
                    (None, Some(known), _) => Some(TaskTold::of(&known.lent.grant)),
                    (None, None, about) => about.map(|head| TaskTold::of(&head.lent().grant)),
                };
                let principal = Some(principal);
                Judgement { request, occasion, principal, refused: None, task, judged, arguments_digest }
            }
            Err(Refused { reason, words, principal, token, task }) => {
                let judged = Judged::deny(reason, words);
                let (principal, refused) = (principal.map(|principal| *principal), token);
                Judgement { request, occasion, principal, refused, task, judged, arguments_digest: None }
            }
        }
    }

    /// What becomes of a judgement whose record has its fate.
    fn conclude(
        &self,
        snapshot: &Snapshot,
        judgement: Judgement<'_>,
        receipt: Result<Receipt, AuditError>,
    ) -> Pending {
        let Judgement { request, occasion, judged, arguments_digest, task, .. } = judgement;
        // What merely passed, and what nobody may report on, would only push others out.
        let is_step = !matches!(request.ask, Ask::Task(_)) && !request.preview;
        let reportable = judged.action.is_some() && is_step && request.caller.may(Role::Outcome);
        if judged.decision.outcome.is_permit() && receipt.is_ok() && reportable {
            let task = task.map(|task| task.id);
            self.open.opened(occasion.id.0.clone(), request.caller.name.clone(), task);
        }
        let answer = Answer {
            id: occasion.id,
            revision: snapshot.revision().clone(),
            decision: judged.decision,
            arguments_digest,
            resource: judged.resource,
            explanation: judged.explanation,
            state: self.state(),
            lent: judged.lent,
        };
        Pending { answer, receipt }
    }
}

#[cfg(test)]
impl<S: AuditSink> Pdp<S> {
    /// A PDP over a bundle of these files, for tests of what stands above.
    pub(crate) fn over(files: &[(&str, &str)], sink: S) -> Self {
        let files: Vec<_> =
            files.iter().map(|(path, text)| crate::diagnostic::File::new(*path, *text)).collect();
        let snapshot = crate::policy::compile(&files).unwrap().snapshot;
        let open = Arc::new(OpenDecisions::new(10));
        Self::new(Arc::new(snapshot), sink, open, DigestKey::new(&[7; 32]), mcp::Limits::default())
    }
}
