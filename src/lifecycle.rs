//! The life of tasks: what was decided about one is committed, told to the registry, put on record, and only then answered.
//! Never decides, and never acknowledges what a crash could take back.

mod begin;
mod book;
mod close;
mod drift;
mod exchange;
mod follow;
mod keep;
mod look;
mod ready;
mod revoke;
mod turns;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::access::{DecisionId, Timestamp};
use crate::audit::{AuditError, AuditSink, Face, LentTold, Move, Record, TaskMoved};
use crate::identity::{Caller, SigningFault};
use crate::pdp::{self, Answer, Occasion, Pdp, Request};
use crate::store::{StateRevision, StateStore, StoreError};
use crate::task::{Head, Lent, NotPossible, State, TaskId, Tasks, digest};
use book::Draft;
use turns::Turns;

pub use begin::{Begun, Wish};
pub use close::Closed;
pub use drift::{DriftRules, Drifted, Preview, Review, review};
pub use exchange::{Exchange, Exchanged, Inspected};
pub use follow::{Follower, Link};
pub use keep::Keeper;
pub use look::{Event, Events, Page, Shown};
pub use revoke::Asker;

/// How often a write is tried again that others came in the way of, when what was decided still holds.
const TRIES: usize = 16;

/// Why there is no answer about a task. A deny is not an error.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The decision was not recorded, so there is none.
    #[error(transparent)]
    Undecided(#[from] pdp::Error),
    /// It was decided, and what happened to other tasks meanwhile stood against it. Nothing happened.
    #[error("the state changed meanwhile, and nothing was done; ask again")]
    Changed,
    /// Nobody knows whether it happened.
    #[error(
        "the state could not be written, so nobody knows whether it happened; ask again with the same idempotency key"
    )]
    Unwritten(#[source] StoreError),
    /// It happened, and its record could not be written.
    #[error("it could not be put on record, so it is not answered; ask again")]
    Unrecorded(#[source] AuditError),
    /// The token could not be signed.
    #[error("the task's token could not be signed")]
    Unsigned(#[from] SigningFault),
    /// No such task is open.
    #[error("no such task is open here")]
    NoTask,
    /// It has ended otherwise.
    #[error(transparent)]
    Otherwise(#[from] NotPossible),
    /// The key was used for something else.
    #[error("this idempotency key was used for something else")]
    KeyUsed,
    /// It is not revoked.
    #[error("it is not revoked, so there is nothing to lift")]
    NotRevoked,
    /// Too much is revoked.
    #[error(
        "{0} revocations are in force, as many as may be; lift some, or stop people and agents in the bundle"
    )]
    TooManyStops(usize),
    /// The key is revoked, and signs all the same.
    #[error("what the key signed is denied from now on, but the key still signs: {0}")]
    NotRetired(String),
    /// There is nothing of that name.
    #[error("{0}")]
    NoTarget(String),
    /// It is longer than the state takes.
    #[error("this is longer than the state takes; name fewer things")]
    TooLong(#[source] StoreError),
    /// The state has something that is not ours.
    #[error("the state holds `{0}`, which this version cannot read")]
    Strange(String),
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Strange(error.to_string())
    }
}

/// The life of the tasks of one server.
pub struct Lifecycle<S, T> {
    pdp: Arc<Pdp<S>>,
    tasks: Arc<Tasks>,
    store: Arc<T>,
    link: Link,
    /// What becomes of a signing key that is revoked.
    retire: Retire,
    /// Who writes a window.
    turns: Turns,
}

/// Makes a signing key of ours neither sign nor verify; or says in words why it does.
pub type Retire = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// When something is asked for, and the name of the decision about it.
#[derive(Debug)]
pub struct Moment {
    /// The decision's name, fresh.
    pub id: DecisionId,
    /// The instant of the decision.
    pub now: Timestamp,
    /// When the request arrived.
    pub arrived: Instant,
}

impl Moment {
    /// Decides and records, and has the answer.
    fn decide<S: AuditSink>(self, pdp: &Pdp<S>, request: &Request) -> Result<Answer, Fault> {
        let Self { id, now, arrived } = self;
        let elapsed_us = || u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(pdp.evaluate(request, Occasion { id, now, elapsed_us: &elapsed_us }).settle()?)
    }
}

/// Something that somebody asked for, for the record.
#[derive(Debug, Clone, Copy)]
struct Asking<'a> {
    face: Option<Face>,
    caller: &'a str,
    request_id: &'a str,
    decision: Option<&'a DecisionId>,
    reason: &'a str,
    intent: &'a str,
    approvals: &'a [String],
    now: Timestamp,
}

