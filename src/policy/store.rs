//! The entities of a bundle as decisions use them: by reference, found by our ids, with their ancestors.
//! Never copied for a request, and never closed again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::OwnMap;
use super::agents::Agents;
use super::cedar::{self, Entities, Entity, EntityType, EntityUID};
use crate::value::Uid;

/// All entities of a bundle, actions included.
#[derive(Debug)]
pub(super) struct Store {
    entities: Entities,
    places: OwnMap<Uid, usize>,
    known: Vec<Known>,
    /// Less sensitive classes of each data class, itself included.
    classes_below: BTreeMap<String, BTreeSet<String>>,
    agents: Agents,
}

/// An entity of the store.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) uid: Arc<EntityUID>,
    pub(super) entity: Arc<Entity>,
}

impl Store {
    /// Takes over a store whose ancestors are complete. None if an entity stands in it twice.
    pub(super) fn of(
        entities: impl IntoIterator<Item = Entity>,
        classes_below: BTreeMap<String, BTreeSet<String>>,
        agents: Agents,
    ) -> Option<Self> {
        let mut known: Vec<Known> = entities
            .into_iter()
            .map(|entity| Known { uid: Arc::new(entity.uid().clone()), entity: Arc::new(entity) })
            .collect();
        known.sort_by(|a, b| a.uid.cmp(&b.uid));
        let uids = known.iter().map(|known| cedar::uid_of_core(&known.uid));
        Some(Self {
            places: uids.zip(0..).collect(),
            entities: cedar::store(known.iter().map(|known| known.entity.clone()))?,
            known,
            classes_below,
            agents,
        })
    }

    /// All of it, as Cedar looks at it.
    pub(super) fn entities(&self) -> &Entities {
        &self.entities
    }

    /// The agents by the names that their credentials give them.
    pub(super) fn agents(&self) -> &Agents {
        &self.agents
    }

    /// Less sensitive classes of each data class, itself included.
    pub(super) fn classes_below(&self) -> &BTreeMap<String, BTreeSet<String>> {
        &self.classes_below
    }

    /// The entities, in the order of their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entity> {
        self.known.iter().map(|known| known.entity.as_ref())
    }

    /// The entity and its place.
    pub(super) fn find(&self, uid: &Uid) -> Option<(usize, &Known)> {
        let place = *self.places.get(uid)?;
        Some((place, self.known.get(place)?))
    }

    /// The places of the entities of a type: they stand together, by their types and then by their ids.
    pub(super) fn range_of(&self, kind: &EntityType) -> Range<usize> {
        let start = self.known.partition_point(|known| known.uid.entity_type() < kind);
        let of_kind = self.known.get(start..).unwrap_or_default();
        start..start + of_kind.partition_point(|known| known.uid.entity_type() == kind)
    }

    /// The ids of the entities at these places.
    pub(super) fn ids_in(&self, places: Range<usize>) -> impl Iterator<Item = &str> {
        self.known.get(places).unwrap_or_default().iter().map(|known| cedar::id_of(&known.uid))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The ancestors that an entity with these parents has beside them.
    pub(super) fn ancestors_beyond(&self, parents: &HashSet<EntityUID>) -> HashSet<EntityUID> {
        let stored = parents.iter().filter_map(|parent| cedar::stored(&self.entities, parent));
        stored.flat_map(Entity::ancestors).filter(|above| !parents.contains(*above)).cloned().collect()
    }

    /// What an evaluation may look into that begins at `from` and looks at most `depth` entities deep, with what a
    /// request brings in front of the store.
    pub(super) fn slice<'e>(
        &'e self,
        brought: &'e BTreeMap<Uid, Arc<Entity>>,
        from: impl IntoIterator<Item = &'e EntityUID>,
        depth: usize,
    ) -> Option<Entities> {
        let brought: HashMap<&EntityUID, &Arc<Entity>> =
            brought.values().map(|entity| (entity.uid(), entity)).collect();
        let mut reached: Vec<Arc<Entity>> = Vec::new();
        let mut seen: HashSet<&EntityUID> = HashSet::new();
        let mut waiting: Vec<&EntityUID> = from.into_iter().collect();
        for _ in 0..depth {
            let mut next: Vec<&EntityUID> = Vec::new();
            for uid in waiting {
                if !seen.insert(uid) {
                    continue;
                }
                let stored = || self.find(&cedar::uid_of_core(uid)).map(|(_, known)| &known.entity);
                if let Some(entity) = brought.get(uid).copied().or_else(stored) {
                    cedar::neighbours(entity, &mut |uid| next.push(uid.as_ref()));
                    reached.push(entity.clone());
                }
            }
            waiting = next;
        }
        cedar::store(reached)
    }
}
