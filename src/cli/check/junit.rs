//! The check for a test report: a case for each file, and one for the bundle as a whole.
//! Never hides a warning: what does not fail stands in the case's output.

use super::Report;
use crate::cli::junit::{Case, Group, document};
use crate::diagnostic::Diagnostic;

pub(super) fn render(report: &Report) -> String {
    let about = |path: Option<&str>| -> Vec<&Diagnostic> {
        let of_file = |finding: &&Diagnostic| finding.file.as_ref().map(|file| &*file.path) == path;
        report.bundle.findings.iter().filter(of_file).collect()
    };
    let whole = case("bundle", &about(None), report);
    let files = report.bundle.paths.iter().map(|path| case(path, &about(Some(path)), report));
    document(&[Group {
        name: "palisade check".to_owned(),
        cases: std::iter::once(whole).chain(files).collect(),
    }])
}

fn case(name: &str, findings: &[&Diagnostic], report: &Report) -> Case {
    let (failing, passing): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
        findings.iter().copied().partition(|finding| finding.level >= report.failing);
    let all = |findings: &[&Diagnostic]| findings.iter().copied().map(told).collect::<Vec<_>>().join("\n");
    let failure = failing.first().map(|first| (first.message.clone(), all(&failing)));
    Case { name: name.to_owned(), class: "palisade.check".to_owned(), failure, output: all(&passing) }
}

/// `policies/a.cedar:3:5: policy::type: …`
fn told(finding: &Diagnostic) -> String {
    let Diagnostic { level: _, code, message, help, file, label: _ } = finding;
    let place = match (file, finding.position()) {
        (Some(file), Some((line, column))) => format!("{}:{line}:{column}: ", file.path),
        (Some(file), None) => format!("{}: ", file.path),
        (None, _) => String::new(),
    };
    let help = help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
    format!("{place}{code}: {message}{help}")
}
