//! Who may call: the callers of the configuration, the operator, and the local caller.
//! Never keeps a token, only its digest.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::credential::Token;
use super::fault::TokenFault;
use super::trust::{TokenKind, Trust};
use super::verify::{Confirmation, Verified};
use super::{Caller, Certificate, Peer, Role, Servers};

/// The name of the operator, who holds the token of the data directory.
pub const OPERATOR: &str = "operator";
/// The name of the local caller, who holds no token.
pub const LOCAL: &str = "local";

/// The SHA-256 of a bearer token.
pub type TokenDigest = [u8; 32];

/// Nobody that we know. Safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// It is a signed token, and not accepted.
    #[error("the bearer token {0}")]
    Token(#[from] TokenFault),
    /// The signed token is good, and no caller is configured for its subject.
    #[error("the bearer token is good, and no caller has its issuer and `sub`; configure one with `jwt`")]
    UnknownSubject,
    /// The signed token was made for somebody who acts for another, or to be exchanged for one.
    #[error("the bearer token is delegated or a grant; a caller shows an access token of its own")]
    NotItsOwn,
    /// The signed token is a person's, issued to a client, and the caller is not configured with one.
    #[error(
        "the bearer token is a person's, issued to a client; configure the caller's `jwt` with the `client_id` by which \
         this person calls"
    )]
    ClientUnnamed,
    /// The signed token was issued to another client than the caller's.
    #[error("the bearer token was issued to another client than that of the caller")]
    AnotherClient,
    /// The signed token is bound to a key that the connection does not show.
    #[error(
        "the bearer token is bound to a key; a caller's token may be bound to the certificate of its connection, or to none"
    )]
    Bound,
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
    /// Whose its signed bearer tokens are.
    pub subject: Option<Subject>,
    /// The SPIFFE ID of its client certificate, as it stands there.
    pub spiffe_id: Option<String>,
    /// A DNS name of its client certificate, in lower case.
    pub dns_name: Option<String>,
    /// The number of its user, over a unix socket.
    pub unix_user: Option<u32>,
}

/// Whose a caller's signed token is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Its issuer, or trust domain.
    pub issuer: String,
    /// Its `sub`.
    pub subject: String,
    /// The client that it must have been issued to. Needed for people: whatever acts for them has tokens of theirs too.
    pub client: Option<String>,
}

/// Callers by the `sub` of their tokens, each with the client that those must have been issued to.
type BySubject = HashMap<String, (Option<String>, Arc<Caller>)>;

/// All callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Callers {
    by_token: HashMap<TokenDigest, Arc<Caller>>,
    by_subject: HashMap<String, BySubject>,
    by_spiffe_id: HashMap<String, Arc<Caller>>,
    by_dns_name: HashMap<String, Arc<Caller>>,
    by_user: HashMap<u32, Arc<Caller>>,
    local: Option<Arc<Caller>>,
    refused: Refusals,
}

/// How often nobody was known. Shared by all copies, and no part of what they are.
#[derive(Debug, Clone, Default)]
struct Refusals(Arc<AtomicU64>);

impl PartialEq for Refusals {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Refusals {}

impl Callers {
    /// Callers by their tokens, and the local caller if there is one.
    pub fn new(named: impl IntoIterator<Item = (TokenDigest, Caller)>, local: Option<Caller>) -> Self {
        let by_token = named.into_iter().map(|(digest, caller)| (digest, Arc::new(caller))).collect();
        Self { by_token, local: local.map(Arc::new), ..Self::default() }
    }

    /// Adds a caller. Of two with the same proof the later has it: whoever configures them tells them apart.
    #[must_use]
    pub fn with(mut self, proofs: KnownBy, caller: Caller) -> Self {
        let KnownBy { token, subject, spiffe_id, dns_name, unix_user } = proofs;
        let caller = Arc::new(caller);
        self.by_token.extend(token.map(|token| (token, caller.clone())));
        if let Some(Subject { issuer, subject, client }) = subject {
            self.by_subject.entry(issuer).or_default().insert(subject, (client, caller.clone()));
        }
        self.by_spiffe_id.extend(spiffe_id.map(|id| (id, caller.clone())));
        self.by_dns_name.extend(dns_name.map(|name| (name, caller.clone())));
        self.by_user.extend(unix_user.map(|uid| (uid, caller)));
        self
    }

