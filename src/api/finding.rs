//! Where searches are made: apart from the answers to steps, and only so many at once.
//! Never decides, and never lets a search hold up a step.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;

use super::Clock;
use super::together::since;
use crate::pdp::{Occasion, Pdp};

/// How many searches of a face are made at once; further ones wait. Each is work for a whole processor.
const AT_ONCE_MAX: usize = 2;

/// The searches of a face.
pub(super) struct Searches<S> {
    pdp: Arc<Pdp<S>>,
    clock: Arc<dyn Clock>,
    turns: Arc<Semaphore>,
}

impl<S: Send + Sync + 'static> Searches<S> {
    pub(super) fn new(pdp: Arc<Pdp<S>>, clock: Arc<dyn Clock>) -> Self {
        Self { pdp, clock, turns: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Makes a search when there is room. None when it failed by a defect.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        arrived: Instant,
        search: impl FnOnce(&Pdp<S>, Occasion<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        self.several(arrived, |pdp, occasion| search(pdp, occasion())).await
    }

    /// Makes several searches for one answer, in one turn. None when one failed by a defect.
    pub(super) async fn several<T: Send + 'static>(
        &self,
        arrived: Instant,
        search: impl for<'o> FnOnce(&Pdp<S>, &dyn Fn() -> Occasion<'o>) -> T + Send + 'static,
    ) -> Option<T> {
        let turn = self.turns.clone().acquire_owned().await.ok()?;
        let (pdp, clock) = (self.pdp.clone(), self.clock.clone());
        let work = move || {
            let elapsed_us = since(arrived);
            let occasion = || Occasion { id: clock.decision_id(), now: clock.now(), elapsed_us: &elapsed_us };
            let found = search(&pdp, &occasion);
            drop(turn);
            found
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}
