//! The audit records in a file: one JSON object per line, appended before the answer leaves.
//! Never deletes a line, never leaves a part of one, and never lets an answer out without its line.

mod segment;
mod tail;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use segment::{Linked, Segment, unused_name};

use super::clock;
use super::data::{DataDir, DataError};
use super::metrics::Metrics;
use crate::access::Timestamp;
use crate::audit::{AuditError, AuditSink, Receipt, Record, Resumed, Rfc3339};

pub use tail::for_each_recent_line;

/// The name of the file that is being written; the others are `audit-<instant>-<n>.jsonl`.
const CURRENT: &str = "audit.jsonl";
/// The journal's folder within the data directory.
const FOLDER: &str = "audit";
/// How often it is checked that the path still leads to the file that is being written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a line of an answer takes, about.
const LINE_BYTES: usize = 2048;

/// How the journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A file that would grow beyond this is set aside and a new one begun.
    pub rotate_bytes: u64,
    /// No record is longer than this.
    pub line_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { rotate_bytes: 256 * 1024 * 1024, line_bytes_max: 1024 * 1024 }
    }
}

/// Why the journal cannot be opened at the start.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its folder.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its file.
    #[error("cannot open the audit journal `{path}`; no answer may leave without it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The sink that writes records to `<data>/audit/audit.jsonl`. Heals by itself: after a failure each further record
/// tries again, and the first that succeeds is preceded by a [`Resumed`].
#[derive(Debug)]
pub struct Journal {
    config: Config,
    directory: PathBuf,
    path: PathBuf,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    segment: Option<Segment>,
    looked: Instant,
    rotate_at: u64,
    outage: Option<Outage>,
}

#[derive(Debug, Clone, Copy)]
struct Outage {
    since: Timestamp,
    refused: u64,
}

impl Journal {
    /// Opens the journal of a data directory. A last line that a crash tore is set aside and reported in the log.
    ///
    /// # Errors
    /// [`JournalError`] when its folder or its file cannot be made or opened.
    pub fn open(data: &DataDir, config: Config, metrics: Arc<Metrics>) -> Result<Self, JournalError> {
        let directory = data.folder(FOLDER)?;
        let path = directory.join(CURRENT);
        let rotate_at = config.rotate_bytes;
        let state = State { segment: None, looked: Instant::now(), rotate_at, outage: None };
        let journal = Self { config, directory, path, metrics, state: Mutex::new(state) };
        let mut state = journal.lock();
        journal
            .segment(&mut state)
            .map_err(|source| JournalError::Open { path: journal.path.clone(), source })?;
        drop(state);
        journal.metrics.audit_works();
        Ok(journal)
    }

    /// The folder that holds its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether records can be written. During an outage this tries to.
    pub fn is_writable(&self) -> bool {
        let mut state = self.lock();
        state.outage.is_none() || self.resume(&mut state).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, state: &mut State, line: &[u8]) -> io::Result<()> {
        self.resume(state)?;
        self.append(state, line)
    }

    /// Ends an outage, when there is one and when the file takes a line that says so.
    fn resume(&self, state: &mut State) -> io::Result<()> {
        let Some(Outage { since, refused }) = state.outage else { return Ok(()) };
        let resumed = Resumed { time: clock::now(), failing_since: since, refused };
        let mut line = Record::Resumed(&resumed).to_json().map_err(io::Error::other)?;
        line.push(b'\n');
        if let Err(error) = self.append(state, &line) {
            state.segment = None;
            return Err(error);
        }
        state.outage = None;
        self.metrics.audit_works();
        tracing::info!(path = %self.path.display(), refused, "the audit journal is written again");
        Ok(())
    }

    /// Notes that records were refused; says so once per outage.
    fn refuse(&self, state: &mut State, error: &io::Error, records: u64) {
        (0..records).for_each(|_| self.metrics.audit_failed());
        state.segment = None;
        if let Some(outage) = &mut state.outage {
            outage.refused += records;
            return;
        }
        state.outage = Some(Outage { since: clock::now(), refused: records });
        let path = self.path.display();
        tracing::error!(%path, %error, "the audit journal cannot be written: no answers until it can");
    }

    fn append(&self, state: &mut State, line: &[u8]) -> io::Result<()> {
        self.rotate_before(state, line.len() as u64)?;
        match self.segment(state)?.append(line)? {
            Linked::Yes => Ok(()),
            Linked::No => {
                let path = self.path.display();
                tracing::warn!(%path, "the audit journal was deleted while it was written; a new one is begun");
                state.segment = None;
                match self.segment(state)?.append(line)? {
                    Linked::Yes => Ok(()),
                    Linked::No => {
                        Err(io::Error::new(io::ErrorKind::NotFound, "the file is deleted again and again"))
                    }
                }
            }
        }
    }

