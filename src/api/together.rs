//! Unary calls that are under way at one time: decided in goes, with one write for their records, as the requests of
//! a stream are.
//! Never waits for a call that has not come, and holds back one that is alone at most once in a while, to see whether it is.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Clock;
use crate::audit::AuditSink;
use crate::pdp::{Current, Occasion, Pdp, Pending, Request};

/// How many requests are decided in one go, with one write for their records, before others get their turn.
pub(super) const TOGETHER_MAX: usize = 16;

/// How many calls may wait. Those beyond are decided at once: a caller who hangs up leaves its request here, where no limit
/// of HTTP/2 counts it.
const WAITING_MAX: usize = 4 * TOGETHER_MAX;

/// How many calls are decided at once, at most, before another waits for its turn to see who comes: one after the first go
/// that had only one, and twice as many after each further one.
const ALONE_MAX: usize = 32;

/// The calls of a face, each with those that its own thread reads: what a core has read it decides, with the memory of its
/// own.
pub(super) struct Together<S> {
    pdp: Arc<Pdp<S>>,
    clock: Arc<dyn Clock>,
    shares: Box<[Share]>,
}

/// The calls that wait for their go, and how many are under way. No two share a line of a cache.
#[derive(Default)]
#[repr(align(128))]
struct Share {
    waiting: Mutex<Vec<Waiting>>,
    under_way: AtomicUsize,
    /// How many more calls need not look whether others come.
    alone: AtomicUsize,
    /// How many there were of them after the last go; none after one of several calls.
    alone_last: AtomicUsize,
}

/// A call that waits. When nobody is left to hear, it is decided and recorded all the same: it was asked.
struct Waiting {
    request: Box<Request>,
    /// What was in force when it was read, if that matters.
    read: Option<Current>,
    arrived: Instant,
    decided: oneshot::Sender<Pending>,
}

/// One call that is under way, until it is dropped.
struct UnderWay<'a> {
    under_way: &'a AtomicUsize,
    others: usize,
}

impl Share {
    /// Counts a call.
    fn begin(&self) -> UnderWay<'_> {
        UnderWay { under_way: &self.under_way, others: self.under_way.fetch_add(1, Ordering::Relaxed) }
    }

    /// Whether a call may be decided at once. A call is under way for no longer than its own turn when it is, so that none
    /// would ever meet another: whether calls come together shows only when one waits for its turn to end.
    fn is_alone(&self, under_way: &UnderWay<'_>) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        under_way.others == 0
            && self.alone.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// Remembers how many came in a go.
    fn learn(&self, came: usize) {
        let twice = (2 * self.alone_last.load(Ordering::Relaxed)).clamp(1, ALONE_MAX);
        let alone = if came == 1 { twice } else { 0 };
        self.alone_last.store(alone, Ordering::Relaxed);
        self.alone.store(alone, Ordering::Relaxed);
    }

    /// Whether another call may wait.
    fn has_room(&self) -> bool {
        self.lock().len() < WAITING_MAX
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The number of this thread among those that asked for one.
fn thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    MINE.try_with(|mine| *mine).unwrap_or_default()
}

impl<S> Together<S> {
    /// Nobody under way yet.
    pub(super) fn new(pdp: Arc<Pdp<S>>, clock: Arc<dyn Clock>) -> Self {
        // Of each core a thread of HTTP and one of gRPC.
        let threads = 2 * available_parallelism().map_or(1, NonZero::get);
        let share = || Share { alone: ALONE_MAX.into(), alone_last: ALONE_MAX.into(), ..Share::default() };
        Self { pdp, clock, shares: std::iter::repeat_with(share).take(threads).collect() }
    }

    fn occasion<'a>(&self, elapsed_us: &'a dyn Fn() -> u64) -> Occasion<'a> {
        Occasion { id: self.clock.decision_id(), now: self.clock.now(), elapsed_us }
    }
}

impl<S: AuditSink + 'static> Together<S> {
    /// Evaluates a request: at once while calls come one at a time, else together with those of the same turn of the runtime.
    /// On what was in force when it was read (`read`), else on what is then. None when deciding panicked.
    pub(super) async fn evaluate(
        self: &Arc<Self>,
        request: Box<Request>,
        read: Option<Current>,
        arrived: Instant,
    ) -> Option<Pending> {
        let at = thread() % self.shares.len().max(1);
        let share = self.shares.get(at)?;
        let under_way = share.begin();
        if share.is_alone(&under_way) || !share.has_room() {
            let elapsed_us = since(arrived);
            let occasion = self.occasion(&elapsed_us);
            return Some(match read {
                Some(current) => self.pdp.evaluate_at(&current, &request, occasion),
                None => self.pdp.evaluate(&request, occasion),
            });
        }
        let (decided, pending) = oneshot::channel();
        let first = {
            let mut waiting = share.lock();
            waiting.push(Waiting { request, read, arrived, decided });
            waiting.len() == 1
        };
        if first {
            tokio::spawn(self.clone().decide_waiting(at));
        }
        pending.await.ok()
    }

    /// Lets the others of this turn come, and decides for all. A task of its own, so that no caller who hangs up takes the
    /// others along.
    async fn decide_waiting(self: Arc<Self>, at: usize) {
        tokio::task::yield_now().await;
        let Some(share) = self.shares.get(at) else { return };
        let mut waiting = std::mem::take(&mut *share.lock());
        share.learn(waiting.len());
        while let Some(first) = waiting.first() {
            let now = self.pdp.current();
            let current = first.read.as_ref().unwrap_or(&now).clone();
            let is_same = |other: &&Waiting| other.read.as_ref().unwrap_or(&now).is(&current);
            // All at once, but for those that were read before something else was published.
            let same = waiting.iter().take(TOGETHER_MAX).take_while(is_same).count();
            let rest = waiting.split_off(same);
            // Nobody is answered whose go fails, and nobody else fails with it.
            if catch_unwind(AssertUnwindSafe(|| self.decide(waiting, current))).is_err() {
                tracing::error!("deciding panicked; please report it");
            }
            waiting = rest;
            if !waiting.is_empty() {
                tokio::task::yield_now().await;
            }
        }
    }

    fn decide(&self, go: Vec<Waiting>, current: Current) {
        let clocks: Vec<_> = go.iter().map(|waiting| since(waiting.arrived)).collect();
        let asked = go.iter().zip(&clocks).map(|(waiting, elapsed_us)| {
            let occasion: Occasion<'_> = self.occasion(elapsed_us);
            (&*waiting.request, occasion)
        });
        let pending = self.pdp.batch_on(current).evaluate(asked);
        for (Waiting { decided, .. }, pending) in go.into_iter().zip(pending) {
            // The caller may have gone.
            let _ = decided.send(pending);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Microseconds since a request arrived.
pub(super) fn since(arrived: Instant) -> impl Fn() -> u64 {
    move || u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
