//! How a source stands, for the administration.
//! Never shows a query or a document.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::Serialize;

use super::source::Named;
use crate::access::Timestamp;
use crate::audit::Rfc3339;

/// How a source stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name.
    pub name: Arc<str>,
    /// Where its documents come from, without a query.
    pub source: String,
    /// The document in force: `sha256:` and 64 hexadecimal digits. None: there never was one.
    pub document: Option<String>,
    /// Since when the document is in force.
    pub since: Option<Rfc3339>,
    /// When it was last fetched.
    pub last_attempt: Option<Rfc3339>,
    /// When what was fetched was last found to be what is in force.
    pub last_success: Option<Rfc3339>,
    /// Why the last fetch failed; none when it did not.
    pub failing: Option<Failing>,
}

/// Why fetches fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// Since when.
    pub since: Rfc3339,
    /// How often in a row.
    pub attempts: u32,
    /// The last failure, in one sentence.
    pub error: String,
}

/// What a fetch changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The source begins to fail.
    Fails,
    /// The source no longer fails.
    Recovered,
    /// As it was.
    None,
}

/// Where a status is read while it changes. One writes.
#[derive(Debug)]
pub(super) struct Board(ArcSwap<Status>);

impl Board {
    pub(super) fn new(source: &Named) -> Self {
        Self(ArcSwap::from_pointee(Status {
            name: source.name.clone(),
            source: source.source.to_string(),
            document: None,
            since: None,
            last_attempt: None,
            last_success: None,
            failing: None,
        }))
    }

    pub(super) fn now(&self) -> Arc<Status> {
        self.0.load_full()
    }

    /// What lies at the source is in force, since now if it is `fresh`: the digest of another document.
    pub(super) fn succeeded(&self, at: Timestamp, fresh: Option<String>) -> Change {
        let at = Rfc3339(at);
        let mut status = Status::clone(&self.now());
        let change = if status.failing.take().is_some() { Change::Recovered } else { Change::None };
        if fresh.is_some() {
            (status.document, status.since) = (fresh, Some(at));
        }
        (status.last_attempt, status.last_success) = (Some(at), Some(at));
        self.0.store(Arc::new(status));
        change
    }

    /// A fetch failed. The document in force stays so only if it is `kept`.
    pub(super) fn failed(&self, at: Timestamp, error: String, kept: bool) -> Change {
        let at = Rfc3339(at);
        let mut status = Status::clone(&self.now());
        let (since, attempts, change) = match &status.failing {
            Some(before) => (before.since, before.attempts.saturating_add(1), Change::None),
            None => (at, 1, Change::Fails),
        };
        status.failing = Some(Failing { since, attempts, error });
        status.last_attempt = Some(at);
        if !kept {
            (status.document, status.since) = (None, None);
        }
        self.0.store(Arc::new(status));
        change
    }
}
