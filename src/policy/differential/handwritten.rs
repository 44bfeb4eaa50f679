//! Cases by hand: small policies, entities and requests, and what must come of them, found by reasoning.

mod conditions;
mod depths;
mod extensions;
mod fixtures;
mod scopes;
mod templates;

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, EntityUid, PolicyId, PolicySet, Request,
    Schema, SlotId, ValidationMode, Validator,
};

/// What must come of a request.
pub(super) struct Expected {
    pub(super) decision: Decision,
    /// Ids of the policies that determine it.
    pub(super) determining: &'static [&'static str],
    /// Ids of the policies that fail.
    pub(super) failing: &'static [&'static str],
}

/// A link of a template: its template, its own id, who stands for the principal and what for the resource.
pub(super) type Link = (&'static str, &'static str, Option<&'static str>, Option<&'static str>);

/// Principal, action, resource, context as JSON, and what must come of them.
pub(super) type Ask = (&'static str, &'static str, &'static str, &'static str, Expected);

pub(super) struct Case {
    pub(super) name: &'static str,
    /// A schema that the policies are valid for. Without one they need not be valid for any.
    pub(super) schema: Option<&'static str>,
    /// Policies and templates. Their ids are their `@id`s.
    pub(super) policies: &'static str,
    pub(super) links: &'static [Link],
    /// Entities as JSON; the actions of the schema come on top.
    pub(super) entities: &'static str,
    pub(super) requests: &'static [Ask],
}

pub(super) const fn allow(determining: &'static [&'static str]) -> Expected {
    Expected { decision: Decision::Allow, determining, failing: &[] }
}

pub(super) const fn deny(determining: &'static [&'static str]) -> Expected {
    Expected { decision: Decision::Deny, determining, failing: &[] }
}

impl Expected {
    /// The same, and these policies fail.
    const fn failing(self, failing: &'static [&'static str]) -> Self {
        Self { failing, ..self }
    }
}

/// All of the cases.
pub(super) fn cases() -> impl Iterator<Item = &'static Case> {
    [scopes::CASES, conditions::CASES, depths::CASES, extensions::CASES, templates::CASES]
        .into_iter()
        .flatten()
}

impl Case {
    pub(super) fn schema(&self) -> Option<Schema> {
        self.schema
            .map(|text| Schema::from_str(text).unwrap_or_else(|error| panic!("{}: {error:?}", self.name)))
    }

    /// The policies by their own ids, and the links.
    pub(super) fn policies(&self) -> PolicySet {
        let read =
            PolicySet::from_str(self.policies).unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
        let mut set = PolicySet::new();
        for policy in read.policies() {
            set.add(policy.new_id(PolicyId::new(policy.annotation("id").unwrap()))).unwrap();
        }
        for template in read.templates() {
            set.add_template(template.new_id(PolicyId::new(template.annotation("id").unwrap()))).unwrap();
        }
        for (template, id, principal, resource) in self.links {
            let slots = [(SlotId::principal(), principal), (SlotId::resource(), resource)];
            let slots: HashMap<_, _> =
                slots.into_iter().filter_map(|(slot, with)| Some((slot, uid((*with)?)))).collect();
            set.link(PolicyId::new(template), PolicyId::new(id), slots).unwrap();
        }
        set
    }

    /// The entities, and the actions of the schema.
    pub(super) fn entities(&self) -> Entities {
        let read = Entities::from_json_str(self.entities, None)
            .unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
        let Some(schema) = self.schema() else { return read };
        read.add_entities(schema.action_entities().unwrap().iter().cloned(), None).unwrap()
    }

    /// The requests, and what must come of them.
    pub(super) fn requests(&self) -> impl Iterator<Item = (Request, &'static Expected)> {
        self.requests.iter().map(|(principal, action, resource, context, expected)| {
            let context = Context::from_json_str(context, None)
                .unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
            (Request::new(uid(principal), uid(action), uid(resource), context, None).unwrap(), expected)
        })
    }
}

fn uid(text: &str) -> EntityUid {
    EntityUid::from_str(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn failed(error: &AuthorizationError) -> PolicyId {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    error.policy_id().clone()
}

fn ids(given: &[&str]) -> BTreeSet<PolicyId> {
    given.iter().map(PolicyId::new).collect()
}

#[test]
fn cedar_decides_them_as_expected() {
    let (mut count, mut asked) = (0, 0);
    for case in cases() {
        let (policies, entities) = (case.policies(), case.entities());
        count += 1;
        for (number, (request, expected)) in case.requests().enumerate() {
            let at = format!("{}, request {number}", case.name);
            let answer = Authorizer::new().is_authorized(&request, &policies, &entities);
            let failing: BTreeSet<_> = answer.diagnostics().errors().map(failed).collect();
            assert_eq!(answer.decision(), expected.decision, "{at}: {answer:?}");
            let determining: BTreeSet<_> = answer.diagnostics().reason().cloned().collect();
            assert_eq!(determining, ids(expected.determining), "{at}");
            assert_eq!(failing, ids(expected.failing), "{at}: {answer:?}");
            asked += 1;
        }
    }
    println!("{count} cases, {asked} requests");
    assert!(count >= 40);
}

#[test]
fn policies_with_a_schema_are_valid_for_it() {
    for case in cases() {
        let Some(schema) = case.schema() else { continue };
        let answer = Validator::new(schema).validate(&case.policies(), ValidationMode::Strict);
        let errors: Vec<_> = answer.validation_errors().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", case.name);
    }
}

#[test]
fn names_are_told_apart() {
    let names: BTreeSet<_> = cases().map(|case| case.name).collect();
    assert_eq!(names.len(), cases().count());
}
