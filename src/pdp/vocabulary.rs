//! What the bundle in force knows of names, for a face whose protocol names things in another way.
//! Never decides, and tells nothing about what a policy says.

use crate::catalog::Catalog;
use crate::identity::{AgentName, Directory as _, SpiffeId};
use crate::mcp;
use crate::policy::Snapshot;
use crate::value::Uid;

/// The entity type of agents.
const AGENT: &str = "Agent";

/// The names of one bundle.
#[derive(Clone, Copy)]
pub struct Vocabulary<'s>(&'s Snapshot, &'s mcp::Limits);

impl<'s> Vocabulary<'s> {
    pub(super) fn of(snapshot: &'s Snapshot, limits: &'s mcp::Limits) -> Self {
        Self(snapshot, limits)
    }

    /// Whether there are entities of this type.
    pub fn declares(self, kind: &str) -> bool {
        self.0.declares(kind)
    }

    /// Whether entities of this type have this attribute.
    pub fn declares_attribute(self, kind: &str, attribute: &str) -> bool {
        self.0.declares_attribute(kind, attribute)
    }

    /// Whether the bundle has this entity.
    pub fn knows(self, uid: &Uid) -> bool {
        self.0.knows(uid)
    }

    /// Whether a request may not send this member of the action's context.
    pub fn owns(self, action: &Uid, member: &str) -> bool {
        self.0.owns(action, member)
    }

    /// Whether a request may send this member of the action's context, for policies to read.
    pub fn takes(self, action: &Uid, member: &str) -> bool {
        self.0.takes(action, member)
    }

    /// Whether a request may not send this member of the context of some action.
    pub fn owns_somewhere(self, member: &str) -> bool {
        self.0.establishes(member)
    }

    /// Whether a request may send this member of the context of some action.
    pub fn takes_somewhere(self, member: &str) -> bool {
        self.0.takes_somewhere(member)
    }

    /// The agent of this name: its id, its SPIFFE ID or a client id of it.
    ///
    /// # Errors
    /// The name is one agent's id and another's credential.
    pub fn agent(self, name: &str) -> Result<Option<Uid>, TwoAgents> {
        let own = Some(Uid::new(AGENT, name)).filter(|uid| self.0.knows(uid));
        let name = match SpiffeId::parse(name) {
            Ok(id) => AgentName::Spiffe(id),
            Err(_) => AgentName::Client(name.to_owned()),
        };
        match (own, self.0.agent(&name)) {
            (Some(own), Some(other)) if own != *other => Err(TwoAgents),
            (own, other) => Ok(own.or_else(|| other.cloned())),
        }
    }

    /// The agent that a token calls so.
    pub fn agent_of(self, name: &AgentName) -> Option<&'s Uid> {
        self.0.agent(name)
    }

    /// The MCP servers and their tools.
    pub fn catalog(self) -> &'s Catalog {
        self.0.catalog()
    }

    /// How much of a message will be read.
    pub fn message_limits(self) -> &'s mcp::Limits {
        self.1
    }
}

/// A name of two agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name is the id of one agent and a credential of another")]
pub struct TwoAgents;
