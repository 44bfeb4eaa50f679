//! Instants as records show them: RFC 3339 in UTC with milliseconds.
//! Never asks what time it is.

use std::fmt;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::access::Timestamp;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z: what RFC 3339 can write.
const RANGE_MS: (i64, i64) = (-62_135_596_800_000, 253_402_300_799_999);

/// Shows a timestamp as `2026-11-21T10:00:00.000Z`. Instants beyond four-digit years are shown as the nearest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339(pub Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.0.clamp(RANGE_MS.0, RANGE_MS.1);
        let at =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).map_err(|_| fmt::Error)?;
        let (hour, minute, second, ms) = at.to_hms_milli();
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
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
