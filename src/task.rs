//! Tasks: authority lent to an agent for one purpose, narrowly and for a short time.
//! Never a timer and never a store: expiry is a comparison, and what must last is handed out to be written.

mod basis;
mod calls;
mod grant;
mod head;
mod kept;
mod known;
mod scope;
mod state;
mod stops;
mod tasks;
mod token;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::value::Value;

pub use basis::{Asking, Basis, Lent};
pub use calls::{CALLS_MAX, Calls};
pub use grant::{Asked, Ceiling, DEPTH_MAX, Exceeds, Grant, Parties};
pub use head::Head;
pub use known::Known;
pub use scope::{Bound, Limit, Only, OutOfScope, Scope, Touched};
pub use state::{End, Event, NotPossible, State};
pub use stops::session as session_of;
pub use stops::{NotATarget, Stop, Stops, Target, barriers};
pub use tasks::{NotInForce, Required, Rules, Tasks, Window, is_cut, window_name};
pub use token::{ACCESS_TOKEN, For, Read, TASK_TOKEN, TaskTokenFault, keep, kept, read, sign};

/// How the text of a task's id begins.
const PREFIX: &str = "tsk_";

/// The name of a task: 128 bits, as `tsk_` and 32 hexadecimal digits. A name, never authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u128);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:032x}", self.0)
    }
}

/// A text that is no task's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a task: `tsk_` and 32 hexadecimal digits in small letters")]
pub struct NotATaskId;

impl FromStr for TaskId {
    type Err = NotATaskId;

    fn from_str(text: &str) -> Result<Self, NotATaskId> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotATaskId)?;
        // One text for one task: neither a sign nor capitals.
        let plain = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(digits, 16).ok().filter(|_| plain).map(Self).ok_or(NotATaskId)
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A name for parts, each with its length so that none runs into the next: half of their SHA-256, as 32 hexadecimal digits.
pub fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut name = Sha256::new();
    for part in parts {
        name.update(part.len().to_le_bytes());
        name.update(part);
    }
    let digest: [u8; 32] = name.finalize().into();
    let half = digest.iter().take(16).fold(0_u128, |half, byte| half << 8 | u128::from(*byte));
    format!("{half:032x}")
}

#[cfg(test)]
mod tests;
