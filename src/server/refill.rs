//! After a restart: which permitted calls of the journal still await their outcome.
//! Never reads more of the journal than its end.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::journal::for_each_recent_line;
use crate::audit::OpenDecisions;

/// How much of the journal is read again at the start.
const REFILL_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads the end of the journal, so that calls from before a restart can be reported on.
///
/// # Errors
/// When the journal cannot be read. What was read so far is remembered.
pub fn refill(open: &OpenDecisions, journal_directory: &Path) -> io::Result<()> {
    for_each_recent_line(journal_directory, REFILL_BYTES_MAX, |line| {
        match serde_json::from_slice::<Line<'_>>(line) {
            Ok(Line::Decided { decision, caller, outcome }) if outcome == "permit" => {
                open.opened(decision.as_ref().into(), caller.as_ref().into());
            }
            Ok(Line::Outcome { decision }) => open.closed(&decision),
            Ok(Line::Decided { .. } | Line::Other) | Err(_) => {}
        }
    })
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
