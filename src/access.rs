//! The question and the answer, free of any protocol.
//! Never decides: the question holds what was asked and what was established, the answer what came of it.

mod decision;
mod obligation;
mod possible;
mod question;

pub use decision::{
    Decision, DecisionId, DenyReason, Determining, Effect, Half, Outcome, PolicyError, Revision,
};
pub use obligation::{Obligation, ObligationType};
pub use possible::{Possible, Share, Term};
pub use question::{Entity, Facts, Question, Timestamp};
