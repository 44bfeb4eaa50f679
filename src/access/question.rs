//! What is asked, and the facts that it is decided on.
//! Never mixes what the PEP said with what this PDP established: they are different fields.

use std::collections::BTreeMap;

use crate::value::{Uid, Value};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// An entity that came with a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Which.
    pub uid: Uid,
    /// Its attributes, not yet held against the schema.
    pub attributes: BTreeMap<String, Value>,
    /// Its parents. Always empty for what a PEP brought.
    pub parents: Vec<Uid>,
}

/// One step: may this be done to that, under these circumstances?
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The Cedar action.
    pub action: Uid,
    /// The Cedar resource.
    pub resource: Uid,
    /// Context as the PEP sent it.
    pub context: BTreeMap<String, Value>,
    /// Context that this PDP made from a message that it understood: `input`, `input_unseen`.
    pub established: BTreeMap<String, Value>,
    /// Entities that the PEP brought; believed within the limits of the schema.
    pub brought: Vec<Entity>,
    /// Entities that this PDP derived from the message, such as the resource behind a URI.
    pub derived: Vec<Entity>,
}

impl Question {
    /// A question without context and entities.
    pub fn new(action: Uid, resource: Uid) -> Self {
        Self {
            action,
            resource,
            context: BTreeMap::new(),
            established: BTreeMap::new(),
            brought: Vec::new(),
            derived: Vec::new(),
        }
    }
}

/// What this PDP knows about a request beside the question. Only `pdp` and `suite` build one.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The party whose authority is used.
    pub principal: Uid,
    /// The agent that uses it, when that is somebody else.
    pub actor: Option<Uid>,
    /// How many agents stand between the principal and the step: 0 for the principal itself, 1 for the actor, …
    pub actor_depth: i64,
    /// The session, if there is one.
    pub session: Option<String>,
    /// Further context that was verified: `task`, `token`.
    pub established: BTreeMap<String, Value>,
    /// The instant of the decision.
    pub now: Timestamp,
}
