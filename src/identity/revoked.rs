//! Tokens that were taken back before their time, known by their issuer and a claim.
//! Never by a token's text: a holder could spell the same token in another way.

use std::collections::HashMap;

use super::fault::TokenFault;
use super::verify::{AgentName, Verified};
use crate::json::{self, JsonError};
use crate::value::{Members, Value};

/// The length of a list, in bytes.
pub const REVOKED_BYTES_MAX: usize = 4 << 20;
/// How many values its JSON may hold.
const NODES_MAX: usize = 1 << 20;
/// The nesting of its JSON, with one level to spare: a misplaced list is told as what it is.
const DEPTH_MAX: usize = 5;

/// What `issued_before` may be: from 1970 to the end of the year 9999.
const INSTANTS_S: std::ops::RangeInclusive<i64> = 0..=253_402_300_799;

/// The claims by which a token can be revoked.
const CLAIMS: [&str; 5] = ["jti", "sub", "client_id", "sid", "act"];

/// What is wrong with a list of revoked tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokedFault {
    /// No strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Not the object that it should be.
    #[error("must be an object with the one member `revoked`, a list of objects")]
    Form,
    /// An entry of nobody who is trusted: it would revoke nothing. Counted from 1.
    #[error("have an entry ({entry}.) of an issuer that is neither in `trust.issuers` nor in `trust.spiffe`")]
    Issuer {
        /// Which.
        entry: usize,
    },
    /// An entry that means nothing, or not only one thing. Counted from 1.
    #[error(
        "have an entry ({entry}.) that cannot be used; it needs `issuer`, and may have one of `jti`, `sub`, \
         `client_id`, `sid` and `act` (texts) and `issued_before` (seconds since 1970)"
    )]
    Entry {
        /// Which.
        entry: usize,
    },
}

/// Tokens that were taken back. Immutable; made anew when the list changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    issuers: HashMap<String, OfIssuer>,
    /// There is a list, and it was never read: then nobody knows what is on it.
    unread: bool,
}

/// What was taken back of one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct OfIssuer {
    all: Option<Issued>,
    /// By the claim's place in [`CLAIMS`].
    claims: [HashMap<String, Issued>; CLAIMS.len()],
}

/// Which of the tokens with a claim are meant, by when they were issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Issued {
    /// Those issued before this instant, in seconds, and those that do not say when.
    Before(i64),
    /// All of them.
    AtAnyTime,
}

impl Issued {
    fn is_meant(self, issued_s: Option<i64>) -> bool {
        match (self, issued_s) {
            (Self::Before(instant_s), Some(issued_s)) => issued_s < instant_s,
            (Self::Before(_), None) | (Self::AtAnyTime, _) => true,
        }
    }
}

impl Revoked {
    /// A list that could not be read yet: every token is refused.
    pub fn unread() -> Self {
        Self { unread: true, ..Self::default() }
    }

    /// Reads a list: `{"revoked": [{"issuer": …, "jti": …}, …]}`, of issuers that are trusted: an entry of another one is
    /// a slip that would leave its tokens in force.
    ///
    /// # Errors
    /// [`RevokedFault`].
    pub fn parse(document: &[u8], trusts: impl Fn(&str) -> bool) -> Result<Self, RevokedFault> {
        let limits =
            json::Limits { bytes_max: REVOKED_BYTES_MAX, depth_max: DEPTH_MAX, nodes_max: NODES_MAX };
        let Value::Record(mut members) = json::parse(document, limits)? else {
            return Err(RevokedFault::Form);
        };
        let (Some(Value::Set(entries)), true) = (members.remove("revoked"), members.is_empty()) else {
            return Err(RevokedFault::Form);
        };
        let mut revoked = Self::default();
        for (at, entry) in entries.into_iter().enumerate() {
            let entered = revoked.enter(entry).ok_or(RevokedFault::Entry { entry: at + 1 })?;
            if !trusts(&entered) {
                return Err(RevokedFault::Issuer { entry: at + 1 });
            }
        }
        Ok(revoked)
    }

    /// Takes an entry in, and gives its issuer.
    fn enter(&mut self, entry: Value) -> Option<String> {
        let Value::Record(mut members) = entry else { return None };
        let issuer = text(&mut members, "issuer").ok()??;
        let meant = match members.remove("issued_before") {
            None => Issued::AtAnyTime,
            Some(Value::Long(instant_s)) if INSTANTS_S.contains(&instant_s) => Issued::Before(instant_s),
            Some(_) => return None,
        };
        let mut claim = None;
        for (at, name) in CLAIMS.into_iter().enumerate() {
            if let Some(value) = text(&mut members, name).ok()? {
                // Two claims in one entry could mean both or either.
                if claim.replace((at, value)).is_some() {
                    return None;
                }
            }
        }
        if !members.is_empty() {
            return None;
        }
        let of_issuer = self.issuers.entry(issuer.clone()).or_default();
        match claim {
            None => of_issuer.all = of_issuer.all.max(Some(meant)),
            Some((at, value)) => {
                let known = of_issuer.claims.get_mut(at)?.entry(value).or_insert(meant);
                *known = (*known).max(meant);
            }
        }
        Some(issuer)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        let of =
            |of: &OfIssuer| usize::from(of.all.is_some()) + of.claims.iter().map(HashMap::len).sum::<usize>();
        self.issuers.values().map(of).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Whether a token still counts.
    pub(super) fn check(&self, token: &Verified) -> Result<(), TokenFault> {
        if self.unread {
            return Err(TokenFault::NoRevocations);
        }
        let Some(of_issuer) = self.issuers.get(&*token.issuer) else { return Ok(()) };
        if of_issuer.all.is_some_and(|meant| meant.is_meant(token.issued_s)) {
            return Err(TokenFault::Revoked { by: "iss" });
        }
        for (by, listed) in CLAIMS.into_iter().zip(&of_issuer.claims) {
            let is_listed =
                |value: &str| listed.get(value).is_some_and(|meant| meant.is_meant(token.issued_s));
            if !listed.is_empty() && said(token, by).into_iter().any(is_listed) {
                return Err(TokenFault::Revoked { by });
            }
        }
        Ok(())
    }
}

/// What a token says in a claim by which it can be revoked. Whoever acts is meant by whatever claim names them.
fn said<'a>(token: &'a Verified, claim: &str) -> Vec<&'a str> {
    let named = |name: &'a AgentName| match name {
        AgentName::Spiffe(id) => id.as_str(),
        AgentName::Client(id) => id.as_str(),
    };
    let agent = token.agent.iter().map(named);
    match claim {
        "jti" => token.id.as_deref().into_iter().collect(),
        "sub" => vec![&token.subject],
        "client_id" => token.clients.iter().map(String::as_str).chain(agent).collect(),
        "sid" => token.session.as_deref().into_iter().collect(),
        _ => agent.chain(token.actors.iter().map(named)).collect(),
    }
}

/// A member's text, taken out; an error when it is no text or empty.
fn text(members: &mut Members, name: &str) -> Result<Option<String>, ()> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.into())),
        Some(_) => Err(()),
    }
}
