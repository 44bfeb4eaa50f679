//! `palisade test`: the policy tests of a bundle, run and told.
//! Never sends or records anything: a test is not a decision.

mod difference;
mod human;
mod json;
mod junit;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::bundle::Bundle;
use super::{Exit, paint};
use crate::diagnostic::{Diagnostic, Level};
use crate::policy::Snapshot;
use crate::suite::{Suite, Verdict, coverage, run as run_suite};

/// Which tests to run, and how to tell what came of them.
#[derive(Debug, Args)]
#[command(after_help = "\
A test file stands beside the policy file that it tests: policies/refund.cedar, policies/refund_test.yaml.

  cases:
    - name: a support agent issues a small refund
      principal: Human::\"ana\"
      actor: Agent::\"support-bot\"
      mcp: { server: crm, method: tools/call, params: { name: issue_refund, arguments: { order: o-1, amount: 30 } } }
      expect: permit
      determining: [support/refund, support/bots]

docs/policy-tests.md describes every key.

Exit codes: 0 all passed · 1 a test failed, there is none, or the bundle has an error · 2 the bundle cannot be read

Examples:
  palisade test                            all tests of the bundle in the current directory
  palisade test --filter refund --verbose  those with `refund` in their name or file, each with its verdict
  palisade test --format junit             a report for CI")]
pub(super) struct Options {
    /// The bundle: a directory with schemas/, policies/, entities/ and tools/.
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// How to print what came of the tests.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Run only cases with this text in their name or their file's path.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Name every case, not only the failed ones.
    #[arg(long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: failures with what was wanted and what came, and a count for each file.
    Human,
    /// One document: ok, revision, passed, failed, cases, uncovered policies.
    Json,
    /// `JUnit` XML: a test case for each case.
    Junit,
}

/// What came of all tests of a bundle.
struct Report {
    revision: String,
    /// In the order of files and of cases within them.
    verdicts: Vec<Verdict>,
    /// Policies that no case saw make the difference; nothing is said of them when a filter left cases out.
    uncovered: Vec<String>,
}

impl Report {
    fn of(snapshot: &Snapshot, suites: &[Suite], filtered: bool) -> Self {
        let verdicts: Vec<Verdict> = suites.iter().flat_map(|suite| run_suite(snapshot, suite)).collect();
        let uncovered = if filtered {
            Vec::new()
        } else {
            let ids = snapshot.policies().into_iter().map(|policy| policy.id.to_string());
            coverage(ids, &verdicts)
                .into_iter()
                .filter(|(_, (with, _))| *with == 0)
                .map(|(id, _)| id)
                .collect()
        };
        Self { revision: snapshot.revision().to_string(), verdicts, uncovered }
    }

    fn failed(&self) -> usize {
        self.verdicts.iter().filter(|verdict| !verdict.passed()).count()
    }

    /// The verdicts of each file, in order.
    fn files(&self) -> impl Iterator<Item = (&str, &[Verdict])> {
        let chunks = self.verdicts.chunk_by(|a, b| a.path == b.path);
        chunks.filter_map(|verdicts| Some((verdicts.first()?.path.as_str(), verdicts)))
    }
}

pub(super) fn run(options: &Options) -> Exit {
    let bundle = match Bundle::load(&options.directory) {
        Ok(bundle) => bundle,
        Err(exit) => return exit,
    };
    let errors = bundle.count(Level::Error);
    let Bundle { snapshot, mut suites, findings, paths: _ } = bundle;
    let Some(snapshot) = snapshot.filter(|_| errors == 0) else {
        return refuse(options.format, &findings);
    };
    if let Some(text) = &options.filter {
        for suite in suites.iter_mut().filter(|suite| !suite.file.path.contains(text)) {
            suite.cases.retain(|case| case.name.contains(text));
        }
    }
    if suites.iter().all(|suite| suite.cases.is_empty()) {
        return refuse(options.format, &[nothing_to_run(options)]);
    }
    let report = Report::of(&snapshot, &suites, options.filter.is_some());
    match options.format {
        Format::Human => anstream::print!("{}", human::render(&report, options.verbose)),
        Format::Json => anstream::println!("{:#}", json::document(&report)),
        Format::Junit => anstream::print!("{}", junit::render(&report)),
    }
    if report.failed() == 0 { Exit::Ok } else { Exit::Findings }
}

fn nothing_to_run(options: &Options) -> Diagnostic {
    match &options.filter {
        Some(text) => {
            Diagnostic::error("suite::filter", format!("no policy test has `{text}` in its name or file"))
                .help("leave out --filter, or see all names with --verbose")
        }
        None => Diagnostic::error(
            "suite::missing",
            "the bundle has no policy tests, so nothing shows what it permits",
        )
        .help(
            "put `<policies>_test.yaml` beside `policies/<policies>.cedar`; `palisade test --help` shows one",
        ),
    }
}

/// No test was run, for these reasons.
fn refuse(format: Format, findings: &[Diagnostic]) -> Exit {
    match format {
        Format::Human => {
            paint::findings(findings);
            anstream::eprintln!("error: no test was run");
        }
        Format::Json => anstream::println!("{:#}", json::refusal(findings)),
        Format::Junit => anstream::print!("{}", junit::refusal(findings)),
    }
    Exit::Findings
}
