//! A sink that keeps records in memory, for embedding and for tests.
//! Never outlives the process, so its receipts are worth as much as the process.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::{AuditError, AuditSink, Receipt, Record};

/// Keeps the latest records as JSON.
#[derive(Debug)]
pub struct Memory {
    records_max: usize,
    records: Mutex<VecDeque<serde_json::Value>>,
}

impl Memory {
    /// Keeps at most `records_max` records; the oldest go first.
    pub fn new(records_max: usize) -> Self {
        Self { records_max, records: Mutex::default() }
    }

    /// The records so far, the oldest first.
    pub fn records(&self) -> Vec<serde_json::Value> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl AuditSink for Memory {
    fn record(&self, record: &Record<'_>) -> Result<Receipt, AuditError> {
        let record = serde_json::from_slice(&record.to_json()?).map_err(AuditError::Encode)?;
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push_back(record);
        while records.len() > self.records_max {
            records.pop_front();
        }
        Ok(Receipt::written())
    }
}
