//! Everything that decides, at one instant: immutable, shared by reference, named by its revision.
//! Never changes after it was compiled.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{Authorizer, Entities, EntityUid, PolicyId, PolicySet};

use super::schema::CompiledSchema;
use crate::access::{Effect, Revision};
use crate::catalog::Catalog;

/// What answers, records and explanations say of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInfo {
    /// The `@id`, or `file#place`.
    pub id: Arc<str>,
    /// Permit or forbid.
    pub effect: Effect,
    /// All annotations.
    pub annotations: Arc<BTreeMap<String, String>>,
    /// The file below the bundle's root.
    pub path: Arc<str>,
    /// 1-based line.
    pub line: usize,
    /// 1-based column.
    pub column: usize,
}

/// A compiled bundle.
pub struct Snapshot {
    pub(super) revision: Revision,
    pub(super) schema: CompiledSchema,
    pub(super) policies: PolicySet,
    pub(super) infos: HashMap<PolicyId, Arc<PolicyInfo>>,
    pub(super) entities: Entities,
    /// The entities that policies name: part of every slice.
    pub(super) literals: Vec<EntityUid>,
    /// Less sensitive classes of each data class, itself included.
    pub(super) classes_below: BTreeMap<String, BTreeSet<String>>,
    pub(super) catalog: Catalog,
    pub(super) authorizer: Authorizer,
}

impl Snapshot {
    /// The digest of the bundle's content.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The tools that this bundle knows.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The policies, ordered by id.
    pub fn policies(&self) -> Vec<Arc<PolicyInfo>> {
        let mut infos: Vec<_> = self.infos.values().cloned().collect();
        infos.sort_by(|a, b| a.id.cmp(&b.id));
        infos
    }

    /// Whether the context of some action has this member for this PDP alone to fill.
    pub fn establishes(&self, member: &str) -> bool {
        self.schema.owned.values().any(|members| members.contains(member))
    }

    /// Whether the action's context names the agent that acts: then a human does not come alone.
    pub fn expects_actor(&self, action: &crate::value::Uid) -> bool {
        self.schema.owned.get(action).is_some_and(|owned| owned.contains("actor"))
    }

    /// How many entities the store holds, actions included.
    pub fn entity_count(&self) -> usize {
        self.entities.len()
    }

    /// How many actions the schema has, tools included.
    pub fn action_count(&self) -> usize {
        self.schema.actions.len()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("revision", &self.revision).finish_non_exhaustive()
    }
}
