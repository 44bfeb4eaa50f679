//! A token, verified under a trust: signature, issuer, audience, times, and what its claims mean.
//! Never decides, and never believes a claim before the signature.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::claims::{actors, confirmation, describe, names, scopes};
use super::credential::Token;
use super::fault::TokenFault;
use super::jwt::{self, Algorithm, Claims, Jws, KeyInHeader};
use super::spiffe::SpiffeId;
use super::trust::{Domain, Issuer, TokenKind, Trust};
use crate::value::{Members, Uid, Value};

/// Algorithms of JWT-SVIDs (SPIFFE JWT-SVID, section 2.1): not `EdDSA`.
const SVID_ALGORITHMS: [Algorithm; 8] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// What a token calls an agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AgentName {
    /// The SPIFFE ID of a workload.
    Spiffe(SpiffeId),
    /// An OAuth client of the token's issuer.
    Client(String),
}

/// A person, as a token names them.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Who.
    pub uid: Uid,
    /// What to make of them when the bundle does not have them; none denies.
    pub described: Option<Description>,
}

/// An entity that claims describe.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Its parents.
    pub parents: Vec<Uid>,
    /// Its attributes.
    pub attributes: Members,
}

/// The key that a token is bound to (RFC 7800).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confirmation {
    /// The RFC 7638 thumbprint of a key (RFC 9449, section 6.1).
    pub jkt: Option<String>,
    /// The SHA-256 of a certificate (RFC 8705, section 3.1).
    pub x5t: Option<String>,
}

impl Confirmation {
    /// Whether the token is bound to nothing: a bearer token.
    pub fn is_none(&self) -> bool {
        let Self { jkt, x5t } = self;
        jkt.is_none() && x5t.is_none()
    }
}

/// A token whose signature and claims were verified. Audience and times are checked at each use.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// `iss`, or the trust domain.
    pub issuer: Arc<str>,
    /// What it is.
    pub kind: TokenKind,
    /// `sub`.
    pub subject: String,
    /// `jti`.
    pub id: Option<String>,
    /// Whom it was issued to: `client_id`, `azp`, and the issuer's own claim for agents.
    pub clients: Vec<String>,
    /// `sid`: the session of its issuer.
    pub session: Option<String>,
    /// `aud`.
    pub audience: Vec<String>,
    /// `exp`, in seconds.
    pub expires_s: i64,
    /// `nbf`, in seconds.
    pub not_before_s: Option<i64>,
    /// `iat`, in seconds.
    pub issued_s: Option<i64>,
    /// `scope`.
    pub scopes: Vec<String>,
    /// `acr`: how strongly the person signed in.
    pub acr: Option<String>,
    /// `amr`: by which means.
    pub amr: Vec<String>,
    /// `cnf`.
    pub confirmation: Confirmation,
    /// The person whose authority it carries; none when that is the agent itself.
    pub person: Option<Person>,
    /// The agent whose authority it carries, or the client that it was issued to.
    pub agent: Option<AgentName>,
    /// The actors of `act`, the current one first.
    pub actors: Vec<AgentName>,
}

impl Trust {
    /// How many tokens are remembered.
    #[cfg(test)]
    pub(super) fn remembered_len(&self) -> usize {
        self.remembered.len()
    }

    /// A token that was verified before, and may have been refused for all that.
    pub fn known(&self, token: &Token) -> Option<Arc<Verified>> {
        self.remembered.get(token)
    }

    /// Verifies everything about a token that does not change with the moment and the request. A token that was verified
    /// before is known again by its bytes.
    ///
    /// # Errors
    /// [`TokenFault`].
    pub fn verify(&self, token: &Token) -> Result<Arc<Verified>, TokenFault> {
        if let Some(verified) = self.remembered.get(token) {
            return Ok(verified);
        }
        let verified = Arc::new(self.verify_anew(token.expose())?);
        self.remembered.insert(token, verified.clone());
        Ok(verified)
    }

    fn verify_anew(&self, text: &str) -> Result<Verified, TokenFault> {
        let jws = jwt::parse(text, KeyInHeader::Refused)?;
        let Some(name) = jws.claims.text("iss")? else { return self.verify_svid(&jws) };
        // A JWT-SVID may have `iss`; it is told by its subject, and only where nobody is trusted under that name.
        let Some((issuer, keys)) = self.issuer(name) else {
            let svid = jws.claims.text("sub")?.is_some_and(|sub| SpiffeId::parse(sub).is_ok());
            return if svid { self.verify_svid(&jws) } else { Err(TokenFault::UnknownIssuer) };
        };
        let typ = jws.header.typ.as_deref();
        let Some(kind) = issuer.kinds.iter().copied().find(|kind| kind.is_said_by(typ)) else {
            let expected: Vec<&str> = issuer.kinds.iter().map(|kind| kind.typ()).collect();
            return Err(TokenFault::WrongType { expected: expected.join(", or ") });
        };
        self.told(name, keys.verify(&jws))?;
        of_issuer(issuer, kind, &jws.claims, self.config.actor_depth_max)
    }

    fn verify_svid(&self, jws: &Jws<'_>) -> Result<Verified, TokenFault> {
        let id = SpiffeId::parse(jws.claims.required("sub")?).map_err(|_| TokenFault::UnknownIssuer)?;
        let (domain, keys) = self.domain(id.trust_domain()).ok_or(TokenFault::UnknownIssuer)?;
        if !TokenKind::JwtSvid.is_said_by(jws.header.typ.as_deref()) {
            return Err(TokenFault::WrongType { expected: TokenKind::JwtSvid.typ().into() });
        }
        let algorithm = jws.header.algorithm;
        if !SVID_ALGORITHMS.contains(&algorithm) {
            return Err(TokenFault::WrongAlgorithm { algorithm });
        }
        self.told(&domain.name, keys.verify(jws))?;
        of_domain(domain, id, &jws.claims)
    }
}

