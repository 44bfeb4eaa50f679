//! State in memory: what a store means, with nothing else in the way. For tests and for trying out.
//! Never outlives its process.

use super::ledger::{History, Ledger};
use super::view::{View, Watch};
use super::{Commit, Snapshot, StateRevision, StateStore, StoreError};

/// A store that forgets.
#[derive(Debug)]
pub struct Memory {
    view: View,
}

impl Memory {
    /// The empty state.
    pub fn new(history: History) -> Self {
        Self { view: View::new(Ledger::new(history)) }
    }
}

impl StateStore for Memory {
    async fn commit(&self, commit: Commit) -> Result<StateRevision, StoreError> {
        self.view.commit(commit)
    }

    fn snapshot_under(&self, prefix: &str) -> Result<Snapshot, StoreError> {
        Ok(self.view.ledger().snapshot(prefix))
    }

    fn watch(&self, after: StateRevision) -> Result<Watch, StoreError> {
        self.view.watch(after)
    }

    async fn barrier(&self) -> Result<StateRevision, StoreError> {
        Ok(self.view.ledger().revision())
    }
}
