//! `palisade test`: the policy tests of a bundle.
//! Never passes a bundle that tests nothing.

mod reports;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Exit, bundle, paint};
use crate::suite::{self, Verdict};

/// Which bundle, which cases, and how to print what came of them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  palisade test                       every *_test.yaml of the bundle in the current directory
  palisade test --filter refund       the cases whose name or file contains `refund`
  palisade test --format junit > tests.xml

The form of a test is described in docs/policy-tests.md.
Exit codes: 0 every case passed, 1 a failed case, an error in the bundle or nothing to run, 2 it cannot be read.")]
pub(super) struct Options {
    /// The bundle directory: schemas/, policies/, entities/, tools/.
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// How to print the verdicts: for people, as one JSON document, as a `JUnit` report.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Run only the cases whose name or file contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Name the cases that passed too.
    #[arg(long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
    Junit,
}

pub(super) fn run(options: &Options) -> Exit {
    match verdicts(options) {
        Ok((verdicts, untested)) => report(options, &verdicts, &untested),
        Err(exit) => exit,
    }
}

/// The verdicts of the chosen cases, and the policies that no case saw making the difference. Those are only known
/// when every case ran.
fn verdicts(options: &Options) -> Result<(Vec<Verdict>, Vec<String>), Exit> {
    let sources = bundle::read(&options.directory)?;
    let snapshot = bundle::compile(&options.directory)?.snapshot;
    let (suites, mut findings) = bundle::suites(&sources.tests);
    findings.extend(suites.iter().flat_map(|tests| suite::strangers(&snapshot, tests)));
    if !findings.is_empty() {
        paint::findings(&findings);
        return Err(Exit::Findings);
    }
    let mut verdicts: Vec<Verdict> = suites.iter().flat_map(|tests| suite::run(&snapshot, tests)).collect();
    let Some(filter) = &options.filter else {
        let ids = snapshot.policies().into_iter().map(|policy| policy.id.to_string());
        let coverage = suite::coverage(ids, &verdicts);
        let untested = coverage.into_iter().filter(|(_, (with, _))| *with == 0).map(|(id, _)| id).collect();
        return Ok((verdicts, untested));
    };
    verdicts.retain(|verdict| verdict.name.contains(filter) || verdict.path.contains(filter));
    Ok((verdicts, vec![]))
}

fn report(options: &Options, verdicts: &[Verdict], untested: &[String]) -> Exit {
    let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
    match options.format {
        Format::Human => reports::human(verdicts, untested, options.verbose),
        Format::Json => anstream::println!("{:#}", reports::json(verdicts, untested)),
        Format::Junit => anstream::println!("{}", reports::junit(verdicts)),
    }
    if verdicts.is_empty() {
        anstream::eprintln!(
            "error: no test ran: write policies/*_test.yaml (docs/policy-tests.md), or widen --filter"
        );
        return Exit::Findings;
    }
    if failed == 0 { Exit::Ok } else { Exit::Findings }
}
