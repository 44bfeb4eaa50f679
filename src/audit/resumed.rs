//! The record that evidence is written again.
//! Never says what was refused meanwhile: those answers did not leave.

use serde::Serialize;

use super::instant;
use crate::access::Timestamp;

/// The sink writes again after a time in which it could not; a reader sees from it that a gap was an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "resumed")]
pub struct Resumed {
    /// When writing succeeded again.
    #[serde(serialize_with = "instant::serialize")]
    pub time: Timestamp,
    /// When it first failed.
    #[serde(serialize_with = "instant::serialize")]
    pub failing_since: Timestamp,
    /// How many records were refused, and with them their answers.
    pub refused: u64,
}
