//! What a load saw within its span: latencies in a histogram, and the calls that failed.
//! Never counts a failed call as an answer.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::trouble::{Outcome, Trouble};

/// The shortest and the longest latency that is told apart from others, in nanoseconds, and the digits kept.
const LOWEST_NS: u64 = 100;
const HIGHEST_NS: u64 = 120_000_000_000;
const DIGITS: u8 = 3;

/// A load gives up after so many failures of one loop.
pub const FAILURES_MAX: u64 = 100;

/// The time in which latencies are recorded; a load begins before it, and ends what it began after it.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// From here on.
    pub from: Instant,
    /// Up to here.
    pub until: Instant,
}

impl Span {
    /// After `settle`, for `measured`.
    pub fn after(settle: Duration, measured: Duration) -> Self {
        let from = Instant::now() + settle;
        Self { from, until: from + measured }
    }

    /// Whether an instant lies in it.
    pub fn holds(self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }

    fn seconds(self) -> f64 {
        self.until.duration_since(self.from).as_secs_f64()
    }
}

/// Latencies in nanoseconds.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    pub fn new() -> Outcome<Self> {
        let histogram = Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS);
        histogram.map(Self).map_err(|error| Trouble::Call(format!("no histogram: {error}")))
    }

    /// One more.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The latency below which a share of them lies, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub fn quantile_us(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64 / 1e3
    }
}

/// What one loop saw, or several together.
pub struct Tally {
    latencies: Latencies,
    /// Calls made, within the span or not.
    calls: u64,
    /// Calls that failed, within the span or not.
    pub failed: u64,
    first_failure: Option<String>,
}

impl Tally {
    /// Nothing seen.
    pub fn new() -> Outcome<Self> {
        Ok(Self { latencies: Latencies::new()?, calls: 0, failed: 0, first_failure: None })
    }

    /// A call that took from `began` to `ended`. It is recorded if it counts.
    pub fn note(&mut self, counts: bool, began: Instant, ended: Instant, result: Result<(), String>) {
        self.calls += 1;
        match result {
            Ok(()) if counts => self.latencies.record(ended.saturating_duration_since(began)),
            Ok(()) => {}
            Err(words) => {
                self.failed += 1;
                self.first_failure.get_or_insert(words);
            }
        }
    }

    /// Adds what another loop saw.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so that nothing can be refused.
        let _ = self.latencies.0.add(&other.latencies.0);
        self.calls += other.calls;
        self.failed += other.failed;
        if self.first_failure.is_none() {
            self.first_failure.clone_from(&other.first_failure);
        }
    }

    /// The figures, when the span was as given and the server used so much processor time in all.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub fn slot(self, span: Span, cpu: Duration) -> Slot {
        let recorded = self.latencies.0.len();
        Slot {
            p50_us: self.latencies.quantile_us(0.5),
            p99_us: self.latencies.quantile_us(0.99),
            per_second: recorded as f64 / span.seconds(),
            cpu_us: cpu.as_secs_f64() * 1e6 / (self.calls.max(1) as f64),
            late_us: 0.0,
            recorded,
            failed: self.failed,
            first_failure: self.first_failure,
        }
    }
}

/// The figures of one server over one span.
#[derive(Debug, Clone, Serialize)]
pub struct Slot {
    /// The median latency.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
    /// Answers per second.
    pub per_second: f64,
    /// Processor time of the server for one call.
    pub cpu_us: f64,
    /// In an open loop: how late calls were made, 99th percentile.
    pub late_us: f64,
    /// Latencies recorded.
    pub recorded: u64,
    /// Calls that failed, or were answered otherwise than they should be.
    pub failed: u64,
    /// What was wrong with the first of them.
    pub first_failure: Option<String>,
}

impl Slot {
    /// Trouble when a call failed, or when there was none.
    pub fn sound(self) -> Outcome<Self> {
        match &self.first_failure {
            Some(words) => Err(Trouble::Call(format!("{} calls failed: {words}", self.failed))),
            None if self.recorded == 0 => Err(Trouble::Call("no call was answered in time".into())),
            None => Ok(self),
        }
    }
}
