//! What tokens are believed: issuers and trust domains with their keys, and what a claim means.
//! Never fetches a key: keys are arguments, and a new set of keys is a new trust.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::fault::TokenFault;
use super::jwt::Algorithm;
use super::keys::Keys;
use super::revoked::Revoked;
use super::seen::Seen;
use super::verify::Verified;
use crate::value::Members;

/// How long past its time a foreign issuer's token is believed, at most, in seconds (G3).
pub const LEEWAY_S_MAX: i64 = 60;
/// How many verified tokens are remembered.
pub(super) const REMEMBERED_MAX: usize = 10_000;

/// The kinds of token that are told apart by their `typ` (RFC 8725, section 3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// An access token (RFC 9068): `typ` is `at+jwt`.
    AccessToken,
    /// An identity assertion authorization grant: `typ` is `oauth-id-jag+jwt`.
    IdJag,
    /// A JWT of an issuer that does not type its tokens: `typ` is `JWT` or missing.
    Jwt,
    /// A JWT-SVID of a SPIFFE trust domain: `typ` is `JWT`, `JOSE` or missing.
    JwtSvid,
    /// A token of this server itself, for a task. No issuer's: it is verified apart.
    Task,
}

impl TokenKind {
    /// As it is written in the configuration and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::IdJag => "id_jag",
            Self::Jwt => "jwt",
            Self::JwtSvid => "jwt_svid",
            Self::Task => "task",
        }
    }

    /// Whether a header's `typ` says that it is one. A media type's `application/` may be left out, and case has no
    /// meaning (RFC 7515, section 4.1.9).
    pub(super) fn is_said_by(self, typ: Option<&str>) -> bool {
        let typ = typ.map(str::to_ascii_lowercase);
        let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        match (self, typ) {
            (Self::AccessToken, Some("at+jwt")) | (Self::IdJag, Some("oauth-id-jag+jwt")) => true,
            (Self::Jwt | Self::JwtSvid, None | Some("jwt")) | (Self::JwtSvid, Some("jose")) => true,
            (Self::AccessToken | Self::IdJag | Self::Jwt | Self::JwtSvid | Self::Task, _) => false,
        }
    }

    pub(super) fn typ(self) -> &'static str {
        match self {
            Self::AccessToken => "`at+jwt`",
            Self::IdJag => "`oauth-id-jag+jwt`",
            Self::Jwt => "`JWT`, or none",
            Self::JwtSvid => "`JWT`, `JOSE`, or none",
            Self::Task => "`palisade-task+jwt`",
        }
    }
}

/// An issuer of tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Issuer {
    /// Its name: `iss`, compared letter by letter.
    pub name: Arc<str>,
    /// What its keys may sign with.
    pub algorithms: Vec<Algorithm>,
    /// Audiences of its tokens that are accepted, beside this server's own and that of the MCP server asked about.
    pub audience: Vec<String>,
    /// The kinds of token that it is believed to issue.
    pub kinds: Vec<TokenKind>,
    /// How long a token may be valid, from `iat` to `exp`; with it, every token must have `iat`.
    pub lifetime_max_s: Option<i64>,
    /// How its tokens name people; none when it is believed about agents alone.
    pub human: Option<HumanClaims>,
    /// The claim that names the agent where there is no `act`: `client_id`, `azp`. None when only `act` does.
    pub agent_claim: Option<String>,
}

/// How a token names a person.
#[derive(Debug, Clone, PartialEq)]
pub struct HumanClaims {
    /// The claim whose text is the entity's id.
    pub claim: String,
    /// The entity type.
    pub kind: String,
    /// What makes an entity of somebody whom the bundle does not have; none denies them.
    pub unregistered: Option<Describe>,
}

/// How an entity is made of claims.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Describe {
    /// Parents: the texts of a claim are ids of this entity type.
    pub parents: Vec<ParentClaim>,
    /// Attributes with the same value for everybody.
    pub attributes: Members,
}

/// A claim whose texts name parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentClaim {
    /// The claim.
    pub claim: String,
    /// The type of the parents.
    pub kind: String,
}

/// A SPIFFE trust domain whose JWT-SVIDs name agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: Arc<str>,
    /// Audiences of its tokens that are accepted, beside this server's own.
    pub audience: Vec<String>,
}

/// Whom this server trusts, as it is configured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The audiences that name this server.
    pub audience: Vec<String>,
    /// How long past its time a token is believed, in seconds: clocks differ.
    pub leeway_s: i64,
    /// How many actors a token may name.
    pub actor_depth_max: usize,
    /// The issuers.
    pub issuers: Vec<Issuer>,
    /// The trust domains.
    pub domains: Vec<Domain>,
}

/// Hears the name of an issuer or trust domain whose keys are missing.
type Missing = Arc<dyn Fn(&str) + Send + Sync>;
/// Issuers or trust domains by their names: their places in the configuration, and their keys.
type Known = Arc<HashMap<Arc<str>, (usize, Arc<Keys>)>>;

