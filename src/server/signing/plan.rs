//! Which key signs, which are published, and what changes next: a function of the keys' ages and of the instant.
//! Never reads a clock, and never looks at a key itself.

/// The longest time for which a key is published before it signs: twice as long as others may keep our key set.
const AHEAD_S_MAX: i64 = 600;

/// What is known of a key. They are in the order in which they sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age {
    /// When it begins to sign, in seconds.
    pub(super) from_s: i64,
    /// Whether it is of the kind that is configured.
    pub(super) fits: bool,
}

/// How long a key signs, and how long it verifies after that, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Periods {
    pub(super) rotate_s: i64,
    pub(super) overlap_s: i64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// How many of the first keys are to be deleted.
    pub(super) gone: usize,
    /// Which key signs; all those that are not gone are published. None: there is no key.
    pub(super) signs: Option<usize>,
    /// Whether a further key is to be made, and when it begins to sign.
    pub(super) make_from_s: Option<i64>,
    /// When to plan again.
    pub(super) next_s: Option<i64>,
}

impl Periods {
    /// How long a key is published before it signs.
    pub(super) fn ahead_s(self) -> i64 {
        AHEAD_S_MAX.min(self.rotate_s / 10)
    }

    /// Plans for `now_s`.
    pub(super) fn plan(self, keys: &[Age], now_s: i64) -> Plan {
        // The last that has begun. Where the clock was set back so far that none has, the first.
        let signs = keys.iter().rposition(|key| key.from_s <= now_s).unwrap_or(0);
        let Some(signing) = keys.get(signs) else {
            return Plan { gone: 0, signs: None, make_from_s: Some(now_s), next_s: None };
        };
        // A key stops to sign when the next begins.
        let ends = keys.iter().skip(1).take(signs).map(|next| next.from_s.saturating_add(self.overlap_s));
        let gone = ends.clone().take_while(|end| *end <= now_s).count();
        let successor = keys.get(signs + 1).map(|next| next.from_s);
        let rotates = signing.from_s.saturating_add(self.rotate_s);
        let due = if signing.fits { rotates.saturating_sub(self.ahead_s()) } else { now_s };
        let is_due = successor.is_none() && due <= now_s;
        let soonest = now_s.saturating_add(self.ahead_s());
        let make_from_s = is_due.then(|| if signing.fits { rotates.max(soonest) } else { soonest });
        let next_key = successor.or(make_from_s).unwrap_or(due);
        let next_s = ends.skip(gone).chain([next_key]).filter(|at| *at > now_s).min();
        Plan { gone, signs: Some(signs), make_from_s, next_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const PERIODS: Periods = Periods { rotate_s: 30 * DAY, overlap_s: 8 * 3600 };

    fn fitting(from_s: i64) -> Age {
        Age { from_s, fits: true }
    }

    fn check(keys: &[i64], now_s: i64, gone: usize, signs: usize, make: Option<i64>, next: Option<i64>) {
        let keys: Vec<Age> = keys.iter().copied().map(fitting).collect();
        let wanted = Plan { gone, signs: Some(signs), make_from_s: make, next_s: next };
        assert_eq!(PERIODS.plan(&keys, now_s), wanted, "{keys:?} at {now_s}");
    }

    #[test]
    fn a_key_signs_for_its_period_and_its_successor_is_shown_before() {
        let (turn, ahead, overlap) = (30 * DAY, 600, 8 * 3600);
        let first = Plan { gone: 0, signs: None, make_from_s: Some(7), next_s: None };
        assert_eq!(PERIODS.plan(&[], 7), first);
        check(&[0], 0, 0, 0, None, Some(turn - ahead));
        check(&[0], turn - ahead - 1, 0, 0, None, Some(turn - ahead));
        check(&[0], turn - ahead, 0, 0, Some(turn), Some(turn));
        check(&[0, turn], turn - 1, 0, 0, None, Some(turn));
        check(&[0, turn], turn, 0, 1, None, Some(turn + overlap));
        check(&[0, turn], turn + overlap - 1, 0, 1, None, Some(turn + overlap));
        check(&[0, turn], turn + overlap, 1, 1, None, Some(2 * turn - ahead));
    }

    #[test]
    fn a_server_that_was_away_for_long_still_shows_a_key_before_it_signs() {
        let (away, ahead) = (400 * DAY, 600);
        check(&[0], away, 0, 0, Some(away + ahead), Some(away + ahead));
        // And one that was away with a successor made takes that.
        check(&[0, 30 * DAY], away, 1, 1, Some(away + ahead), Some(away + ahead));
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_a_key_that_signs() {
        check(&[1000 * DAY], 5, 0, 0, None, Some(1030 * DAY - 600));
        check(&[1000 * DAY, 1030 * DAY], 5, 0, 0, None, Some(1030 * DAY));
        // Keys are not made anew each time that it goes back and forth.
        check(&[0, 30 * DAY], 30 * DAY - 3600, 0, 0, None, Some(30 * DAY));
    }

    #[test]
    fn several_former_keys_go_one_after_the_other() {
        let quick = Periods { rotate_s: DAY, overlap_s: 7 * DAY };
        let keys: Vec<Age> = (0..10).map(|at| fitting(at * DAY)).collect();
        let plan = quick.plan(&keys, 9 * DAY);
        assert_eq!((plan.gone, plan.signs, plan.next_s), (2, Some(9), Some(10 * DAY - 600)));
    }

    #[test]
    fn another_algorithm_in_the_configuration_is_a_reason_to_rotate() {
        let other = Age { from_s: 0, fits: false };
        let plan = PERIODS.plan(&[other], 100);
        assert_eq!((plan.signs, plan.make_from_s, plan.next_s), (Some(0), Some(700), Some(700)));
        let plan = PERIODS.plan(&[other, fitting(700)], 100);
        assert_eq!((plan.signs, plan.make_from_s), (Some(0), None));
        assert_eq!(PERIODS.plan(&[other, fitting(700)], 700).signs, Some(1));
    }

    #[test]
    fn extreme_instants_do_no_harm() {
        for now in [i64::MIN, -1, 0, i64::MAX] {
            for from in [i64::MIN, 0, i64::MAX] {
                assert_eq!(PERIODS.plan(&[fitting(from)], now).signs, Some(0));
            }
        }
    }
}
