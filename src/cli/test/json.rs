//! The tests for programs: one JSON document, of the same form whether tests were run or not.
//! Never leaves a member out: what does not apply is null.

use serde_json::{Value, json};

use super::Report;
use crate::access::{DenyReason, Outcome};
use crate::cli::check::finding;
use crate::diagnostic::Diagnostic;
use crate::suite::{Expected, Verdict};

pub(super) fn document(report: &Report) -> Value {
    let failed = report.failed();
    json!({
        "ok": failed == 0,
        "revision": report.revision,
        "passed": report.verdicts.len() - failed,
        "failed": failed,
        "cases": report.verdicts.iter().map(case).collect::<Vec<_>>(),
        "uncovered": report.uncovered,
        "findings": [],
    })
}

/// No test was run.
pub(super) fn refusal(findings: &[Diagnostic]) -> Value {
    let findings: Vec<Value> = findings.iter().map(finding).collect();
    json!({
        "ok": false,
        "revision": null,
        "passed": 0,
        "failed": 0,
        "cases": [],
        "uncovered": [],
        "findings": findings,
    })
}

fn case(verdict: &Verdict) -> Value {
    let Verdict { path, line, name, expected, outcome, reason_text, determining, obligations, errors } =
        verdict;
    let Expected { permit, reason, determining: wanted, obligations: demanded } = expected;
    let came = match outcome {
        Outcome::Permit => None,
        Outcome::Deny(reason) => Some(reason.name()),
    };
    json!({
        "file": path,
        "line": line,
        "name": name,
        "passed": verdict.passed(),
        "expected": {
            "decision": word(*permit),
            "reason": reason.map(DenyReason::name),
            "determining": wanted,
            "obligations": demanded,
        },
        "got": {
            "decision": word(outcome.is_permit()),
            "reason": came,
            "reason_text": reason_text,
            "determining": determining,
            "obligations": obligations,
            "errors": errors,
        },
    })
}

fn word(permit: bool) -> &'static str {
    if permit { "permit" } else { "deny" }
}