impl<'a> Asking<'a> {
    /// Nobody asked: it came about.
    fn nobody(reason: &'a str, now: Timestamp) -> Self {
        let (face, caller, request_id, decision) = (None, "", "", None);
        Self { face, caller, request_id, decision, reason, intent: "", approvals: &[], now }
    }
}

impl<S: AuditSink + 'static, T: StateStore> Lifecycle<S, T> {
    /// The life of the tasks that `pdp` serves, kept in `store`. `link` is the follower's. `retire` is called with the name of a
    /// signing key that is revoked.
    pub fn new(
        pdp: Arc<Pdp<S>>,
        tasks: Arc<Tasks>,
        store: Arc<T>,
        link: Link,
        retire: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { pdp, tasks, store, link, retire: Box::new(retire), turns: Turns::default() }
    }

    /// The PDP that decides.
    pub fn pdp(&self) -> &Arc<Pdp<S>> {
        &self.pdp
    }

    /// The tasks.
    pub fn tasks(&self) -> &Arc<Tasks> {
        &self.tasks
    }

    /// Commits, and waits until decisions know it.
    async fn commit(&self, draft: Draft) -> Result<StateRevision, StoreError> {
        let revision = self.store.commit(draft.0).await?;
        self.until_told(revision).await?;
        Ok(revision)
    }

    /// Waits until decisions know a commit.
    async fn until_told(&self, revision: StateRevision) -> Result<(), StoreError> {
        // The follower lives as long as the server; without it nothing more is acknowledged.
        let told = self.link.told.clone().wait_for(|told| *told >= revision.0).await.map(|_| ());
        told.map_err(|_| StoreError::Closed)
    }

    /// Puts a move on record.
    fn tell(
        &self,
        asking: &Asking<'_>,
        what: Move,
        about: &About<'_>,
        revision: StateRevision,
    ) -> Result<(), Fault> {
        let About { task, state, target, audience, lent, head, tasks } = *about;
        let Asking { face, caller, request_id, decision, reason, intent, approvals, now } = *asking;
        let moved = TaskMoved {
            time: now,
            what,
            task,
            state: state.map_or("", State::name),
            target,
            face,
            caller,
            request_id,
            decision,
            reason,
            audience,
            lent: lent.map(LentTold::from),
            intent,
            approvals,
            calls_spent: head.map(|head| head.calls.spent()),
            tasks,
            state_revision: revision.0,
        };
        self.pdp.sink().record(&Record::Task(&moved)).map(|_written| ()).map_err(Fault::Unrecorded)
    }
}

/// What a move is about.
#[derive(Debug, Clone, Copy, Default)]
struct About<'a> {
    task: Option<TaskId>,
    state: Option<State>,
    target: &'a str,
    audience: &'a str,
    lent: Option<&'a Lent>,
    head: Option<&'a Head>,
    tasks: Option<usize>,
}

impl<'a> About<'a> {
    /// An open task.
    fn open(lent: &'a Lent, head: &'a Head) -> Self {
        let (task, state) = (Some(head.id()), Some(State::Open));
        Self { task, state, lent: Some(lent), head: Some(head), ..Self::default() }
    }
}

/// A conflict is what others did meanwhile; anything else leaves it open what happened.
fn unwritten(error: StoreError) -> Fault {
    match error {
        StoreError::Conflict { .. } => Fault::Changed,
        StoreError::Malformed(_) => Fault::TooLong(error),
        StoreError::Compacted { .. } | StoreError::Unavailable { .. } | StoreError::Closed => {
            Fault::Unwritten(error)
        }
    }
}

/// What the caller's words are digested with, so that one caller's keys are not another's.
fn asked_key(caller: &Caller, key: &str) -> String {
    let ours = digest([caller.name.as_bytes(), key.as_bytes()]);
    format!("{}{ours}", book::ASKED)
}

/// Makes tasks wait to be written again: the registry's side of a [`Keeper`].
pub fn wanting() -> (impl Fn(TaskId) + Send + Sync + 'static, mpsc::UnboundedReceiver<TaskId>) {
    let (wanted, wanting) = mpsc::unbounded_channel();
    let tell = move |id| {
        // Once the keeper is gone the server is about to end.
        let _ = wanted.send(id);
    };
    (tell, wanting)
}

/// A fresh name for a task. Names are in the order of their beginnings (RFC 9562, section 5.7).
pub fn fresh_id() -> TaskId {
    TaskId(uuid::Uuid::now_v7().as_u128())
}