    /// Each caller as `admit` lets it in.
    #[must_use]
    pub fn admitted(self, admit: impl Fn(Caller) -> Caller) -> Self {
        let each = |caller: Arc<Caller>| Arc::new(admit((*caller).clone()));
        let Self { by_token, by_subject, by_spiffe_id, by_dns_name, by_user, local, refused } = self;
        let of_issuer = |callers: BySubject| {
            callers.into_iter().map(|(subject, (client, caller))| (subject, (client, each(caller)))).collect()
        };
        Self {
            by_token: by_token.into_iter().map(|(token, caller)| (token, each(caller))).collect(),
            by_subject: by_subject
                .into_iter()
                .map(|(issuer, callers)| (issuer, of_issuer(callers)))
                .collect(),
            by_spiffe_id: by_spiffe_id.into_iter().map(|(id, caller)| (id, each(caller))).collect(),
            by_dns_name: by_dns_name.into_iter().map(|(name, caller)| (name, each(caller))).collect(),
            by_user: by_user.into_iter().map(|(uid, caller)| (uid, each(caller))).collect(),
            local: local.map(each),
            refused,
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
            authenticated: true,
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

    /// Who calls at this instant, by the `authorization` header, else by what the transport proves. Who shows something
    /// is known by that or not at all: a token or a certificate that nobody has is refused even from this machine.
    ///
    /// # Errors
    /// [`UnknownCaller`] when it is nobody that we know.
    pub fn identify(
        &self,
        authorization: Option<&str>,
        peer: &Peer,
        trust: &Trust,
        now_s: i64,
    ) -> Result<&Arc<Caller>, UnknownCaller> {
        let known = self.known(authorization, peer, trust, now_s);
        if known.is_err() {
            self.refused.0.fetch_add(1, Ordering::Relaxed);
        }
        known
    }

    /// How often nobody was known.
    pub fn refused(&self) -> u64 {
        self.refused.0.load(Ordering::Relaxed)
    }

    fn known(
        &self,
        authorization: Option<&str>,
        peer: &Peer,
        trust: &Trust,
        now_s: i64,
    ) -> Result<&Arc<Caller>, UnknownCaller> {
        if let Some(authorization) = authorization {
            // RFC 9110, section 11.1: the scheme is compared without regard to case.
            return match authorization.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                    self.by_bearer(token.trim(), peer, trust, now_s)
                }
                Some(_) | None => Err(UnknownCaller::NotBearer),
            };
        }
        if let Some(certificate) = peer.certificate() {
            return self.by_certificate(certificate);
        }
        let user = peer.user().and_then(|user| self.by_user.get(&user.uid));
        user.or_else(|| self.local().filter(|_| peer.is_here())).ok_or(UnknownCaller::NoProof)
    }

    fn by_bearer(
        &self,
        token: &str,
        peer: &Peer,
        trust: &Trust,
        now_s: i64,
    ) -> Result<&Arc<Caller>, UnknownCaller> {
        match self.by_token(token).filter(|_| !token.is_empty()) {
            Some(caller) => Ok(caller),
            // Only what looks like one is read as a signed token, and only where one could be known.
            None if !self.by_subject.is_empty() && token.matches('.').count() == 2 => {
                let verified = accept(trust, &Token::new(token), peer, now_s)?;
                let of_issuer = self.by_subject.get(&*verified.issuer);
                let (client, caller) = of_issuer
                    .and_then(|callers| callers.get(&verified.subject))
                    .ok_or(UnknownCaller::UnknownSubject)?;
                match client {
                    Some(client) if !verified.clients.contains(client) => Err(UnknownCaller::AnotherClient),
                    // A person's token says that they are asked about, not that they ask.
                    None if verified.person.is_some() && !verified.clients.is_empty() => {
                        Err(UnknownCaller::ClientUnnamed)
                    }
                    Some(_) | None => Ok(caller),
                }
            }
            None => Err(UnknownCaller::UnknownToken),
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

/// A caller's own token: for this server, in time, not revoked, and shown by who holds it.
fn accept(trust: &Trust, token: &Token, peer: &Peer, now_s: i64) -> Result<Arc<Verified>, UnknownCaller> {
    let verified = trust.verify(token)?;
    // A token for an MCP server is its server's to show, and not a caller's.
    verified.check_audience(&trust.own_audience())?;
    verified.check_time(now_s, trust.leeway_s())?;
    trust.check_revoked(&verified)?;
    if verified.kind == TokenKind::IdJag || !verified.actors.is_empty() {
        return Err(UnknownCaller::NotItsOwn);
    }
    let shown = peer.certificate().map(|certificate| BASE64_URL_SAFE_NO_PAD.encode(certificate.thumbprint));
    match &verified.confirmation {
        Confirmation { jkt: None, x5t: None } => Ok(verified),
        Confirmation { jkt: None, x5t } if *x5t == shown => Ok(verified),
        Confirmation { .. } => Err(UnknownCaller::Bound),
    }
}

fn token_digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests;
