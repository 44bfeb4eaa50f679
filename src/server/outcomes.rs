//! The permitted calls that may still be reported on: who may report, and that it happens once.
//! Never grows beyond its limit: the oldest are forgotten first.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use super::journal::for_each_recent_line;
use super::metrics::Metrics;

/// How much of the journal is read again at the start.
const REFILL_BYTES_MAX: u64 = 16 * 1024 * 1024;

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
    metrics: Arc<Metrics>,
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
    being_reported: bool,
}

impl OpenDecisions {
    /// Remembers the latest `count_max` permits.
    pub fn new(count_max: usize, metrics: Arc<Metrics>) -> Self {
        Self { count_max, metrics, state: Mutex::default() }
    }

    /// Reads the end of the journal, so that calls from before a restart can be reported on.
    ///
    /// # Errors
    /// When the journal cannot be read. What was read so far is remembered.
    pub fn refill(&self, journal_directory: &Path) -> io::Result<()> {
        for_each_recent_line(journal_directory, REFILL_BYTES_MAX, |line| {
            match serde_json::from_slice::<Line<'_>>(line) {
                Ok(Line::Decided { decision, caller, outcome }) if outcome == "permit" => {
                    self.opened(decision.as_ref().into(), caller.as_ref().into());
                }
                Ok(Line::Outcome { decision }) => self.close(&decision),
                Ok(Line::Decided { .. } | Line::Other) | Err(_) => {}
            }
        })
    }

    /// A call was permitted to this caller.
    pub fn opened(&self, decision: Arc<str>, caller: Arc<str>) {
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
        state.open.insert(decision, Open { caller, being_reported: false });
        self.metrics.decisions_open(state.open.len());
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
                self.close(decision);
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

    fn close(&self, decision: &str) {
        let mut state = self.lock();
        state.open.remove(decision);
        self.metrics.decisions_open(state.open.len());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What matters here of a line of the journal.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Decided {
        #[serde(borrow)]
        decision: Cow<'a, str>,
        #[serde(borrow)]
        caller: Cow<'a, str>,
        #[serde(borrow)]
        outcome: Cow<'a, str>,
    },
    Outcome {
        #[serde(borrow)]
        decision: Cow<'a, str>,
    },
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(count_max: usize) -> OpenDecisions {
        OpenDecisions::new(count_max, Arc::new(Metrics::new()))
    }

    fn report(open: &OpenDecisions, decision: &str, caller: &str) -> Result<(), Unreportable<()>> {
        open.report(decision, caller, || Ok(()))
    }

    #[test]
    fn an_outcome_is_taken_once_and_only_from_the_caller_that_asked() {
        let decisions = open(10);
        decisions.opened("d1".into(), "gw".into());
        assert_eq!(report(&decisions, "d1", "other"), Err(Unreportable::NotOpen));
        assert_eq!(report(&decisions, "d2", "gw"), Err(Unreportable::NotOpen));
        assert_eq!(report(&decisions, "d1", "gw"), Ok(()));
        assert_eq!(report(&decisions, "d1", "gw"), Err(Unreportable::NotOpen));
    }

    #[test]
    fn an_outcome_that_was_not_recorded_can_be_reported_again() {
        let decisions = open(10);
        decisions.opened("d1".into(), "gw".into());
        let failed = decisions.report("d1", "gw", || {
            assert_eq!(report(&decisions, "d1", "gw"), Err(Unreportable::NotOpen), "not twice at once");
            Err::<(), _>("full")
        });
        assert_eq!(failed, Err(Unreportable::NotRecorded("full")));
        assert_eq!(report(&decisions, "d1", "gw"), Ok(()));
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let decisions = open(2);
        for id in ["d1", "d2", "d3"] {
            decisions.opened(id.into(), "gw".into());
        }
        assert_eq!(report(&decisions, "d1", "gw"), Err(Unreportable::NotOpen));
        assert_eq!(report(&decisions, "d2", "gw"), Ok(()));
        assert_eq!(report(&decisions, "d3", "gw"), Ok(()));
    }

    #[test]
    fn calls_from_before_a_restart_can_be_reported_on() {
        let directory = tempfile::tempdir().unwrap();
        let lines = [
            r#"{"type":"decided","decision":"d1","caller":"g\u0077","outcome":"permit","determining":[]}"#,
            r#"{"type":"decided","decision":"d2","caller":"gw","outcome":"deny","reason":"NoPermit"}"#,
            r#"{"type":"decided","decision":"d3","caller":"gw","outcome":"permit"}"#,
            r#"{"type":"outcome","decision":"d3","caller":"gw","status":"succeeded"}"#,
            r#"{"type":"published","revision":"sha256:00"}"#,
            "nonsense",
        ];
        std::fs::write(directory.path().join("audit.jsonl"), lines.join("\n") + "\n").unwrap();
        let decisions = open(10);
        decisions.refill(directory.path()).unwrap();
        assert_eq!(report(&decisions, "d1", "gw"), Ok(()));
        assert_eq!(report(&decisions, "d2", "gw"), Err(Unreportable::NotOpen));
        assert_eq!(report(&decisions, "d3", "gw"), Err(Unreportable::NotOpen));
    }
}
