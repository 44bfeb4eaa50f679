//! What is asked, judged on one snapshot: a message becomes questions, and every one of them must be permitted.
//! Never records, and never establishes anybody: facts are arguments.

use std::collections::BTreeSet;

use super::{Ask, words};
use crate::access::{Decision, DenyReason, Determining, Facts, Question};
use crate::mcp::{self, Mapped};
use crate::policy::{self, Snapshot};
use crate::value::{Uid, Value};

/// The terms on which a caller is answered.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// What a message may hold.
    pub limits: mcp::Limits,
    /// Whether a human may call without an agent.
    pub agentless: bool,
    /// Whether the answer explains itself.
    pub explain: bool,
}

/// The judgement, with what the record says of the question.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Permit, or deny and why.
    pub decision: Decision,
    /// The Cedar action that was decided on.
    pub action: Option<Uid>,
    /// The Cedar resource that was decided on.
    pub resource: Option<Uid>,
    /// The tool, by its name on the server.
    pub tool: Option<String>,
    /// The data classes of the resource.
    pub data_classes: BTreeSet<String>,
    /// The arguments' bytes as they were sent.
    pub arguments: Option<Vec<u8>>,
    /// Why, in words.
    pub explanation: Vec<String>,
}

impl Judged {
    /// A deny before any question was understood.
    pub(super) fn deny(reason: DenyReason, words: impl Into<String>) -> Self {
        Self::bare(Decision::deny(reason, words))
    }

    fn bare(decision: Decision) -> Self {
        Self {
            decision,
            action: None,
            resource: None,
            tool: None,
            data_classes: BTreeSet::new(),
            arguments: None,
            explanation: Vec::new(),
        }
    }
}
