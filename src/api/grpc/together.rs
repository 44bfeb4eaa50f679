//! Unary calls that are under way at one time: decided in goes, with one write for their records, as the requests of
//! a stream are.
//! Never holds back a call that is alone, and never waits for one that has not come.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::oneshot;

use super::TOGETHER_MAX;
use crate::api::Clock;
use crate::audit::AuditSink;
use crate::pdp::{Current, Occasion, Pdp, Pending, Request};

/// How many calls may wait. Those beyond are decided at once: a caller who hangs up leaves its request here, where no limit
/// of HTTP/2 counts it.
const WAITING_MAX: usize = 4 * TOGETHER_MAX;

/// The calls of a face that wait for their go, and how many are under way.
pub(in crate::api) struct Together<S> {
    pdp: Arc<Pdp<S>>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Vec<Waiting>>,
    under_way: AtomicUsize,
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
    pub(in crate::api) fn new(pdp: Arc<Pdp<S>>, clock: Arc<dyn Clock>) -> Self {
        Self { pdp, clock, waiting: Mutex::default(), under_way: AtomicUsize::new(0) }
    }

    /// Counts a call.
    fn begin(&self) -> UnderWay<'_> {
        UnderWay { under_way: &self.under_way, others: self.under_way.fetch_add(1, Ordering::Relaxed) }
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
    /// Evaluates a request: at once when it is alone, else together with those that come in the same turn of the runtime.
    /// On what was in force when it was read (`read`), else on what is then. None when deciding panicked.
    pub(in crate::api) async fn evaluate(
        self: &Arc<Self>,
        request: Request,
        read: Option<Current>,
        arrived: Instant,
    ) -> Option<Pending> {
        let under_way = self.begin();
        if under_way.alone() || !self.has_room() {
            let elapsed_us = super::since(arrived);
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
        let clocks: Vec<_> = go.iter().map(|waiting| super::since(waiting.arrived)).collect();
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

impl UnderWay<'_> {
    /// Whether nobody else was under way when this call came.
    fn alone(&self) -> bool {
        self.others == 0
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
