//! The check for people: the findings, what policies cannot see, one line that sums up.
//! Never longer than what was found.

use std::fmt::Write as _;

use super::{Counts, Report, untyped};
use crate::cli::paint::{BOLD, DIM, GREEN, RED, RESET, YELLOW, counted, drawn};
use crate::diagnostic::Level;

pub(super) fn render(report: &Report) -> String {
    let bundle = &report.bundle;
    let mut text = drawn(&bundle.findings);
    let parts = bundle.snapshot.as_ref().map(untyped).unwrap_or_default();
    if !parts.is_empty() {
        let note =
            "arguments that policies cannot read; `context.input_unseen` names those that are present:";
        let _ = writeln!(text, "{DIM}{note}{RESET}");
    }
    for (tool, part) in parts {
        let _ = writeln!(text, "untyped: {tool} {BOLD}{}{RESET}: {}", part.path, part.why);
    }
    text.push_str(&summary(report));
    text.push('\n');
    text
}

fn summary(report: &Report) -> String {
    let (errors, warnings) = (report.bundle.count(Level::Error), report.bundle.count(Level::Warning));
    let (errors, warned) = (counted(errors, "error"), (warnings > 0).then(|| counted(warnings, "warning")));
    let found = |first: String| match &warned {
        Some(warned) => format!("{first}, {YELLOW}{warned}{RESET}"),
        None => first,
    };
    match (&report.bundle.snapshot, report.ok()) {
        (Some(snapshot), true) => {
            let Counts { policies, entities, actions, servers, tools } = Counts::of(snapshot);
            let (policies, entities) = (counted(policies, "policy"), counted(entities, "entity"));
            let (actions, servers) = (counted(actions, "action"), counted(servers, "server"));
            let (tools, revision) = (counted(tools, "tool"), snapshot.revision());
            let holds =
                format!("{policies}, {entities}, {actions}, {servers} with {tools}, revision {revision}");
            found(format!("{GREEN}ok{RESET}: {holds}"))
        }
        (Some(_), false) if report.bundle.count(Level::Error) == 0 => {
            format!("{RED}{}{RESET}, denied by --deny warnings", warned.unwrap_or_default())
        }
        (Some(_) | None, _) => found(format!("{RED}{errors}{RESET}")),
    }
}
