//! A check as documents for programs: our own JSON, SARIF 2.1.0 (OASIS), `JUnit` XML.
//! Never leaves a finding out.

use serde_json::{Value as Json, json};

use super::{Checked, untyped};
use crate::cli::paint;
use crate::diagnostic::{Diagnostic, Level};

/// Everything that a check found.
pub(super) fn json(checked: &Checked) -> Json {
    let snapshot = checked.snapshot.as_ref();
    let parts: Vec<Json> = snapshot
        .into_iter()
        .flat_map(untyped)
        .map(|(tool, path, why)| json!({"tool": tool, "argument": path, "why": why}))
        .collect();
    let tools = |snapshot: &crate::policy::Snapshot| -> usize {
        snapshot.catalog().servers().map(|server| server.tools.len()).sum()
    };
    json!({
        "ok": snapshot.is_some() && paint::count(&checked.findings).0 == 0,
        "revision": snapshot.map(|snapshot| snapshot.revision().to_string()),
        "counts": snapshot.map(|snapshot| json!({
            "files": checked.files.len(),
            "policies": snapshot.policies().len(),
            "entities": snapshot.entity_count(),
            "actions": snapshot.action_count(),
            "tools": tools(snapshot),
        })),
        "findings": checked.findings.iter().map(paint::document).collect::<Vec<_>>(),
        "untyped": parts,
    })
}

/// SARIF, as code hosts read it.
pub(super) fn sarif(checked: &Checked) -> Json {
    let mut rules: Vec<&str> = checked.findings.iter().map(|finding| finding.code).collect();
    rules.sort_unstable();
    rules.dedup();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "palisade",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|id| json!({"id": id})).collect::<Vec<_>>(),
            }},
            "results": checked.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &Diagnostic) -> Json {
    let text = match &finding.help {
        Some(help) => format!("{}\n{help}", finding.message),
        None => finding.message.clone(),
    };
    let mut result =
        json!({"ruleId": finding.code, "level": paint::level(finding), "message": {"text": text}});
    if let (Some(file), Some(object)) = (&finding.file, result.as_object_mut()) {
        let mut place = json!({"artifactLocation": {"uri": &*file.path}});
        if let (Some((line, column)), Some(place)) = (finding.position(), place.as_object_mut()) {
            place.insert("region".into(), json!({"startLine": line, "startColumn": column}));
        }
        object.insert("locations".into(), json!([{"physicalLocation": place}]));
    }
    result
}

/// One test case per file, and one for the bundle as a whole.
pub(super) fn junit(checked: &Checked) -> String {
    let about = |path: Option<&str>| -> Vec<&Diagnostic> {
        let of = |finding: &&Diagnostic| finding.file.as_ref().map(|file| &*file.path) == path;
        checked.findings.iter().filter(|finding| finding.level == Level::Error).filter(of).collect()
    };
    let mut cases = vec![case("the bundle", &about(None))];
    cases.extend(checked.files.iter().map(|file| case(&file.path, &about(Some(&file.path)))));
    let failures = paint::count(&checked.findings).0;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"palisade check\" tests=\"{}\" failures=\"{failures}\">\n{}</testsuite>",
        cases.len(),
        cases.concat()
    )
}

fn case(name: &str, errors: &[&Diagnostic]) -> String {
    let name = paint::xml(name);
    if errors.is_empty() {
        return format!("  <testcase name=\"{name}\"/>\n");
    }
    let failures = errors.iter().map(|error| {
        let (line, column) = error.position().unwrap_or((0, 0));
        let text = paint::xml(error.help.as_deref().unwrap_or_default());
        format!("    <failure message=\"{line}:{column}: {}\">{text}</failure>\n", paint::xml(&error.message))
    });
    format!("  <testcase name=\"{name}\">\n{}  </testcase>\n", failures.collect::<String>())
}
