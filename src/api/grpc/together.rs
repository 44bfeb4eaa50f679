//! Unary calls that are under way at one time: decided in goes, with one write for their records, as the requests of
//! a stream are.
//! Never holds back a call that is alone, and never waits for one that has not come.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;
use tonic::Status;

use super::{Authorization, TOGETHER_MAX};
use crate::audit::AuditSink;
use crate::pdp::{Occasion, Pending, Request};

/// How many calls may wait. Those beyond are decided at once: a caller who hangs up leaves its request here, where no limit
/// of HTTP/2 counts it.
const WAITING_MAX: usize = 4 * TOGETHER_MAX;

/// The calls that wait for their go, and how many are under way.
#[derive(Default)]
pub(super) struct Together {
    waiting: Mutex<Vec<Waiting>>,
    under_way: AtomicUsize,
}

/// A call that waits. When nobody is left to hear, it is decided and recorded all the same: it was asked.
struct Waiting {
    request: Request,
    arrived: Instant,
    decided: oneshot::Sender<Pending>,
}

/// One call that is under way, until it is dropped.
pub(super) struct UnderWay<'a> {
    together: &'a Together,
    others: usize,
}

impl Together {
    /// Counts a call.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        UnderWay { together: self, others: self.under_way.fetch_add(1, Ordering::Relaxed) }
    }

    /// Whether another call may wait.
    pub(super) fn has_room(&self) -> bool {
        self.lock().len() < WAITING_MAX
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl UnderWay<'_> {
    /// Whether nobody else was under way when this call came.
    pub(super) fn alone(&self) -> bool {
        self.others == 0
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.together.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Evaluates a request together with those that come in the same turn of the runtime.
pub(super) async fn evaluate<S: AuditSink + 'static>(
    service: &Authorization<S>,
    request: Request,
    arrived: Instant,
) -> Result<Pending, Status> {
    let (decided, pending) = oneshot::channel();
    let first = {
        let mut waiting = service.inner.together.lock();
        waiting.push(Waiting { request, arrived, decided });
        waiting.len() == 1
    };
    if first {
        tokio::spawn(decide_waiting(service.clone()));
    }
    pending.await.map_err(|_| super::defect())
}

/// Lets the others of this turn come, and decides for all. A task of its own, so that no caller who hangs up takes the
/// others along.
async fn decide_waiting<S: AuditSink + 'static>(service: Authorization<S>) {
    tokio::task::yield_now().await;
    let mut waiting = std::mem::take(&mut *service.inner.together.lock());
    while !waiting.is_empty() {
        let rest = waiting.split_off(waiting.len().min(TOGETHER_MAX));
        // Nobody is answered whose go fails, and nobody else fails with it.
        if catch_unwind(AssertUnwindSafe(|| decide(&service, waiting))).is_err() {
            tracing::error!("deciding panicked; please report it");
        }
        waiting = rest;
        if !waiting.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

fn decide<S: AuditSink + 'static>(service: &Authorization<S>, go: Vec<Waiting>) {
    let clocks: Vec<_> = go.iter().map(|waiting| super::since(waiting.arrived)).collect();
    let asked = go.iter().zip(&clocks).map(|(waiting, elapsed_us)| {
        let occasion: Occasion<'_> = service.occasion(elapsed_us);
        (&waiting.request, occasion)
    });
    let pending = service.inner.pdp.batch().evaluate(asked);
    for (Waiting { decided, .. }, pending) in go.into_iter().zip(pending) {
        // The caller may have gone.
        let _ = decided.send(pending);
    }
}

#[cfg(test)]
mod tests;
