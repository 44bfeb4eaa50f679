//! The state of tasks, opened and tended: the store, the registry that follows it, the keys, drift.
//! Never serves a task that the state does not hold.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, watch};

use super::background;
use super::config;
use super::data::DataDir;
use super::metrics::Metrics;
use super::signing::{Signing, SigningError};
use super::tasks::Tasks as Running;
use super::{SystemClock, clock};
use crate::access::Timestamp;
use crate::api::Clock as _;
use crate::audit::AuditSink;
use crate::diagnostic::chain;
use crate::identity::OwnIssuer;
use crate::lifecycle::{DriftRules, Fault, Follower, Keeper, Lifecycle, Link, wanting};
use crate::pdp::Pdp;
use crate::store::{Embedded, FileError, History};
use crate::task::{Ceiling, Rules, Target, TaskId, Tasks};

/// Why there is no state of tasks.
#[derive(Debug, thiserror::Error)]
pub enum LendingError {
    /// The keys.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What it holds.
    #[error("the state of tasks cannot be used")]
    State(#[from] Fault),
}

/// The state of tasks, open and known.
pub struct Lending {
    /// The registry.
    pub tasks: Arc<Tasks>,
    /// The keys.
    pub signing: Arc<Signing>,
    store: Arc<Embedded>,
    follower: Follower,
    link: Link,
    wanting: mpsc::UnboundedReceiver<TaskId>,
    drift: DriftRules,
}

impl Lending {
    /// Opens the state and the keys; none where tasks are not served. It reads the disk.
    ///
    /// # Errors
    /// [`LendingError`].
    pub fn open(data: &DataDir, config: &config::Tasks) -> Result<Option<Self>, LendingError> {
        if !config.enabled {
            return Ok(None);
        }
        let registry: Arc<OnceLock<Arc<Tasks>>> = Arc::default();
        let later = registry.clone();
        let publish = move |issuer: Arc<OwnIssuer>| {
            tracing::info!(kid = issuer.signing().kid(), "this key signs tokens of tasks");
            if let Some(tasks) = later.get() {
                tasks.issue_as(issuer);
            }
        };
        let (name, keys) = (config.issuer.as_str(), config.signing.clone());
        let now_s = clock::now().seconds();
        let signing = Arc::new(Signing::open(data, name, keys, now_s, Box::new(publish))?);
        let (wanted, wanting) = wanting();
        let tasks = Arc::new(Tasks::new(rules(config), signing.issuer(), wanted));
        // There is one registry, so nobody was here before.
        let _ = registry.set(tasks.clone());
        // Keys that changed between the two lines above.
        tasks.issue_as(signing.issuer());
        let store = Arc::new(Embedded::open(data.path(), History::default())?);
        let (follower, link) = Follower::start(tasks.clone(), &*store)?;
        // A process that ended between the two has revoked a key and not retired it.
        for kid in tasks.stops().iter().filter_map(|(target, _)| key_of(target)) {
            match signing.retire(&kid, now_s) {
                Ok(()) | Err(SigningError::Unknown { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let open = tasks.open_len();
        tracing::info!(open, state = tasks.revision(), "the state of tasks is known");
        let drift = DriftRules { grace: config.drift_grace, share_max: config.drift_share_max };
        Ok(Some(Self { tasks, signing, store, follower, link, wanting, drift }))
    }

    /// The life of these tasks, decided by `pdp`.
    pub fn life<S: AuditSink + 'static>(&self, pdp: Arc<Pdp<S>>) -> Arc<Lifecycle<S, Embedded>> {
        let signing = self.signing.clone();
        let retire =
            move |kid: &str| signing.retire(kid, clock::now().seconds()).map_err(|error| chain(&error));
        Arc::new(Lifecycle::new(pdp, self.tasks.clone(), self.store.clone(), self.link.clone(), retire))
    }

    /// What the administration counts.
    pub fn tally(&self) -> impl Fn(&Metrics) + Send + Sync + 'static {
        let (tasks, store) = (self.tasks.clone(), self.store.clone());
        move |metrics| {
            metrics.tasks(tasks.open_len(), tasks.stops().len());
            metrics.state(store.is_writable(), store.counts());
        }
    }

    /// Tends the state until the server has ended, and drift until it stops.
    pub fn tend<S: AuditSink + 'static>(
        self,
        life: &Arc<Lifecycle<S, Embedded>>,
        published: watch::Receiver<u64>,
        running: &mut Running,
    ) {
        let Self { tasks: _, signing, store: _, follower, link: _, wanting, drift } = self;
        running.spawn("signing", |stop| signing.run(|| clock::now().seconds(), stop));
        let drifting = life.clone();
        running.spawn("drift", |stop| {
            background::drive("drift", async move { drifting.tend_drift(drift, published, now, stop).await })
        });
        let keeper = Keeper::new(life.clone(), &follower, wanting, now);
        // Calls that have begun still commit, so it outlives them.
        running.spawn_last("tasks", |end| async move {
            tokio::select! {
                followed = follower.run() => followed.map_err(io::Error::other),
                () = keeper.run(end) => Ok(()),
            }
        });
    }
}

fn key_of(target: Target) -> Option<String> {
    match target {
        Target::Key(kid) => Some(kid),
        _ => None,
    }
}

/// The instant as decisions know it: it never goes back.
fn now() -> Timestamp {
    SystemClock.now()
}

/// What the configuration says, as the core takes it.
fn rules(config: &config::Tasks) -> Rules {
    Rules {
        ceiling: Ceiling { ttl_max_s: config.ttl_max_s, depth_max: config.depth_max },
        ttl_default_s: config.ttl_default_s,
        calls_max: config.calls_max,
        calls_window_max: config.calls_window_max,
        calls_window_s: config.calls_window_s,
        bearer: config.bearer,
        asserted: config.asserted,
        required: config.required,
        open_max: config.open_max,
    }
}
