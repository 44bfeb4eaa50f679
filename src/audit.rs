//! The evidence: what is written about each answer before it leaves, and the sink that it is written to.
//! Never opens a file and never reads a clock: a sink belongs to the shell, and instants are arguments.

mod administered;
mod decided;
pub mod digest;
mod instant;
mod line;
mod memory;
mod moved;
mod open;
mod outcome;
mod party;
mod published;
mod resumed;
mod searched;

use serde::Serialize;

pub use administered::{Administered, Administration};
pub use decided::{Decided, Face, Mode, TokenSeen};
pub use digest::DigestKey;
pub use instant::Rfc3339;
pub use memory::Memory;
pub use moved::{LentTold, Move, TaskMoved};
pub use open::{OpenDecisions, Unreportable};
pub use outcome::{Ending, Reported};
pub use published::{Cause, Change, Changes, Counts, Published};
pub use resumed::Resumed;
pub use searched::{SearchKind, Searched};

/// One line of evidence. As JSON it is an object with a member `type`: `decided`, `published`, `outcome`,
/// `task`, `searched`, `admin`, `resumed`.
///
/// Records borrow what they tell, so that telling costs no copies.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// An answer, permit or deny.
    Decided(&'a Decided<'a>),
    /// Another bundle is about to come into force.
    Published(&'a Published<'a>),
    /// What a permitted call did.
    Outcome(&'a Reported<'a>),
    /// What became of a task.
    Task(&'a TaskMoved<'a>),
    /// What was found by a search.
    Searched(&'a Searched<'a>),
    /// What a caller asked of the server itself.
    Admin(&'a Administered<'a>),
    /// The sink writes again after a time in which it could not.
    Resumed(&'a Resumed),
}

impl Record<'_> {
    /// The record as one line of JSON without its end. JSON escapes line ends, so it is always one line.
    ///
    /// # Errors
    /// [`AuditError::Encode`], which no record of ours is known to cause.
    pub fn to_json(&self) -> Result<Vec<u8>, AuditError> {
        let mut line = Vec::with_capacity(2048);
        self.write(&mut line)?;
        Ok(line)
    }

    /// The same at the end of `line`; a part of it may be there after an error.
    ///
    /// # Errors
    /// As [`Self::to_json`].
    pub fn write(&self, line: &mut Vec<u8>) -> Result<(), AuditError> {
        match self {
            // Every answer waits for its line: this one is written by hand, the others are derived.
            Self::Decided(decided) => {
                let mut object = line::Object::begin(line);
                decided.write(&mut object);
                object.end();
                Ok(())
            }
            Self::Published(published) => derived(line, published),
            Self::Outcome(reported) => derived(line, reported),
            Self::Task(moved) => derived(line, moved),
            Self::Searched(searched) => derived(line, searched),
            Self::Admin(administered) => derived(line, administered),
            Self::Resumed(resumed) => derived(line, resumed),
        }
    }
}

fn derived(line: &mut Vec<u8>, record: &impl Serialize) -> Result<(), AuditError> {
    serde_json::to_writer(line, record).map_err(AuditError::Encode)
}

/// Takes records. It is given the record and not its bytes, so that evidence of tampering can be added here.
pub trait AuditSink: Send + Sync {
    /// Writes one record and returns when it outlives this process. Never waits for a network.
    ///
    /// # Errors
    /// [`AuditError`] when the record was not written; then nothing of it remains, and the answer that it tells of
    /// must not leave.
    fn record(&self, record: &Record<'_>) -> Result<Receipt, AuditError>;

    /// Writes several records: as many fates as records, in their order. Each has one of its own, as with [`AuditSink::record`], unless a sink
    /// writes them in one go: then they may fail together.
    fn record_all(&self, records: &[Record<'_>]) -> Vec<Result<Receipt, AuditError>> {
        records.iter().map(|record| self.record(record)).collect()
    }
}

impl<S: AuditSink + ?Sized> AuditSink for std::sync::Arc<S> {
    fn record(&self, record: &Record<'_>) -> Result<Receipt, AuditError> {
        (**self).record(record)
    }

    fn record_all(&self, records: &[Record<'_>]) -> Vec<Result<Receipt, AuditError>> {
        (**self).record_all(records)
    }
}

/// What a written record is safe from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The death of the process.
    Written,
}

/// Proof that a record was written. Only a sink gives one.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an answer leaves only against its receipt"]
pub struct Receipt {
    durability: Durability,
}

impl Receipt {
    /// For sinks, when the record outlives this process.
    pub fn written() -> Self {
        Self { durability: Durability::Written }
    }

    /// What the record is safe from.
    pub fn durability(&self) -> Durability {
        self.durability
    }
}

/// Why a record was not written. No answer may leave.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// It has no JSON form.
    #[error("the audit record could not be encoded")]
    Encode(#[source] serde_json::Error),
    /// It is longer than a line may be.
    #[error("the audit record has {bytes} bytes, more than the limit of {limit_bytes}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest that is allowed.
        limit_bytes: usize,
    },
    /// The sink did not say what became of it.
    #[error("the sink did not say what became of the audit record")]
    Unsaid,
    /// The place that it belongs to did not take it.
    #[error("the audit record could not be written to `{place}`")]
    Write {
        /// Where it was to be written.
        place: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

#[cfg(test)]
mod tests;
