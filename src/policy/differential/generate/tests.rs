//! That the worlds bite: each kind of decision, of cause and of error is made often, and fast.

mod forms;
mod smaller;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::{Duration, Instant};

use cedar_policy::{Authorizer, Decision, Effect, Entities, Schema, ValidationMode, Validator};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;

/// How often something was seen.
#[derive(Default)]
struct Seen(BTreeMap<&'static str, usize>);

impl Seen {
    fn note(&mut self, what: &'static str, seen: bool) {
        *self.0.entry(what).or_default() += usize::from(seen);
    }

    /// Prints all of them, as parts of `of`.
    fn print(&self, of: usize) {
        for (what, count) in &self.0 {
            println!("{what:>44} {count:>7} {:>5.1} %", share(*count, of));
        }
    }

    fn at_least(&self, percent: f64, of: usize, what: &'static str) {
        let part = share(self.0.get(what).copied().unwrap_or_default(), of);
        assert!(part >= percent, "{what}: {part:.2} % are less than {percent}");
    }
}

#[allow(clippy::cast_precision_loss)]
fn share(count: usize, of: usize) -> f64 {
    100.0 * count as f64 / of.max(1) as f64
}

fn worlds(count: usize, requests: usize) -> impl Iterator<Item = World> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(move |_| world(requests).new_tree(&mut runner).unwrap().current())
}

fn slice(world: &World, asked: &Asked) -> Entities {
    world.entities.clone().upsert_entities(asked.brought.clone(), None).unwrap()
}

fn look(seen: &mut Seen, world: &World, asked: &Asked, authorizer: &Authorizer) {
    let store = (!asked.brought.is_empty()).then(|| slice(world, asked));
    let entities = store.as_ref().unwrap_or(&world.entities);
    let answer = authorizer.is_authorized(&asked.request, &world.policies, entities);
    let causes: Vec<_> = answer.diagnostics().reason().filter_map(|id| world.policies.policy(id)).collect();
    let errors: Vec<_> = answer.diagnostics().errors().collect();
    seen.note("allow", answer.decision() == Decision::Allow);
    seen.note("deny", answer.decision() == Decision::Deny);
    seen.note("deny by default", causes.is_empty());
    seen.note("a permit determines", causes.iter().any(|policy| policy.effect() == Effect::Permit));
    seen.note("a forbid determines", causes.iter().any(|policy| policy.effect() == Effect::Forbid));
    seen.note("several determine", causes.len() > 1);
    seen.note("a link determines", causes.iter().any(|policy| !policy.is_static()));
    seen.note("an error", !errors.is_empty());
    seen.note("several errors", errors.len() > 1);
    seen.note("an allow with errors", answer.decision() == Decision::Allow && !errors.is_empty());
    seen.note("brings entities", !asked.brought.is_empty());
    let known = |one: &Entity| world.entities.get(&one.uid()).is_some();
    seen.note("brings a known entity", asked.brought.iter().any(known));
    seen.note("brings a new entity", asked.brought.iter().any(|one| !known(one)));
    if store.is_some() {
        let without = authorizer.is_authorized(&asked.request, &world.policies, &world.entities);
        let ids = |errors: &mut dyn Iterator<Item = String>| errors.collect::<BTreeSet<_>>();
        let same = without.decision() == answer.decision()
            && ids(&mut without.diagnostics().reason().map(ToString::to_string))
                == ids(&mut answer.diagnostics().reason().map(ToString::to_string));
        seen.note("what it brings changes the answer", !same);
    }
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    for (what, needle) in ERRORS {
        seen.note(what, errors.iter().any(|error| error.contains(needle)));
    }
    for (what, role) in [
        ("an unknown principal", asked.request.principal()),
        ("an unknown action", asked.request.action()),
        ("an unknown resource", asked.request.resource()),
    ] {
        seen.note(what, role.is_some_and(|uid| entities.get(uid).is_none()));
    }
}

