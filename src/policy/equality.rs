//! The compiler that remembers against one that does not: what it finds is what Cedar's validator finds of the whole
//! set of policies, and a bundle after many edits is the same bundle as one that was never seen before.
//! Never compares what it has not made sure to happen: the findings of every kind are counted.

mod bundles;
mod edits;
mod policies;
mod questions;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::compile::{Compiled, Compiler, compile};
use super::policies::{PolicyFile, tombstones};
use super::rule::Rule;
use super::schema::{self, TOOL_GROUP_ACTION};
use super::validate::accuse;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, File, Level};
use bundles::Bundle;
use questions::decisions;

/// How many bundles are compared when nobody says otherwise, and how many of them are edited.
const BUNDLES: u32 = 150;
const HISTORIES: u32 = 24;

/// Everything that a finding says, in an order that does not depend on who found it.
type Finding =
    (Level, &'static str, String, Option<String>, Option<Arc<str>>, Option<(usize, usize, String)>);

fn told(findings: &[Diagnostic]) -> BTreeSet<Finding> {
    let one = |f: &Diagnostic| {
        let place = f.label.as_ref().map(|(span, text)| (span.start, span.end, text.clone()));
        let path = f.file.as_ref().map(|file| file.path.clone());
        // Of several names that are as near as each other, Cedar proposes whichever comes first in a hash table.
        let help = f.help.clone().filter(|help| !help.starts_with("did you mean"));
        (f.level, f.code, f.message.clone(), help, path, place)
    };
    findings.iter().map(one).collect()
}

fn findings_of(result: &Result<Compiled, Vec<Diagnostic>>) -> &[Diagnostic] {
    match result {
        Ok(compiled) => &compiled.warnings,
        Err(findings) => findings,
    }
}

fn is_a_verdict(finding: &Diagnostic) -> bool {
    ["policy::type", "policy::scope", "policy::lint"].contains(&finding.code)
}

/// What Cedar's validator finds of all policies at once. Nothing where there is no schema to hold them against.
fn by_validator(files: &[File]) -> Vec<Diagnostic> {
    let of = |folder: &str, ending: &str| -> Vec<File> {
        let ours = |file: &&File| file.path.starts_with(folder) && file.path.ends_with(ending);
        files.iter().filter(ours).cloned().collect()
    };
    let mut ignored = Vec::new();
    let (catalog, mut broken) = Catalog::load(&of("tools/", ""));
    let fragments = schema::parse(&of("schemas/", ".cedarschema"), &mut broken);
    if broken.iter().any(|finding| finding.level == Level::Error) {
        return Vec::new();
    }
    let parsed: Vec<PolicyFile> = of("policies/", ".cedar").iter().map(PolicyFile::parse).collect();
    let tools =
        catalog.servers().flat_map(|server| server.tools.values()).map(|tool| tool.action().id.into());
    let known: BTreeSet<String> = schema::written_actions(&fragments).into_iter().chain(tools).collect();
    let mut dead = BTreeSet::new();
    if known.contains(TOOL_GROUP_ACTION) {
        let all: Vec<&PolicyFile> = parsed.iter().collect();
        dead = tombstones(&all, &|id| known.contains(id), &|_| None, &mut ignored);
    }
    let Some(compiled) = schema::compile(&fragments, &catalog, &dead, &mut ignored) else {
        return Vec::new();
    };
    if catalog.servers().all(|server| server.tools.is_empty()) {
        dead.insert(TOOL_GROUP_ACTION.into());
    }
    let written = parsed.into_iter().flat_map(|file| file.written);
    let suspects: Vec<(_, Arc<Rule>)> =
        written.map(|written| (written.tree.expect("just parsed"), written.rule)).collect();
    let mut found = Vec::new();
    accuse(&suspects, &compiled.schema, &dead, &mut found);
    found
}

#[derive(Default, Debug)]
struct Counts {
    bundles: usize,
    policies: usize,
    compiled: usize,
    read_input: usize,
    by_code: BTreeMap<&'static str, usize>,
}

impl Counts {
    fn note(&mut self, files: &[File], result: &Result<Compiled, Vec<Diagnostic>>) {
        self.bundles += 1;
        self.compiled += usize::from(result.is_ok());
        for file in files.iter().filter(|file| file.path.ends_with(".cedar")) {
            let written = PolicyFile::parse(file).written;
            self.policies += written.len();
            self.read_input += written.iter().filter(|w| w.rule.condition.reads_input).count();
        }
        let codes: BTreeSet<_> = findings_of(result).iter().map(|finding| finding.code).collect();
        for code in codes {
            *self.by_code.entry(code).or_default() += 1;
        }
    }

    /// That in so many of a hundred bundles something was found.
    fn at_least(&self, percent: usize, code: &'static str) {
        let found = self.by_code.get(code).copied().unwrap_or_default();
        assert!(found * 100 >= percent * self.bundles, "{code}: {found} of {}", self.bundles);
    }
}

fn run<T: std::fmt::Debug>(
    cases: u32,
    strategy: &impl Strategy<Value = T>,
    test: impl Fn(T) -> Result<(), TestCaseError>,
) {
    let asked = std::env::var("PALISADE_EQUALITY_CASES").ok();
    let cases = asked.map_or(cases, |cases| cases.parse().expect("a number of cases"));
    let mut seed = [11; 32];
    let given = std::env::var("PALISADE_EQUALITY_SEED").unwrap_or_default();
    seed.iter_mut().zip(given.bytes()).for_each(|(place, byte)| *place = byte);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 3_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    runner.run(strategy, test).unwrap_or_else(|error| panic!("{error}"));
}

fn same_verdicts(files: &[File], result: &Result<Compiled, Vec<Diagnostic>>) -> Result<(), TestCaseError> {
    let findings = findings_of(result);
    // Of two policies with one id a set can hold only one, so that the validator never sees the other.
    if findings.iter().all(|finding| finding.code != "policy::duplicate-id") {
        let verdicts: Vec<_> = findings.iter().filter(|finding| is_a_verdict(finding)).cloned().collect();
        proptest::prop_assert_eq!(told(&verdicts), told(&by_validator(files)));
    }
    Ok(())
}

/// Compiles with what is remembered and without, and returns what came of the latter.
fn same_as_anew(
    remembering: &mut Compiler,
    files: &[File],
) -> Result<Result<Compiled, Vec<Diagnostic>>, TestCaseError> {
    let (found, wanted) = (remembering.compile(files), compile(files));
    proptest::prop_assert_eq!(told(findings_of(&found)), told(findings_of(&wanted)));
    if let (Ok(found), Ok(wanted)) = (&found, &wanted) {
        let (found, wanted) = (&found.snapshot, &wanted.snapshot);
        proptest::prop_assert_eq!(found.revision(), wanted.revision());
        let policies = |snapshot: &super::Snapshot| format!("{:?}", snapshot.policies());
        proptest::prop_assert_eq!(policies(found), policies(wanted));
        proptest::prop_assert_eq!(decisions(found), decisions(wanted));
    }
    proptest::prop_assert_eq!(found.is_ok(), wanted.is_ok());
    Ok(wanted)
}

#[test]
fn the_findings_are_those_of_cedars_validator_on_the_whole_set() {
    let counts = RefCell::new(Counts::default());
    run(BUNDLES, &bundles::bundle(), |bundle: Bundle| {
        let files = bundle.files();
        let result = compile(&files);
        counts.borrow_mut().note(&files, &result);
        same_verdicts(&files, &result)
    });
    let counts = counts.into_inner();
    println!("{counts:?}");
    assert!(counts.compiled * 100 >= 15 * counts.bundles, "{counts:?}");
    assert!(counts.read_input * 100 >= 15 * counts.policies, "{counts:?}");
    for (code, percent) in
        [("policy::type", 20), ("policy::scope", 4), ("policy::lint", 5), ("policy::tombstone", 5)]
    {
        counts.at_least(percent, code);
    }
}

#[test]
fn a_bundle_after_edits_is_the_same_as_one_that_was_never_seen() {
    let counts = RefCell::new(Counts::default());
    run(HISTORIES, &(bundles::bundle(), edits::edits()), |(mut bundle, edits)| {
        let mut remembering = Compiler::default();
        for edit in std::iter::once(None).chain(edits.iter().map(Some)) {
            if let Some(edit) = edit {
                edit.apply(&mut bundle);
            }
            let files = bundle.files();
            counts.borrow_mut().note(&files, &same_as_anew(&mut remembering, &files)?);
        }
        Ok(())
    });
    let counts = counts.into_inner();
    println!("{counts:?}");
    assert!(counts.compiled * 100 >= 10 * counts.bundles, "{counts:?}");
    for code in ["policy::type", "policy::scope", "policy::lint", "policy::tombstone", "schema::resolve"] {
        counts.at_least(2, code);
    }
}

/// Policies with something wrong that only one kind of request, or no kind of request, brings to light.
const HIDDEN: &[(&str, &str)] = &[
    // An action below a tool, which a rule on that tool is about too.
    (
        "action \"below\" in [\"crm/refund\"] appliesTo { principal: [Human], resource: [Tool], context: { n: Long } };",
        "permit(principal, action in Action::\"crm/refund\", resource) when { context.input.amount < 1 };",
    ),
    // A name that is not defined.
    ("external entity Later;", "permit(principal, action, resource);"),
    ("external action later;", "permit(principal, action == Action::\"crm/refund\", resource);"),
    // Well typed, and there is no such color.
    (
        "entity Color enum [\"red\"];",
        "permit(principal, action, resource) when { Color::\"purple\" != Color::\"red\" };",
    ),
    // Only the tools that are not named are asked for what nobody has, and only the one that is.
    (
        "entity Unused;",
        "permit(principal, action in Action::\"tools/call\", resource)
           when { action == Action::\"crm/refund\" || principal.nonsense };",
    ),
    (
        "entity Unused;",
        "permit(principal, action in Action::\"tools/call\", resource)
           when { action != Action::\"crm/lookup\" || principal.nonsense };",
    ),
    // Both tools have an amount, and one of them is a text.
    (
        "entity Unused;",
        "forbid(principal, action in Action::\"tools/call\", resource) when { context.input.amount > 1 };",
    ),
    // One type of principals, one of resources.
    (
        "entity Unused;",
        "forbid(principal, action, resource) when { principal is Agent && principal.owner.active };",
    ),
    (
        "entity Unused;",
        "forbid(principal, action, resource) unless { resource is Server && resource.audience == \"x\" };",
    ),
    // Nothing is wrong with the types.
    ("entity Unused;", "permit(principal, action, resource) when { \"p\u{0430}ypal\" != \"x\" };"),
    ("entity Unused;", "permit(principal, action, resource) when { 1 == 2 };"),
];

#[test]
fn what_only_some_requests_bring_to_light_is_found() {
    for (schema, policy) in HIDDEN {
        let bundle = Bundle { tools: [(0, 0), (1, 4)].into(), ..Bundle::default() };
        let mut files = bundle.files();
        files.push(File::new("schemas/more.cedarschema", *schema));
        files.push(File::new("policies/more.cedar", *policy));
        let wanted = by_validator(&files);
        assert!(!wanted.is_empty(), "{policy}");
        same_verdicts(&files, &compile(&files)).unwrap_or_else(|error| panic!("{policy}: {error}"));
    }
}

/// Bundles before and after an edit, by their tools and by what is changed in the schema, and a policy that is sound
/// in the first and not in the second, although nobody touched it.
type Turn = (&'static [(usize, usize)], &'static [usize]);
const TURNED: &[(Turn, Turn, &str)] = &[
    // The arguments of a tool that is named in the scope, or in the condition, or in neither.
    (
        (&[(0, 0)], &[]),
        (&[(0, 4)], &[]),
        "permit(principal, action == Action::\"crm/refund\", resource) when { context.input.amount < 1 };",
    ),
    (
        (&[(0, 0), (1, 0)], &[]),
        (&[(0, 5), (1, 0)], &[]),
        "permit(principal, action in Action::\"tools/call\", resource)
           when { action == Action::\"crm/refund\" && context.input.amount < 1 };",
    ),
    (
        (&[(0, 0), (1, 1)], &[]),
        (&[(0, 0), (1, 1), (2, 4)], &[]),
        "permit(principal, action in Action::\"tools/call\", resource) when { context.input.amount < 1 };",
    ),
    // The schema's own types.
    (
        (&[(0, 0)], &[]),
        (&[(0, 0)], &[4]),
        "permit(principal is Human, action, resource) when { principal.active };",
    ),
    (
        (&[(0, 0)], &[]),
        (&[(0, 0)], &[0]),
        "permit(principal, action == Action::\"read\", resource) when { context has note && context.note == \"x\" };",
    ),
    // The group of the tools.
    ((&[(0, 0)], &[2]), (&[(0, 0)], &[]), "permit(principal, action in Action::\"all\", resource);"),
    // The last tool, and a rule that is about nothing else.
    ((&[(0, 0)], &[]), (&[], &[]), "permit(principal, action == Action::\"crm/refund\", resource);"),
];

#[test]
fn a_sound_policy_is_looked_at_again_when_what_it_is_about_changes() {
    for (before, after, policy) in TURNED {
        let files = |(tools, changes): &Turn| {
            let (tools, changes) = (tools.iter().copied().collect(), changes.iter().copied().collect());
            let mut files = Bundle { changes, tools, ..Bundle::default() }.files();
            files.push(File::new("policies/more.cedar", *policy));
            files
        };
        let mut remembering = Compiler::default();
        for (turn, sound) in [(before, true), (after, false), (before, true)] {
            let result =
                same_as_anew(&mut remembering, &files(turn)).unwrap_or_else(|e| panic!("{policy}: {e}"));
            assert_eq!(findings_of(&result).is_empty(), sound, "{policy}: {:?}", findings_of(&result));
        }
    }
}
