//! What a question could come to while some of its context is not known.
//! Never a decision: what is possible is decided when it is asked.

use std::sync::Arc;

use super::{DenyReason, Half};

/// What a question could come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Possible {
    /// It is denied, whatever the rest of the context turns out to be.
    Never(DenyReason),
    /// It is permitted when each party's share of it is.
    If(Vec<Share>),
}

impl Possible {
    /// Whether it is denied for certain.
    pub fn is_never(&self) -> bool {
        matches!(self, Self::Never(_))
    }
}

/// What must be so for one of the parties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// For whom.
    pub half: Half,
    /// One of these must permit. Where one does for certain, only those that do stand here.
    pub permits: Vec<Term>,
    /// None of these may forbid.
    pub forbids: Vec<Term>,
}

/// A policy that would have a say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The policy's id.
    pub policy: Arc<str>,
    /// What is left to ask, in Cedar's language; none where nothing is.
    pub asks: Option<String>,
}
