//! Worlds for the differential test: policies, entities and requests of few names, so that scopes match, conditions
//! are equal and guards meet what they guard, and so that each error of Cedar's language is made often.

mod conditions;
mod debug;
mod dice;
mod entities;
mod names;
mod policies;
mod requests;
mod schema;
mod scopes;
mod shrink;
mod sketch;
#[cfg(test)]
mod tests;
mod values;

use cedar_policy::{Entities, Entity, PolicySet, Request};
use proptest::strategy::Strategy;

/// All that decisions are made from.
pub(super) struct World {
    /// A schema in Cedar's own syntax, valid for itself. Not all policies and entities keep to it.
    pub(super) schema: String,
    /// Policies, templates and their links.
    pub(super) policies: PolicySet,
    pub(super) entities: Entities,
    pub(super) requests: Vec<Asked>,
}

/// A request, and the entities it brings: each replaces the stored one of its name, or adds to the store.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) brought: Vec<Entity>,
}

/// Worlds of so many requests.
pub(super) fn world(requests: usize) -> impl Strategy<Value = World> {
    shrink::Worlds { requests }
}
