//! The tests for a test report: a suite for each file, a case for each case.
//! Never reports an uncovered policy as a failure.

use super::{Report, difference};
use crate::cli::junit::{Case, Group, document};
use crate::cli::paint;
use crate::diagnostic::Diagnostic;
use crate::suite::Verdict;

pub(super) fn render(report: &Report) -> String {
    let group = |(path, verdicts): (&str, &[Verdict])| Group {
        name: path.to_owned(),
        cases: verdicts.iter().map(case).collect(),
    };
    document(&report.files().map(group).collect::<Vec<_>>())
}

fn case(verdict: &Verdict) -> Case {
    let failure = (!verdict.passed()).then(|| {
        let place = format!("{}:{}: the answer is not the wanted one", verdict.path, verdict.line);
        (place, difference::text(verdict))
    });
    Case { name: verdict.name.clone(), class: verdict.path.clone(), failure, output: String::new() }
}

/// No test was run: one case, that failed for these reasons.
pub(super) fn refusal(findings: &[Diagnostic]) -> String {
    let full = anstream::adapter::strip_str(&paint::drawn(findings)).to_string();
    let failure = Some(("no test was run".to_owned(), full));
    let case = Case { name: "bundle".into(), class: "palisade.test".into(), failure, output: String::new() };
    document(&[Group { name: "palisade test".into(), cases: vec![case] }])
}
