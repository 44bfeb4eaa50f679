//! Verdicts for people, as JSON and as `JUnit` XML.
//! Never counts a case twice.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use similar::{ChangeTag, TextDiff};

use crate::access::{DenyReason, Outcome};
use crate::cli::paint;
use crate::suite::Verdict;

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const RESET: &str = "\u{1b}[0m";

/// Failed cases with what was wanted and what came; then the policies that nothing tests; then the count.
pub(super) fn human(verdicts: &[Verdict], untested: &[String], verbose: bool) {
    for verdict in verdicts {
        let place = format!("{}:{}", verdict.path, verdict.line);
        if verdict.passed() {
            if verbose {
                anstream::println!("{GREEN}ok{RESET}     {place} {}", verdict.name);
            }
        } else {
            anstream::println!("{RED}FAILED{RESET} {place} {}", verdict.name);
            anstream::print!("{}", difference(verdict));
        }
    }
    for id in untested {
        anstream::println!("{YELLOW}untested{RESET} no case sees the policy `{id}` making the difference");
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
    anstream::println!("{} passed, {failed} failed", verdicts.len() - failed);
}

/// What was wanted (-) and what came (+), of what the case looks at.
fn difference(verdict: &Verdict) -> String {
    let (wanted, got) = (wanted(verdict), got(verdict));
    let mut text = String::new();
    for change in TextDiff::from_lines(&wanted, &got).iter_all_changes() {
        let (sign, colour) = match change.tag() {
            ChangeTag::Delete => ('-', RED),
            ChangeTag::Insert => ('+', GREEN),
            ChangeTag::Equal => (' ', ""),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {colour}{sign} {}{RESET}", change.value().trim_end());
    }
    if !verdict.reason_text.is_empty() {
        let _ = writeln!(text, "      the agent is told: {}", verdict.reason_text);
    }
    for error in &verdict.errors {
        let _ = writeln!(text, "      failed to evaluate: {error}");
    }
    text
}

fn wanted(verdict: &Verdict) -> String {
    let expected = &verdict.expected;
    let outcome = if expected.permit { "permit" } else { "deny" };
    lines(outcome, expected.reason, expected.determining.as_ref())
}

/// In the same form, without what the case does not look at.
fn got(verdict: &Verdict) -> String {
    let (outcome, reason) = match verdict.outcome {
        Outcome::Permit => ("permit", None),
        Outcome::Deny(reason) => ("deny", Some(reason)),
    };
    let expected = &verdict.expected;
    let looked = expected.reason.is_some() || (expected.permit && reason.is_some());
    lines(outcome, reason.filter(|_| looked), expected.determining.as_ref().map(|_| &verdict.determining))
}

fn lines(outcome: &str, reason: Option<DenyReason>, determining: Option<&BTreeSet<String>>) -> String {
    let mut text = format!("expect: {outcome}\n");
    if let Some(reason) = reason {
        let _ = writeln!(text, "reason: {}", reason.name());
    }
    if let Some(ids) = determining {
        text.push_str("determining:\n");
        for id in ids {
            let _ = writeln!(text, "- {id}");
        }
    }
    text
}

/// One document with every verdict.
pub(super) fn json(verdicts: &[Verdict], untested: &[String]) -> Json {
    let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
    let verdict = |verdict: &Verdict| {
        let (decision, reason) = match verdict.outcome {
            Outcome::Permit => ("permit", None),
            Outcome::Deny(reason) => ("deny", Some(reason.name())),
        };
        json!({
            "file": verdict.path,
            "line": verdict.line,
            "name": verdict.name,
            "passed": verdict.passed(),
            "expected": {
                "decision": if verdict.expected.permit { "permit" } else { "deny" },
                "reason": verdict.expected.reason.map(DenyReason::name),
                "determining": verdict.expected.determining,
            },
            "got": {
                "decision": decision,
                "reason": reason,
                "reason_text": verdict.reason_text,
                "determining": verdict.determining,
                "errors": verdict.errors,
            },
        })
    };
    json!({
        "passed": verdicts.len() - failed,
        "failed": failed,
        "untested": untested,
        "cases": verdicts.iter().map(verdict).collect::<Vec<_>>(),
    })
}

/// One test case per case.
pub(super) fn junit(verdicts: &[Verdict]) -> String {
    let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
    let case = |verdict: &Verdict| {
        let (name, path) = (paint::xml(&verdict.name), paint::xml(&verdict.path));
        if verdict.passed() {
            return format!("  <testcase classname=\"{path}\" name=\"{name}\"/>\n");
        }
        let got = got(verdict);
        let text = paint::xml(&format!("wanted:\n{}\ngot:\n{got}", wanted(verdict)));
        format!(
            "  <testcase classname=\"{path}\" name=\"{name}\">\n    <failure message=\"another answer\">{text}</failure>\n  </testcase>\n"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"palisade test\" tests=\"{}\" failures=\"{failed}\">\n{}</testsuite>",
        verdicts.len(),
        verdicts.iter().map(case).collect::<String>()
    )
}
