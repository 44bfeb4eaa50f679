//! The life of a task: what may happen to it, and what comes of that.
//! Never back to life: whatever ended stays ended.

use serde::{Deserialize, Serialize};

/// How somebody ended a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// What it was for is done.
    Completed,
    /// It could not be done.
    Failed,
    /// It is no longer wanted.
    Cancelled,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It can be used.
    Open,
    /// Its agent, or who started it, ended it.
    Ended(End),
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// A step is asked about under it.
    Use,
    /// A part of it is handed on.
    Delegate,
    /// Its time is to be longer.
    Renew,
    /// Somebody ends it.
    End(End),
    /// Somebody takes it back, or it would no longer be granted.
    Revoke,
    /// Its time comes.
    Expire,
}

/// Why something cannot happen to a task. Safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPossible {
    /// It ended, otherwise than is wanted now.
    #[error("the task was ended ({})", .0.name())]
    Ended(End),
    /// It expired.
    #[error("the task has expired")]
    Expired,
    /// It was revoked.
    #[error("the task was revoked")]
    Revoked,
}

impl End {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Completed, Self::Failed, Self::Cancelled];

    /// As it stands in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Ended(End::Completed),
        Self::Ended(End::Failed),
        Self::Ended(End::Cancelled),
        Self::Expired,
        Self::Revoked,
    ];

    /// As it stands in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended(end) => end.name(),
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// What comes of an event. To end or to take back twice changes nothing, so that it can be tried again; what has
    /// ended can still be taken back, so that it stands so on record.
    ///
    /// # Errors
    /// [`NotPossible`].
    pub fn after(self, event: Event) -> Result<Self, NotPossible> {
        match (self, event) {
            (Self::Open, Event::Use | Event::Delegate | Event::Renew) => Ok(Self::Open),
            (Self::Open, Event::End(end)) => Ok(Self::Ended(end)),
            (Self::Ended(before), Event::End(end)) if before == end => Ok(self),
            (_, Event::Revoke) => Ok(Self::Revoked),
            (Self::Open | Self::Expired, Event::Expire) => Ok(Self::Expired),
            (Self::Ended(_) | Self::Revoked, Event::Expire) => Ok(self),
            (Self::Ended(end), _) => Err(NotPossible::Ended(end)),
            (Self::Expired, _) => Err(NotPossible::Expired),
            (Self::Revoked, _) => Err(NotPossible::Revoked),
        }
    }
}
