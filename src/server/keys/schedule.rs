//! When a source is fetched next.
//! Never reads a clock or draws a number: both are arguments.

use std::time::Duration;

use super::REFRESH_MIN;

/// How soon a source is tried again after its first failure, at the earliest.
const RETRY_MIN: Duration = Duration::from_secs(5);
/// How often a file is looked at.
pub(super) const FILE_POLL: Duration = Duration::from_secs(3);
/// The part of the usual interval that chance may take off, as a divisor.
const AHEAD: u32 = 10;

/// A chance from 0 to 1, in parts of 2^32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance(pub(super) u32);

impl Chance {
    fn of(self, whole: Duration) -> Duration {
        whole.mul_f64(f64::from(self.0) / f64::from(u32::MAX))
    }
}

/// After a success: ahead of the document's expiry, and not at once with other servers.
pub(super) fn after_success(refresh: Duration, max_age: Option<Duration>, chance: Chance) -> Duration {
    let interval = max_age.map_or(refresh, |max_age| refresh.min(max_age));
    interval.saturating_sub(chance.of(interval / AHEAD)).max(REFRESH_MIN)
}

/// After so many failures in a row: twice as long each time, of which chance may take off half.
pub(super) fn after_failure(failures: u32, refresh: Duration, chance: Chance) -> Duration {
    let doubled = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    let longest = RETRY_MIN.saturating_mul(doubled).min(refresh);
    longest.saturating_sub(chance.of(longest / 2)).max(RETRY_MIN)
}

/// How long an answer stays fresh by its own words (RFC 9111, sections 4.2.1 and 4.2.3): `max-age` less `Age`.
pub(super) fn max_age<'a>(
    cache_control: impl Iterator<Item = &'a str>,
    age: Option<&str>,
) -> Option<Duration> {
    let directives = cache_control.flat_map(|value| value.split(','));
    let max_age =
        directives.filter_map(|directive| directive.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("max-age").then(|| seconds(value.trim().trim_matches('"')))?
        })?;
    Some(max_age.saturating_sub(age.and_then(seconds).unwrap_or_default()))
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Duration = Duration::from_mins(5);
    const NONE: Chance = Chance(0);
    const ALL: Chance = Chance(u32::MAX);

    #[test]
    fn a_document_is_fetched_again_before_it_expires_but_not_all_the_time() {
        let s = Duration::from_secs;
        assert_eq!(after_success(REFRESH, None, NONE), REFRESH);
        assert_eq!(after_success(REFRESH, None, ALL), s(270));
        assert_eq!(after_success(REFRESH, Some(s(100)), NONE), s(100));
        assert_eq!(after_success(REFRESH, Some(s(100)), ALL), s(90));
        assert_eq!(after_success(REFRESH, Some(s(86_400)), NONE), REFRESH);
        for short in [0, 1, 29, 30, 31] {
            assert!(after_success(REFRESH, Some(s(short)), ALL) >= REFRESH_MIN, "{short}");
        }
    }

    #[test]
    fn failures_wait_longer_each_time_within_bounds() {
        let s = Duration::from_secs;
        let longest = |failures| after_failure(failures, REFRESH, NONE);
        assert_eq!([1, 2, 3, 4, 5, 6].map(longest), [10, 20, 40, 80, 160, 300].map(s));
        let shortest = |failures| after_failure(failures, REFRESH, ALL);
        assert_eq!([1, 2, 3, 4, 5, 6].map(shortest), [5, 10, 20, 40, 80, 150].map(s));
        assert_eq!([31, 32, u32::MAX].map(longest), [REFRESH; 3]);
    }

    #[test]
    fn cache_control_is_read_as_it_comes() {
        let read = |values: &[&str], age| max_age(values.iter().copied(), age).map(|age| age.as_secs());
        assert_eq!(read(&["public, max-age=3600"], None), Some(3600));
        assert_eq!(read(&["public", "Max-Age = \"60\""], None), Some(60));
        assert_eq!(read(&["max-age=3600"], Some("3000")), Some(600));
        assert_eq!(read(&["max-age=10"], Some("3000")), Some(0));
        assert_eq!(read(&["s-maxage=10, no-cache"], None), None);
        assert_eq!(read(&["max-age=soon"], None), None);
        assert_eq!(read(&["max-age=-1"], None), None);
        assert_eq!(read(&[], Some("5")), None);
    }
}
