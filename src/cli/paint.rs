//! How findings and words look. Colours are always written and reach terminals only: `anstream` removes them
//! elsewhere, and honours `NO_COLOR` and `CLICOLOR_FORCE`.
//! Never chooses what is said.

use std::io::{ErrorKind, Write as _};

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

/// Prints on standard output. A reader that has gone has read enough.
pub(super) fn print(text: &str) -> Result<(), String> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Rows with their columns one below the other.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
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