impl Verified {
    /// Whether a token is valid at an instant: `exp` and `nbf` and `iat`, each with the leeway.
    ///
    /// # Errors
    /// [`TokenFault::Expired`], [`TokenFault::NotYetValid`].
    pub fn check_time(&self, now_s: i64, leeway_s: i64) -> Result<(), TokenFault> {
        if now_s >= self.expires_s.saturating_add(leeway_s) {
            return Err(TokenFault::Expired { ago_s: now_s.saturating_sub(self.expires_s) });
        }
        for (claim, instant) in [("nbf", self.not_before_s), ("iat", self.issued_s)] {
            if let Some(instant) = instant.filter(|instant| now_s < instant.saturating_sub(leeway_s)) {
                return Err(TokenFault::NotYetValid { claim, in_s: instant.saturating_sub(now_s) });
            }
        }
        Ok(())
    }

    /// The audience by which it is for one of these.
    ///
    /// # Errors
    /// [`TokenFault::Audience`].
    pub fn check_audience(&self, expected: &[&str]) -> Result<&str, TokenFault> {
        let ours = self.audience.iter().find(|audience| expected.contains(&audience.as_str()));
        ours.map(String::as_str).ok_or_else(|| {
            let expected = expected.iter().map(|audience| (*audience).to_owned()).collect();
            TokenFault::Audience { expected }
        })
    }
}

/// The claims of RFC 9068, section 2.2, and of its relatives.
pub(super) fn of_issuer(
    issuer: &Issuer,
    kind: TokenKind,
    claims: &Claims,
    actor_depth_max: usize,
) -> Result<Verified, TokenFault> {
    let typed = match kind {
        TokenKind::AccessToken | TokenKind::IdJag => true,
        TokenKind::Jwt | TokenKind::JwtSvid | TokenKind::Task => false,
    };
    let subject = claims.required("sub")?.to_owned();
    let (id, client, party) = (claims.text("jti")?, claims.text("client_id")?, claims.text("azp")?);
    let issued_s = claims.instant("iat")?;
    if typed {
        for (name, missing) in
            [("client_id", client.is_none()), ("jti", id.is_none()), ("iat", issued_s.is_none())]
        {
            if missing {
                return Err(TokenFault::missing(name));
            }
        }
    }
    let expires_s = claims.required_instant("exp")?;
    if let Some(lifetime_max_s) = issuer.lifetime_max_s {
        // Without `iat` nobody knows how long it is valid.
        let lifetime_s = expires_s.saturating_sub(issued_s.ok_or(TokenFault::missing("iat"))?);
        if lifetime_s > lifetime_max_s {
            return Err(TokenFault::LongLived { lifetime_s, lifetime_max_s });
        }
    }
    let agent_claim = issuer.agent_claim.as_deref().map(|name| claims.text(name)).transpose()?.flatten();
    let agent = agent_claim.map(agent_name);
    let clients: BTreeSet<&str> = [client, party, agent_claim].into_iter().flatten().collect();
    // RFC 9068, section 2.2: without a person the client is the subject.
    let own = clients.contains(subject.as_str());
    let person = match &issuer.human {
        Some(human) if !own => {
            let id = claims.text(&human.claim)?.ok_or(TokenFault::missing(&human.claim))?;
            // OpenID Connect Core, section 5.7: people may set an address that is another's.
            if human.claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
                return Err(TokenFault::claim("email_verified", "`true`"));
            }
            let uid = Uid::new(human.kind.as_str(), id);
            let described = human.unregistered.as_ref().map(|how| describe(how, claims)).transpose()?;
            Some(Person { uid, described })
        }
        Some(_) | None => None,
    };
    Ok(Verified {
        issuer: issuer.name.clone(),
        kind,
        id: id.map(str::to_owned),
        clients: clients.into_iter().map(str::to_owned).collect(),
        session: claims.text("sid")?.map(str::to_owned),
        audience: names(claims, "aud", true)?,
        expires_s,
        not_before_s: claims.instant("nbf")?,
        issued_s,
        scopes: scopes(claims)?,
        acr: claims.text("acr")?.map(str::to_owned),
        amr: names(claims, "amr", false)?,
        confirmation: confirmation(claims)?,
        person,
        agent,
        actors: actors(claims, actor_depth_max)?,
        subject,
    })
}

fn of_domain(domain: &Domain, id: SpiffeId, claims: &Claims) -> Result<Verified, TokenFault> {
    Ok(Verified {
        issuer: domain.name.clone(),
        kind: TokenKind::JwtSvid,
        subject: id.as_str().to_owned(),
        id: claims.text("jti")?.map(str::to_owned),
        clients: Vec::new(),
        session: None,
        audience: names(claims, "aud", true)?,
        expires_s: claims.required_instant("exp")?,
        not_before_s: claims.instant("nbf")?,
        issued_s: claims.instant("iat")?,
        scopes: Vec::new(),
        acr: None,
        amr: Vec::new(),
        confirmation: confirmation(claims)?,
        person: None,
        agent: Some(AgentName::Spiffe(id)),
        actors: Vec::new(),
    })
}

pub(super) fn agent_name(text: &str) -> AgentName {
    SpiffeId::parse(text).map_or_else(|_| AgentName::Client(text.to_owned()), AgentName::Spiffe)
}
