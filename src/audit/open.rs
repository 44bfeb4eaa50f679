//! The permitted calls that may still be reported on: who may report, and that it happens once.
//! Never grows beyond its limit: the oldest are forgotten first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::task::TaskId;

/// Why an outcome was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreportable<E> {
    /// The decision is not open for this caller: unknown, denied, reported before, too long ago, or another's.
    #[error("no permitted decision of this caller awaits an outcome under that id")]
    NotOpen,
    /// The record was not written; the decision stays open.
    #[error("the outcome was not recorded; report again")]
    NotRecorded(#[source] E),
}

/// The permitted decisions that await their outcome.
#[derive(Debug)]
pub struct OpenDecisions {
    count_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<Arc<str>, Open>,
    /// Ids in the order of their decisions, reported ones included.
    order: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct Open {
    caller: Arc<str>,
    task: Option<TaskId>,
    being_reported: bool,
}

impl OpenDecisions {
    /// Remembers the latest `count_max` permits.
    pub fn new(count_max: usize) -> Self {
        Self { count_max, state: Mutex::default() }
    }

    /// How many await their outcome.
    pub fn count(&self) -> usize {
        self.lock().open.len()
    }

    /// A call was permitted to this caller, under this task if there is one.
    pub fn opened(&self, decision: Arc<str>, caller: Arc<str>, task: Option<TaskId>) {
        if self.count_max == 0 {
            return;
        }
        let mut state = self.lock();
        while state.order.len() >= self.count_max {
            if let Some(oldest) = state.order.pop_front() {
                state.open.remove(&oldest);
            }
        }
        state.order.push_back(Arc::clone(&decision));
        state.open.insert(decision, Open { caller, task, being_reported: false });
    }

    /// The task of a decision that awaits its outcome from this caller.
    pub fn task_of(&self, decision: &str, caller: &str) -> Option<TaskId> {
        self.lock().open.get(decision).filter(|open| *open.caller == *caller)?.task
    }

    /// An outcome is on record.
    pub fn closed(&self, decision: &str) {
        self.lock().open.remove(decision);
    }

    /// Records what a call did. The decision is closed when `record` succeeds and stays open when it fails; it
    /// cannot be reported twice, not even at once.
    ///
    /// # Errors
    /// [`Unreportable`] when the decision is not open for this caller, or when the record failed.
    pub fn report<R, E>(
        &self,
        decision: &str,
        caller: &str,
        record: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, Unreportable<E>> {
        self.claim(decision, caller).ok_or(Unreportable::NotOpen)?;
        match record() {
            Ok(receipt) => {
                self.closed(decision);
                Ok(receipt)
            }
            Err(error) => {
                if let Some(open) = self.lock().open.get_mut(decision) {
                    open.being_reported = false;
                }
                Err(Unreportable::NotRecorded(error))
            }
        }
    }

    fn claim(&self, decision: &str, caller: &str) -> Option<()> {
        let mut state = self.lock();
        let open = state.open.get_mut(decision)?;
        if *open.caller != *caller || open.being_reported {
            return None;
        }
        open.being_reported = true;
        Some(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: Result<(), ()> = Ok(());

    fn open(ids: &[&str], count_max: usize) -> OpenDecisions {
        let open = OpenDecisions::new(count_max);
        for id in ids {
            open.opened((*id).into(), "gw".into(), None);
        }
        open
    }

    #[test]
    fn an_outcome_is_taken_once_and_from_the_caller_that_got_the_decision() {
        let open = open(&["d1"], 10);
        assert_eq!(open.report("d1", "other", || RECORDED), Err(Unreportable::NotOpen));
        assert_eq!(open.report("d2", "gw", || RECORDED), Err(Unreportable::NotOpen));
        assert_eq!(open.report("d1", "gw", || RECORDED), Ok(()));
        assert_eq!(open.report("d1", "gw", || RECORDED), Err(Unreportable::NotOpen));
    }

    #[test]
    fn a_decision_stays_open_when_its_outcome_was_not_recorded() {
        let open = open(&["d1"], 10);
        assert_eq!(open.report("d1", "gw", || Err::<(), _>("full")), Err(Unreportable::NotRecorded("full")));
        assert_eq!(open.report("d1", "gw", || RECORDED), Ok(()));
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let open = open(&["d1", "d2", "d3"], 2);
        assert_eq!(open.count(), 2);
        assert_eq!(open.report("d1", "gw", || RECORDED), Err(Unreportable::NotOpen));
        assert_eq!(open.report("d3", "gw", || RECORDED), Ok(()));
    }
}