    /// The file to write to: opened when there is none, and opened again when the path leads elsewhere.
    fn segment<'s>(&self, state: &'s mut State) -> io::Result<&'s mut Segment> {
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            if state.segment.as_ref().is_some_and(|segment| !segment.is_at(&self.path)) {
                tracing::warn!(path = %self.path.display(), "the audit journal was moved away; a new one is begun");
                state.segment = None;
            }
        }
        if let Some(segment) = state.segment.take() {
            return Ok(state.segment.insert(segment));
        }
        let aside = unused_name(&self.directory, "torn", &instant(), "txt")?;
        let (segment, torn_bytes) = Segment::open(&self.path, &aside)?;
        if let Some(bytes) = torn_bytes {
            let (path, aside) = (self.path.display(), aside.display());
            tracing::warn!(%path, %aside, bytes, "the last line of the audit journal was torn; it is set aside");
        }
        state.rotate_at = self.config.rotate_bytes;
        Ok(state.segment.insert(segment))
    }

    /// Sets the file aside when a line would not fit. If that fails the file just grows: no line is lost for it.
    fn rotate_before(&self, state: &mut State, line_bytes: u64) -> io::Result<()> {
        let bytes = self.segment(state)?.bytes();
        if bytes == 0 || bytes.saturating_add(line_bytes) <= state.rotate_at {
            return Ok(());
        }
        let renamed = unused_name(&self.directory, "audit", &instant(), "jsonl")
            .and_then(|name| fs::rename(&self.path, &name).map(|()| name));
        match renamed {
            Ok(name) => {
                state.segment = None;
                tracing::info!(path = %name.display(), bytes, "an audit file is complete");
            }
            Err(error) => {
                state.rotate_at = bytes.saturating_add(self.config.rotate_bytes);
                let path = self.path.display();
                tracing::error!(%path, %error, "the audit journal cannot be set aside; it grows on");
            }
        }
        Ok(())
    }
}

impl AuditSink for Journal {
    fn record(&self, record: &Record<'_>) -> Result<Receipt, AuditError> {
        let mut line = Vec::with_capacity(LINE_BYTES);
        self.line(&mut line, record)?;
        self.put(&line, 1).map(|()| Receipt::written())
    }

    /// All lines with one write(2), so that they fail together; a record that is too long fails alone.
    fn record_all(&self, records: &[Record<'_>]) -> Vec<Result<Receipt, AuditError>> {
        let mut lines = Vec::with_capacity(records.len().saturating_mul(LINE_BYTES));
        let fates: Vec<_> = records.iter().map(|record| self.line(&mut lines, record)).collect();
        let count = fates.iter().filter(|fate| fate.is_ok()).count() as u64;
        let written = if count == 0 { Ok(()) } else { self.put(&lines, count) };
        let refused = match &written {
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        };
        let receipt = |()| match &refused {
            None => Ok(Receipt::written()),
            Some(error) => Err(self.unwritten(io::Error::other(error.clone()))),
        };
        fates.into_iter().map(|fate| fate.and_then(receipt)).collect()
    }
}

impl Journal {
    /// Adds a record as a line with its end; nothing of it where it cannot be one.
    fn line(&self, lines: &mut Vec<u8>, record: &Record<'_>) -> Result<(), AuditError> {
        let before = lines.len();
        let mut written = record.write(lines);
        lines.push(b'\n');
        let (bytes, limit_bytes) = (lines.len().saturating_sub(before), self.config.line_bytes_max);
        if bytes > limit_bytes {
            written = written.and(Err(AuditError::TooLong { bytes, limit_bytes }));
        }
        if written.is_err() {
            lines.truncate(before);
        }
        written
    }

    /// Appends so many lines, all or none.
    fn put(&self, lines: &[u8], count: u64) -> Result<(), AuditError> {
        let mut state = self.lock();
        self.write(&mut state, lines).map_err(|error| {
            self.refuse(&mut state, &error, count);
            self.unwritten(error)
        })
    }

    fn unwritten(&self, error: io::Error) -> AuditError {
        AuditError::Write { place: self.path.display().to_string(), source: Box::new(error) }
    }
}

/// Now, to the second, for the names of files: `20261121T100000Z`.
fn instant() -> String {
    let text = Rfc3339(clock::now()).to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    seconds.chars().filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

#[cfg(test)]
mod tests;
