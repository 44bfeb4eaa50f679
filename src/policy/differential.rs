//! The index against Cedar's own authorizer on the whole set: the same decision, the same determining policies, the
//! same errors, in generated worlds and in handwritten cases.
//! Never asks our side about anything that Cedar was not asked about.

mod generate;
mod handwritten;

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Effect, Entities, Policy, PolicySet, Request,
    RestrictedExpression,
};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::agents::Agents;
use super::cedar::{self, Asked, COUNTERPARTS, Condition, Entity, EntityUID, Scope};
use super::decide::{Evaluable, HeldBefore, Verdict, slice, verdicts};
use super::index::{About, Index, Indexed, Key, Stored};
use super::store::Store;
use crate::value::Uid;
use generate::World;

/// How many requests a world asks.
const REQUESTS: usize = 50;
/// How many worlds are made when nobody says otherwise: 25,000 requests.
const WORLDS: u32 = 500;

/// Decision, determining policies, and errors in words, all in order.
type Triple = (Decision, Vec<String>, Vec<(String, String)>);

fn by_cedar(request: &Request, policies: &PolicySet, entities: &Entities) -> Triple {
    let answer = Authorizer::new().is_authorized(request, policies, entities);
    let mut reasons: Vec<String> = answer.diagnostics().reason().map(ToString::to_string).collect();
    let mut errors: Vec<(String, String)> = answer
        .diagnostics()
        .errors()
        .map(|AuthorizationError::PolicyEvaluationError(e)| {
            (e.policy_id().to_string(), e.inner().to_string())
        })
        .collect();
    reasons.sort();
    errors.sort();
    (answer.decision(), reasons, errors)
}

/// A policy set behind an index, without schema and catalog.
struct Ours {
    policies: Vec<Policy>,
    index: Index,
    store: Store,
    keys: Stored,
}

/// How the keys of an entity in one role are worked out, and how those of a stored one are looked up.
type Role = (fn(&Index, &EntityUID, Option<&Entity>) -> Vec<Key>, fn(&Stored, usize) -> &[Key]);

const PRINCIPAL: Role = (Index::principal_keys, Stored::as_principal);
const RESOURCE: Role = (Index::resource_keys, Stored::as_resource);

impl Ours {
    fn of(policies: &PolicySet, entities: &Entities) -> Self {
        let mut policies: Vec<Policy> = policies.policies().cloned().collect();
        policies.sort_by_key(|policy| policy.id().to_string());
        let parts: Vec<(Scope, Arc<Condition>)> = policies
            .iter()
            .map(|policy| (Scope::of(policy.as_ref()), Arc::new(Condition::of(policy.as_ref()))))
            .collect();
        let index = Index::of(parts.iter().map(|(scope, condition)| Indexed { scope, condition }));
        let store = Store::of(entities.as_ref().clone(), BTreeMap::new(), Agents::default()).unwrap();
        let keys = index.keys_of_store(store.iter());
        Self { policies, index, store, keys }
    }

    /// What is looked up for a party, as it is for a question: a stored one's keys are known beforehand.
    fn keys(
        &self,
        uid: &EntityUID,
        brought: &BTreeMap<Uid, Arc<Entity>>,
        (work_out, known): Role,
    ) -> Vec<Key> {
        let name = cedar::uid_of_core(uid);
        match (brought.get(&name), self.store.find(&name)) {
            (None, Some((place, _))) => known(&self.keys, place).to_vec(),
            (brought, _) => work_out(&self.index, uid, brought.map(Arc::as_ref)),
        }
    }

    /// The verdicts of requests that differ in their principals, evaluated together as the halves of one call are, and
    /// with what was remembered of earlier ones.
    fn verdicts(
        &self,
        asked: Vec<Asked>,
        brought: &BTreeMap<Uid, Arc<Entity>>,
        memory: Option<&mut HeldBefore>,
    ) -> Vec<Verdict> {
        let evaluable = |asked: Asked| {
            let Asked { principal, action, resource, context } = &asked;
            let about = About {
                principal: &self.keys(principal, brought, PRINCIPAL),
                action: &self.index.action_keys(action, cedar::stored(self.store.entities(), action)),
                resource: &self.keys(resource, brought, RESOURCE),
            };
            let candidates = self.index.candidates(about, context);
            let in_scope = self.index.in_scope(about);
            assert!(candidates.iter().all(|one| in_scope.contains(one)), "a candidate is out of scope");
            let place = self.store.find(&cedar::uid_of_core(principal)).map(|(place, _)| place);
            Evaluable { place, asked, candidates }
        };
        let halves: Vec<Evaluable> = asked.into_iter().map(evaluable).collect();
        if brought.is_empty() {
            return verdicts(&self.index, self.store.entities(), halves, memory);
        }
        let slice = slice(&self.index, &self.store, brought, &halves).unwrap();
        verdicts(&self.index, &slice, halves, None)
    }

