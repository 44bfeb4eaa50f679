//! The check for code scanning: SARIF 2.1.0 (OASIS).
//! Never names a path outside the bundle: every location is relative to its root.

use serde_json::{Value, json};

use super::json::level_name;
use crate::diagnostic::{Diagnostic, File};

/// One run with a rule for each code that was found.
pub(super) fn document(findings: &[Diagnostic]) -> Value {
    let mut rules: Vec<&Diagnostic> = findings.iter().collect();
    rules.sort_by_key(|finding| finding.code);
    rules.dedup_by_key(|finding| finding.code);
    let results = findings.iter().map(|finding| result(finding, &rules)).collect::<Vec<_>>();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "palisade",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|finding| rule(finding)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(finding: &Diagnostic) -> Value {
    json!({ "id": finding.code, "defaultConfiguration": { "level": level_name(finding.level) } })
}

fn result(finding: &Diagnostic, rules: &[&Diagnostic]) -> Value {
    let Diagnostic { level, code, message, help, file, label } = finding;
    let text = match help {
        Some(help) => format!("{message}. {help}"),
        None => message.clone(),
    };
    let span = label.as_ref().map(|(span, _)| span);
    let locations: Vec<Value> = file.iter().map(|file| location(file, span)).collect();
    json!({
        "ruleId": code,
        "ruleIndex": rules.iter().position(|rule| rule.code == *code),
        "level": level_name(*level),
        "message": { "text": text },
        "locations": locations,
    })
}

fn location(file: &File, span: Option<&std::ops::Range<usize>>) -> Value {
    let (start, end) = span.map_or((0, 0), |span| (span.start, span.end));
    let ((line, column), (end_line, end_column)) = (file.position(start), file.position(end));
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&file.path) },
        "region": { "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column },
    }})
}

/// A path as a relative URI reference (RFC 3986): all but unreserved characters and `/` are escaped.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let written = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(written).collect()
}
