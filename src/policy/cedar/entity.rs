//! Entities of Cedar's, shared by reference and with their ancestors worked out.
//! Never computes a closure: whoever brings an entity names ancestors that are closed already.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{Entity as PublicEntity, EntityUid, EvalResult, Expression, RestrictedExpression};
use cedar_policy_core::ast::{Entity, EntityUID, PartialValue, Value};
use cedar_policy_core::entities::{Dereference, Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use super::value::references;

/// An entity with all its ancestors.
pub(in crate::policy) fn entity(
    uid: EntityUID,
    attributes: impl IntoIterator<Item = (SmolStr, Value)>,
    parents: HashSet<EntityUID>,
    further_ancestors: HashSet<EntityUID>,
) -> Entity {
    let attributes = attributes.into_iter().map(|(name, value)| (name, PartialValue::Value(value)));
    Entity::new_with_attr_partial_value(uid, attributes, further_ancestors, parents, [])
}

/// The same entity with some attributes replaced.
pub(in crate::policy) fn with_attributes(entity: &Entity, replaced: HashMap<SmolStr, Value>) -> Entity {
    let (uid, mut attributes, further, parents, tags) = entity.clone().into_inner();
    attributes.extend(replaced.into_iter().map(|(name, value)| (name, PartialValue::Value(value))));
    Entity::new_with_attr_partial_value(uid, attributes, further, parents, tags)
}

/// The entity of a store.
pub(in crate::policy) fn stored<'e>(entities: &'e Entities, uid: &EntityUID) -> Option<&'e Entity> {
    match entities.entity(uid) {
        Dereference::Data(entity) => Some(entity),
        Dereference::NoSuchEntity | Dereference::Residual(_) => None,
    }
}

/// A store of entities whose ancestors are complete. None if two of them have one uid and differ.
pub(in crate::policy) fn store(entities: impl IntoIterator<Item = Arc<Entity>>) -> Option<Entities> {
    let closed = TCComputation::AssumeAlreadyComputed;
    let schema = None::<&NoEntitiesSchema>;
    Entities::new().add_entities(entities, schema, closed, Extensions::all_available()).ok()
}

/// Calls `found` with every entity that the attributes and tags of an entity refer to.
pub(in crate::policy) fn neighbours<'e>(entity: &'e Entity, found: &mut impl FnMut(&'e Arc<EntityUID>)) {
    for (_, value) in entity.attrs().chain(entity.tags()) {
        if let PartialValue::Value(value) = value {
            references(value, found);
        }
    }
}

/// Everything that a declared entity refers to: parents, attributes, tags.
pub(in crate::policy) fn mentioned(entity: &PublicEntity) -> Vec<EntityUid> {
    let mut found = Vec::new();
    let entity: &Entity = entity.as_ref();
    neighbours(entity, &mut |uid| found.push(uid.as_ref().clone()));
    found.extend(entity.parents().cloned());
    found.into_iter().map(EntityUid::from).collect()
}

/// An entity with other attributes and parents, and with the tags that it has. None if its values cannot be.
pub(in crate::policy) fn rebuilt(
    entity: &PublicEntity,
    attributes: HashMap<String, RestrictedExpression>,
    parents: HashSet<EntityUid>,
) -> Option<PublicEntity> {
    let tag = |(name, value): (&str, Result<EvalResult, _>)| {
        let text = Expression::from(value.ok()?).to_string();
        Some((name.to_owned(), text.parse::<RestrictedExpression>().ok()?))
    };
    let tags = entity.tags().map(tag).collect::<Option<Vec<_>>>()?;
    PublicEntity::new_with_tags(entity.uid(), attributes, parents, tags).ok()
}
