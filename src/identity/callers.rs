//! The callers that the configuration names, and how a bearer token finds its own.
//! Never keeps a token, only its SHA-256, and never says which part of a token was wrong.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Caller;

/// The SHA-256 of a bearer token.
pub type TokenDigest = [u8; 32];

/// Everybody who may call.
#[derive(Clone, Default)]
pub struct Callers {
    by_token: HashMap<TokenDigest, Arc<Caller>>,
    local: Option<Arc<Caller>>,
}

/// The caller showed nothing that this PDP knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCaller {
    /// No token, and no caller is trusted without one.
    #[error("this listener wants a bearer token: send `authorization: Bearer <token>`")]
    TokenMissing,
    /// A token that belongs to nobody. A wrong token is never taken for no token.
    #[error("the bearer token belongs to no configured caller")]
    TokenUnknown,
}

impl Callers {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a caller that shows the token with this digest. Returns false when another has the same token.
    pub fn add(&mut self, token: TokenDigest, caller: Caller) -> bool {
        self.by_token.insert(token, Arc::new(caller)).is_none()
    }

    /// Trusts whoever shows no token as this caller: for loopback only.
    pub fn trust_local(&mut self, caller: Caller) {
        self.local = Some(Arc::new(caller));
    }

    /// The caller that is trusted without a token, if any.
    pub fn local(&self) -> Option<&Arc<Caller>> {
        self.local.as_ref()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.by_token.is_empty() && self.local.is_none()
    }

    /// The caller behind a bearer token, or the local one when there is none.
    ///
    /// # Errors
    /// [`UnknownCaller`].
    pub fn find(&self, token: Option<&str>) -> Result<Arc<Caller>, UnknownCaller> {
        match token {
            // Looking up a digest tells nothing about a token by its timing: its bits are not the token's.
            Some(token) => self.by_token.get(&digest(token)).cloned().ok_or(UnknownCaller::TokenUnknown),
            None => self.local.clone().ok_or(UnknownCaller::TokenMissing),
        }
    }
}

/// The digest by which a token is known.
pub fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&str> = self.by_token.values().map(|caller| &*caller.name).collect();
        names.sort_unstable();
        f.debug_struct("Callers").field("by_token", &names).field("local", &self.local).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Role, Servers};

    fn caller(name: &str) -> Caller {
        Caller { name: name.into(), roles: Role::ALL.into(), servers: Servers::All, agentless: false }
    }

    #[test]
    fn a_wrong_token_is_refused_even_where_no_token_is_needed() {
        let mut callers = Callers::new();
        callers.trust_local(caller("local"));
        assert!(callers.add(digest("secret"), caller("gw")));
        assert!(!callers.add(digest("secret"), caller("other")));
        assert_eq!(callers.find(None).map(|c| c.name.clone()), Ok("local".into()));
        assert_eq!(callers.find(Some("Secret")).map(|c| c.name.clone()), Err(UnknownCaller::TokenUnknown));
        assert!(callers.find(Some("secret")).is_ok());
        assert_eq!(Callers::new().find(None), Err(UnknownCaller::TokenMissing));
    }
}
