//! The record of what a permitted call did.
//! Never holds what came back, only its size and classes.

use serde::Serialize;

use super::instant;
use crate::access::Timestamp;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It did what was asked.
    Succeeded,
    /// It failed.
    Failed,
    /// It was never made.
    NotExecuted,
    /// Nobody knows: the connection broke.
    Unknown,
}

impl Ending {
    /// As it stands in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::NotExecuted => "not_executed",
            Self::Unknown => "unknown",
        }
    }
}

/// What a permitted call did, as the caller that got the decision reports it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "outcome")]
pub struct Reported<'a> {
    /// When the report was recorded.
    #[serde(serialize_with = "instant::serialize")]
    pub time: Timestamp,
    /// The decision that permitted the call.
    pub decision: &'a str,
    /// The name of the PEP.
    pub caller: &'a str,
    /// How the call ended.
    pub status: Ending,
    /// A short code or class of the error; empty when there was none.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub error: &'a str,
    /// Size of the result in bytes.
    pub result_bytes: u64,
    /// The data classes of what came back: ids of `DataClass` entities.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub data_classes: &'a [String],
    /// When the call ended.
    #[serde(serialize_with = "instant::serialize")]
    pub ended_at: Timestamp,
}