    fn triple(&self, verdict: &Verdict) -> Triple {
        let policy = |rule: u32| &self.policies[rule as usize];
        let satisfied = |effect| {
            let rules = verdict.satisfied.iter().map(|rule| policy(*rule));
            rules.filter(|policy| policy.effect() == effect).map(|p| p.id().to_string()).collect::<Vec<_>>()
        };
        let (permits, forbids) = (satisfied(Effect::Permit), satisfied(Effect::Forbid));
        let (decision, reasons) = match (permits.is_empty(), forbids.is_empty()) {
            (_, false) => (Decision::Deny, forbids),
            (false, true) => (Decision::Allow, permits),
            (true, true) => (Decision::Deny, Vec::new()),
        };
        let errors = verdict.failed.iter().map(|(rule, e)| (policy(*rule).id().to_string(), e.to_string()));
        let mut errors: Vec<_> = errors.collect();
        errors.sort();
        (decision, reasons, errors)
    }
}

#[derive(Default, Debug)]
struct Counts {
    requests: usize,
    allowed: usize,
    failing: usize,
    sliced: usize,
    pairs: usize,
    misled: usize,
}

/// The context as the other half of a delegated call has it: with the first party where the other one was named.
fn of_the_other_half(request: &Request) -> Context {
    let first = request.principal().unwrap();
    let members = request.context().unwrap().clone().into_iter();
    let members = members.map(|(name, value)| match COUNTERPARTS.iter().position(|one| *one == name) {
        Some(place) => {
            (COUNTERPARTS[1 - place].to_owned(), RestrictedExpression::new_entity_uid(first.clone()))
        }
        None => (name, value),
    });
    // Where both were named, one name comes up once still: the last of two with one name would be refused.
    Context::from_pairs(members.collect::<BTreeMap<_, _>>()).unwrap()
}

/// Compares all requests of a world, each alone, and each with the principal of the next as a second half. The second time
/// what rules asked of a party alone is remembered from request to request.
fn compare(world: &World, counts: &mut Counts) -> Result<(), TestCaseError> {
    let ours = Ours::of(&world.policies, &world.entities);
    let mut memory = HeldBefore::default();
    for (place, generate::Asked { request, brought }) in world.requests.iter().enumerate() {
        let all;
        let (entities, brought) = if brought.is_empty() {
            (&world.entities, BTreeMap::new())
        } else {
            all = world.entities.clone().upsert_entities(brought.iter().cloned(), None).unwrap();
            (&all, brought_closed(brought, &all))
        };
        if !describes_only_itself(&brought, entities, &ours.store) {
            continue;
        }
        let wanted = by_cedar(request, &world.policies, entities);
        let asked = cedar::raw::asked(request);
        let found = ours.verdicts(vec![asked.clone()], &brought, None);
        proptest::prop_assert_eq!(&wanted, &ours.triple(&found[0]), "request {}", place);

        let other = &world.requests[(place + 1) % world.requests.len()].request;
        let paired = Request::new(
            other.principal().unwrap().clone(),
            request.action().unwrap().clone(),
            request.resource().unwrap().clone(),
            of_the_other_half(request),
            None,
        )
        .unwrap();
        let both = ours.verdicts(vec![asked, cedar::raw::asked(&paired)], &brought, Some(&mut memory));
        proptest::prop_assert_eq!(&wanted, &ours.triple(&both[0]), "request {} as a first half", place);
        let wanted_other = by_cedar(&paired, &world.policies, entities);
        proptest::prop_assert_eq!(
            &wanted_other,
            &ours.triple(&both[1]),
            "request {} as a second half",
            place
        );
        counts.requests += 2;
        counts.pairs += 1;
        counts.allowed += usize::from(wanted.0 == Decision::Allow);
        counts.failing += usize::from(!wanted.2.is_empty());
        counts.sliced += usize::from(!brought.is_empty());
    }
    // Falsified, what is remembered must be missed: else nothing was recalled.
    for held in memory.values_mut() {
        *held = Ok(!matches!(held, Ok(true)));
    }
    for asked in world.requests.iter().filter(|asked| asked.brought.is_empty()).take(10) {
        let asked = cedar::raw::asked(&asked.request);
        let plain = ours.verdicts(vec![asked.clone()], &BTreeMap::new(), None);
        let misled = ours.verdicts(vec![asked], &BTreeMap::new(), Some(&mut memory));
        counts.misled += usize::from(ours.triple(&plain[0]) != ours.triple(&misled[0]));
    }
    Ok(())
}

