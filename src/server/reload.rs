//! Keeps what is in force equal to what lies in the bundle directory.
//! Never lets a bad bundle, or one whose publication is not on record, come into force.

mod attempt;
mod content;
mod status;
mod thread;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use crate::access::Revision;
use crate::audit::{AuditError, Counts};
use crate::diagnostic::{Diagnostic, File};
use crate::source::{self, SourceError};

pub use attempt::Bundle;
pub use status::{Ended, Failing, Finding, InForce, Status};
pub use thread::{Reload, Reloads, Unavailable};

/// When the bundle directory is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The bundle directory, as it was configured.
    pub bundle: PathBuf,
    /// What a bundle may hold at most.
    pub limits: source::Limits,
    /// How often the directory is looked at without any event.
    pub poll: Duration,
    /// How long the directory must be quiet after an event.
    pub debounce: Duration,
    /// How long it is waited for quiet at most.
    pub debounce_max: Duration,
    /// How soon a publication whose record could not be written is tried again.
    pub retry: Duration,
}

impl Config {
    /// The usual times for a bundle directory.
    pub fn new(bundle: impl Into<PathBuf>) -> Self {
        Self {
            bundle: bundle.into(),
            limits: source::Limits::default(),
            poll: Duration::from_secs(5),
            debounce: Duration::from_millis(100),
            debounce_max: Duration::from_millis(500),
            retry: Duration::from_millis(500),
        }
    }
}

/// What bundles are compiled to, and where the result comes into force.
pub trait Target: Send + 'static {
    /// A compiled bundle.
    type Snapshot: Send;

    /// Compiles the files of a bundle, sorted by path. Runs on a thread of its own.
    ///
    /// # Errors
    /// All findings, when any of them is an error.
    fn compile(&self, files: &[File]) -> Result<Candidate<Self::Snapshot>, Vec<Diagnostic>>;

    /// Whether a snapshot may come into force as it is, or waits for somebody to say yes to it; then why, and what to do.
    ///
    /// # Errors
    /// Why it waits.
    fn weigh(&self, _snapshot: &Self::Snapshot) -> Result<(), String> {
        Ok(())
    }

    /// Puts a snapshot in force, by one swap.
    fn publish(&self, snapshot: Self::Snapshot);
}

/// A bundle that compiled.
#[derive(Debug)]
pub struct Candidate<S> {
    /// What it compiled to.
    pub snapshot: S,
    /// Its revision.
    pub revision: Revision,
    /// How much is in it; `files` is filled in by the reload.
    pub counts: Counts,
    /// What its author should look at.
    pub warnings: Vec<Diagnostic>,
}

/// Why a server does not start with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It does not compile.
    #[error("the bundle has {} finding(s)", .0.len())]
    Refused(Vec<Diagnostic>),
    /// The compiler failed. A defect of ours.
    #[error("the bundle could not be compiled: the compiler panicked; please report it")]
    Panicked,
    /// Its publication cannot be recorded.
    #[error("the publication of the bundle could not be recorded")]
    Audit(#[from] AuditError),
}

#[cfg(test)]
mod tests;
