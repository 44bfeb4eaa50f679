//! What time it is.
//! Never waits: waiting belongs to the runtime.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::access::Timestamp;

/// Now, by the clock of this machine.
pub fn now() -> Timestamp {
    let ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Timestamp(ms)
}
