//! That worlds are drawn the same again, become small when a test fails, and that slices are what they should be.

use proptest::strategy::{Strategy as _, ValueTree as _};

use super::super::shrink::Worlds;
use super::*;

fn forbidden(world: &World) -> bool {
    let authorizer = Authorizer::new();
    world.requests.iter().any(|asked| {
        let answer = authorizer.is_authorized(&asked.request, &world.policies, &slice(world, asked));
        answer.decision() == Decision::Deny && answer.diagnostics().reason().next().is_some()
    })
}

#[test]
fn a_failing_world_becomes_small() {
    let mut runner = TestRunner::deterministic();
    let mut tree = std::iter::repeat_with(|| world(30).new_tree(&mut runner).unwrap())
        .find(|tree| forbidden(&tree.current()))
        .unwrap();
    let (mut going, mut tries) = (tree.simplify(), 0);
    while going {
        tries += 1;
        going = if forbidden(&tree.current()) { tree.simplify() } else { tree.complicate() };
    }
    let small = tree.current();
    println!("after {tries} tries: {small:?}");
    assert!(forbidden(&small));
    assert_eq!((small.requests.len(), small.policies.policies().count()), (1, 1));
    // The actions are left out together or not at all.
    let others = small.entities.iter().filter(|one| one.uid().type_name().basename() != "Action");
    assert!(others.count() < 6);
}

#[test]
fn what_is_drawn_again_is_the_same() {
    let mut runner = TestRunner::deterministic();
    let tree = world(20).new_tree(&mut runner).unwrap();
    let text = |world: &World| {
        let drafts: BTreeSet<String> =
            world.policies.policies().filter_map(cedar_policy::Policy::to_cedar).collect();
        let asked: Vec<String> = world.requests.iter().map(|one| one.request.to_string()).collect();
        (drafts, asked)
    };
    let (once, again) = (tree.current(), tree.current());
    assert_eq!(text(&once), text(&again));
    assert!(once.entities.deep_eq(&again.entities));
}

/// Cedar's own way to put entities into a store, against a store built anew.
#[test]
fn slices_are_as_if_built_anew() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..40 {
        let tree = Worlds { requests: 50 }.new_tree(&mut runner).unwrap();
        let world = tree.current();
        for asked in world.requests.iter().filter(|asked| !asked.brought.is_empty()) {
            let mut all = tree.now.stored();
            all.retain(|one| asked.brought.iter().all(|brought| brought.uid() != one.uid()));
            all.extend(asked.brought.iter().cloned());
            let anew = Entities::from_entities(all, None).unwrap();
            assert!(slice(&world, asked).deep_eq(&anew), "{world:?}\n{asked:?}");
        }
    }
}
