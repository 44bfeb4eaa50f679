//! What time it is, and fresh ids.
//! Never waits: waiting belongs to the runtime.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::access::{DecisionId, Timestamp};
use crate::api::Clock;

/// The latest instant that was told to a decision, in milliseconds.
static LATEST_MS: AtomicI64 = AtomicI64::new(i64::MIN);

/// The clock of this machine, which never goes back: what has expired once does not come to life again.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = now();
        Timestamp(LATEST_MS.fetch_max(now.0, Ordering::Relaxed).max(now.0))
    }

    fn decision_id(&self) -> DecisionId {
        // RFC 9562, section 5.7: ids that begin with the instant keep the order of the journal.
        let mut text = uuid::Uuid::encode_buffer();
        DecisionId((&*uuid::Uuid::now_v7().hyphenated().encode_lower(&mut text)).into())
    }
}

/// Now, by the clock of this machine.
pub fn now() -> Timestamp {
    let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Timestamp(ms)
}
