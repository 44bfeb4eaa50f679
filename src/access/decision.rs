//! The answer: permit, or deny with one of a closed set of reasons.
//! Never holds policy source or entity values; what an agent may see of it is safe.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::Obligation;

/// The name of a decision: a UUID of version 7 in its usual form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct DecisionId(pub Arc<str>);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a bundle's content: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Revision(pub Arc<str>);

impl Revision {
    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        let digits = self.0.strip_prefix("sha256:").unwrap_or(&self.0);
        digits.get(..12).unwrap_or(digits)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a step was denied. A closed set: a new reason is meant to break every face until it has a word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum DenyReason {
    /// No policy permits it.
    NoPermit,
    /// A policy forbids it.
    Forbidden,
    /// A policy failed to evaluate.
    PolicyError,
    /// The request does not fit the schema, the tool or the protocol.
    InvalidInput,
    /// Nobody was proven.
    Unauthenticated,
    /// A human's authority without the agent that uses it.
    ActorMissing,
    /// The credential is not bound to a key.
    BindingMissing,
    /// The session belongs to somebody else.
    SessionMismatch,
    /// A task is required.
    TaskRequired,
    /// The task is over its time.
    TaskExpired,
    /// The task was revoked.
    TaskRevoked,
    /// The task would not be granted under today's policies.
    PolicyDrift,
    /// The task does not cover this.
    OutOfScope,
    /// The task's budget is spent.
    OverBudget,
    /// A person must approve this call.
    ApprovalRequired,
    /// The catalog does not know the tool.
    UnknownTool,
    /// The live tool differs from the pinned one.
    ToolDrift,
    /// This replica cannot prove that its view is fresh.
    Stale,
    /// The enforcement point did not say that it can fulfil what the step demands.
    ObligationUnsupported,
}

impl DenyReason {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::NoPermit,
        Self::Forbidden,
        Self::PolicyError,
        Self::InvalidInput,
        Self::Unauthenticated,
        Self::ActorMissing,
        Self::BindingMissing,
        Self::SessionMismatch,
        Self::TaskRequired,
        Self::TaskExpired,
        Self::TaskRevoked,
        Self::PolicyDrift,
        Self::OutOfScope,
        Self::OverBudget,
        Self::ApprovalRequired,
        Self::UnknownTool,
        Self::ToolDrift,
        Self::Stale,
        Self::ObligationUnsupported,
    ];

    /// The reason's name, as it stands in records, metrics and policy tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoPermit => "NoPermit",
            Self::Forbidden => "Forbidden",
            Self::PolicyError => "PolicyError",
            Self::InvalidInput => "InvalidInput",
            Self::Unauthenticated => "Unauthenticated",
            Self::ActorMissing => "ActorMissing",
            Self::BindingMissing => "BindingMissing",
            Self::SessionMismatch => "SessionMismatch",
            Self::TaskRequired => "TaskRequired",
            Self::TaskExpired => "TaskExpired",
            Self::TaskRevoked => "TaskRevoked",
            Self::PolicyDrift => "PolicyDrift",
            Self::OutOfScope => "OutOfScope",
            Self::OverBudget => "OverBudget",
            Self::ApprovalRequired => "ApprovalRequired",
            Self::UnknownTool => "UnknownTool",
            Self::ToolDrift => "ToolDrift",
            Self::Stale => "Stale",
            Self::ObligationUnsupported => "ObligationUnsupported",
        }
    }

    /// General words for an agent, when no policy author wrote better ones.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoPermit => "no policy permits this step",
            Self::Forbidden => "a policy forbids this step",
            Self::PolicyError => "a policy could not be evaluated, so the step is denied",
            Self::InvalidInput => "the request does not fit what was declared",
            Self::Unauthenticated => "the caller could not establish who is asking",
            Self::ActorMissing => "the agent that acts must be named",
            Self::BindingMissing => "the credential must be bound to a key",
            Self::SessionMismatch => "the session belongs to another party",
            Self::TaskRequired => "this step needs a task",
            Self::TaskExpired => "the task has expired",
            Self::TaskRevoked => "the task was revoked",
            Self::PolicyDrift => "the task would no longer be granted",
            Self::OutOfScope => "the task does not cover this step",
            Self::OverBudget => "the task's budget is spent",
            Self::ApprovalRequired => "a person must approve this step",
            Self::UnknownTool => "the tool is not in the catalog",
            Self::ToolDrift => "the tool is not the one that was reviewed",
            Self::Stale => "the state could not be proven fresh",
            Self::ObligationUnsupported => {
                "this step needs an obligation that the enforcement point did not say it can fulfil"
            }
        }
    }
}

/// Permit, or deny and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The step may be taken.
    Permit,
    /// It may not.
    Deny(DenyReason),
}

impl Outcome {
    /// Whether the step may be taken.
    pub fn is_permit(self) -> bool {
        self == Self::Permit
    }
}

/// What a policy does when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It permits.
    Permit,
    /// It forbids.
    Forbid,
}

impl Effect {
    /// As it stands in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
        }
    }
}

/// For whom a policy was evaluated. A call without an actor has only the principal's half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Half {
    /// With the party whose authority is used as Cedar's `principal`.
    Principal,
    /// With the agent that uses it as Cedar's `principal`.
    Actor,
}

impl Half {
    /// As it stands in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Actor => "actor",
        }
    }
}

/// A policy that made the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Determining {
    /// The policy's id.
    pub id: Arc<str>,
    /// What it does.
    pub effect: Effect,
    /// In which half.
    pub half: Half,
    /// Its annotations.
    pub annotations: Arc<BTreeMap<String, String>>,
}

/// A policy that failed to evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The policy's id.
    pub id: Arc<str>,
    /// In which half.
    pub half: Half,
    /// What kind of failure; names no value.
    pub kind: &'static str,
    /// What failed. May name values: for callers that may have explanations, and never for the record.
    pub message: String,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Permit, or deny and why.
    pub outcome: Outcome,
    /// Safe words for the agent.
    pub reason: String,
    /// The policies that made the difference, ordered by id and half.
    pub determining: Vec<Determining>,
    /// The policies that failed.
    pub errors: Vec<PolicyError>,
    /// What the enforcement point must do, by the determining policies; each once.
    pub obligations: Vec<Obligation>,
    /// What it would have had to do, and is not told: it did not say that it can.
    pub withheld: Vec<Obligation>,
}

impl Decision {
    /// A deny that came before any policy was asked.
    pub fn deny(reason: DenyReason, words: impl Into<String>) -> Self {
        Self { outcome: Outcome::Deny(reason), reason: words.into(), ..Self::pass() }
    }

    /// A permit that no policy had to give: what the protocol lets pass.
    pub fn pass() -> Self {
        Self {
            outcome: Outcome::Permit,
            reason: String::new(),
            determining: vec![],
            errors: vec![],
            obligations: vec![],
            withheld: vec![],
        }
    }
}
