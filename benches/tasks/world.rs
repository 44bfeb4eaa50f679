//! A PDP that serves tasks, with its state in memory or on the disk.
//! Never a shortcut: what follows and keeps the state in a server does so here.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use palisade::access::{DecisionId, Timestamp};
use palisade::diagnostic::File;
use palisade::identity::OwnIssuer;
use palisade::lifecycle::{Begun, Follower, Keeper, Lifecycle, Moment, Wish, fresh_id, wanting};
use palisade::pdp::{Ask, Pdp, Request, TaskAsk, Wanted};
use palisade::policy::Snapshot;
use palisade::store::StateStore;
use palisade::task::{Bound, Limit, Only, Scope, Tasks};
use palisade::value::Uid;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bundles;
pub use crate::lent::{ISSUER, issuer, rules};
use crate::refund::{self, Lines, refund};

/// The instant of every decision.
pub const NOW: Timestamp = Timestamp(1_795_255_200_000);
/// People beside the shipped ones that may start tasks.
pub const STARTERS: usize = 1000;

/// The life of tasks in a benchmark.
pub type Life<T> = Lifecycle<Lines, T>;

/// A PDP and its tasks.
pub struct World<T> {
    pub pdp: Arc<Pdp<Lines>>,
    pub tasks: Arc<Tasks>,
    pub store: Arc<T>,
    pub life: Arc<Life<T>>,
    _stop: DropGuard,
}

impl<T: StateStore> World<T> {
    /// Opens the state.
    pub fn open(runtime: &Runtime, snapshot: Arc<Snapshot>, store: T, issuer: Arc<OwnIssuer>) -> Self {
        let (wanted, wanting) = wanting();
        let tasks = Arc::new(Tasks::new(rules(), issuer, wanted));
        let pdp = Arc::new(refund::pdp(snapshot).with_tasks(tasks.clone()));
        let store = Arc::new(store);
        let (follower, link) = Follower::start(tasks.clone(), &*store).expect("a state that can be read");
        let life = Arc::new(Lifecycle::new(pdp.clone(), tasks.clone(), store.clone(), link, |_kid| Ok(())));
        let stop = CancellationToken::new();
        let keeper = Keeper::new(life.clone(), &follower, wanting, || NOW);
        runtime.spawn(keeper.run(stop.child_token()));
        runtime.spawn(async move { follower.run().await.expect("a state that can be followed") });
        Self { pdp, tasks, store, life, _stop: stop.drop_guard() }
    }

    /// A task that began.
    pub fn begin(&self, runtime: &Runtime, request: Request) -> Begun {
        let begun = runtime.block_on(self.life.begin(wish(request), moment())).expect("an answer");
        assert!(begun.token.is_some(), "the start is permitted: {:?}", begun.answer.decision);
        begun
    }
}

/// Two workers, as a server on this machine has.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("a runtime")
}

/// Where the state is: the directory of the build, since the usual place for temporary files may be no disk.
pub fn place() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// The shipped bundle with the starters, and with these policies beside it.
pub fn snapshot(policies: &str) -> Arc<Snapshot> {
    let mut files = bundles::shipped();
    let mut people = String::from("[");
    for starter in 0..STARTERS {
        let comma = if starter > 0 { "," } else { "" };
        let _ = write!(
            people,
            "{comma}{{\"uid\": {{\"type\": \"Human\", \"id\": \"starter-{starter}\"}}, \"attrs\": {{\"active\": true, \
             \"clearances\": [{{\"type\": \"DataClass\", \"id\": \"confidential\"}}]}}, \
             \"parents\": [{{\"type\": \"Team\", \"id\": \"support\"}}]}}"
        );
    }
    files.push(File::new("entities/starters.json", people + "]"));
    files.push(File::new("policies/beside.cedar", format!("// Made for a benchmark.\n{policies}")));
    refund::snapshot(&files)
}

/// A starter by its number.
pub fn starter(number: usize) -> Uid {
    Uid::new("Human", format!("starter-{}", number % STARTERS))
}

/// A start of a refund task: one tool, one bound, bound to a key.
pub fn start(human: Uid, calls_max: u64, key: &str) -> Request {
    let tool = "crm/issue_refund";
    let bound = Bound { tool: tool.into(), argument: vec!["amount".into()], limit: Limit::AtMost(1_000_000) };
    let scope = Scope { tools: Only::these([tool]), bounds: vec![bound], ..Scope::default() };
    let wanted = Wanted { scope, calls_max: Some(calls_max), ttl_s: Some(600), key: Some(key.to_owned()) };
    let purpose = Uid::new("Purpose", "refund");
    let mut request = refund("support-bot");
    if let Some(claim) = &mut request.claim {
        claim.principal = human;
    }
    Request { ask: Ask::Task(TaskAsk::Start { id: fresh_id(), purpose, wanted, again: false }), ..request }
}

/// Asked without a name of the caller's.
pub fn wish(request: Request) -> Wish {
    Wish { request, approvals: vec![], idempotency_key: String::new() }
}

/// Now, under a name that all decisions share.
pub fn moment() -> Moment {
    let id = DecisionId("01a1fcae-0000-7000-8000-000000000000".into());
    Moment { id, now: NOW, arrived: Instant::now() }
}
