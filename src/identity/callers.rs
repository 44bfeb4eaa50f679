//! Who may call: the callers of the configuration, the operator, and the local caller.
//! Never keeps a token, only its digest.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Caller, Role, Servers};

/// The name of the operator, who holds the token of the data directory.
pub const OPERATOR: &str = "operator";
/// The name of the local caller, who holds no token.
pub const LOCAL: &str = "local";

/// The SHA-256 of a bearer token.
pub type TokenDigest = [u8; 32];

/// Nobody that we know. Safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCaller {
    /// There is no token, and callers without one are not known here.
    #[error("send a bearer token of a configured caller")]
    NoToken,
    /// The header is not a bearer token.
    #[error("the authorization must be `Bearer` and a token")]
    NotBearer,
    /// No caller has this token.
    #[error("no caller has this bearer token")]
    UnknownToken,
}

/// All callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Callers {
    by_token: HashMap<TokenDigest, Arc<Caller>>,
    local: Option<Arc<Caller>>,
}

impl Callers {
    /// The callers of a configuration, and the local caller if there is one.
    pub fn new(named: impl IntoIterator<Item = (TokenDigest, Caller)>, local: Option<Caller>) -> Self {
        let by_token = named.into_iter().map(|(digest, caller)| (digest, Arc::new(caller))).collect();
        Self { by_token, local: local.map(Arc::new) }
    }

    /// Adds the operator: every role, every server.
    #[must_use]
    pub fn with_operator(mut self, token: &str) -> Self {
        let operator = Caller {
            name: OPERATOR.into(),
            roles: Role::ALL.into_iter().collect(),
            servers: Servers::All,
            agentless: true,
        };
        self.by_token.insert(token_digest(token), Arc::new(operator));
        self
    }

    /// The caller that has this token.
    pub fn by_token(&self, token: &str) -> Option<&Arc<Caller>> {
        // The comparison is of digests: its time tells nothing about a token.
        self.by_token.get(&token_digest(token))
    }

    /// The caller that needs no token.
    pub fn local(&self) -> Option<&Arc<Caller>> {
        self.local.as_ref()
    }

    /// What an operator must know about the local caller, when there is one. For the log, once, at the start.
    pub fn notice(&self) -> Option<&'static str> {
        self.local.as_ref().map(|_| {
            "whoever reaches a loopback port or a unix socket of this server may ask for decisions and name the \
             principal, without a token; outcomes, explanations and administration need one; set \
             `local_caller: { enabled: false }` to end this"
        })
    }

    /// Who calls, by the `authorization` header and whether the peer is on this machine. A token that nobody has is
    /// refused even from this machine.
    ///
    /// # Errors
    /// [`UnknownCaller`] when it is nobody that we know.
    pub fn identify(&self, authorization: Option<&str>, here: bool) -> Result<&Arc<Caller>, UnknownCaller> {
        let Some(authorization) = authorization else {
            return self.local.as_ref().filter(|_| here).ok_or(UnknownCaller::NoToken);
        };
        // RFC 9110, section 11.1: the scheme is compared without regard to case.
        match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                let token = token.trim();
                let found = self.by_token(token).filter(|_| !token.is_empty());
                found.ok_or(UnknownCaller::UnknownToken)
            }
            Some(_) | None => Err(UnknownCaller::NotBearer),
        }
    }
}

fn token_digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn caller(name: &str) -> Caller {
        let roles = BTreeSet::from([Role::Authorize]);
        Caller { name: name.into(), roles, servers: Servers::All, agentless: false }
    }

    fn callers() -> Callers {
        Callers::new([(token_digest("t-gw"), caller("gw"))], Some(caller(LOCAL))).with_operator("t-op")
    }

    fn who(authorization: Option<&str>, here: bool) -> Result<String, UnknownCaller> {
        callers().identify(authorization, here).map(|caller| caller.name.to_string())
    }

    #[test]
    fn a_caller_is_known_by_its_token() {
        assert_eq!(who(Some("Bearer t-gw"), false).unwrap(), "gw");
        assert_eq!(who(Some("bearer t-op"), true).unwrap(), OPERATOR);
        assert_eq!(callers().by_token("t-op").unwrap().roles.len(), Role::ALL.len());
    }

    #[test]
    fn a_caller_without_a_token_is_known_only_on_this_machine() {
        assert_eq!(who(None, true).unwrap(), LOCAL);
        assert_eq!(who(None, false), Err(UnknownCaller::NoToken));
        assert_eq!(Callers::default().identify(None, true), Err(UnknownCaller::NoToken));
    }

    #[test]
    fn a_wrong_token_is_refused_even_on_this_machine() {
        assert_eq!(who(Some("Bearer nobody"), true), Err(UnknownCaller::UnknownToken));
        assert_eq!(who(Some("Bearer "), true), Err(UnknownCaller::UnknownToken));
        assert_eq!(who(Some("Basic dDp0"), true), Err(UnknownCaller::NotBearer));
        assert_eq!(who(Some("t-gw"), true), Err(UnknownCaller::NotBearer));
    }
}
