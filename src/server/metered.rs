//! Counts what is recorded: an answer that has no record is no answer, so the records are what there is to count.
//! Never changes a record.

use std::sync::Arc;
use std::time::Duration;

use super::metrics::Metrics;
use crate::audit::{AuditError, AuditSink, Receipt, Record};

/// A sink that counts what another one took.
#[derive(Debug)]
pub struct Metered<S> {
    sink: S,
    metrics: Arc<Metrics>,
}

impl<S> Metered<S> {
    /// Counts what `sink` takes.
    pub fn new(sink: S, metrics: Arc<Metrics>) -> Self {
        Self { sink, metrics }
    }
}

impl<S: AuditSink> AuditSink for Metered<S> {
    fn record(&self, record: &Record<'_>) -> Result<Receipt, AuditError> {
        let receipt = self.sink.record(record)?;
        self.count(record);
        Ok(receipt)
    }

    fn record_all(&self, records: &[Record<'_>]) -> Vec<Result<Receipt, AuditError>> {
        let receipts = self.sink.record_all(records);
        let written = records.iter().zip(&receipts).filter(|(_, receipt)| receipt.is_ok());
        written.for_each(|(record, _)| self.count(record));
        receipts
    }
}

impl<S> Metered<S> {
    fn count(&self, record: &Record<'_>) {
        match record {
            Record::Decided(decided) => {
                let duration = Duration::from_micros(decided.duration_us);
                self.metrics.decided(decided.face, decided.decision.outcome, duration);
            }
            Record::Outcome(reported) => self.metrics.outcome(reported.status),
            Record::Task(moved) => self.metrics.task_moved(moved.what),
            Record::Published(_) | Record::Searched(_) | Record::Admin(_) | Record::Resumed(_) => {}
        }
    }
}