/// Kinds of errors, and what their texts say.
const ERRORS: &[(&str, &str)] = &[
    ("error: no such attribute", "does not have the attribute"),
    ("error: a type", "type error"),
    ("error: no such entity", "does not exist"),
    ("error: overflow", "overflow"),
    ("error: an extension", "extension function"),
    ("error: no such tag", "does not have the tag"),
];

#[test]
fn worlds_bite() {
    let (count, requests) = (500, 50);
    let authorizer = Authorizer::new();
    let mut seen = Seen::default();
    let (mut policies, mut entities) = (0, 0);
    for world in worlds(count, requests) {
        policies += world.policies.policies().count();
        entities += world.entities.len();
        assert_eq!(world.requests.len(), requests);
        world.requests.iter().for_each(|asked| look(&mut seen, &world, asked, &authorizer));
    }
    let all = count * requests;
    println!("{count} worlds, {} policies and {} entities each", policies / count, entities / count);
    seen.print(all);
    for (what, percent) in [
        ("allow", 20.0),
        ("deny", 20.0),
        ("deny by default", 5.0),
        ("a permit determines", 20.0),
        ("a forbid determines", 10.0),
        ("several determine", 10.0),
        ("a link determines", 5.0),
        ("an error", 20.0),
        ("several errors", 10.0),
        ("an allow with errors", 3.0),
        ("brings a known entity", 10.0),
        ("brings a new entity", 5.0),
        ("what it brings changes the answer", 3.0),
        ("an unknown principal", 5.0),
        ("an unknown action", 5.0),
        ("an unknown resource", 5.0),
        ("error: no such attribute", 5.0),
        ("error: a type", 3.0),
        ("error: no such entity", 3.0),
        ("error: overflow", 0.7),
        ("error: an extension", 0.7),
        ("error: no such tag", 0.5),
    ] {
        seen.at_least(percent, all, what);
    }
}

/// The time that generating takes, and that with deciding.
#[test]
fn worlds_are_made_fast() {
    let (count, requests) = (100, 50);
    let authorizer = Authorizer::new();
    let (start, mut deciding) = (Instant::now(), Duration::ZERO);
    for world in worlds(count, requests) {
        let made = Instant::now();
        for asked in &world.requests {
            if asked.brought.is_empty() {
                authorizer.is_authorized(&asked.request, &world.policies, &world.entities);
            } else {
                authorizer.is_authorized(&asked.request, &world.policies, &slice(&world, asked));
            }
        }
        deciding += made.elapsed();
    }
    let all = start.elapsed();
    let rate = |time: Duration| f64::from(u32::try_from(count * requests).unwrap()) / time.as_secs_f64();
    println!(
        "{:.0} requests/s made, {:.0} decided, {:.0} both",
        rate(all.saturating_sub(deciding)),
        rate(deciding),
        rate(all)
    );
}

#[test]
fn some_policies_are_valid_and_some_are_not() {
    let (mut seen, mut all, mut whole, count) = (Seen::default(), 0, 0, 60);
    for world in worlds(count, 1) {
        let validator = Validator::new(Schema::from_str(&world.schema).unwrap());
        let answer = validator.validate(&world.policies, ValidationMode::Strict);
        let bad: BTreeSet<_> =
            answer.validation_errors().map(|error| error.policy_id().to_string()).collect();
        let ids: Vec<_> = world.policies.policies().map(|policy| policy.id().to_string()).collect();
        all += ids.len();
        for id in &ids {
            seen.note("valid", !bad.contains(id));
            seen.note("not valid", bad.contains(id));
        }
        whole += usize::from(bad.is_empty());
    }
    seen.print(all);
    println!("worlds valid as a whole: {whole} of {count}");
    assert!(whole * 5 > count);
    seen.at_least(30.0, all, "valid");
    seen.at_least(15.0, all, "not valid");
}
