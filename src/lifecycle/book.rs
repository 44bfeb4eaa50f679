//! What the state holds of tasks: keys and values, and the commits that change them.
//! Never decides: what may be written was decided before.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ready::{Held, Ready};
use crate::store::{Change, Commit, Entry, Expect, Snapshot, StateStore, StoreError};
use crate::task::{End, Lent, State, Stop, Target, TaskId, digest};

/// The key of the latest event of tasks. Watches see each commit, so each event is seen. It sorts right behind the latest task:
/// a start writes both into one page.
pub(super) const EVENT: &str = "tasks";
/// The key of the revision of the bundle that tasks are held against.
pub(super) const BUNDLE: &str = "bundle";

/// The beginnings of keys.
pub(super) const TASK: &str = "task/";
pub(super) const USED: &str = "used/";
pub(super) const WINDOW: &str = "window/";
pub(super) const STOP: &str = "stop/";
pub(super) const ASKED: &str = "asked/";

/// An open task.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    /// What was lent, as its token has it.
    pub(super) lent: Box<RawValue>,
    /// How many of its calls may be spent.
    pub(super) charged: u64,
    /// The key that its first token was signed with.
    pub(super) kid: String,
    /// The classes of the data that it has seen.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) seen: BTreeSet<String>,
    /// The agent's own words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) intent: String,
}

/// What is forgotten at some time.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Used {
    pub(super) until_s: i64,
}

/// What a human's agent was granted for a purpose.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredWindow {
    pub(super) since_s: i64,
    pub(super) until_s: i64,
    pub(super) calls: u64,
}

/// What an idempotency key was used for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AskedBefore {
    pub(super) task: TaskId,
    /// The digest of what was asked.
    pub(super) what: String,
    pub(super) decision: String,
    pub(super) revision: String,
    pub(super) until_s: i64,
}

/// A revocation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredStop {
    pub(super) target: String,
    pub(super) at_ms: i64,
    pub(super) reason: String,
    pub(super) caller: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until_s: Option<i64>,
    #[serde(default)]
    pub(super) lifted: bool,
}

impl StoredStop {
    pub(super) fn of(target: &Target, stop: &Stop) -> Self {
        let Stop { at_ms, reason, caller, until_s, lifted } = stop.clone();
        Self { target: target.to_string(), at_ms, reason, caller, until_s, lifted }
    }

    pub(super) fn read(self) -> Option<(Target, Stop)> {
        let Self { target, at_ms, reason, caller, until_s, lifted } = self;
        Some((target.parse().ok()?, Stop { at_ms, reason, caller, until_s, lifted }))
    }
}

/// What happened, for those who watch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredEvent {
    Started { task: TaskId, expires_s: i64 },
    Renewed { task: TaskId, expires_s: i64 },
    Ended { tasks: Vec<(TaskId, i64)>, state: StoredState, reason: String },
    Revoked { stop: StoredStop },
    Lifted { stop: StoredStop },
    Published { revision: String },
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredState {
    Open,
    Completed,
    Failed,
    Cancelled,
    Expired,
    Revoked,
}

impl From<State> for StoredState {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Ended(End::Completed) => Self::Completed,
            State::Ended(End::Failed) => Self::Failed,
            State::Ended(End::Cancelled) => Self::Cancelled,
            State::Expired => Self::Expired,
            State::Revoked => Self::Revoked,
        }
    }
}

impl From<StoredState> for State {
    fn from(state: StoredState) -> Self {
        match state {
            StoredState::Open => Self::Open,
            StoredState::Completed => Self::Ended(End::Completed),
            StoredState::Failed => Self::Ended(End::Failed),
            StoredState::Cancelled => Self::Ended(End::Cancelled),
            StoredState::Expired => Self::Expired,
            StoredState::Revoked => Self::Revoked,
        }
    }
}

/// The key of a task.
pub(super) fn task_key(id: TaskId) -> String {
    format!("{TASK}{id}")
}

/// The key of a revocation: names may be longer than keys.
pub(super) fn stop_key(target: &Target) -> String {
    format!("{STOP}{}", digest([target.to_string().as_bytes()]))
}

/// What a key holds.
pub(super) fn look<T: StateStore>(store: &T, key: &str) -> Result<Option<Entry>, StoreError> {
    let Snapshot { mut entries, revision: _ } = store.snapshot_under(key)?;
    Ok(entries.remove(key))
}

/// A commit in the making.
#[derive(Debug, Default)]
pub(super) struct Draft(pub(super) Commit);

impl Draft {
    /// The key is as it was seen.
    pub(super) fn unchanged(&mut self, key: &str, seen: Option<&Entry>) {
        let key: Arc<str> = key.into();
        self.0.expects.push(match seen {
            None => Expect::Absent(key),
            Some(entry) => Expect::Unchanged(key, entry.changed),
        });
    }

    /// There is no such key.
    pub(super) fn absent(&mut self, key: &str) {
        self.0.expects.push(Expect::Absent(key.into()));
    }

    /// Gives a key a value.
    pub(super) fn put(&mut self, key: &str, value: &impl Serialize) -> Result<(), serde_json::Error> {
        self.0.changes.push(Change::put(key, serde_json::to_vec(value)?));
        Ok(())
    }

    /// Begins a task, and has it ready for who follows as long as the answer is held.
    pub(super) fn begin<'r>(
        &mut self,
        ready: &'r Ready,
        lent: &Arc<Lent>,
        stored: Stored,
    ) -> Result<Held<'r>, serde_json::Error> {
        let key = task_key(lent.grant.id);
        self.absent(&key);
        let change = Change::put(key, serde_json::to_vec(&stored)?);
        let held = ready.hold(&change, lent, stored);
        self.0.changes.push(change);
        Ok(held)
    }

    /// Takes a key away.
    pub(super) fn delete(&mut self, key: &str) {
        self.0.changes.push(Change::delete(key));
    }
}
