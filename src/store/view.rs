//! A ledger that many look at while one changes it, and the watches on it.
//! Never holds memory for a watch: all share the ledger's history.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::ledger::Ledger;
use super::{Commit, Committed, StateRevision, StoreError};

/// The ledger of a store. Watches end when it is dropped.
#[derive(Debug)]
pub(super) struct View {
    ledger: Arc<Mutex<Ledger>>,
    latest: watch::Sender<StateRevision>,
}

impl View {
    pub(super) fn new(ledger: Ledger) -> Self {
        let latest = watch::Sender::new(ledger.revision());
        Self { ledger: Arc::new(Mutex::new(ledger)), latest }
    }

    /// The ledger, to look at for a moment.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Judges a commit and shows it, for a store that has nothing to write.
    pub(super) fn commit(&self, commit: Commit) -> Result<StateRevision, StoreError> {
        let mut ledger = self.ledger();
        let mut draft = ledger.draft();
        let revision = draft.admit(commit)?;
        let committed = draft.into_committed();
        ledger.apply(committed);
        self.latest.send_replace(revision);
        Ok(revision)
    }

    /// Shows durable commits to everyone.
    pub(super) fn publish(&self, committed: Vec<Arc<Committed>>) {
        let mut ledger = self.ledger();
        ledger.apply(committed);
        self.latest.send_replace(ledger.revision());
    }

    /// Follows the ledger from a revision on.
    pub(super) fn watch(&self, after: StateRevision) -> Result<Watch, StoreError> {
        self.ledger().after(after)?;
        Ok(Watch { ledger: self.ledger.clone(), latest: self.latest.subscribe(), seen: after })
    }
}

/// Nothing that panics happens under this lock; a ledger is whole after each commit.
fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every commit after a revision, one after the other.
#[derive(Debug)]
pub struct Watch {
    ledger: Arc<Mutex<Ledger>>,
    latest: watch::Receiver<StateRevision>,
    seen: StateRevision,
}

impl Watch {
    /// Waits for the next commit. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when this watch fell behind the kept history, [`StoreError::Closed`] when the store
    /// is gone and every commit was seen.
    pub async fn next(&mut self) -> Result<Arc<Committed>, StoreError> {
        loop {
            // Marked before the look, so that a commit right after it wakes us.
            self.latest.mark_unchanged();
            if let Some(committed) = self.look()? {
                return Ok(committed);
            }
            if self.latest.changed().await.is_err() {
                return self.look()?.ok_or(StoreError::Closed);
            }
        }
    }

    /// The next commit, if it is there already.
    ///
    /// # Errors
    /// [`StoreError::Compacted`], as [`Watch::next`].
    pub fn look(&mut self) -> Result<Option<Arc<Committed>>, StoreError> {
        let committed = lock(&self.ledger).after(self.seen)?;
        if let Some(committed) = &committed {
            self.seen = committed.revision;
        }
        Ok(committed)
    }

    /// The last commit that it gave, or the revision that it began after.
    pub fn seen(&self) -> StateRevision {
        self.seen
    }
}
