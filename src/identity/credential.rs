//! What a request brings to prove who asks: tokens, and proof that their holder has the key.
//! Never shown: not in a log, a record, an error or a debug print.

use std::fmt;

use sha2::{Digest, Sha256};

use super::spiffe::SpiffeId;

/// A token or proof as it was sent.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(String);

impl Token {
    /// Takes a text as a token.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Only for what verifies it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of what was signed: the same however the signature is written.
    pub fn signed_digest(&self) -> [u8; 32] {
        let signed = self.0.rsplit_once('.').map_or(self.0.as_str(), |(signed, _)| signed);
        Sha256::digest(signed.as_bytes()).into()
    }

    /// The SHA-256 of its exact bytes.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹redacted›")
    }
}

/// The credentials of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Whose authority is used: an access token, an ID-JAG, or a JWT-SVID of an agent that works on its own.
    pub subject: Option<Token>,
    /// The agent that uses it, when it proves itself apart: a JWT-SVID or an access token of its own.
    pub actor: Option<Token>,
    /// The token of a task, which says for whom and for what a step is made.
    pub task: Option<Token>,
    /// That the holder of the subject's token has the key that the token is bound to.
    pub proof: Option<Proof>,
    /// The workload that brought all this, as the caller saw its certificate. Believed only from a caller with the role
    /// `assert`, and only of an agent: it says that this agent acts, never for whom.
    pub workload: Option<SpiffeId>,
}

impl Credentials {
    /// Whether nothing was brought. A workload is seen, and brings nothing.
    pub fn is_empty(&self) -> bool {
        self.subject.is_none() && self.actor.is_none() && self.task.is_none() && self.proof.is_none()
    }
}

/// Proof of possession of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A `DPoP` proof with the request that it was made for, verified here (RFC 9449, section 4.3).
    Dpop {
        /// The proof.
        proof: Token,
        /// The HTTP method of the request.
        method: String,
        /// The URL of the request.
        url: String,
    },
    /// The base64url SHA-256 of the client certificate that the PEP saw (RFC 8705, section 3.1). Believed only from a
    /// caller with the role `attest`.
    Certificate(String),
    /// The RFC 7638 thumbprint of the key whose proof the PEP verified. Believed only from a caller with the role
    /// `attest`.
    Key(String),
}
