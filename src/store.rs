//! The small, ordered, durable state: keys and values that change together, each change numbered.
//! Never knows what a key means, and never acknowledges what a crash could take back.
//!
//! A [`StateStore`] has one order of commits, the same for all who look. Who follows the state takes a snapshot, then
//! watches from its revision on: that is the state at every instant.

mod embedded;
mod ledger;
mod memory;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

pub use embedded::{Counts, Embedded, FileError};
pub use ledger::History;
pub use memory::Memory;
pub use view::Watch;

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// The most changes of one commit, and the most expectations.
pub const COMMIT_CHANGES_MAX: usize = 128;
/// The keys and values of one commit together, in bytes: below what etcd takes in one request.
pub const COMMIT_BYTES_MAX: usize = 1024 * 1024;

/// The number of a commit: every commit gets the next one. Counts from 1; 0 is the empty state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StateRevision(pub u64);

impl StateRevision {
    /// That of the commit after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for StateRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a commit does to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Gives the key this value, whether it had one or not.
    Put {
        /// Which key.
        key: Arc<str>,
        /// Its value from now on.
        value: Arc<[u8]>,
    },
    /// Takes the key away; no error where there is none.
    Delete {
        /// Which key.
        key: Arc<str>,
    },
}

impl Change {
    /// Gives a key a value.
    pub fn put(key: impl Into<Arc<str>>, value: impl Into<Arc<[u8]>>) -> Self {
        Self::Put { key: key.into(), value: value.into() }
    }

    /// Takes a key away.
    pub fn delete(key: impl Into<Arc<str>>) -> Self {
        Self::Delete { key: key.into() }
    }

    /// The key that changes.
    pub fn key(&self) -> &Arc<str> {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// The value that the key has afterwards, if any.
    pub fn value(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Put { value, .. } => Some(value),
            Self::Delete { .. } => None,
        }
    }

    fn bytes(&self) -> usize {
        self.key().len() + self.value().map_or(0, |value| value.len())
    }
}

/// What must hold before a commit for it to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// There is no such key.
    Absent(Arc<str>),
    /// There is such a key.
    Present(Arc<str>),
    /// The key is there, and was last changed by this commit.
    Unchanged(Arc<str>, StateRevision),
}

impl Expect {
    /// The key that it is about.
    pub fn key(&self) -> &Arc<str> {
        match self {
            Self::Absent(key) | Self::Present(key) | Self::Unchanged(key, _) => key,
        }
    }

    fn holds(&self, changed: Option<StateRevision>) -> bool {
        match self {
            Self::Absent(_) => changed.is_none(),
            Self::Present(_) => changed.is_some(),
            Self::Unchanged(_, revision) => changed == Some(*revision),
        }
    }
}

/// Changes that happen together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// What must hold, all of it.
    pub expects: Vec<Expect>,
    /// What changes, each key once.
    pub changes: Vec<Change>,
}

impl Commit {
    /// Holds it against the limits.
    fn check(&self) -> Result<(), Malformed> {
        if self.changes.is_empty() {
            return Err(Malformed::Empty);
        }
        let count = self.changes.len().max(self.expects.len());
        if count > COMMIT_CHANGES_MAX {
            return Err(Malformed::TooMany { count });
        }
        for key in self.expects.iter().map(Expect::key).chain(self.changes.iter().map(Change::key)) {
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                return Err(Malformed::Key { bytes: key.len() });
            }
        }
        let mut keys = BTreeSet::new();
        for change in &self.changes {
            let bytes = change.value().map_or(0, |value| value.len());
            if bytes > VALUE_BYTES_MAX {
                return Err(Malformed::Value { key: change.key().clone(), bytes });
            }
            if !keys.insert(change.key()) {
                return Err(Malformed::Twice { key: change.key().clone() });
            }
        }
        let bytes = self.bytes();
        if bytes > COMMIT_BYTES_MAX { Err(Malformed::TooLong { bytes }) } else { Ok(()) }
    }

    fn bytes(&self) -> usize {
        self.changes.iter().map(Change::bytes).sum()
    }
}