/// The brought entities with their ancestors, as Cedar worked them out.
fn brought_closed(brought: &[cedar_policy::Entity], all: &Entities) -> BTreeMap<Uid, Arc<Entity>> {
    let closed = |entity: &cedar_policy::Entity| {
        let entity = all.get(&entity.uid()).unwrap();
        (cedar::uid_of(&entity.uid()), Arc::new(entity.as_ref().clone()))
    };
    brought.iter().map(closed).collect()
}

/// Whether no stored entity has other ancestors because of what is brought: requests of ours bring no parents, except
/// for entities that nothing stored can name as a parent.
fn describes_only_itself(brought: &BTreeMap<Uid, Arc<Entity>>, all: &Entities, store: &Store) -> bool {
    brought.is_empty()
        || store.iter().filter(|entity| !brought.contains_key(&cedar::uid_of_core(entity.uid()))).all(
            |entity| {
                let after = cedar::stored(all.as_ref(), entity.uid()).unwrap();
                entity.ancestors().count() == after.ancestors().count()
                    && entity.ancestors().all(|above| after.is_descendant_of(above))
            },
        )
}

#[test]
fn the_index_answers_as_cedar_does_in_generated_worlds() {
    let worlds = std::env::var("PALISADE_DIFFERENTIAL_WORLDS").ok();
    let cases = worlds.map_or(WORLDS, |worlds| worlds.parse().expect("a number of worlds"));
    let seed = std::env::var("PALISADE_DIFFERENTIAL_SEED").unwrap_or_default();
    let mut bytes = [7; 32];
    bytes.iter_mut().zip(seed.bytes()).for_each(|(place, byte)| *place = byte);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let counts = std::cell::RefCell::new(Counts::default());
    let outcome = runner.run(&generate::world(REQUESTS), |world| compare(&world, &mut counts.borrow_mut()));
    let counts = counts.into_inner();
    println!("{counts:?}");
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, world)) => panic!("{why}\nin {world:?}"),
        Err(other) => panic!("{other}"),
    }
    // The comparison would be worth little if the answers were all alike.
    assert!(counts.requests >= (cases as usize) * REQUESTS, "{counts:?}");
    assert!(counts.allowed * 10 > counts.pairs && counts.failing * 10 > counts.pairs, "{counts:?}");
    assert!(counts.sliced * 10 > counts.pairs, "{counts:?}");
    assert!(counts.misled > 0, "{counts:?}");
}

#[test]
fn the_index_answers_as_cedar_does_in_handwritten_cases() {
    let mut asked = 0;
    for case in handwritten::cases() {
        let (policies, entities) = (case.policies(), case.entities());
        let ours = Ours::of(&policies, &entities);
        for (request, expected) in case.requests() {
            // With what it is about brought as it is, the answer comes from a slice, and is the same.
            let parties = [request.principal(), request.resource()].into_iter().flatten();
            let known = parties.filter_map(|uid| Some((cedar::uid_of(uid), entities.get(uid)?)));
            let brought = known.map(|(uid, entity)| (uid, Arc::new(entity.as_ref().clone()))).collect();
            for brought in [BTreeMap::new(), brought] {
                let verdict = ours.verdicts(vec![cedar::raw::asked(&request)], &brought, None);
                let found = ours.triple(&verdict[0]);
                assert_eq!(by_cedar(&request, &policies, &entities), found, "{}", case.name);
                assert_eq!(found.0, expected.decision, "{}", case.name);
            }
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}

/// An index that leaves out one candidate, or finds one too many conditions equal, must not go unnoticed.
#[test]
fn a_rule_that_the_index_misses_is_noticed() {
    let mut runner = TestRunner::deterministic();
    let (mut noticed, mut missed) = (0, 0);
    for _ in 0..20 {
        let world = generate::world(REQUESTS).new_tree(&mut runner).unwrap().current();
        let without = world.policies.policies().next().map(|policy| policy.id().clone()).unwrap();
        let kept = world.policies.policies().filter(|policy| *policy.id() != without).cloned();
        let mut fewer = PolicySet::new();
        for policy in kept.filter(|policy| policy.template_id().is_none()) {
            fewer.add(policy).unwrap();
        }
        let ours = Ours::of(&fewer, &world.entities);
        let differs = world.requests.iter().filter(|asked| asked.brought.is_empty()).any(|asked| {
            let verdict = ours.verdicts(vec![cedar::raw::asked(&asked.request)], &BTreeMap::new(), None);
            ours.triple(&verdict[0]) != by_cedar(&asked.request, &world.policies, &world.entities)
        });
        *(if differs { &mut noticed } else { &mut missed }) += 1;
    }
    assert!(noticed > missed, "{noticed} noticed, {missed} missed");
}
