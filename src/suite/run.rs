//! Runs cases: the same judgement that a request gets, on the case's own facts.
//! Never records: a test is not a decision.

use super::{Suite, Verdict};
use crate::diagnostic::Diagnostic;
use crate::identity::Directory as _;
use crate::pdp::{Terms, judge};
use crate::policy::{Memory, Round, Snapshot};

/// Runs every case of a suite against a snapshot.
pub fn run(snapshot: &Snapshot, suite: &Suite) -> Vec<Verdict> {
    let terms = Terms { agentless: suite.agentless, ..Terms::default() };
    let mut memory = Memory::default();
    let mut round = Round::remembering(snapshot, &mut memory);
    let verdict = |case: &super::Case| {
        let decision = judge(&mut round, &case.ask, &case.facts, &terms).decision;
        Verdict {
            path: suite.file.path.to_string(),
            line: suite.file.position(case.place.start).0,
            name: case.name.clone(),
            expected: case.expected.clone(),
            outcome: decision.outcome,
            reason_text: decision.reason,
            determining: decision.determining.iter().map(|policy| policy.id.to_string()).collect(),
            obligations: decision.obligations.iter().map(|one| one.id.to_string()).collect(),
            errors: decision.errors.iter().map(|error| format!("{}: {}", error.id, error.message)).collect(),
        }
    };
    suite.cases.iter().map(verdict).collect()
}

/// What a suite names and the bundle does not have: facts that no action takes, which would be passed over in
/// silence, and policies that cannot determine anything.
pub fn strangers(snapshot: &Snapshot, suite: &Suite) -> Vec<Diagnostic> {
    let policies = snapshot.policies();
    let mut findings = Vec::new();
    let mut stranger = |case: &super::Case, code, message: String, help: &str| {
        findings.push(
            Diagnostic::error(code, message).at(&suite.file, case.place.clone(), "this case").help(help),
        );
    };
    for case in &suite.cases {
        // Denied because nobody knows them, they would be denied whatever the policies say.
        if !case.expected.permit && case.expected.reason.is_none() {
            let parties = [Some(&case.facts.principal), case.facts.actor.as_ref()].into_iter().flatten();
            for uid in parties.filter(|uid| !snapshot.knows(uid) && !case.brings(uid)) {
                let help = "declare it in entities/, fix the name, or say `reason: InvalidInput` if that is what is tested";
                stranger(case, "suite::party", format!("the bundle has no `{uid}`"), help);
            }
        }
        for name in case.facts.established.keys().filter(|name| !snapshot.establishes(name)) {
            let help = "a fact is a member of a context that the schema marks `@source(\"pdp\")`, or `input`";
            stranger(case, "suite::fact", format!("no action takes the fact `{name}`"), help);
        }
        for id in case.expected.determining.iter().flatten() {
            if !policies.iter().any(|policy| *policy.id == **id) {
                let help = "the id of a policy is its `@id`, or its file, `#` and its place in the file";
                stranger(case, "suite::policy", format!("the bundle has no policy `{id}`"), help);
            }
        }
        for id in case.expected.obligations.iter().flatten() {
            if !policies.iter().any(|policy| policy.obligations.iter().any(|one| *one.id == **id)) {
                let help =
                    "the id of an obligation is its policy's id, `#` and its number in `@obligation`, from 1";
                stranger(case, "suite::obligation", format!("the bundle has no obligation `{id}`"), help);
            }
        }
    }
    findings
}
