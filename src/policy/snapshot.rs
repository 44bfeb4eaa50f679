//! Everything that decides, at one instant: immutable, shared by reference, named by its revision.
//! Never changes after it was compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::index::{Index, Key, Stored};
use super::rule::Rule;
use super::schema::{ActionModel, CompiledSchema};
use super::store::Store;
use super::told::Told;
use crate::access::{Effect, Obligation, Revision};
use crate::catalog::Catalog;
use crate::identity::{AgentName, Directory};
use crate::value::Uid;

/// What answers, records and explanations say of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInfo {
    /// The `@id`, or `file#place`.
    pub id: Arc<str>,
    /// Permit or forbid.
    pub effect: Effect,
    /// All annotations but `@obligation`.
    pub annotations: Arc<BTreeMap<String, String>>,
    /// What it demands of the enforcement point when it makes the difference.
    pub obligations: Arc<[Obligation]>,
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
    pub(super) schema: Arc<CompiledSchema>,
    /// In the order of their ids: a rule's place is its `RuleId`.
    pub(super) rules: Vec<Arc<Rule>>,
    pub(super) index: Index,
    pub(super) store: Arc<Store>,
    /// What scopes ask of the entities of the store.
    pub(super) keys: Stored,
    /// What scopes ask of the actions, by their places.
    pub(super) action_keys: Vec<Vec<Key>>,
    pub(super) catalog: Arc<Catalog>,
    /// A memory of what was typed before: it changes nothing.
    pub(super) told: Told,
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
        self.rules.iter().map(|rule| rule.info.clone()).collect()
    }

    /// A class of data with all less sensitive ones; none when the bundle does not have it.
    pub fn classes_below(&self, class: &str) -> Option<&BTreeSet<String>> {
        self.store.classes_below().get(class)
    }

    /// Whether the context of some action has this member for this PDP alone to fill.
    pub fn establishes(&self, member: &str) -> bool {
        self.schema.actions.values().any(|action| action.owned.contains(member))
    }

    /// Whether the schema has entities of this type.
    pub fn declares(&self, kind: &str) -> bool {
        self.schema.kinds.contains_key(kind) || self.schema.choices.contains_key(kind)
    }

    /// Whether entities of this type have this attribute.
    pub fn declares_attribute(&self, kind: &str, attribute: &str) -> bool {
        self.schema.kinds.get(kind).is_some_and(|attributes| attributes.contains_key(attribute))
    }

    /// Whether this member of the action's context is for this PDP alone to fill.
    pub fn owns(&self, action: &Uid, member: &str) -> bool {
        self.schema.actions.get(action).is_some_and(|action| action.owned.contains(member))
    }

    /// Whether this member of the action's context is for a request to send.
    pub fn takes(&self, action: &Uid, member: &str) -> bool {
        let declared = |action: &ActionModel| action.common.iter().any(|one| !one.ours && one.name == member);
        self.schema.actions.get(action).is_some_and(declared)
    }

    /// Whether this member of the context of some action is for a request to send.
    pub fn takes_somewhere(&self, member: &str) -> bool {
        let declared = |action: &ActionModel| action.common.iter().any(|one| !one.ours && one.name == member);
        self.schema.actions.values().any(declared)
    }

    /// Whether the action's context names the agent that acts: then a human does not come alone.
    pub fn expects_actor(&self, action: &Uid) -> bool {
        self.schema.actions.get(action).is_some_and(|action| action.owned.contains("actor"))
    }

    /// How many entities the store holds, actions included.
    pub fn entity_count(&self) -> usize {
        self.store.len()
    }

    /// How many actions the schema has, tools included.
    pub fn action_count(&self) -> usize {
        self.schema.actions.len()
    }
}

impl Directory for Snapshot {
    fn agent(&self, name: &AgentName) -> Option<&Uid> {
        self.store.agents().get(name)
    }

    fn knows(&self, uid: &Uid) -> bool {
        self.store.find(uid).is_some()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("revision", &self.revision).finish_non_exhaustive()
    }
}
