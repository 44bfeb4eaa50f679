//! Who may call: the callers of the configuration, the operator, and the local caller.
//! Never keeps a token, only its digest.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Caller, Certificate, Peer, Role, Servers};

/// The name of the operator, who holds the token of the data directory.
pub const OPERATOR: &str = "operator";
/// The name of the local caller, who holds no token.
pub const LOCAL: &str = "local";

/// The SHA-256 of a bearer token.
pub type TokenDigest = [u8; 32];

/// Nobody that we know. Safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCaller {
    /// There is neither token nor certificate, and callers without are not known here.
    #[error(
        "send a bearer token of a configured caller, or its client certificate where the port asks for one"
    )]
    NoProof,
    /// The header is not a bearer token.
    #[error("the authorization must be `Bearer` and a token")]
    NotBearer,
    /// No caller has this token.
    #[error("no caller has this bearer token")]
    UnknownToken,
    /// The certificate is good, and no caller is configured for its names.
    #[error("no caller has a name of this client certificate; configure its `spiffe_id` or `dns_name`")]
    UnknownCertificate,
    /// The certificate has the names of several callers.
    #[error("this client certificate has the names of several callers; issue one for each")]
    AmbiguousCertificate,
    /// The certificate has a SPIFFE ID and a further URI.
    #[error("this client certificate has a further URI beside a SPIFFE ID; issue one with a single URI")]
    SeveralUris,
}

/// How a caller is known: by each of these that is there. One that has none of them is known by nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownBy {
    /// The digest of its bearer token.
    pub token: Option<TokenDigest>,
    /// The SPIFFE ID of its client certificate, as it stands there.
    pub spiffe_id: Option<String>,
    /// A DNS name of its client certificate, in lower case.
    pub dns_name: Option<String>,
    /// The number of its user, over a unix socket.
    pub unix_user: Option<u32>,
}

/// All callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Callers {
    by_token: HashMap<TokenDigest, Arc<Caller>>,
    by_spiffe_id: HashMap<String, Arc<Caller>>,
    by_dns_name: HashMap<String, Arc<Caller>>,
    by_user: HashMap<u32, Arc<Caller>>,
    local: Option<Arc<Caller>>,
}

impl Callers {
    /// Callers by their tokens, and the local caller if there is one.
    pub fn new(named: impl IntoIterator<Item = (TokenDigest, Caller)>, local: Option<Caller>) -> Self {
        let by_token = named.into_iter().map(|(digest, caller)| (digest, Arc::new(caller))).collect();
        Self { by_token, local: local.map(Arc::new), ..Self::default() }
    }

    /// Adds a caller. Of two with the same proof the later has it: whoever configures them tells them apart.
    #[must_use]
    pub fn with(mut self, proofs: KnownBy, caller: Caller) -> Self {
        let KnownBy { token, spiffe_id, dns_name, unix_user } = proofs;
        let caller = Arc::new(caller);
        self.by_token.extend(token.map(|token| (token, caller.clone())));
        self.by_spiffe_id.extend(spiffe_id.map(|id| (id, caller.clone())));
        self.by_dns_name.extend(dns_name.map(|name| (name, caller.clone())));
        self.by_user.extend(unix_user.map(|uid| (uid, caller)));
        self
    }

    /// Each caller as `admit` lets it in.
    #[must_use]
    pub fn admitted(self, admit: impl Fn(Caller) -> Caller) -> Self {
        let each = |caller: Arc<Caller>| Arc::new(admit((*caller).clone()));
        let Self { by_token, by_spiffe_id, by_dns_name, by_user, local } = self;
        Self {
            by_token: by_token.into_iter().map(|(token, caller)| (token, each(caller))).collect(),
            by_spiffe_id: by_spiffe_id.into_iter().map(|(id, caller)| (id, each(caller))).collect(),
            by_dns_name: by_dns_name.into_iter().map(|(name, caller)| (name, each(caller))).collect(),
            by_user: by_user.into_iter().map(|(uid, caller)| (uid, each(caller))).collect(),
            local: local.map(each),
        }
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

    /// Who calls, by the `authorization` header, else by what the transport proves. Who shows something is known by that
    /// or not at all: a token or a certificate that nobody has is refused even from this machine.
    ///
    /// # Errors
    /// [`UnknownCaller`] when it is nobody that we know.
    pub fn identify(&self, authorization: Option<&str>, peer: &Peer) -> Result<&Arc<Caller>, UnknownCaller> {
        if let Some(authorization) = authorization {
            return self.by_authorization(authorization);
        }
        if let Some(certificate) = peer.certificate() {
            return self.by_certificate(certificate);
        }
        let user = peer.user().and_then(|user| self.by_user.get(&user.uid));
        user.or_else(|| self.local().filter(|_| peer.is_here())).ok_or(UnknownCaller::NoProof)
    }

    fn by_authorization(&self, authorization: &str) -> Result<&Arc<Caller>, UnknownCaller> {
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

    fn by_certificate(&self, certificate: &Certificate) -> Result<&Arc<Caller>, UnknownCaller> {
        // X.509-SVID, section 2: exactly one URI.
        if certificate.uris.len() > 1 && certificate.spiffe_ids().next().is_some() {
            return Err(UnknownCaller::SeveralUris);
        }
        let by_id = certificate.spiffe_ids().filter_map(|id| self.by_spiffe_id.get(id));
        let by_name = certificate.dns_names.iter().filter_map(|name| self.by_dns_name.get(name));
        let mut known = by_id.chain(by_name);
        let first = known.next().ok_or(UnknownCaller::UnknownCertificate)?;
        if known.all(|other| Arc::ptr_eq(first, other)) {
            Ok(first)
        } else {
            Err(UnknownCaller::AmbiguousCertificate)
        }
    }
}

fn token_digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests;
