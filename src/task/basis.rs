//! What a grant rested on, so that the same decision can be made again under other policies.
//! Never the bundle itself: that is named by its revision.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::grant::Grant;
use crate::identity::{Assurance, Description};
use crate::value::Value;

/// What was asked of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asking {
    /// To start a task.
    Start,
    /// To start another task with a credential that has started one.
    StartAgain,
    /// To hand a part of a task on.
    Delegate,
}

impl Asking {
    /// The name of the Cedar action.
    pub fn action(self) -> &'static str {
        match self {
            Self::Start => "tasks/start",
            Self::StartAgain => "tasks/start-again",
            Self::Delegate => "tasks/delegate",
        }
    }
}

/// What a decision to grant depended on beside the grant and the bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// The revision of the bundle.
    pub revision: Arc<str>,
    /// The instant, in milliseconds.
    pub at_ms: i64,
    /// What was asked.
    pub asking: Asking,
    /// How long the task was to last from then on, in seconds.
    pub ttl_s: i64,
    /// How sure we were of the principal.
    pub assurance: Assurance,
    /// How sure we were of the actor.
    pub actor_assurance: Option<Assurance>,
    /// The subject's token, as policies saw it.
    pub token: Option<Value>,
    /// The principal as the token described it, when the bundle did not have it.
    pub described: Option<Description>,
    /// The caller that it was asked through.
    pub caller: Arc<str>,
    /// The session.
    pub session: Option<String>,
    /// The task that this is a part of, as policies saw it.
    pub parent: Option<Value>,
}

/// A grant, and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Lent {
    /// What was granted.
    pub grant: Grant,
    /// What the decision rested on; not in tokens for MCP servers.
    pub basis: Basis,
}
