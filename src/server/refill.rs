//! After a restart: which permitted calls of the journal still await their outcome, and what tasks have seen.
//! Never reads more of the journal than its end.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::journal::for_each_recent_line;
use crate::audit::OpenDecisions;
use crate::task::{TaskId, Tasks};

/// How much of the journal is read again at the start.
const REFILL_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads the end of the journal, so that calls from before a restart can be reported on.
///
/// # Errors
/// When the journal cannot be read. What was read so far is remembered.
pub fn refill(open: &OpenDecisions, tasks: Option<&Tasks>, journal_directory: &Path) -> io::Result<()> {
    for_each_recent_line(journal_directory, REFILL_BYTES_MAX, |line| {
        match serde_json::from_slice::<Line<'_>>(line) {
            Ok(Line::Decided { decision, caller, outcome, task, task_assurance, data_classes, mode })
                if outcome == "permit" && mode.is_none() =>
            {
                let task = task.filter(|_| task_assurance.is_some()).and_then(|id| id.parse().ok());
                // What a step handled is written to the state a moment after its answer.
                if let Some((tasks, task)) = tasks.zip(task) {
                    saw(tasks, task, &data_classes);
                }
                open.opened(decision.as_ref().into(), caller.as_ref().into(), task);
            }
            Ok(Line::Outcome { decision, caller, data_classes }) => {
                if let Some((tasks, task)) = tasks.zip(open.task_of(&decision, &caller)) {
                    saw(tasks, task, &data_classes);
                }
                open.closed(&decision);
            }
            Ok(Line::Decided { .. } | Line::Other) | Err(_) => {}
        }
    })
}

fn saw(tasks: &Tasks, task: TaskId, data_classes: &BTreeSet<String>) {
    if let Some(head) = tasks.find(task) {
        tasks.saw(&head, data_classes);
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
        #[serde(borrow, default)]
        task: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        task_assurance: Option<Cow<'a, str>>,
        #[serde(default)]
        data_classes: BTreeSet<String>,
        #[serde(borrow, default)]
        mode: Option<Cow<'a, str>>,
    },
    Outcome {
        #[serde(borrow)]
        decision: Cow<'a, str>,
        #[serde(borrow)]
        caller: Cow<'a, str>,
        #[serde(default)]
        data_classes: BTreeSet<String>,
    },
    #[serde(other)]
    Other,
}
