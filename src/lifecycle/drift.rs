//! Policy drift: which open tasks would not be granted any more, and their end.
//! Never on the way of a decision: steps under such a task are denied already, by the decision made again at their use.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::book::{Draft, StoredEvent, look};
use super::{Asking, Fault, Lifecycle, book, unwritten};
use crate::access::{Decision, Revision, Timestamp};
use crate::audit::{AuditSink, Move};
use crate::diagnostic::{Diagnostic, File};
use crate::pdp::would_grant;
use crate::policy::Snapshot;
use crate::store::StateStore;
use crate::task::{Head, Lent, State};

/// How many tasks are looked at before others get their turn.
const AT_ONCE: usize = 4;

/// How soon what failed is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What the configuration says of drift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftRules {
    /// How long after a publication tasks are revoked that would not be granted any more.
    pub grace: Duration,
    /// The share of open tasks that a publication may end without a confirmation, from 0 to 1.
    pub share_max: f64,
}

/// A task that would not be granted any more.
#[derive(Debug, Clone)]
pub struct Drifted {
    /// The task.
    pub head: Arc<Head>,
    /// The decision as it would be.
    pub decision: Decision,
    /// Which task would not be granted: it, or one that it is a part of; and what was lent.
    refused: (Arc<Head>, Arc<Lent>),
}

impl Drifted {
    /// Whether it still would not be granted under the bundle that it was found under: it may have been renewed meanwhile.
    fn holds(&self, snapshot: &Snapshot) -> bool {
        let (refused, lent) = &self.refused;
        Arc::ptr_eq(&refused.lent(), lent) || drifted(&self.head, snapshot).is_some()
    }
}

/// What would become of the open tasks under a bundle.
#[derive(Debug, Clone, Default)]
pub struct Review {
    /// How many were looked at.
    pub open: usize,
    /// Those that would lose their authority.
    pub drifted: Vec<Drifted>,
}

impl Review {
    /// Whether more of them would end than may without a confirmation.
    pub fn is_too_much(&self, share_max: f64) -> bool {
        // Fewer tasks than fit into a float's digits.
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let share = self.drifted.len() as f64 / self.open.max(1) as f64;
        !self.drifted.is_empty() && share > share_max
    }
}

/// Which of these tasks would not be granted under a bundle. Takes its time; for a thread of its own.
pub fn review(heads: &[Arc<Head>], snapshot: &Snapshot) -> Review {
    let drifted = heads.iter().filter_map(|head| drifted(head, snapshot));
    Review { open: heads.len(), drifted: drifted.collect() }
}

fn drifted(head: &Arc<Head>, snapshot: &Snapshot) -> Option<Drifted> {
    std::iter::once(head).chain(head.parents()).find_map(|one| {
        let lent = one.lent();
        let decision = refused(&lent, snapshot)?;
        Some(Drifted { head: head.clone(), decision, refused: (one.clone(), lent) })
    })
}

fn refused(lent: &Lent, snapshot: &Snapshot) -> Option<Decision> {
    if lent.basis.revision == snapshot.revision().0 {
        return None;
    }
    let decision = would_grant(snapshot, lent);
    (!decision.outcome.is_permit()).then_some(decision)
}

/// A bundle that is not in force, and what would become of the open tasks under it.
#[derive(Debug)]
pub struct Preview {
    /// The revision that it would have.
    pub revision: Revision,
    /// The open tasks.
    pub review: Review,
}

