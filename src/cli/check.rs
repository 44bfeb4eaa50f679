//! `palisade check`: everything that is wrong with a bundle, at once, in the form that its reader wants.
//! Never changes a file, and never asks a server.

mod human;
mod json;
mod junit;
mod sarif;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Exit;
use super::bundle::Bundle;
use crate::catalog::Untyped;
use crate::diagnostic::Level;
use crate::policy::Snapshot;

pub(super) use json::finding;

/// What to check, and how to say it.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 the bundle is sound · 1 it has an error (or a warning, with --deny warnings) · 2 it cannot be read

Examples:
  palisade check                                      the bundle in the current directory
  palisade check policies-repo --deny warnings        for CI: warnings fail too
  palisade check --format sarif > palisade.sarif      for code scanning; paths are relative to DIR")]
pub(super) struct Options {
    /// The bundle: a directory with schemas/, policies/, entities/ and tools/.
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// How to print the findings.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Findings that fail the check besides errors.
    #[arg(long, value_enum, value_name = "LEVEL")]
    deny: Option<Deny>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: each finding with its source line and what to do; colours on a terminal only.
    Human,
    /// One document: ok, revision, counts, findings, and what policies cannot see of tools' arguments.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// `JUnit` XML: a test case for each file.
    Junit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Warnings: the bundle loads, but its author should look.
    Warnings,
}

/// What the check came to.
struct Report {
    bundle: Bundle,
    /// The least level that fails the check.
    failing: Level,
}

impl Report {
    fn ok(&self) -> bool {
        self.bundle.findings.iter().all(|finding| finding.level < self.failing)
    }
}

pub(super) fn run(options: &Options) -> Exit {
    let bundle = match Bundle::load(&options.directory) {
        Ok(bundle) => bundle,
        Err(exit) => return exit,
    };
    let failing = match options.deny {
        Some(Deny::Warnings) => Level::Warning,
        None => Level::Error,
    };
    let report = Report { bundle, failing };
    match options.format {
        Format::Human => anstream::print!("{}", human::render(&report)),
        Format::Json => anstream::println!("{:#}", json::document(&report)),
        Format::Sarif => anstream::println!("{:#}", sarif::document(&report.bundle.findings)),
        Format::Junit => anstream::print!("{}", junit::render(&report)),
    }
    if report.ok() { Exit::Ok } else { Exit::Findings }
}

/// How much a sound bundle holds.
struct Counts {
    policies: usize,
    entities: usize,
    actions: usize,
    servers: usize,
    tools: usize,
}

impl Counts {
    fn of(snapshot: &Snapshot) -> Self {
        let actions = snapshot.action_count();
        Self {
            policies: snapshot.policies().len(),
            // The store holds the actions too.
            entities: snapshot.entity_count().saturating_sub(actions),
            actions,
            servers: snapshot.catalog().servers().count(),
            tools: snapshot.catalog().servers().map(|server| server.tools.len()).sum(),
        }
    }
}

/// The parts of tools' arguments that policies cannot read: `<server>/<tool>`, and which part and why.
fn untyped(snapshot: &Snapshot) -> Vec<(String, &Untyped)> {
    let tools = snapshot.catalog().servers().flat_map(|server| server.tools.values());
    tools.flat_map(|tool| tool.untyped.iter().map(|part| (tool.uid().id.into(), part))).collect()
}
