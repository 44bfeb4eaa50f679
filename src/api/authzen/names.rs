//! The types of AuthZEN's parties as types of the schema.
//! Never takes a name for two agents, and never renames a type that the schema has itself.

use std::collections::BTreeMap;

use crate::pdp::{TwoAgents, Vocabulary};
use crate::value::Uid;

/// The entity type of agents, who have names beside their ids.
const AGENT: &str = "Agent";

/// The entity types that a type of a party may stand for, each in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types(BTreeMap<String, Vec<String>>);

impl Default for Types {
    /// `identity` and `user` are people, `client` and `workload` agents; an identity may be an agent on its own.
    fn default() -> Self {
        let usual: [(&str, &[&str]); 5] = [
            ("identity", &["Human", "User", "Agent"]),
            ("user", &["Human", "User"]),
            ("client", &["Agent"]),
            ("workload", &["Agent"]),
            ("agent", &["Agent"]),
        ];
        Self::default_of(usual)
    }
}

impl Types {
    /// The usual ones, with these in their places.
    #[must_use]
    pub fn with(mut self, types: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        self.0.extend(types);
        self
    }

    fn default_of(usual: [(&str, &[&str]); 5]) -> Self {
        let owned = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect();
        Self(usual.into_iter().map(|(kind, kinds)| (kind.to_owned(), owned(kinds))).collect())
    }

    /// The entity that a party is: of its own type if the schema has it, else of the first that the bundle knows it by,
    /// else of the first that the schema has. What is nothing of these keeps its type, and nobody knows it.
    pub(in crate::api) fn party(
        &self,
        names: Vocabulary<'_>,
        kind: &str,
        id: &str,
    ) -> Result<Uid, TwoAgents> {
        if names.declares(kind) {
            return Ok(Uid::new(kind, id));
        }
        let mut first = None;
        for candidate in self.0.get(kind).into_iter().flatten().filter(|kind| names.declares(kind)) {
            let known = if candidate == AGENT {
                names.agent(id)?
            } else {
                Some(Uid::new(candidate, id)).filter(|uid| names.knows(uid))
            };
            if let Some(known) = known {
                return Ok(known);
            }
            first = first.or(Some(candidate));
        }
        Ok(Uid::new(first.map_or(kind, String::as_str), id))
    }

    /// Whether a party of this type turned out to be an agent though it could have been somebody else.
    pub(in crate::api) fn fell_to_agent(&self, kind: &str, party: &Uid) -> bool {
        let row = self.0.get(kind).map(Vec::as_slice).unwrap_or_default();
        kind != AGENT && party.kind == AGENT && row.iter().any(|candidate| candidate != AGENT)
    }
}

/// The agent of this name. One that nobody knows stays one: a name that means nothing must not count as none.
pub(super) fn agent(names: Vocabulary<'_>, name: &str) -> Result<Uid, TwoAgents> {
    Ok(names.agent(name)?.unwrap_or_else(|| Uid::new(AGENT, name)))
}
