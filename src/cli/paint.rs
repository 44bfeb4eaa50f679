//! Findings on paper: as people read them, and as programs do.
//! Never prints colours where no terminal is: anstream takes them out.

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Level};

/// Every finding as `miette` draws it, on standard error.
pub(super) fn findings(findings: &[Diagnostic]) {
    for finding in findings {
        anstream::eprintln!("{:?}", finding.to_report());
    }
}

/// How many errors and warnings.
pub(super) fn count(findings: &[Diagnostic]) -> (usize, usize) {
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    (errors, findings.len() - errors)
}

/// `2 errors, 1 warning`
pub(super) fn summary(findings: &[Diagnostic]) -> String {
    let (errors, warnings) = count(findings);
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}", plural(errors, "error"), plural(warnings, "warning"))
}

/// `error` or `warning`
pub(super) fn level(finding: &Diagnostic) -> &'static str {
    match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

/// One finding as a JSON object.
pub(super) fn document(finding: &Diagnostic) -> Json {
    let (line, column) = finding.position().unzip();
    json!({
        "level": level(finding),
        "code": finding.code,
        "message": finding.message,
        "help": finding.help,
        "file": finding.file.as_ref().map(|file| &*file.path),
        "line": line,
        "column": column,
        "label": finding.label.as_ref().map(|(_, label)| label),
    })
}

/// Text within XML.
pub(super) fn xml(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).fold(
        String::new(),
        |mut xml, letter| {
            match letter {
                '<' => xml.push_str("&lt;"),
                '>' => xml.push_str("&gt;"),
                '&' => xml.push_str("&amp;"),
                '"' => xml.push_str("&quot;"),
                other => xml.push(other),
            }
            xml
        },
    )
}
