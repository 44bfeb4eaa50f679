//! What scopes ask of one party, each thing once, as a number: a party is looked up by the numbers that it fulfils.
//! Never evaluates: what a scope asks is a matter of type, id and ancestors.

use crate::policy::OwnMap;
use crate::policy::cedar::{Entity, EntityType, EntityUID, Party};

/// One thing that scopes ask of a party.
pub(in crate::policy) type Key = u32;

/// Everything that the scopes of a bundle ask of principals, of actions or of resources.
#[derive(Debug, Default)]
pub(super) struct Keys {
    count: Key,
    any: Option<Key>,
    is: OwnMap<EntityType, Key>,
    equal: OwnMap<EntityUID, Key>,
    within: OwnMap<EntityUID, Vec<(Option<EntityType>, Key)>>,
}

impl Keys {
    /// The key of what a scope asks; none for what nothing can fulfil.
    pub(super) fn intern(&mut self, asked: &Party) -> Option<Key> {
        match asked {
            Party::Any => Some(self.any()),
            Party::Is(kind) => {
                let next = self.count;
                let key = *self.is.entry(kind.as_ref().clone()).or_insert(next);
                Some(self.taken(key))
            }
            Party::Equal(uid) => Some(self.equal(uid)),
            Party::In(uid) => Some(self.within(uid)),
            Party::IsIn(kind, uid) => Some(self.within_as(uid, Some(kind))),
            Party::Unfilled => None,
        }
    }

    /// The key of no demand at all.
    pub(super) fn any(&mut self) -> Key {
        let key = *self.any.get_or_insert(self.count);
        self.taken(key)
    }

    /// The key of `== uid`.
    pub(super) fn equal(&mut self, uid: &EntityUID) -> Key {
        let next = self.count;
        let key = *self.equal.entry(uid.clone()).or_insert(next);
        self.taken(key)
    }

    /// The key of `in uid`.
    pub(super) fn within(&mut self, uid: &EntityUID) -> Key {
        self.within_as(uid, None)
    }

    fn within_as(&mut self, uid: &EntityUID, kind: Option<&EntityType>) -> Key {
        let next = self.count;
        let all = self.within.entry(uid.clone()).or_default();
        if let Some((_, key)) = all.iter().find(|(wanted, _)| wanted.as_ref() == kind) {
            return *key;
        }
        all.push((kind.cloned(), next));
        self.taken(next)
    }

    fn taken(&mut self, key: Key) -> Key {
        self.count = self.count.max(key.saturating_add(1));
        key
    }

    /// The keys that an entity fulfils, in order. An entity that is in no store has no ancestors.
    pub(super) fn of(&self, uid: &EntityUID, entity: Option<&Entity>) -> Vec<Key> {
        let mut found = Vec::with_capacity(8);
        self.collect(uid, entity, &mut found);
        found
    }

    fn collect(&self, uid: &EntityUID, entity: Option<&Entity>, found: &mut Vec<Key>) {
        let start = found.len();
        found.extend(self.any);
        found.extend(self.is.get(uid.entity_type()));
        found.extend(self.equal.get(uid));
        // `in` holds for the entity itself too.
        let above = entity.into_iter().flat_map(Entity::ancestors);
        for uid_above in std::iter::once(uid).chain(above) {
            let asked = self.within.get(uid_above).into_iter().flatten();
            let fulfilled =
                asked.filter(|(kind, _)| kind.as_ref().is_none_or(|kind| kind == uid.entity_type()));
            found.extend(fulfilled.map(|(_, key)| key));
        }
        if let Some(keys) = found.get_mut(start..) {
            keys.sort_unstable();
        }
    }
}

/// The keys of every entity of a store, as principals and as resources, by the entity's place in the store.
#[derive(Debug, Default)]
pub(in crate::policy) struct Stored {
    keys: Vec<Key>,
    /// For each entity: where its keys as a principal end, and where its keys as a resource end.
    ends: Vec<(usize, usize)>,
}

impl Stored {
    pub(super) fn of<'e>(
        principals: &Keys,
        resources: &Keys,
        entities: impl Iterator<Item = &'e Entity>,
    ) -> Self {
        let mut stored = Self::default();
        for entity in entities {
            principals.collect(entity.uid(), Some(entity), &mut stored.keys);
            let middle = stored.keys.len();
            resources.collect(entity.uid(), Some(entity), &mut stored.keys);
            stored.ends.push((middle, stored.keys.len()));
        }
        stored
    }

    /// The keys of an entity as a principal.
    pub(in crate::policy) fn as_principal(&self, place: usize) -> &[Key] {
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |(_, end)| *end);
        self.ends.get(place).and_then(|(middle, _)| self.keys.get(start..*middle)).unwrap_or_default()
    }

    /// The keys of an entity as a resource.
    pub(in crate::policy) fn as_resource(&self, place: usize) -> &[Key] {
        self.ends.get(place).and_then(|(middle, end)| self.keys.get(*middle..*end)).unwrap_or_default()
    }
}
