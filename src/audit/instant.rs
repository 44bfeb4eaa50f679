//! Instants as records show them: RFC 3339 in UTC with milliseconds.
//! Never asks what time it is.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::access::Timestamp;

/// Shows a timestamp as `2026-11-21T10:00:00.000Z`. Instants beyond four-digit years are shown as the nearest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339(pub Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// For `#[serde(serialize_with)]`.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    Rfc3339(*at).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_shown_in_utc_with_milliseconds() {
        let show = |ms| Rfc3339(Timestamp(ms)).to_string();
        assert_eq!(show(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(show(1_795_255_200_042), "2026-11-21T10:00:00.042Z");
        assert_eq!(show(-1), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn instants_that_rfc_3339_cannot_write_are_shown_as_the_nearest() {
        assert_eq!(Rfc3339(Timestamp(i64::MAX)).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Rfc3339(Timestamp(i64::MIN)).to_string(), "0001-01-01T00:00:00.000Z");
    }
}
