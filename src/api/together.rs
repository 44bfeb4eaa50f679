//! Unary calls that are under way at one time: decided in goes, with one write for their records, as the requests of
//! a stream are.
//! Never waits for a call that has not come, and holds back one that is alone at most once in a while, to see whether it is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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

/// How many calls are decided at once after a go had only one, before another waits for its turn to see who comes.
const ALONE_MAX: usize = 32;

/// The calls of a face that wait for their go, and how many are under way.
pub(super) struct Together<S> {
    pdp: Arc<Pdp<S>>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Vec<Waiting>>,
    under_way: AtomicUsize,
    /// How many more calls need not look whether others come.
    alone: AtomicUsize,
}

/// A call that waits. When nobody is left to hear, it is decided and recorded all the same: it was asked.
struct Waiting {
    request: Request,
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

impl<S> Together<S> {
    /// Nobody under way yet.
    pub(super) fn new(pdp: Arc<Pdp<S>>, clock: Arc<dyn Clock>) -> Self {
        Self {
            pdp,
            clock,
            waiting: Mutex::default(),
            under_way: AtomicUsize::new(0),
            alone: AtomicUsize::new(ALONE_MAX),
        }
    }

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

    /// Whether another call may wait.
    fn has_room(&self) -> bool {
        self.lock().len() < WAITING_MAX
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        request: Request,
        read: Option<Current>,
        arrived: Instant,
    ) -> Option<Pending> {
        let under_way = self.begin();
        if self.is_alone(&under_way) || !self.has_room() {
            let elapsed_us = since(arrived);
            let occasion = self.occasion(&elapsed_us);
            return Some(match read {
                Some(current) => self.pdp.evaluate_at(&current, &request, occasion),
                None => self.pdp.evaluate(&request, occasion),
            });
        }
        let (decided, pending) = oneshot::channel();
        let first = {
            let mut waiting = self.lock();
            waiting.push(Waiting { request, read, arrived, decided });
            waiting.len() == 1
        };
        if first {
            tokio::spawn(self.clone().decide_waiting());
        }
        pending.await.ok()
    }

    /// Lets the others of this turn come, and decides for all. A task of its own, so that no caller who hangs up takes the
    /// others along.
    async fn decide_waiting(self: Arc<Self>) {
        tokio::task::yield_now().await;
        let mut waiting = std::mem::take(&mut *self.lock());
        self.alone.store(if waiting.len() == 1 { ALONE_MAX } else { 0 }, Ordering::Relaxed);
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(TOGETHER_MAX));
            // Nobody is answered whose go fails, and nobody else fails with it.
            if catch_unwind(AssertUnwindSafe(|| self.decide(waiting))).is_err() {
                tracing::error!("deciding panicked; please report it");
            }
            waiting = rest;
            if !waiting.is_empty() {
                tokio::task::yield_now().await;
            }
        }
    }

    fn decide(&self, go: Vec<Waiting>) {
        let now = self.pdp.current();
        let on = |waiting: &Waiting| waiting.read.clone().unwrap_or_else(|| now.clone());
        let clocks: Vec<_> = go.iter().map(|waiting| since(waiting.arrived)).collect();
        let mut clocks_left = clocks.iter();
        let mut pending = Vec::with_capacity(go.len());
        // All at once, but for those that were read before something else was published.
        for same in go.chunk_by(|one, other| on(one).is(&on(other))) {
            let asked = same.iter().zip(&mut clocks_left).map(|(waiting, elapsed_us)| {
                let occasion: Occasion<'_> = self.occasion(elapsed_us);
                (&waiting.request, occasion)
            });
            let current = same.first().map_or_else(|| now.clone(), on);
            pending.extend(self.pdp.batch_on(current).evaluate(asked));
        }
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
