//! The thread that writes: takes what waits as one group, makes it durable, shows it, acknowledges it.
//! Never tries a failed write again: it lets go of the file, and reads it from the disk before it goes on.

use std::error::Error;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::super::{Commit, StateRevision, StoreError};
use super::Standing;
use super::file::{FileError, StateFile};
use crate::diagnostic::chain;

/// The most commits of one group.
const GROUP_COMMITS_MAX: usize = 256;
/// No commit joins a group that has so many bytes of changes.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
type Cause = Arc<dyn Error + Send + Sync>;

/// A commit that waits.
pub(super) struct Job {
    pub(super) commit: Commit,
    pub(super) reply: oneshot::Sender<Result<StateRevision, StoreError>>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Why nothing is written at the moment.
struct Outage {
    cause: Cause,
    tried: Instant,
}

/// What is told to a job when its group has ended.
struct Verdict {
    job: Job,
    answer: Result<StateRevision, StoreError>,
}

pub(super) struct Writer {
    file: StateFile,
    standing: Arc<Standing>,
    jobs: Receiver<Job>,
    retry_every: Duration,
    outage: Option<Outage>,
}

impl Writer {
    /// During an outage the file is tried again so often.
    pub(super) fn new(
        file: StateFile,
        standing: Arc<Standing>,
        jobs: Receiver<Job>,
        retry_every: Duration,
    ) -> Self {
        Self { file, standing, jobs, retry_every, outage: None }
    }

    /// Writes until nobody is left who could send a commit.
    pub(super) fn run(mut self) {
        loop {
            match self.jobs.recv_timeout(self.retry_every) {
                Ok(first) => {
                    let group = self.group(first);
                    self.write(group);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let _still = self.recover();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Err(error) = self.file.close() {
            let (path, error) = (self.file.path().display(), chain(&error));
            tracing::warn!(%path, %error, "the state file was not closed in order; the next start checks it");
        }
    }

    /// A commit, and those that wait behind it.
    fn group(&self, first: Job) -> Vec<Job> {
        let mut bytes = first.commit.bytes();
        let mut group = vec![first];
        while group.len() < GROUP_COMMITS_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += job.commit.bytes();
            group.push(job);
        }
        group
    }

    fn write(&mut self, group: Vec<Job>) {
        if let Err(cause) = self.recover() {
            self.refuse(group, &cause);
            return;
        }
        let (verdicts, committed, floor) = {
            let ledger = self.standing.view.ledger();
            let mut draft = ledger.draft();
            let judge = |mut job: Job| {
                let answer = draft.admit(mem::take(&mut job.commit));
                Verdict { job, answer }
            };
            let verdicts: Vec<_> = group.into_iter().map(judge).collect();
            (verdicts, draft.into_committed(), ledger.floor())
        };
        if !committed.is_empty() {
            if let Err(error) = self.file.write(&committed, floor) {
                // Those that conflict may conflict with what was not written: nobody knows.
                let cause = self.fail(error);
                self.refuse(verdicts.into_iter().map(|verdict| verdict.job).collect(), &cause);
                return;
            }
            self.standing.groups.fetch_add(1, Ordering::Relaxed);
            self.standing.commits.fetch_add(committed.len() as u64, Ordering::Relaxed);
            self.standing.view.publish(committed);
        }
        for Verdict { job, answer } in verdicts {
            // Who no longer waits is not told.
            let _gone = job.reply.send(answer);
        }
    }

    fn refuse(&self, group: Vec<Job>, cause: &Cause) {
        let place: Arc<str> = self.file.path().display().to_string().into();
        for job in group {
            let error = StoreError::Unavailable { place: place.clone(), source: cause.clone() };
            let _gone = job.reply.send(Err(error));
        }
    }

    /// Begins an outage. The file is let go, since what was not written may still stand in memory as if it were.
    fn fail(&mut self, error: FileError) -> Cause {
        let (path, cause) = (self.file.path().display(), Arc::new(error));
        tracing::error!(%path, error = %chain(&*cause), "the state cannot be written: no commit until it can");
        self.standing.failures.fetch_add(1, Ordering::Relaxed);
        self.standing.writable.store(false, Ordering::Relaxed);
        self.file.let_go();
        self.outage = Some(Outage { cause: cause.clone(), tried: Instant::now() });
        cause
    }

    /// Ends an outage when the file can be read, holds all that was acknowledged, and takes a transaction. What
    /// turns out to have happened in the group that failed is shown now.
    fn recover(&mut self) -> Result<(), Cause> {
        let Some(outage) = &mut self.outage else { return Ok(()) };
        if outage.tried.elapsed() < self.retry_every {
            return Err(outage.cause.clone());
        }
        let known = self.standing.view.ledger().revision();
        let reopened = self.file.reopen(known);
        match reopened {
            Ok(late) => {
                let path = self.file.path().display();
                tracing::info!(%path, late = late.len(), "the state is written again");
                self.standing.view.publish(late);
                self.outage = None;
                self.standing.writable.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                if error.to_string() != outage.cause.to_string() {
                    let path = self.file.path().display();
                    tracing::error!(%path, error = %chain(&error), "the state still cannot be written");
                }
                let cause: Cause = Arc::new(error);
                *outage = Outage { cause: cause.clone(), tried: Instant::now() };
                Err(cause)
            }
        }
    }
}
