//! Runs cases: the same judgement that a request gets, on the case's own facts.
//! Never records: a test is not a decision.

use super::{Suite, Verdict};
use crate::pdp::{Terms, judge};
use crate::policy::Snapshot;

/// Runs every case of a suite against a snapshot.
pub fn run(snapshot: &Snapshot, suite: &Suite) -> Vec<Verdict> {
    let terms = Terms { agentless: true, ..Terms::default() };
    let verdict = |case: &super::Case| {
        let judged = judge(snapshot, &case.ask, &case.facts, &terms);
        let decision = judged.decision;
        Verdict {
            path: suite.file.path.to_string(),
            name: case.name.clone(),
            expected: case.expected.clone(),
            outcome: decision.outcome,
            reason_text: decision.reason,
            determining: decision.determining.iter().map(|policy| policy.id.to_string()).collect(),
            errors: decision.errors.iter().map(|error| format!("{}: {}", error.id, error.message)).collect(),
        }
    };
    suite.cases.iter().map(verdict).collect()
}
