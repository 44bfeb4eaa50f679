//! The bundle of this repository: it compiles without a warning, its tests pass and reach every policy.

use palisade::diagnostic::Level;
use palisade::policy::compile;
use palisade::suite::{self, Suite, Verdict};

use crate::pdp::{shipped, shipped_files, shipped_tests};

fn suites() -> Vec<Suite> {
    let parse = |file| suite::parse(file).unwrap_or_else(|findings| panic!("{findings:?}"));
    shipped_tests().iter().map(parse).collect()
}

fn verdicts() -> Vec<Verdict> {
    suites().iter().flat_map(|suite| suite::run(&shipped(), suite)).collect()
}

#[test]
fn it_compiles_without_a_warning() {
    let compiled = compile(&shipped_files()).expect("it compiles");
    let words: Vec<String> =
        compiled.warnings.iter().map(|finding| format!("{}: {}", finding.code, finding.message)).collect();
    assert_eq!(words, Vec::<String>::new());
    assert!(compiled.snapshot.policies().len() > 20, "the bundle was read in part only");
}

#[test]
fn a_bundle_with_a_warning_would_be_noticed() {
    let mut files = shipped_files();
    files.push(palisade::diagnostic::File::new(
        "policies/org/lost.cedar",
        r#"@id("lost") permit (principal is Human, action == Action::"crm/lookup_customr", resource is Tool);"#,
    ));
    let compiled = compile(&files).expect("a tool that is not there is no error");
    assert!(compiled.warnings.iter().any(|finding| finding.level == Level::Warning));
}

#[test]
fn all_of_its_policy_tests_pass() {
    let verdicts = verdicts();
    let failed: Vec<String> = verdicts
        .iter()
        .filter(|verdict| !verdict.passed())
        .map(|verdict| {
            let Verdict { path, name, outcome, reason_text, determining, .. } = verdict;
            format!("{path}: {name}: {outcome:?} {reason_text:?} {determining:?}")
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(verdicts.len() > 200, "only {} verdicts", verdicts.len());
}

/// Cases that stand alone and name the determining policies: a table may permit for another reason than was meant.
#[test]
fn every_policy_has_a_test_of_its_effect_and_one_of_its_absence() {
    let ids = || shipped().policies().into_iter().map(|policy| policy.id.to_string());
    let mut untested = Vec::new();
    for (id, (with, without)) in suite::coverage(ids(), &verdicts()) {
        if with == 0 || without == 0 {
            untested.push(format!("{id} makes the difference {with} times and not {without} times"));
        }
    }
    let named: Vec<String> = suites()
        .into_iter()
        .flat_map(|suite| suite.cases)
        .filter_map(|case| case.expected.determining)
        .flatten()
        .collect();
    untested.extend(ids().filter(|id| !named.contains(id)).map(|id| format!("no case names {id}")));
    assert!(untested.is_empty(), "{}", untested.join("\n"));
}

/// Without the policy some test must fail; else nobody would notice that it is gone.
#[test]
fn no_policy_can_be_taken_away_unnoticed() {
    let suites = suites();
    let mut unnoticed = Vec::new();
    for policy in shipped().policies() {
        let snapshot = crate::pdp::snapshot(&without(&policy.path, policy.line));
        assert!(snapshot.policies().iter().all(|left| left.id != policy.id), "{} is still there", policy.id);
        let mut verdicts = suites.iter().flat_map(|suite| suite::run(&snapshot, suite));
        if verdicts.all(|verdict| verdict.passed()) {
            unnoticed.push(policy.id.to_string());
        }
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}

/// The shipped bundle without the policy that begins at this line: its text up to the semicolon is blanked.
fn without(path: &str, line: usize) -> Vec<palisade::diagnostic::File> {
    let blank = |file: palisade::diagnostic::File| {
        if *file.path != *path {
            return file;
        }
        let lines: Vec<&str> = file.text.lines().collect();
        let begin = line - 1;
        let end = (begin..lines.len()).find(|at| lines[*at].trim_end().ends_with(';')).expect("its end");
        let kept: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at < begin || *at > end)
            .map(|(_, line)| *line)
            .collect();
        palisade::diagnostic::File::new(path, kept.join("\n"))
    };
    shipped_files().into_iter().map(blank).collect()
}
