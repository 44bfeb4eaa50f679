//! Who asks, and for whom. Turns what a request claims into a [`Principal`].
//! Never fetches keys, and never believes a claim from a caller that may not assert it.

mod callers;
mod peer;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::value::Uid;
pub use callers::{Callers, LOCAL, OPERATOR, Proofs, TokenDigest, UnknownCaller};
pub use peer::{Certificate, Peer, Thumbprint, UnixUser};

/// What a caller may ask of this PDP (one role per kind of call).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask for decisions.
    Authorize,
    /// Name the principal and the actor of a request without proof.
    Assert,
    /// Report what a permitted call did.
    Outcome,
    /// See why in detail: policy sources, conditions and error texts.
    Explain,
    /// Read the administration's pages and reload.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Authorize, Self::Assert, Self::Outcome, Self::Explain, Self::Admin];

    /// As it is written in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Assert => "assert",
            Self::Outcome => "outcome",
            Self::Explain => "explain",
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

/// How sure we are of a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Assurance {
    /// A caller that may assert principals said so.
    Asserted,
}

/// The parties to a step, established. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    subject: Uid,
    actor: Option<Uid>,
    earlier_actors: Vec<Uid>,
    assurance: Assurance,
}

impl Principal {
    /// The party whose authority is used.
    pub fn subject(&self) -> &Uid {
        &self.subject
    }

    /// The agent that uses it; none for autonomous work.
    pub fn actor(&self) -> Option<&Uid> {
        self.actor.as_ref()
    }

    /// Earlier actors, the most recent first.
    pub fn earlier_actors(&self) -> &[Uid] {
        &self.earlier_actors
    }

    /// How sure we are.
    pub fn assurance(&self) -> Assurance {
        self.assurance
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
}

/// Establishes the parties to a step.
///
/// # Errors
/// [`Unauthenticated`] when nobody was named, or when the caller may not assert them.
pub fn authenticate(caller: &Caller, claim: Option<&Claim>) -> Result<Principal, Unauthenticated> {
    let claim = claim.ok_or(Unauthenticated::NoPrincipal)?;
    if !caller.may(Role::Assert) {
        return Err(Unauthenticated::MayNotAssert { caller: caller.name.clone() });
    }
    Ok(Principal {
        subject: claim.principal.clone(),
        actor: claim.actor.clone(),
        earlier_actors: claim.earlier_actors.clone(),
        assurance: Assurance::Asserted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(roles: &[Role]) -> Caller {
        Caller {
            name: "gw".into(),
            roles: roles.iter().copied().collect(),
            servers: Servers::Named(BTreeSet::from(["crm".to_owned()])),
            agentless: false,
        }
    }

    #[test]
    fn a_claim_is_believed_only_from_a_caller_that_may_assert() {
        let claim = Claim { principal: Uid::new("Human", "ana"), actor: None, earlier_actors: vec![] };
        let refused = authenticate(&caller(&[Role::Authorize]), Some(&claim));
        assert_eq!(refused, Err(Unauthenticated::MayNotAssert { caller: "gw".into() }));
        let proven = authenticate(&caller(&[Role::Authorize, Role::Assert]), Some(&claim)).unwrap();
        assert_eq!((proven.subject(), proven.actor()), (&claim.principal, None));
        assert_eq!(authenticate(&caller(&Role::ALL), None), Err(Unauthenticated::NoPrincipal));
    }

    #[test]
    fn a_caller_enforces_the_servers_it_was_given_and_no_others() {
        assert!(caller(&[]).enforces("crm"));
        assert!(!caller(&[]).enforces("mail"));
    }
}