/// A commit that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub revision: StateRevision,
    /// What it changed.
    pub changes: Vec<Change>,
}

impl Committed {
    fn bytes(&self) -> usize {
        self.changes.iter().map(Change::bytes).sum()
    }
}

/// What a key has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its value.
    pub value: Arc<[u8]>,
    /// The commit that gave it.
    pub changed: StateRevision,
}

/// The state after one commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The last commit in it.
    pub revision: StateRevision,
    /// Every key, in order.
    pub entries: BTreeMap<Arc<str>, Entry>,
}

/// Why a commit cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It has no changes.
    #[error("it changes nothing")]
    Empty,
    /// Too many changes, or too many expectations.
    #[error("it has {count} changes or expectations, more than {COMMIT_CHANGES_MAX}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A key is empty or too long.
    #[error("a key has {bytes} bytes, not 1 to {KEY_BYTES_MAX}")]
    Key {
        /// The key's length.
        bytes: usize,
    },
    /// A value is too long.
    #[error("the value of `{key}` has {bytes} bytes, more than {VALUE_BYTES_MAX}")]
    Value {
        /// Which key.
        key: Arc<str>,
        /// The value's length.
        bytes: usize,
    },
    /// A key is changed twice.
    #[error("it changes `{key}` twice")]
    Twice {
        /// Which key.
        key: Arc<str>,
    },
    /// All together is too much.
    #[error("it has {bytes} bytes, more than {COMMIT_BYTES_MAX}")]
    TooLong {
        /// The length of its keys and values.
        bytes: usize,
    },
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// An expectation does not hold. Nothing changed.
    #[error("`{key}` is not as the commit expects")]
    Conflict {
        /// The first key that is otherwise than expected.
        key: Arc<str>,
    },
    /// A limit is broken. Nothing changed.
    #[error("this cannot be committed: {0}")]
    Malformed(#[from] Malformed),
    /// The commits after that revision are not all known. A snapshot is the way on.
    #[error("the commits after {after} are no longer known, only those after {floor}; take a snapshot")]
    Compacted {
        /// The revision that was asked for.
        after: StateRevision,
        /// From where on commits are known.
        floor: StateRevision,
    },
    /// The commit is not acknowledged. It happened as a whole or not at all: a watch shows it if it did.
    #[error("the state cannot be written to `{place}`")]
    Unavailable {
        /// The file, or the cluster.
        place: Arc<str>,
        /// Why.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The store is closed.
    #[error("the state's store is closed")]
    Closed,
}

/// Durable state with one order of commits.
pub trait StateStore: Send + Sync + 'static {
    /// Makes all changes of a commit, or none. Durable when it returns, and seen by every snapshot and watch of this
    /// process. A caller who no longer waits does not know whether it happened.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Malformed`] when it did not happen, [`StoreError::Unavailable`] when
    /// nobody knows.
    fn commit(&self, commit: Commit) -> impl Future<Output = Result<StateRevision, StoreError>> + Send;

    /// The keys that begin so, as they are after one commit. Reads memory alone, in time with their number.
    ///
    /// # Errors
    /// When there is no view of the state.
    fn snapshot_under(&self, prefix: &str) -> Result<Snapshot, StoreError>;

    /// Every key, as it is after one commit.
    ///
    /// # Errors
    /// When there is no view of the state.
    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.snapshot_under("")
    }

    /// Every commit after a revision, in order, none left out and none twice. A watch keeps nothing: one that falls
    /// behind the kept history is told so.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when history does not go back so far, or not yet up to there.
    fn watch(&self, after: StateRevision) -> Result<Watch, StoreError>;

    /// Waits until snapshots of this process have everything that was acknowledged anywhere before the call, and says
    /// up to which revision that is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when that cannot be known.
    fn barrier(&self) -> impl Future<Output = Result<StateRevision, StoreError>> + Send;
}

#[cfg(test)]
mod tests;
