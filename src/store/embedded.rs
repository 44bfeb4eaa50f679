//! State in one file of the data directory, `state.redb`: for a server that stands alone.
//! Never acknowledges a commit before it is on the disk, and never believes a file that lost one.
//!
//! One thread writes. Commits that wait together are one transaction with one fsync; everybody else reads memory.

mod file;
mod mark;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use file::{OpenDatabase, StateFile, open_database};
use writer::{Job, Writer};

use super::ledger::History;
use super::view::{View, Watch};
use super::{Commit, Snapshot, StateRevision, StateStore, StoreError};

pub use file::FileError;

/// The most commits that may wait for the disk, a group's worth; who comes later waits for a place.
const WAITING_MAX: usize = 256;

/// How often the file is tried again during an outage.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What the writer did since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Commits that were acknowledged.
    pub commits: u64,
    /// Transactions that made them durable, each with one fsync.
    pub groups: u64,
    /// Groups that could not be written.
    pub failures: u64,
}

/// What the writer and those who ask have in common.
#[derive(Debug)]
struct Standing {
    view: View,
    writable: AtomicBool,
    commits: AtomicU64,
    groups: AtomicU64,
    failures: AtomicU64,
}

/// A store in a file. Dropping it finishes what waits, closes the file, and waits for that.
pub struct Embedded {
    path: PathBuf,
    standing: Arc<Standing>,
    places: Arc<Semaphore>,
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the state of a data directory, or begins one. Reads the whole file, and waits for the disk.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be used or not be believed. It says what to do then.
    pub fn open(directory: &Path, history: History) -> Result<Self, FileError> {
        Self::open_with(directory, history, Box::new(open_database), RETRY_EVERY)
    }

    fn open_with(
        directory: &Path,
        history: History,
        open: OpenDatabase,
        retry_every: Duration,
    ) -> Result<Self, FileError> {
        let (file, ledger) = StateFile::open(directory, history, open)?;
        let path = file.path().to_owned();
        let standing = Arc::new(Standing {
            view: View::new(ledger),
            writable: AtomicBool::new(true),
            commits: AtomicU64::new(0),
            groups: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        let (jobs, queue) = mpsc::channel();
        let writer = Writer::new(file, standing.clone(), queue, retry_every);
        let writer = std::thread::Builder::new().name("state".into()).spawn(move || writer.run()).map_err(
            |source| FileError::Io { what: "start the thread that writes", path: path.clone(), source },
        )?;
        let places = Arc::new(Semaphore::new(WAITING_MAX));
        Ok(Self { path, standing, places, jobs: Some(jobs), writer: Some(writer) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was done since the start, for metrics.
    pub fn counts(&self) -> Counts {
        Counts {
            commits: self.standing.commits.load(Ordering::Relaxed),
            groups: self.standing.groups.load(Ordering::Relaxed),
            failures: self.standing.failures.load(Ordering::Relaxed),
        }
    }

    /// Whether commits can be written, as far as the last attempt tells. The writer tries again by itself.
    pub fn is_writable(&self) -> bool {
        self.standing.writable.load(Ordering::Relaxed)
    }
}

impl StateStore for Embedded {
    async fn commit(&self, commit: Commit) -> Result<StateRevision, StoreError> {
        commit.check()?;
        let place = self.places.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { commit, reply, _place: place };
        self.jobs.as_ref().ok_or(StoreError::Closed)?.send(job).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn snapshot_under(&self, prefix: &str) -> Result<Snapshot, StoreError> {
        Ok(self.standing.view.ledger().snapshot(prefix))
    }

    fn watch(&self, after: StateRevision) -> Result<Watch, StoreError> {
        self.standing.view.watch(after)
    }

    /// Commits are shown before they are acknowledged, and no other process acknowledges any.
    async fn barrier(&self) -> Result<StateRevision, StoreError> {
        Ok(self.standing.view.ledger().revision())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the thread that writes the state ended in a panic");
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
