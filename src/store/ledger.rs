//! The state as memory has it: entries, and the recent commits that made them.
//! Never waits, never writes, and lets no commit in whose expectations do not hold.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::{Change, Commit, Committed, Entry, Snapshot, StateRevision, StoreError};

/// How much of the past is kept for watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// No more commits than this.
    pub commits_max: usize,
    /// No more keys and values than this, in bytes.
    pub bytes_max: usize,
}

impl Default for History {
    fn default() -> Self {
        Self { commits_max: 10_000, bytes_max: 16 * 1024 * 1024 }
    }
}

/// Entries and history, at one revision.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    limits: History,
    revision: StateRevision,
    entries: BTreeMap<Arc<str>, Entry>,
    /// The commits after `floor`, oldest first.
    past: VecDeque<Arc<Committed>>,
    past_bytes: usize,
    floor: StateRevision,
}

impl Ledger {
    /// The empty state.
    pub(super) fn new(limits: History) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The state that a snapshot and the commits that led to it tell of.
    pub(super) fn restored(
        limits: History,
        now: Snapshot,
        floor: StateRevision,
        past: Vec<Arc<Committed>>,
    ) -> Self {
        let past_bytes = past.iter().map(|committed| committed.bytes()).sum();
        let Snapshot { revision, entries } = now;
        let mut ledger = Self { limits, revision, entries, past: past.into(), past_bytes, floor };
        ledger.forget();
        ledger
    }

    pub(super) fn revision(&self) -> StateRevision {
        self.revision
    }

    /// From where on commits are known.
    pub(super) fn floor(&self) -> StateRevision {
        self.floor
    }

    /// The next commits, to be judged one after the other and applied later, together.
    pub(super) fn draft(&self) -> Draft<'_> {
        Draft { ledger: self, changed: HashMap::new(), committed: Vec::new() }
    }

    /// What a draft let in, now that it is durable.
    pub(super) fn apply(&mut self, committed: impl IntoIterator<Item = Arc<Committed>>) {
        for one in committed {
            for change in &one.changes {
                match change {
                    Change::Put { key, value } => {
                        let entry = Entry { value: value.clone(), changed: one.revision };
                        self.entries.insert(key.clone(), entry);
                    }
                    Change::Delete { key } => {
                        self.entries.remove(key);
                    }
                }
            }
            self.revision = one.revision;
            self.past_bytes += one.bytes();
            self.past.push_back(one);
        }
        self.forget();
    }

    fn forget(&mut self) {
        while self.past.len() > self.limits.commits_max || self.past_bytes > self.limits.bytes_max {
            let Some(oldest) = self.past.pop_front() else { break };
            self.past_bytes -= oldest.bytes();
            self.floor = oldest.revision;
        }
    }

    /// The entries whose keys begin so.
    pub(super) fn snapshot(&self, prefix: &str) -> Snapshot {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let under = self.entries.range::<str, _>(from).take_while(|(key, _)| key.starts_with(prefix));
        let entries = under.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        Snapshot { revision: self.revision, entries }
    }

    /// The first commit after a revision, if there is one yet.
    pub(super) fn after(&self, revision: StateRevision) -> Result<Option<Arc<Committed>>, StoreError> {
        if revision < self.floor || revision > self.revision {
            return Err(StoreError::Compacted { after: revision, floor: self.floor });
        }
        let place = self.past.partition_point(|committed| committed.revision <= revision);
        Ok(self.past.get(place).cloned())
    }
}

/// Commits that are let in on top of a ledger, which does not have them yet.
#[derive(Debug)]
pub(super) struct Draft<'l> {
    ledger: &'l Ledger,
    /// Who changed a key last; `None` where it is deleted.
    changed: HashMap<Arc<str>, Option<StateRevision>>,
    committed: Vec<Arc<Committed>>,
}

impl Draft<'_> {
    /// Lets a commit in if it holds after those that were let in before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Malformed`]; then it is left out.
    pub(super) fn admit(&mut self, commit: Commit) -> Result<StateRevision, StoreError> {
        commit.check()?;
        let Commit { expects, changes } = commit;
        if let Some(broken) = expects.iter().find(|expect| !expect.holds(self.changed(expect.key()))) {
            return Err(StoreError::Conflict { key: broken.key().clone() });
        }
        let revision = self.committed.last().map_or(self.ledger.revision, |last| last.revision).next();
        for change in &changes {
            self.changed.insert(change.key().clone(), change.value().map(|_| revision));
        }
        self.committed.push(Arc::new(Committed { revision, changes }));
        Ok(revision)
    }

    fn changed(&self, key: &str) -> Option<StateRevision> {
        match self.changed.get(key) {
            Some(changed) => *changed,
            None => self.ledger.entries.get(key).map(|entry| entry.changed),
        }
    }

    /// What was let in, in order.
    pub(super) fn into_committed(self) -> Vec<Arc<Committed>> {
        self.committed
    }
}
