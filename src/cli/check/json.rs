//! The check for programs: one JSON document.
//! Never leaves a member out: what does not apply is null.

use serde_json::{Value, json};

use super::{Counts, Report, untyped};
use crate::diagnostic::{Diagnostic, Level};

pub(super) fn document(report: &Report) -> Value {
    let bundle = &report.bundle;
    let snapshot = bundle.snapshot.as_ref();
    let counts = snapshot.map(Counts::of);
    let count = |of: fn(&Counts) -> usize| counts.as_ref().map(of);
    let parts = snapshot.map(untyped).unwrap_or_default();
    json!({
        "ok": report.ok(),
        "revision": snapshot.map(|snapshot| snapshot.revision().to_string()),
        "counts": {
            "errors": bundle.count(Level::Error),
            "warnings": bundle.count(Level::Warning),
            "policies": count(|counts| counts.policies),
            "entities": count(|counts| counts.entities),
            "actions": count(|counts| counts.actions),
            "servers": count(|counts| counts.servers),
            "tools": count(|counts| counts.tools),
        },
        "findings": bundle.findings.iter().map(finding).collect::<Vec<_>>(),
        "untyped": parts
            .into_iter()
            .map(|(tool, part)| json!({ "tool": tool, "path": part.path, "why": part.why }))
            .collect::<Vec<_>>(),
    })
}

/// One finding. Lines and columns count from 1, columns in characters; the end is the first place after it.
pub(in crate::cli) fn finding(finding: &Diagnostic) -> Value {
    let Diagnostic { level, code, message, help, file, label } = finding;
    let place = |offset: Option<usize>| Some(file.as_ref()?.position(offset?));
    let start = place(label.as_ref().map(|(span, _)| span.start));
    let end = place(label.as_ref().map(|(span, _)| span.end));
    json!({
        "level": level_name(*level),
        "code": code,
        "message": message,
        "help": help,
        "file": file.as_ref().map(|file| &*file.path),
        "line": start.map(|(line, _)| line),
        "column": start.map(|(_, column)| column),
        "end_line": end.map(|(line, _)| line),
        "end_column": end.map(|(_, column)| column),
        "label": label.as_ref().map(|(_, words)| words),
    })
}

/// The level's name, here and in SARIF.
pub(super) fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}
