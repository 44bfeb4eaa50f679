//! The record of what a caller asked of the server itself.
//! Never of a decision about a step: that has a record of its own.

use serde::Serialize;

use super::{Face, instant};
use crate::access::Timestamp;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Administration {
    /// It was done.
    Done,
    /// The caller may not.
    Refused,
}

/// A call that was not a question, or that its caller may not make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "admin")]
pub struct Administered<'a> {
    /// When.
    #[serde(serialize_with = "instant::serialize")]
    pub time: Timestamp,
    /// Where it came in.
    pub face: Face,
    /// The name of the caller.
    pub caller: &'a str,
    /// What it asked for: the name of a role, `server`, `end_session`.
    pub call: &'a str,
    /// What became of it.
    pub outcome: Administration,
    /// Why it was refused.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: &'a str,
    /// The session that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<&'a str>,
}
