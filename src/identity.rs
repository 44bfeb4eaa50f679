//! Who asks, and for whom. Turns what a request claims and proves into a [`Principal`].
//! Never fetches keys, and never believes a claim from a caller that may not assert it.

mod callers;
mod claimed;
mod claims;
mod credential;
mod fault;
mod inspect;
mod jwt;
mod keys;
mod own;
mod peer;
mod principal;
mod proof;
mod revoked;
mod seen;
mod session;
mod spiffe;
mod trust;
mod verify;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::value::Uid;
pub use callers::{Callers, KnownBy, LOCAL, OPERATOR, Subject, TokenDigest, UnknownCaller};
pub use credential::{Credentials, Proof, Token};
pub use fault::{Part, ProofFault, TokenFault};
pub use inspect::{Check, inspect};
pub use jwt::{Algorithm, TOKEN_BYTES_MAX};
pub use keys::{KEYS_BYTES_MAX, Keys, KeysFault, Use};
pub use own::{Opened, OwnIssuer, SigningFault, SigningKey, open as open_own};
pub use peer::{Certificate, Peer, Thumbprint, UnixUser};
pub use principal::{
    Asks, Assurance, Directory, Principal, TaskParties, TokenFacts, Unauthenticated, Which, authenticate,
    authenticate_agent, of_task,
};
pub use proof::{Binding, PROOF_WINDOW_S, Proofs};
pub use revoked::{REVOKED_BYTES_MAX, Revoked, RevokedFault};
pub(crate) use seen::Seen;
pub use session::{SessionFault, Sessions};
pub use spiffe::{NotASpiffeId, SpiffeId, is_trust_domain};
pub use trust::{
    Config as TrustConfig, Describe, Domain, HumanClaims, Issuer, KeySet, LEEWAY_S_MAX, ParentClaim,
    TokenKind, Trust,
};
pub use verify::{AgentName, Confirmation, Description, Person, Verified};

/// What a caller may ask of this PDP (one role per kind of call).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask for decisions.
    Authorize,
    /// Name the principal and the actor of a request without proof.
    Assert,
    /// Say that the holder of a token has shown its key.
    Attest,
    /// Report what a permitted call did.
    Outcome,
    /// See why in detail: policy sources, conditions and error texts.
    Explain,
    /// Start, hand on and end tasks.
    Tasks,
    /// Read the administration's pages and reload.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] =
        [Self::Authorize, Self::Assert, Self::Attest, Self::Outcome, Self::Explain, Self::Tasks, Self::Admin];

    /// As it is written in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Assert => "assert",
            Self::Attest => "attest",
            Self::Outcome => "outcome",
            Self::Explain => "explain",
            Self::Tasks => "tasks",
            Self::Admin => "admin",
        }
    }
}

/// The servers that a caller stands in front of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// Every server of the catalog, and requests that name none.
    All,
    /// These, by catalog id.
    Named(BTreeSet<String>),
}

/// A PEP or an operator, as its transport authenticated it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its name in the configuration, and in every record.
    pub name: Arc<str>,
    /// What it may ask.
    pub roles: BTreeSet<Role>,
    /// For which servers.
    pub servers: Servers,
    /// Whether it may bring a human's calls that no agent makes.
    pub agentless: bool,
    /// Whether it is known by something that it shows, and not only by where it calls from.
    pub authenticated: bool,
}

impl Caller {
    /// Whether it has the role.
    pub fn may(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether it enforces the server with this catalog id.
    pub fn enforces(&self, server: &str) -> bool {
        match &self.servers {
            Servers::All => true,
            Servers::Named(names) => names.contains(server),
        }
    }
}

/// What a request says about its parties. Nothing in it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The party whose authority is used (RFC 8693 `sub`).
    pub principal: Uid,
    /// The agent that uses it (RFC 8693 `act`).
    pub actor: Option<Uid>,
    /// Earlier actors, the most recent first.
    pub earlier_actors: Vec<Uid>,
}

#[cfg(test)]
mod tests;
