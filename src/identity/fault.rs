//! What is wrong with a token, in words that an operator can act on.
//! Never quotes the token: a fault is safe to show, to log and to record.

use std::fmt;

use super::jwt::{Algorithm, TOKEN_BYTES_MAX};
use crate::json::JsonError;

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Before the first dot.
    Header,
    /// Between the dots.
    Claims,
    /// Behind the second dot.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "a header",
            Self::Claims => "claims",
            Self::Signature => "a signature",
        })
    }
}

impl TokenFault {
    pub(super) fn missing(name: &str) -> Self {
        Self::Missing { name: name.to_owned() }
    }

    pub(super) fn claim(name: &str, wanted: &'static str) -> Self {
        Self::Claim { name: name.to_owned(), wanted }
    }
}

/// Why a token is not accepted. The words continue "the subject's token …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Longer than anything that is read.
    #[error("has {bytes} bytes, and no more than {TOKEN_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The scheme of the header stands before it.
    #[error("begins with the scheme of its header; send the token alone")]
    Scheme,
    /// Not three parts.
    #[error("is no signed JWT in compact form (three parts with dots between them)")]
    NotCompact,
    /// Five parts, or a header of an encrypted or compressed token.
    #[error("is encrypted or compressed; send a signed JWT")]
    Encrypted,
    /// A token in a token.
    #[error("holds another token (`cty`); send the inner one")]
    Nested,
    /// A part is not base64url.
    #[error("has {part} not written in base64url without padding")]
    Base64 {
        /// Which.
        part: Part,
    },
    /// A part is not strict JSON.
    #[error("has {part} that cannot be read: {source}")]
    Json {
        /// Which.
        part: Part,
        /// What is wrong.
        source: JsonError,
    },
    /// A part is JSON and no object.
    #[error("has {part} of another form than a JSON object")]
    NotAnObject {
        /// Which.
        part: Part,
    },
    /// A member of the header is missing or of the wrong type.
    #[error("has no usable `{name}` in its header")]
    HeaderMember {
        /// Which.
        name: &'static str,
    },
    /// `alg` is `none`.
    #[error("is not signed (`alg` is `none`)")]
    Unsigned,
    /// `alg` is one of HMAC's.
    #[error("is signed with a shared secret (`alg` is one of `HS…`); only public keys are trusted here")]
    SharedSecret,
    /// `alg` is none that we know.
    #[error("is signed with an algorithm that is not known here")]
    UnknownAlgorithm,
    /// `alg` is not what the key or the issuer is pinned to.
    #[error("is signed with {algorithm}, which is not an algorithm of that key")]
    WrongAlgorithm {
        /// What the token says.
        algorithm: Algorithm,
    },
    /// It brings a key or the address of one.
    #[error("brings or names a key of its own (`{member}`); keys come from the configured issuer alone")]
    KeyInHeader {
        /// The member of the header.
        member: &'static str,
    },
    /// `crit`.
    #[error("demands an extension that is not understood here (`crit`)")]
    Critical,
    /// `typ` is not one that is accepted there.
    #[error("is not of an accepted type; expected `typ` {expected}")]
    WrongType {
        /// What would do.
        expected: String,
    },
    /// `iss` is nobody that we trust.
    #[error("is of an issuer that is not trusted here (`iss`)")]
    UnknownIssuer,
    /// The keys have never been fetched.
    #[error("cannot be verified: the keys of its issuer have not been fetched yet; see the server's log")]
    NoKeys,
    /// `kid` is none of the issuer's.
    #[error("is signed with a key that its issuer does not publish (`kid`)")]
    UnknownKey,
    /// There is no `kid`, and several keys could be meant.
    #[error("names no key (`kid`), and its issuer has several")]
    KeyNotNamed,
    /// The signature does not fit.
    #[error("has a signature that is not valid")]
    Signature,
    /// A claim is missing.
    #[error("lacks the claim `{name}`")]
    Missing {
        /// Which.
        name: String,
    },
    /// A claim is of the wrong type.
    #[error("has a claim `{name}` that is not {wanted}")]
    Claim {
        /// Which.
        name: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// `aud` names somebody else.
    #[error("is for another audience (`aud`); expected {}", expected_words(.expected))]
    Audience {
        /// What would do.
        expected: Vec<String>,
    },
    /// `exp` has passed.
    #[error("expired {ago_s} s ago (`exp`)")]
    Expired {
        /// Since when, in seconds.
        ago_s: i64,
    },
    /// `nbf` or `iat` is to come.
    #[error("is valid only in {in_s} s (`{claim}`); is a clock wrong?")]
    NotYetValid {
        /// Which claim.
        claim: &'static str,
        /// When, in seconds.
        in_s: i64,
    },
    /// It was issued for longer than the configuration allows.
    #[error("is valid for {lifetime_s} s, longer than its issuer's `lifetime_max_s` of {lifetime_max_s}")]
    LongLived {
        /// From `iat` to `exp`.
        lifetime_s: i64,
        /// The limit.
        lifetime_max_s: i64,
    },
    /// More actors than are believed.
    #[error("names more than {depth_max} actors (`act`)")]
    ActorDepth {
        /// The limit.
        depth_max: usize,
    },
    /// It was revoked.
    #[error("was revoked (by its `{by}`)")]
    Revoked {
        /// The claim.
        by: &'static str,
    },
    /// What was revoked is not known.
    #[error("cannot be believed: the list of revoked tokens could not be read yet; see the server's log")]
    NoRevocations,
}

fn expected_words(expected: &[String]) -> String {
    match expected {
        [] => "an audience of this server, and none is configured".to_owned(),
        some => some.iter().map(|audience| format!("`{audience}`")).collect::<Vec<_>>().join(" or "),
    }
}

/// Why a proof of possession is not accepted. The words continue "the proof …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// Not a `DPoP` proof.
    #[error("{0}")]
    Token(#[from] TokenFault),
    /// Its key is no public key that we can use.
    #[error("has a key that is no usable public key (`jwk`)")]
    Key,
    /// For another method.
    #[error("is for another HTTP method (`htm`)")]
    Method,
    /// For another URL.
    #[error("is for another URL (`htu`)")]
    Url,
    /// For another token.
    #[error("is for another token (`ath`)")]
    AccessToken,
    /// Not fresh.
    #[error("was made {ago_s} s ago, more than {window_s} s (`iat`)")]
    Stale {
        /// Its age.
        ago_s: i64,
        /// How old one may be.
        window_s: i64,
    },
    /// Used before.
    #[error("was used before (`jti`)")]
    Replayed,
    /// Made before this server began to remember proofs.
    #[error("was made before this server started, {ago_s} s ago; make a new one (`iat`)")]
    BeforeStart {
        /// How long the server has run.
        ago_s: i64,
    },
    /// Too many proofs are remembered.
    #[error("cannot be remembered: too many are in use")]
    Full,
    /// By another key than the token is bound to.
    #[error("is of another key than the token is bound to (`cnf`)")]
    AnotherKey,
    /// Said by a caller that may not attest.
    #[error("is only said by the caller `{caller}`, which lacks the role `attest`")]
    NotAttested {
        /// The caller's name.
        caller: std::sync::Arc<str>,
    },
}
