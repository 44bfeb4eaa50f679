//! The rules of a bundle, found by what a request is about: only those whose scope matches, and whose opening
//! comparison can hold.
//! Never decides, and never leaves out a rule that could be satisfied or fail.

mod keys;
mod shelf;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::cedar::{Action, Blanks, Condition, Entity, EntityUID, Expr, Late, Opening, Path, Record, Scope};
use keys::Keys;
pub(super) use keys::{Key, Stored};
use shelf::Shelf;

/// A rule by its place in the order of the rules.
pub(super) type RuleId = u32;
/// A condition by its place; equal conditions of different rules are one.
pub(super) type ConditionId = u32;

/// A rule that may apply, with its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) condition: ConditionId,
    pub(super) rule: RuleId,
}

/// What the index has to know of a rule.
pub(super) struct Indexed<'a> {
    pub(super) scope: &'a Scope,
    pub(super) condition: &'a Arc<Condition>,
}

/// All rules of a bundle.
#[derive(Debug, Default)]
pub(super) struct Index {
    principals: Keys,
    actions: Keys,
    resources: Keys,
    shelves: HashMap<(Key, Key), Shelf, FixedState>,
    paths: Vec<Path>,
    /// Which late members of the context rules open with a comparison of.
    opens_on: Late,
    conditions: Vec<Arc<Condition>>,
}

/// The keys of what a request is about, for each of its three parties.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) principal: &'a [Key],
    pub(super) action: &'a [Key],
    pub(super) resource: &'a [Key],
}

impl Index {
    /// An index of rules, numbered in the order in which they come.
    pub(super) fn of<'a>(rules: impl IntoIterator<Item = Indexed<'a>>) -> Self {
        let mut index = Self::default();
        let mut conditions: HashMap<Option<&Expr>, ConditionId, FixedState> = HashMap::default();
        let mut paths: HashMap<Path, u32, FixedState> = HashMap::default();
        for (rule, Indexed { scope, condition }) in (0..).zip(rules) {
            let next = index.conditions.len().try_into().unwrap_or(ConditionId::MAX);
            let id = *conditions.entry(condition.expression.as_ref()).or_insert(next);
            if id == next {
                index.conditions.push(condition.clone());
            }
            let opening = Opening::of(condition).map(|Opening { path, literal }| {
                let next = paths.len().try_into().unwrap_or(u32::MAX);
                (*paths.entry(path).or_insert(next), literal)
            });
            index.add(scope, opening.as_ref(), Candidate { condition: id, rule });
        }
        let mut ordered: Vec<_> = paths.into_iter().collect();
        ordered.sort_by_key(|(_, id)| *id);
        index.paths = ordered.into_iter().map(|(path, _)| path).collect();
        let first = |path: &Path| path.first().map(|(name, _)| Late::named(name)).unwrap_or_default();
        index.opens_on = index.paths.iter().map(first).fold(Late::default(), Late::or);
        index
    }

    fn add(&mut self, scope: &Scope, opening: Option<&(u32, super::cedar::Literal)>, candidate: Candidate) {
        let Scope { principal, action, resource } = scope;
        let (Some(principal), Some(resource)) =
            (self.principals.intern(principal), self.resources.intern(resource))
        else {
            return;
        };
        let actions: Vec<Key> = match action {
            Action::Any => vec![self.actions.any()],
            Action::Equal(uid) => vec![self.actions.equal(uid)],
            Action::In(uids) => uids.iter().map(|uid| self.actions.within(uid)).collect(),
        };
        for action in actions {
            self.shelves.entry((action, principal)).or_default().add(resource, opening, candidate);
        }
    }

    /// Which late members of the context are looked at before any condition is.
    pub(super) fn opens_on(&self) -> Late {
        self.opens_on
    }

    /// The condition with this id.
    pub(super) fn condition(&self, id: ConditionId) -> Option<&Condition> {
        self.conditions.get(id as usize).map(Arc::as_ref)
    }

    /// The keys of a principal with these ancestors, in order.
    pub(super) fn principal_keys(&self, uid: &EntityUID, entity: Option<&Entity>) -> Vec<Key> {
        self.principals.of(uid, entity)
    }

    /// The keys of an action.
    pub(super) fn action_keys(&self, uid: &EntityUID, entity: Option<&Entity>) -> Vec<Key> {
        self.actions.of(uid, entity)
    }

    /// The keys of a resource.
    pub(super) fn resource_keys(&self, uid: &EntityUID, entity: Option<&Entity>) -> Vec<Key> {
        self.resources.of(uid, entity)
    }

    /// The keys of all entities of a store, so that no request works them out.
    pub(super) fn keys_of_store<'e>(&self, entities: impl Iterator<Item = &'e Entity>) -> Stored {
        Stored::of(&self.principals, &self.resources, entities)
    }

    /// The rules that may be satisfied or fail in this context, in the order of their conditions.
    pub(super) fn candidates(&self, about: About<'_>, context: &Record) -> Vec<Candidate> {
        let mut found = Vec::with_capacity(16);
        self.shelves_of(about, |shelf| {
            shelf.each(about.resource, |rack| rack.candidates(&self.paths, context, |_| false, &mut found));
        });
        tidied(found)
    }

    /// The rules that may be satisfied or fail when these members of the context become known.
    pub(super) fn candidates_beside(
        &self,
        about: About<'_>,
        context: &Record,
        blanks: &Blanks,
    ) -> Vec<Candidate> {
        let mut found = Vec::with_capacity(16);
        let is_blank = |name: &str| blanks.contains(name);
        self.shelves_of(about, |shelf| {
            shelf.each(about.resource, |rack| rack.candidates(&self.paths, context, is_blank, &mut found));
        });
        tidied(found)
    }

    /// What a resource must fulfil for such a rule to be about it, where principal and action fulfil these keys: in order.
    pub(super) fn resources_of(
        &self,
        principal: &[Key],
        action: &[Key],
        mut is_such: impl FnMut(RuleId) -> bool,
    ) -> Vec<Key> {
        let mut keys = Vec::new();
        self.shelves_of(About { principal, action, resource: &[] }, |shelf| {
            let such = shelf.racks().filter(|(_, rack)| rack.any(&mut is_such));
            keys.extend(such.map(|(key, _)| key));
        });
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// What a principal must fulfil for such a rule to be about it, where action and resource fulfil these keys: in order.
    pub(super) fn principals_of(
        &self,
        action: &[Key],
        resource: &[Key],
        mut is_such: impl FnMut(RuleId) -> bool,
    ) -> Vec<Key> {
        let mut keys = Vec::new();
        for ((of_action, principal), shelf) in &self.shelves {
            if action.contains(of_action) && keys.last() != Some(principal) {
                let mut found = false;
                shelf.each(resource, |rack| found = found || rack.any(&mut is_such));
                keys.extend(found.then_some(*principal));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The rules whose scope matches, in the order of their conditions.
    pub(super) fn in_scope(&self, about: About<'_>) -> Vec<Candidate> {
        let mut found = Vec::new();
        self.shelves_of(about, |shelf| shelf.each(about.resource, |rack| found.extend(rack.all())));
        tidied(found)
    }

    fn shelves_of<'s>(&'s self, about: About<'_>, mut each: impl FnMut(&'s Shelf)) {
        for action in about.action {
            for principal in about.principal {
                if let Some(shelf) = self.shelves.get(&(*action, *principal)) {
                    each(shelf);
                }
            }
        }
    }
}

/// A rule about two groups that both hold the action is found twice.
fn tidied(mut found: Vec<Candidate>) -> Vec<Candidate> {
    found.sort_unstable();
    found.dedup();
    found
}
