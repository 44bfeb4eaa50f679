//! The calls of a task: how many there are, how many are durable, how many are gone.
//! Never gains a call by a crash.

use std::sync::atomic::{AtomicU64, Ordering};

use super::tasks::NotInForce;

/// The most calls of any task: charged and spent stand in one word.
pub const CALLS_MAX: u64 = u32::MAX as u64;

/// The calls of a task. They are charged ahead, in pieces that are written before they are spent: a crash can lose calls and
/// never gain any.
#[derive(Debug)]
pub struct Calls {
    max: u64,
    /// What may be spent, which is durable, in the upper half; what was spent in the lower one.
    both: AtomicU64,
}

impl Calls {
    /// A task of `max` calls, of which the first `spent` are gone and those up to `charged` may be spent.
    pub fn new(max: u64, charged: u64, spent: u64) -> Self {
        let max = max.min(CALLS_MAX);
        Self { max, both: AtomicU64::new(join(charged.min(max), spent.min(max))) }
    }

    /// How many there are.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many are gone.
    pub fn spent(&self) -> u64 {
        split(self.both.load(Ordering::Acquire)).1
    }

    /// How many may be spent before more must be charged.
    pub fn charged(&self) -> u64 {
        split(self.both.load(Ordering::Acquire)).0
    }

    /// How many are left of all.
    pub fn left(&self) -> u64 {
        self.max.saturating_sub(self.spent())
    }

    /// How many are charged at once: small tasks lose little with a crash, and large ones write seldom.
    pub fn piece(max: u64) -> u64 {
        (max / 4).clamp(16, 4096)
    }

    /// More may be spent from now on.
    pub fn charge(&self, up_to: u64) {
        let up_to = up_to.min(self.max);
        // It always changes.
        let _before = self.update(|charged, spent| Some((charged.max(up_to), spent)));
    }

    /// Nothing more is spent from now on, unless it is charged anew. How many were charged, and how many are gone for good.
    pub fn settle(&self) -> (u64, u64) {
        // It always changes.
        match self.update(|_, spent| Some((spent, spent))) {
            Ok(before) | Err(before) => before,
        }
    }

    /// Spends one. Says whether more should be charged.
    ///
    /// # Errors
    /// [`NotInForce::OverBudget`] when all are gone, [`NotInForce::Uncharged`] when the next piece is not written yet.
    pub fn spend(&self) -> Result<bool, NotInForce> {
        match self.update(|charged, spent| (spent < charged).then_some((charged, spent + 1))) {
            Ok((charged, spent)) => Ok(self.runs_low(charged, spent + 1)),
            Err((_, spent)) if spent >= self.max => Err(NotInForce::OverBudget { calls_max: self.max }),
            Err(_) => Err(NotInForce::Uncharged),
        }
    }

    /// Sets calls aside, all or none.
    #[must_use]
    pub fn take(&self, calls: u64) -> bool {
        let next = |spent: u64| spent.checked_add(calls).filter(|sum| *sum <= self.max);
        self.update(|charged, spent| Some((charged, next(spent)?))).is_ok()
    }

    /// Gives back what was set aside and not used.
    pub fn give_back(&self, calls: u64) {
        // It always changes.
        let _before = self.update(|charged, spent| Some((charged, spent.saturating_sub(calls))));
    }

    /// Whether more should be charged.
    pub fn wants_more(&self) -> bool {
        let (charged, spent) = split(self.both.load(Ordering::Acquire));
        self.runs_low(charged, spent)
    }

    fn runs_low(&self, charged: u64, spent: u64) -> bool {
        charged < self.max && charged.saturating_sub(spent) <= Self::piece(self.max) / 2
    }

    /// Changes both at once. What they were before; as an error when they stay so.
    fn update(&self, change: impl Fn(u64, u64) -> Option<(u64, u64)>) -> Result<(u64, u64), (u64, u64)> {
        let next = |both| {
            let (charged, spent) = split(both);
            change(charged, spent).map(|(charged, spent)| join(charged, spent))
        };
        self.both.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).map(split).map_err(split)
    }
}

fn join(charged: u64, spent: u64) -> u64 {
    charged << 32 | spent
}

fn split(both: u64) -> (u64, u64) {
    (both >> 32, both & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
