//! Tells in the log that the certificate in use ends soon.
//! Never stops using it: clients see for themselves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::certificate::Validity;

/// How long before its end a certificate is worth a warning; for a short-lived one, the last third of its life.
const NOTICE: Duration = Duration::from_hours(24);
/// How often to warn.
const REMINDER: Duration = Duration::from_hours(1);

/// The certificate in use, and when it was last warned of.
#[derive(Debug)]
pub(super) struct Expiry {
    validity: Validity,
    warned: Option<Instant>,
}

/// What there is to warn of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Warning {
    Soon { seconds: i64 },
    Expired,
    NotYet,
}

impl Expiry {
    pub(super) fn of(validity: Validity) -> Self {
        Self { validity, warned: None }
    }

    /// Warns if there is reason to, and not twice within [`REMINDER`].
    pub(super) fn look(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let Some(warning) = warning(self.validity, i64::try_from(now).unwrap_or(i64::MAX)) else { return };
        if self.warned.is_some_and(|warned| warned.elapsed() < REMINDER) {
            return;
        }
        self.warned = Some(Instant::now());
        match warning {
            Warning::Soon { seconds } => tracing::warn!(
                seconds_left = seconds,
                "the server's TLS certificate ends soon; renew it, and it is taken up without a restart"
            ),
            Warning::Expired => tracing::error!(
                "the server's TLS certificate has expired and clients refuse it; renew it, and it is taken up without a \
                 restart"
            ),
            Warning::NotYet => tracing::error!(
                "the server's TLS certificate is not valid yet and clients refuse it; check this machine's clock, or \
                 issue another one"
            ),
        }
    }
}

fn warning(Validity { begins, ends }: Validity, now: i64) -> Option<Warning> {
    let usual = i64::try_from(NOTICE.as_secs()).unwrap_or(i64::MAX);
    let notice = usual.min(ends.saturating_sub(begins) / 3);
    let left = ends.saturating_sub(now);
    if left < 0 {
        Some(Warning::Expired)
    } else if now < begins {
        Some(Warning::NotYet)
    } else {
        (left < notice).then_some(Warning::Soon { seconds: left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_or_the_last_third_is_worth_a_warning() {
        const DAY: i64 = 24 * 60 * 60;
        let long = Validity { begins: 0, ends: 90 * DAY };
        assert_eq!(warning(long, -1), Some(Warning::NotYet));
        assert_eq!(warning(long, 89 * DAY), None);
        assert_eq!(warning(long, 89 * DAY + 1), Some(Warning::Soon { seconds: DAY - 1 }));
        assert_eq!(warning(long, 90 * DAY + 1), Some(Warning::Expired));
        let short = Validity { begins: 0, ends: 3600 };
        assert_eq!(warning(short, 1800), None, "an SVID is renewed at half of its life");
        assert_eq!(warning(short, 2401), Some(Warning::Soon { seconds: 1199 }));
    }
}
