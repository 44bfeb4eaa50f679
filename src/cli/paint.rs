//! How findings and words look. Colours are always written and reach terminals only: `anstream` removes them
//! elsewhere, and honours `NO_COLOR` and `CLICOLOR_FORCE`.
//! Never chooses what is said.

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::diagnostic::Diagnostic;

pub(super) const BOLD: &str = "\u{1b}[1m";
pub(super) const DIM: &str = "\u{1b}[2m";
pub(super) const GREEN: &str = "\u{1b}[32m";
pub(super) const RED: &str = "\u{1b}[31m";
pub(super) const YELLOW: &str = "\u{1b}[33m";
pub(super) const RESET: &str = "\u{1b}[0m";

/// The width that findings are wrapped to: the same in a terminal, a pipe and a CI log.
const WIDTH: usize = 110;

/// Findings with their source lines, one after the other.
pub(super) fn drawn(findings: &[Diagnostic]) -> String {
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode()).with_width(WIDTH).with_links(false);
    let mut text = String::new();
    for finding in findings {
        if handler.render_report(&mut text, finding.to_report().as_ref()).is_err() {
            text.push_str(&finding.message);
        }
        text.push('\n');
    }
    text
}

/// Shows findings on standard error.
pub(super) fn findings(findings: &[Diagnostic]) {
    anstream::eprint!("{}", drawn(findings));
}

/// `1 error`, `3 errors`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = match noun.strip_suffix('y') {
        Some(_) if count == 1 => noun.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None if count == 1 => noun.to_owned(),
        None => format!("{noun}s"),
    };
    format!("{count} {plural}")
}
