//! The entities and actions that a search goes through, in the order of their ids, without those that no policy could
//! permit.
//! Never decides: what it leaves in is asked like any other question.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::cedar;
use super::index::Key;
use super::snapshot::Snapshot;
use crate::access::{Effect, Entity};
use crate::value::{SmolStr, Uid};

/// What is looked for on a snapshot.
pub struct Seeking<'s> {
    snapshot: &'s Snapshot,
    places: BTreeMap<String, Option<usize>>,
    wanted: Wanted,
}

/// What an entity of the bundle must fulfil to be worth a question.
enum Wanted {
    Anything,
    /// As a resource, one key of each list: there is a list for each party that must be permitted.
    AsResource(Vec<Vec<Key>>),
    /// As a principal, one of these keys.
    AsPrincipal(Vec<Key>),
}

impl<'s> Seeking<'s> {
    /// All entities of a type: those of the bundle, and those that a request brings.
    pub fn all_of(snapshot: &'s Snapshot, kind: &str, brought: &[Entity]) -> Self {
        let stored = snapshot.store.of_kind(kind).map(|(place, id)| (id.to_owned(), Some(place)));
        let brought = brought.iter().filter(|entity| entity.uid.kind == kind);
        // What a request says of an entity of the bundle may change its answer, never its place among the scopes.
        let brought = brought.filter(|entity| snapshot.store.find(&entity.uid).is_none());
        let places = stored.chain(brought.map(|entity| (entity.uid.id.to_string(), None))).collect();
        Self { snapshot, places, wanted: Wanted::Anything }
    }

    /// Leaves out what no policy could permit to these parties as a resource of this action.
    #[must_use]
    pub fn for_parties<'u>(self, action: &Uid, parties: impl IntoIterator<Item = &'u Uid>) -> Self {
        let snapshot = self.snapshot;
        let Some(action) = action_keys(snapshot, action) else { return self.nothing() };
        let mut lists = Vec::new();
        for party in parties {
            // Of a party that the request describes nothing is known beforehand.
            if let Some((place, _)) = snapshot.store.find(party) {
                let principal = snapshot.keys.as_principal(place);
                lists.push(snapshot.index.resources_of(principal, action, |rule| permits(snapshot, rule)));
            }
        }
        Self { wanted: Wanted::AsResource(lists), ..self }
    }

    /// Leaves out whom no policy could permit this action on this resource.
    #[must_use]
    pub fn for_resource(self, action: &Uid, resource: &Uid) -> Self {
        let snapshot = self.snapshot;
        let Some(action) = action_keys(snapshot, action) else { return self.nothing() };
        let Some((place, _)) = snapshot.store.find(resource) else { return self };
        let resource = snapshot.keys.as_resource(place);
        let wanted = snapshot.index.principals_of(action, resource, |rule| permits(snapshot, rule));
        Self { wanted: Wanted::AsPrincipal(wanted), ..self }
    }

    fn nothing(self) -> Self {
        Self { places: BTreeMap::new(), ..self }
    }

    /// The ids that are worth a question, in order, from behind this one.
    pub fn after(&self, id: Option<&str>) -> impl Iterator<Item = &str> {
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.places.range::<str, _>((from, Bound::Unbounded));
        rest.filter(|(_, place)| place.is_none_or(|place| self.is_wanted(place))).map(|(id, _)| id.as_str())
    }

    fn is_wanted(&self, place: usize) -> bool {
        let keys = &self.snapshot.keys;
        match &self.wanted {
            Wanted::Anything => true,
            Wanted::AsResource(lists) => lists.iter().all(|list| meet(list, keys.as_resource(place))),
            Wanted::AsPrincipal(list) => meet(list, keys.as_principal(place)),
        }
    }
}

impl Snapshot {
    /// The actions that have a principal of this type and a resource of that, in order.
    pub fn actions_on(&self, principal: &str, resource: &str) -> Vec<Uid> {
        let applies = |model: &super::schema::ActionModel| {
            let has = |kinds: &[SmolStr], kind: &str| kinds.iter().any(|each| each == kind);
            has(&model.principals, principal) && has(&model.resources, resource)
        };
        let mut all: Vec<Uid> = self
            .schema
            .actions
            .iter()
            .filter(|(_, model)| applies(model))
            .map(|(action, _)| action.clone())
            .collect();
        all.sort();
        all
    }

    /// The types of resources that an action has, in order.
    pub fn resource_types(&self, action: &Uid) -> &[SmolStr] {
        self.schema.actions.get(action).map_or(&[], |model| &model.resources)
    }

    /// The actions that have a principal of this type, in order.
    pub fn actions_of(&self, principal: &str) -> Vec<Uid> {
        let models = self.schema.actions.iter();
        let theirs = models.filter(|(_, model)| model.principals.iter().any(|kind| kind == principal));
        let mut all: Vec<Uid> = theirs.map(|(action, _)| action.clone()).collect();
        all.sort();
        all
    }

    /// The members of an action's context that a request may send.
    pub fn sent_members(&self, action: &Uid) -> impl Iterator<Item = &str> {
        let members = self.schema.actions.get(action).into_iter().flat_map(|model| &model.common);
        members.filter(|member| !member.ours).map(|member| member.name.as_str())
    }
}

fn action_keys<'s>(snapshot: &'s Snapshot, action: &Uid) -> Option<&'s [Key]> {
    let place = snapshot.schema.actions.get(action)?.place;
    snapshot.action_keys.get(place).map(Vec::as_slice)
}

fn permits(snapshot: &Snapshot, rule: u32) -> bool {
    snapshot.rules.get(rule as usize).is_some_and(|rule| rule.info.effect == Effect::Permit)
}

/// Whether two lists in order have a key in common.
fn meet(wanted: &[Key], keys: &[Key]) -> bool {
    if wanted.len() < keys.len() {
        wanted.iter().any(|key| keys.binary_search(key).is_ok())
    } else {
        keys.iter().any(|key| wanted.binary_search(key).is_ok())
    }
}

impl super::store::Store {
    /// The entities of a type: the place of each, and its id.
    fn of_kind<'s>(&'s self, kind: &str) -> impl Iterator<Item = (usize, &'s str)> {
        let kind = cedar::entity_type(kind);
        let range = kind.map_or(0..0, |kind| self.range_of(&kind));
        range.clone().zip(self.ids_in(range))
    }
}
