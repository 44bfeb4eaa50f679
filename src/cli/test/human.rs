//! The tests for people: failures in full, a count for each file, and what no test looks at.
//! Never lists what passed, unless that is asked for.

use std::fmt::Write as _;

use super::{Report, difference};
use crate::cli::paint::{BOLD, DIM, GREEN, RED, RESET, YELLOW};
use crate::suite::Verdict;

pub(super) fn render(report: &Report, verbose: bool) -> String {
    let mut text = String::new();
    for (path, verdicts) in report.files() {
        let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
        let _ = writeln!(text, "{BOLD}{path}{RESET}: {}", counts(verdicts.len() - failed, failed));
        for verdict in verdicts {
            match verdict.passed() {
                true if verbose => {
                    let _ = writeln!(text, "  {GREEN}ok{RESET} {}", verdict.name);
                }
                true => {}
                false => failure(&mut text, verdict),
            }
        }
    }
    for id in &report.uncovered {
        let _ = writeln!(text, "{YELLOW}warning{RESET}: no test saw `{id}` make the difference");
    }
    let failed = report.failed();
    let _ = writeln!(text, "{}", counts(report.verdicts.len() - failed, failed));
    text
}

fn failure(text: &mut String, verdict: &Verdict) {
    let Verdict { path, line, name, .. } = verdict;
    let _ = writeln!(text, "  {RED}FAILED{RESET} {name} {DIM}({path}:{line}; - wanted, + got){RESET}");
    for (mark, line) in difference::lines(verdict) {
        let colour = match mark {
            '-' => RED,
            '+' => GREEN,
            _ => DIM,
        };
        let _ = writeln!(text, "    {colour}{mark} {line}{RESET}");
    }
}

fn counts(passed: usize, failed: usize) -> String {
    match failed {
        0 => format!("{GREEN}{passed} passed{RESET}, 0 failed"),
        failed => format!("{passed} passed, {RED}{failed} failed{RESET}"),
    }
}