impl<S: AuditSink + 'static, T: StateStore> Lifecycle<S, T> {
    /// What would become of the open tasks under a bundle of these files. Takes its time; for a thread of its own.
    ///
    /// # Errors
    /// What is wrong with the bundle.
    pub fn preview(&self, files: &[File]) -> Result<Preview, Vec<Diagnostic>> {
        let snapshot = crate::policy::compile(files)?.snapshot;
        Ok(Preview { revision: snapshot.revision().clone(), review: self.review(&snapshot) })
    }

    /// Which open tasks would not be granted under a bundle.
    pub fn review(&self, snapshot: &Snapshot) -> Review {
        review(&self.tasks.all(), snapshot)
    }

    /// Looks at the open tasks whenever another bundle is in force, and ends those that would not be granted any more. What fails
    /// is tried again. At the start nobody has weighed the bundle: then too many ends wait for a confirmation.
    ///
    /// Computes for long: for a thread that gives way to answers.
    pub async fn tend_drift(
        &self,
        rules: DriftRules,
        mut published: watch::Receiver<u64>,
        now: fn() -> Timestamp,
        stop: CancellationToken,
    ) {
        let mut share_max = Some(rules.share_max);
        loop {
            published.mark_unchanged();
            let snapshot = self.pdp.snapshot();
            let tended = self.drift(rules.grace, share_max, &snapshot, now, &stop).await;
            let again = match &tended {
                Ok(()) => None,
                Err(error) => {
                    let error = error as &dyn std::error::Error;
                    tracing::warn!(error, "tasks that drifted stay for now; their steps are denied");
                    Some(AGAIN_AFTER)
                }
            };
            let next = async {
                match again {
                    Some(after) => {
                        tokio::time::timeout(after, published.changed()).await.unwrap_or(Ok(())).is_ok()
                    }
                    None => published.changed().await.is_ok(),
                }
            };
            match stop.run_until_cancelled(next).await {
                Some(true) if tended.is_ok() => share_max = None,
                Some(true) => {}
                Some(false) | None => return,
            }
        }
    }

    async fn drift(
        &self,
        grace: Duration,
        share_max: Option<f64>,
        snapshot: &Snapshot,
        now: fn() -> Timestamp,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        self.announce(snapshot).await?;
        let heads = self.tasks.all();
        let mut found = Review { open: heads.len(), drifted: vec![] };
        for some in heads.chunks(AT_ONCE) {
            found.drifted.extend(some.iter().filter_map(|head| drifted(head, snapshot)));
            tokio::task::yield_now().await;
        }
        if found.drifted.is_empty() {
            return Ok(());
        }
        let (open, drifting, revision) = (found.open, found.drifted.len(), snapshot.revision().short());
        if share_max.is_some_and(|share_max| found.is_too_much(share_max)) {
            tracing::error!(
                open,
                drifting,
                revision,
                "the bundle that this server began with would end more tasks than `tasks.drift_share_max`: their steps are denied, \
                 but they are not revoked until `POST /reload?confirm=<revision>` on the admin port says so"
            );
            return Ok(());
        }
        tracing::info!(open, drifting, revision, "tasks would not be granted any more");
        if stop.run_until_cancelled(tokio::time::sleep(grace)).await.is_none() {
            return Ok(());
        }
        // Another bundle may be in force by now, under which they would be; or they were renewed under this one.
        if self.pdp.snapshot().revision() != snapshot.revision() {
            return Ok(());
        }
        let still = found.drifted.into_iter().filter(|found| found.holds(snapshot));
        let mut ended: Vec<Arc<Head>> = still.map(|found| found.head).collect();
        // Neighbours on the disk end together.
        ended.sort_unstable_by_key(|head| head.id());
        let asking = Asking::nobody("drift", now());
        self.close(ended, State::Revoked, &asking, Move::Drifted, None).await.map(|_| ())
    }

    /// Tells those who watch of the bundle that is in force.
    async fn announce(&self, snapshot: &Snapshot) -> Result<(), Fault> {
        let revision = snapshot.revision().to_string();
        let entry = look(&*self.store, book::BUNDLE).map_err(unwritten)?;
        let before: Option<String> =
            entry.as_ref().and_then(|entry| serde_json::from_slice(&entry.value).ok());
        if before.as_ref() == Some(&revision) {
            return Ok(());
        }
        let mut draft = Draft::default();
        draft.put(book::BUNDLE, &revision)?;
        draft.put(book::EVENT, &StoredEvent::Published { revision })?;
        self.commit(draft).await.map(|_| ()).map_err(unwritten)
    }
}