/// Whom this server trusts, with the keys of the moment. Immutable, and cheap to clone.
#[derive(Clone)]
pub struct Trust {
    pub(super) config: Arc<Config>,
    issuers: Known,
    domains: Known,
    revision: [u8; 32],
    pub(super) remembered: Arc<Seen<Verified>>,
    revoked: Arc<Revoked>,
    missing: Option<Missing>,
}

/// The keys of one issuer or trust domain, with the digest of the document that they were read from.
#[derive(Debug, Clone)]
pub struct KeySet {
    /// The keys.
    pub keys: Arc<Keys>,
    /// SHA-256 of the document.
    pub digest: [u8; 32],
}

impl Config {
    /// Whether it names this issuer or trust domain.
    pub fn names(&self, issuer: &str) -> bool {
        let issuers = self.issuers.iter().map(|known| &*known.name);
        issuers.chain(self.domains.iter().map(|known| &*known.name)).any(|name| name == issuer)
    }
}

impl Trust {
    /// Nobody is trusted.
    pub fn nobody() -> Self {
        Self::new(Arc::default(), &BTreeMap::new())
    }

    /// Trust under a configuration with these keys, by the name of issuer or trust domain.
    pub fn new(config: Arc<Config>, keys: &BTreeMap<Arc<str>, KeySet>) -> Self {
        let of = |name: &Arc<str>| keys.get(name).map(|set| set.keys.clone()).unwrap_or_default();
        let names = |names: Vec<&Arc<str>>| {
            Arc::new(names.into_iter().enumerate().map(|(at, name)| (name.clone(), (at, of(name)))).collect())
        };
        let mut digest = Sha256::new();
        for (name, set) in keys {
            digest.update(name.len().to_le_bytes());
            digest.update(name.as_bytes());
            digest.update(set.digest);
        }
        Self {
            issuers: names(config.issuers.iter().map(|issuer| &issuer.name).collect()),
            domains: names(config.domains.iter().map(|domain| &domain.name).collect()),
            revision: digest.finalize().into(),
            remembered: Arc::new(Seen::new(REMEMBERED_MAX)),
            revoked: Arc::default(),
            missing: None,
            config,
        }
    }

    /// Calls `missing` with the name of an issuer or trust domain when a token names a key that its set does not have.
    #[must_use]
    pub fn asking(self, missing: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { missing: Some(Arc::new(missing)), ..self }
    }

    /// The same trust in all but these tokens. What was verified stays so.
    #[must_use]
    pub fn without(&self, revoked: Arc<Revoked>) -> Self {
        Self { revoked, ..self.clone() }
    }

    /// Whether a verified token still counts.
    ///
    /// # Errors
    /// [`TokenFault::Revoked`], [`TokenFault::NoRevocations`].
    pub fn check_revoked(&self, token: &Verified) -> Result<(), TokenFault> {
        self.revoked.check(token)
    }

    /// Says so when keys are missing.
    pub(super) fn told<T>(&self, name: &str, outcome: Result<T, TokenFault>) -> Result<T, TokenFault> {
        if let (Err(TokenFault::UnknownKey | TokenFault::NoKeys), Some(missing)) = (&outcome, &self.missing) {
            missing(name);
        }
        outcome
    }

    /// The digest of the keys.
    pub fn revision(&self) -> &[u8; 32] {
        &self.revision
    }

    /// How long past its time a token is believed, in seconds.
    pub fn leeway_s(&self) -> i64 {
        self.config.leeway_s
    }

    /// Whether any token can be believed.
    pub fn trusts_nobody(&self) -> bool {
        self.issuers.is_empty() && self.domains.is_empty()
    }

    pub(super) fn issuer(&self, name: &str) -> Option<(&Issuer, &Keys)> {
        let (at, keys) = self.issuers.get(name)?;
        Some((self.config.issuers.get(*at)?, keys))
    }

    pub(super) fn domain(&self, name: &str) -> Option<(&Domain, &Keys)> {
        let (at, keys) = self.domains.get(name)?;
        Some((self.config.domains.get(*at)?, keys))
    }

    /// The audiences that name this server.
    pub(super) fn own_audience(&self) -> Vec<&str> {
        self.config.audience.iter().map(String::as_str).collect()
    }

    /// The audiences that a verified token may be for.
    pub(super) fn audiences<'a>(
        &'a self,
        token: &Verified,
        server: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> {
        let of_issuer = match token.kind {
            TokenKind::JwtSvid => self.domain(&token.issuer).map(|(domain, _)| domain.audience.as_slice()),
            TokenKind::Task => None,
            TokenKind::AccessToken | TokenKind::IdJag | TokenKind::Jwt => {
                self.issuer(&token.issuer).map(|(issuer, _)| issuer.audience.as_slice())
            }
        };
        let of_issuer = of_issuer.unwrap_or_default();
        self.config.audience.iter().chain(of_issuer).map(String::as_str).chain(server)
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("config", &self.config).finish_non_exhaustive()
    }
}
