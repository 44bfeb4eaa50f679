//! `palisade check`: every finding of a whole bundle, and what policies cannot see of its tools.
//! Never changes a file.

mod reports;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Exit, bundle, paint};
use crate::diagnostic::{Diagnostic, File};
use crate::policy::{Snapshot, compile};
use crate::suite;

/// Which bundle, and how to print what is found.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  palisade check                          the bundle in the current directory
  palisade check --deny warnings          for CI: a rule about a tool that is gone does not pass
  palisade check --format sarif > findings.sarif

Exit codes: 0 nothing to complain about, 1 findings, 2 the bundle cannot be read.")]
pub(super) struct Options {
    /// The bundle directory: schemas/, policies/, entities/, tools/.
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// How to print the findings: for people, as one JSON document, as SARIF 2.1.0, as a `JUnit` report.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Let warnings fail the check too.
    #[arg(long, value_enum, value_name = "LEVEL")]
    deny: Option<Deny>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
    Sarif,
    Junit,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Deny {
    /// Warnings are errors.
    Warnings,
}

/// What a check came to.
struct Checked {
    files: Vec<File>,
    findings: Vec<Diagnostic>,
    snapshot: Option<Snapshot>,
}

pub(super) fn run(options: &Options) -> Exit {
    let sources = match bundle::read(&options.directory) {
        Ok(sources) => sources,
        Err(exit) => return exit,
    };
    let checked = check(sources.files, sources.tests);
    match options.format {
        Format::Human => human(&checked),
        Format::Json => anstream::println!("{:#}", reports::json(&checked)),
        Format::Sarif => anstream::println!("{:#}", reports::sarif(&checked)),
        Format::Junit => anstream::println!("{}", reports::junit(&checked)),
    }
    let (errors, warnings) = paint::count(&checked.findings);
    match options.deny {
        Some(Deny::Warnings) if warnings > 0 => Exit::Findings,
        Some(Deny::Warnings) | None if errors > 0 => Exit::Findings,
        Some(Deny::Warnings) | None => Exit::Ok,
    }
}

fn check(files: Vec<File>, tests: Vec<File>) -> Checked {
    let (suites, mut findings) = bundle::suites(&tests);
    let snapshot = match compile(&files) {
        Ok(compiled) => {
            findings.extend(compiled.warnings);
            findings.extend(suites.iter().flat_map(|tests| suite::strangers(&compiled.snapshot, tests)));
            Some(compiled.snapshot)
        }
        Err(found) => {
            findings.extend(found);
            None
        }
    };
    crate::diagnostic::sort(&mut findings);
    Checked { files: files.into_iter().chain(tests).collect(), findings, snapshot }
}

/// The parts of tools' schemas that Cedar cannot type: tool, argument, why.
fn untyped(snapshot: &Snapshot) -> impl Iterator<Item = (String, &str, &str)> {
    let tools = snapshot.catalog().servers().flat_map(|server| server.tools.values());
    tools.flat_map(|tool| {
        let id = tool.action().id;
        tool.untyped.iter().map(move |part| (id.clone(), part.path.as_str(), part.why.as_str()))
    })
}

fn human(checked: &Checked) {
    paint::findings(&checked.findings);
    let Some(snapshot) = &checked.snapshot else {
        anstream::println!("{}", paint::summary(&checked.findings));
        return;
    };
    let parts: Vec<_> = untyped(snapshot).collect();
    if !parts.is_empty() {
        anstream::println!(
            "no policy can read these arguments; a call that has one names it in `context.input_unseen`:"
        );
        for (tool, path, why) in parts {
            anstream::println!("  {tool} {path}: {why}");
        }
    }
    let (servers, tools) =
        snapshot.catalog().servers().fold((0, 0), |(s, t), server| (s + 1, t + server.tools.len()));
    anstream::println!(
        "ok: {} policies, {} entities, {} actions, {servers} servers with {tools} tools; {}",
        snapshot.policies().len(),
        snapshot.entity_count(),
        snapshot.action_count(),
        paint::summary(&checked.findings),
    );
    anstream::println!("revision {}", snapshot.revision());
}
