//! Why nobody was established.
//! Never quotes a token.

use std::sync::Arc;

use crate::identity::fault::{ProofFault, TokenFault};

/// Which token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The subject's.
    Subject,
    /// The actor's.
    Actor,
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Subject => "subject",
            Self::Actor => "actor",
        })
    }
}

/// Why nobody was established. Safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// The request names nobody.
    #[error("the request names no principal")]
    NoPrincipal,
    /// The caller named somebody without the right to.
    #[error("the caller `{caller}` may not assert principals; give it the role `assert`")]
    MayNotAssert {
        /// The caller's name.
        caller: Arc<str>,
    },
    /// A token is not accepted.
    #[error("the {which}'s token {fault}")]
    Token {
        /// Whose.
        which: Which,
        /// Why not.
        fault: TokenFault,
    },
    /// The proof is not accepted.
    #[error("the proof {0}")]
    Proof(#[from] ProofFault),
    /// The token is bound to a key that nobody showed.
    #[error("the subject's token is bound to a key, and the request brings no proof of it")]
    BindingMissing,
    /// The task's token is bound to a key that nobody showed.
    #[error("the task's token is bound to a key, and the request brings no proof of it")]
    TaskBindingMissing,
    /// A task's token came with others.
    #[error("the request brings a task's token and others: send it alone, with the proof of its key")]
    TaskTokenBesideOthers,
    /// The actor's token is bound to a key.
    #[error(
        "the actor's token is bound to a key: send one that is not, for the proof of a request is the subject's"
    )]
    ActorBound,
    /// There is a proof or an actor's token, and no subject's token.
    #[error("the request brings no subject's token beside the rest of its credentials")]
    NoSubjectToken,
    /// A token names nobody that it could name.
    #[error("the {which}'s token names neither a person nor an agent that its issuer is trusted to name")]
    NamesNobody {
        /// Whose.
        which: Which,
    },
    /// The actor's token is a person's.
    #[error("the actor's token is not an agent's")]
    ActorNotAnAgent,
    /// The actor's token was itself delegated: who acts is another than whom it is of.
    #[error("the actor's token names an actor of its own (`act`); send a token of the agent that acts")]
    ActorActedFor,
    /// The bundle does not have the agent.
    #[error(
        "the agent that the {which}'s token names is not registered: no `Agent` has its SPIFFE ID or client id"
    )]
    UnregisteredAgent {
        /// Whose.
        which: Which,
    },
    /// The bundle does not have the person.
    #[error("the person whom the token names is not registered")]
    UnregisteredPerson,
    /// Two sources name different parties.
    #[error("the {party} of the request is another than that of its credentials")]
    Conflict {
        /// Which party.
        party: &'static str,
    },
}
