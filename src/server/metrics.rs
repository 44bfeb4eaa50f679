//! What is counted, for Prometheus.
//! Never carries principals, resources or policies as labels: those are without number.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::access::{Outcome, Revision, Timestamp};
use crate::audit::{Ending, Face, Move};
use crate::store::Counts;

/// Upper bounds of the decision times that are told apart, in seconds: 10 µs to 100 ms.
const DURATION_BUCKETS_S: [f64; 12] =
    [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 1e-1];

/// The content type of [`Metrics::to_text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How an attempt to reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Another bundle came into force.
    Published,
    /// The content was the one in force.
    Unchanged,
    /// The bundle could not be read, compiled or recorded.
    Failed,
}

impl Attempt {
    fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    outcome: &'static str,
    reason: &'static str,
    face: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MoveLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BundleLabels {
    revision: String,
}

/// An issuer or a trust domain, by the name that the configuration gives it: nothing that a token says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IssuerLabels {
    issuer: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    issuer: Arc<str>,
    result: &'static str,
}

/// Everything that this process counts.
pub struct Metrics {
    registry: Registry,
    decisions: Family<DecisionLabels, Counter>,
    decision_duration: Histogram,
    audit_failures: Counter,
    audit_writable: Gauge,
    reloads: Family<AttemptLabels, Counter>,
    bundle: Family<BundleLabels, Gauge>,
    bundle_since: Gauge<f64, AtomicU64>,
    bundle_failing: Gauge,
    decisions_open: Gauge,
    callers_refused: Counter,
    outcomes: Family<OutcomeLabels, Counter>,
    task_moves: Family<MoveLabels, Counter>,
    tasks_open: Gauge,
    revocations: Gauge,
    state_writable: Gauge,
    state_commits: Counter,
    state_groups: Counter,
    state_failures: Counter,
    keys_failing: Family<IssuerLabels, Gauge>,
    keys_fetches: Family<FetchLabels, Counter>,
    keys_last_success: Family<IssuerLabels, Gauge<f64, AtomicU64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("palisade"),
            decisions: Family::default(),
            decision_duration: Histogram::new(DURATION_BUCKETS_S),
            audit_failures: Counter::default(),
            audit_writable: Gauge::default(),
            reloads: Family::default(),
            bundle: Family::default(),
            bundle_since: Gauge::default(),
            bundle_failing: Gauge::default(),
            decisions_open: Gauge::default(),
            callers_refused: Counter::default(),
            outcomes: Family::default(),
            task_moves: Family::default(),
            tasks_open: Gauge::default(),
            revocations: Gauge::default(),
            state_writable: Gauge::default(),
            state_commits: Counter::default(),
            state_groups: Counter::default(),
            state_failures: Counter::default(),
            keys_failing: Family::default(),
            keys_fetches: Family::default(),
            keys_last_success: Family::default(),
        };
        metrics.register();
        metrics.register_tasks();
        metrics
    }

    fn register(&mut self) {
        let all = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all.register("build", "The version that runs", build);
        all.register("decisions", "Answers, by outcome, reason and face", self.decisions.clone());
        let text = "Time from a request's arrival to its record";
        all.register_with_unit("decision_duration", text, Unit::Seconds, self.decision_duration.clone());
        let text = "Audit records that could not be written, and whose answers were refused";
        all.register("audit_failures", text, self.audit_failures.clone());
        let text = "1 if audit records can be written, else 0 and no answers leave";
        all.register("audit_writable", text, self.audit_writable.clone());
        all.register("reloads", "Attempts to reload the bundle, by result", self.reloads.clone());
        all.register("bundle", "1 for the revision in force (first 12 digits)", self.bundle.clone());
        let text = "Unix time since which the bundle is in force";
        all.register_with_unit("bundle_in_force_since", text, Unit::Seconds, self.bundle_since.clone());
        let text = "1 if the bundle directory holds something that cannot come into force, else 0";
        all.register("bundle_failing", text, self.bundle_failing.clone());
        let text = "Permitted calls whose outcome can still be reported";
        all.register("decisions_open", text, self.decisions_open.clone());
        let text = "Calls of nobody that is known here";
        all.register("callers_refused", text, self.callers_refused.clone());
        all.register("outcomes", "Reported outcomes, by status", self.outcomes.clone());
        let text = "1 if the last fetch of an issuer's keys failed, else 0";
        all.register("keys_failing", text, self.keys_failing.clone());
        all.register("keys_fetches", "Fetches of keys, by issuer and result", self.keys_fetches.clone());
        let text = "Unix time of the last fetch that found an issuer's keys as they are in force";
        all.register_with_unit("keys_last_success", text, Unit::Seconds, self.keys_last_success.clone());
    }

    /// An answer was given.
    pub fn decided(&self, face: Face, outcome: Outcome, duration: Duration) {
        let (outcome, reason) = match outcome {
            Outcome::Permit => ("permit", ""),
            Outcome::Deny(reason) => ("deny", reason.name()),
        };
        self.decisions.get_or_create(&DecisionLabels { outcome, reason, face: face.name() }).inc();
        self.decision_duration.observe(duration.as_secs_f64());
    }

    /// A record could not be written.
    pub fn audit_failed(&self) {
        self.audit_failures.inc();
        self.audit_writable.set(0);
    }

    /// Records can be written.
    pub fn audit_works(&self) {
        self.audit_writable.set(1);
    }

    /// An attempt to reload ended.
    pub fn reloaded(&self, attempt: Attempt) {
        self.reloads.get_or_create(&AttemptLabels { result: attempt.name() }).inc();
    }

    /// Whether the bundle directory holds something that cannot come into force.
    pub fn bundle_failing(&self, failing: bool) {
        self.bundle_failing.set(i64::from(failing));
    }

    /// A bundle came into force.
    pub fn published(&self, revision: &Revision, since: Timestamp) {
        self.bundle.clear();
        self.bundle.get_or_create(&BundleLabels { revision: revision.short().to_owned() }).set(1);
        self.bundle_since.set(seconds(since));
    }

    fn register_tasks(&mut self) {
        let all = &mut self.registry;
        all.register("task_moves", "What became of tasks and of authority, by kind", self.task_moves.clone());
        all.register("tasks_open", "Tasks that are open", self.tasks_open.clone());
        all.register(
            "revocations",
            "Revocations that are kept, lifted ones included",
            self.revocations.clone(),
        );
        let text = "1 if the state of tasks can be written, else 0 and no task begins or ends";
        all.register("state_writable", text, self.state_writable.clone());
        all.register("state_commits", "Commits to the state of tasks", self.state_commits.clone());
        let text = "Groups of commits that were written together, each with one fsync";
        all.register("state_groups", text, self.state_groups.clone());
        let text = "Groups of commits that could not be written";
        all.register("state_failures", text, self.state_failures.clone());
    }

    /// Something became of a task, or of authority.
    pub fn task_moved(&self, what: Move) {
        self.task_moves.get_or_create(&MoveLabels { kind: what.name() }).inc();
    }

    /// How many tasks are open, and how many revocations are kept.
    pub fn tasks(&self, open: usize, revocations: usize) {
        self.tasks_open.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.revocations.set(i64::try_from(revocations).unwrap_or(i64::MAX));
    }

    /// What the state's writer did.
    pub fn state(&self, is_writable: bool, counts: Counts) {
        let Counts { commits, groups, failures } = counts;
        self.state_writable.set(i64::from(is_writable));
        for (counter, count) in
            [(&self.state_commits, commits), (&self.state_groups, groups), (&self.state_failures, failures)]
        {
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    /// So many calls were refused because nobody was known.
    pub fn callers_refused(&self, count: u64) {
        let known = self.callers_refused.get();
        self.callers_refused.inc_by(count.saturating_sub(known));
    }

    /// So many permitted calls await their outcome.
    pub fn decisions_open(&self, count: usize) {
        self.decisions_open.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// An outcome was recorded.
    pub fn outcome(&self, ending: Ending) {
        self.outcomes.get_or_create(&OutcomeLabels { status: ending.name() }).inc();
    }

    /// The keys of an issuer were fetched, and are in force.
    pub fn keys_fetched(&self, issuer: &Arc<str>, at: Timestamp) {
        self.keys_attempted(issuer, "success", false);
        let labels = IssuerLabels { issuer: issuer.clone() };
        self.keys_last_success.get_or_create(&labels).set(seconds(at));
    }

    /// The keys of an issuer could not be fetched, or are not usable.
    pub fn keys_failed(&self, issuer: &Arc<str>) {
        self.keys_attempted(issuer, "failure", true);
    }

    fn keys_attempted(&self, issuer: &Arc<str>, result: &'static str, failing: bool) {
        self.keys_fetches.get_or_create(&FetchLabels { issuer: issuer.clone(), result }).inc();
        self.keys_failing.get_or_create(&IssuerLabels { issuer: issuer.clone() }).set(i64::from(failing));
    }

    /// Everything in the `OpenMetrics` text format.
    ///
    /// # Errors
    /// Never for metrics of ours; the encoder's signature has one.
    pub fn to_text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 52 bits until the year 144,000")]
fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::DenyReason;

    #[test]
    fn decisions_are_counted_by_outcome_reason_and_face() {
        let metrics = Metrics::new();
        metrics.decided(Face::Grpc, Outcome::Permit, Duration::from_micros(40));
        metrics.decided(Face::Grpc, Outcome::Deny(DenyReason::Forbidden), Duration::from_micros(40));
        metrics.decided(Face::Grpc, Outcome::Deny(DenyReason::Forbidden), Duration::from_millis(2));
        let text = metrics.to_text().unwrap();
        let forbidden = r#"palisade_decisions_total{outcome="deny",reason="Forbidden",face="grpc"} 2"#;
        assert!(text.contains(forbidden), "{text}");
        assert!(
            text.contains(r#"palisade_decisions_total{outcome="permit",reason="",face="grpc"} 1"#),
            "{text}"
        );
        assert!(text.contains("palisade_decision_duration_seconds_count 3"), "{text}");
    }

    #[test]
    fn only_the_revision_in_force_is_shown() {
        let metrics = Metrics::new();
        metrics.published(&Revision("sha256:aaaaaaaaaaaabbbb".into()), Timestamp(1_500));
        metrics.published(&Revision("sha256:ccccccccccccdddd".into()), Timestamp(2_500));
        let text = metrics.to_text().unwrap();
        assert!(text.contains(r#"palisade_bundle{revision="cccccccccccc"} 1"#), "{text}");
        assert!(!text.contains("aaaaaaaaaaaa"), "{text}");
        assert!(text.contains("palisade_bundle_in_force_since_seconds 2.5"), "{text}");
    }

    #[test]
    fn fetches_of_keys_are_counted_by_issuer_and_the_last_success_stays() {
        let metrics = Metrics::new();
        let (good, other): (Arc<str>, Arc<str>) = ("https://idp.example".into(), "a\"b".into());
        metrics.keys_fetched(&good, Timestamp(1_500));
        metrics.keys_failed(&good);
        metrics.keys_failed(&good);
        metrics.keys_failed(&other);
        metrics.keys_fetched(&other, Timestamp(2_500));
        let text = metrics.to_text().unwrap();
        for line in [
            r#"palisade_keys_failing{issuer="https://idp.example"} 1"#,
            r#"palisade_keys_failing{issuer="a\"b"} 0"#,
            r#"palisade_keys_fetches_total{issuer="https://idp.example",result="failure"} 2"#,
            r#"palisade_keys_fetches_total{issuer="https://idp.example",result="success"} 1"#,
            r#"palisade_keys_last_success_seconds{issuer="https://idp.example"} 1.5"#,
            r#"palisade_keys_last_success_seconds{issuer="a\"b"} 2.5"#,
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is not in {text}");
        }
    }
}
