//! Signed tokens in compact form (RFC 7515, section 7.1; RFC 7519), taken apart strictly before any key is looked at.
//! Never verifies a signature, and never follows a key that a token brings or points to.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::fault::{Part, TokenFault};
use crate::json;
use crate::value::{Members, Value};

/// The longest token that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// What a header or a set of claims may hold.
const JSON_LIMITS: json::Limits = json::Limits { bytes_max: TOKEN_BYTES_MAX, depth_max: 12, nodes_max: 1024 };

/// The latest instant that a claim may name, in seconds: the end of the year 9999.
const NUMERIC_DATE_MAX: i64 = 253_402_300_799;

/// Signature algorithms (RFC 7518, section 3.1; RFC 8037). Symmetric ones are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 9] = [
        Self::Es256,
        Self::Es384,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::EdDsa,
    ];

    /// Its name in a header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether it is one of RSA's, whose keys fit several.
    pub fn is_rsa(self) -> bool {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => true,
            Self::Es256 | Self::Es384 | Self::EdDsa => false,
        }
    }

    pub(super) fn of_the_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Ps384 => jsonwebtoken::Algorithm::PS384,
            Self::Ps512 => jsonwebtoken::Algorithm::PS512,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A token taken apart. Nothing in it is believed yet.
#[derive(Debug)]
pub(super) struct Jws<'t> {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// Header and claims as they were signed.
    pub(super) signed: &'t [u8],
    pub(super) signature: &'t str,
}

/// The header's members that mean something here. Others are ignored, as RFC 7515, section 4 has it.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    /// The public key in the header of a `DPoP` proof.
    pub(super) jwk: Option<Value>,
}

/// Whether the header carries a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyInHeader {
    /// A token's key is its issuer's, and comes from nowhere else.
    Refused,
    /// A `DPoP` proof brings its key (RFC 9449, section 4.2).
    Required,
}

/// Takes a token apart.
pub(super) fn parse(text: &str, key: KeyInHeader) -> Result<Jws<'_>, TokenFault> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(TokenFault::TooLong { bytes: text.len() });
    }
    let scheme = text.split_once(' ').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if matches!(scheme.as_deref(), Some("bearer" | "dpop")) {
        return Err(TokenFault::Scheme);
    }
    let dots = text.bytes().filter(|byte| *byte == b'.').count();
    if dots == 4 {
        return Err(TokenFault::Encrypted);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(TokenFault::NotCompact)?;
    let (header, claims) = signed.split_once('.').filter(|_| dots == 2).ok_or(TokenFault::NotCompact)?;
    let header = self::header(object(Part::Header, header)?, key)?;
    let claims = Claims(object(Part::Claims, claims)?);
    // The alphabet is checked here, so that only one text stands for one signature.
    BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenFault::Base64 { part: Part::Signature })?;
    Ok(Jws { header, claims, signed: signed.as_bytes(), signature })
}

fn object(part: Part, text: &str) -> Result<Members, TokenFault> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenFault::Base64 { part })?;
    match json::parse(&bytes, JSON_LIMITS) {
        Ok(Value::Record(members)) => Ok(members),
        Ok(_) => Err(TokenFault::NotAnObject { part }),
        Err(source) => Err(TokenFault::Json { part, source }),
    }
}

fn header(mut members: Members, key: KeyInHeader) -> Result<Header, TokenFault> {
    let mut text = |name: &'static str| match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(String::from(text))),
        Some(_) => Err(TokenFault::HeaderMember { name }),
    };
    let (algorithm, kid, typ) = (text("alg")?, text("kid")?, text("typ")?);
    let algorithm = algorithm.ok_or(TokenFault::HeaderMember { name: "alg" })?;
    let algorithm = match Algorithm::named(&algorithm) {
        Some(algorithm) => algorithm,
        None if algorithm.eq_ignore_ascii_case("none") => return Err(TokenFault::Unsigned),
        None if algorithm.get(..2).is_some_and(|begin| begin.eq_ignore_ascii_case("hs")) => {
            return Err(TokenFault::SharedSecret);
        }
        None => return Err(TokenFault::UnknownAlgorithm),
    };
    let jwk = members.remove("jwk");
    let foreign = ["jku", "x5u", "x5c"].into_iter().find(|name| members.contains_key(*name));
    match (key, &jwk, foreign) {
        (_, _, Some(member)) => return Err(TokenFault::KeyInHeader { member }),
        (KeyInHeader::Refused, Some(_), None) => return Err(TokenFault::KeyInHeader { member: "jwk" }),
        (KeyInHeader::Required, None, None) => return Err(TokenFault::HeaderMember { name: "jwk" }),
        (KeyInHeader::Refused, None, None) | (KeyInHeader::Required, Some(_), None) => {}
    }
    // RFC 7515, section 4.1.11: what must be understood and is not.
    if ["crit", "b64"].into_iter().any(|name| members.contains_key(name)) {
        return Err(TokenFault::Critical);
    }
    if ["enc", "zip"].into_iter().any(|name| members.contains_key(name)) {
        return Err(TokenFault::Encrypted);
    }
    if members.contains_key("cty") {
        return Err(TokenFault::Nested);
    }
    Ok(Header { algorithm, kid, typ, jwk })
}

/// Claims, read one by one.
#[derive(Debug)]
pub(super) struct Claims(Members);

impl Claims {
    /// Claims that came without a token.
    pub(super) fn of(claims: Members) -> Self {
        Self(claims)
    }

    /// A claim as it stands there; none when it is missing or null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| **value != Value::Null)
    }

    /// A text that is not empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, TokenFault> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(TokenFault::claim(name, "a text that is not empty")),
        }
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, TokenFault> {
        self.text(name)?.ok_or(TokenFault::missing(name))
    }

    /// Texts: one, or a list of them.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&str>, TokenFault> {
        let fault = || TokenFault::claim(name, "a text or a list of texts");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) if !text.is_empty() => Ok(vec![text]),
            Some(Value::Set(items)) => items
                .iter()
                .map(|item| match item {
                    Value::String(text) if !text.is_empty() => Ok(text.as_str()),
                    _ => Err(fault()),
                })
                .collect(),
            Some(_) => Err(fault()),
        }
    }

    /// An instant in whole seconds since 1970 (RFC 7519, section 2, `NumericDate`). Fractions are refused: nobody needs
    /// them, and two readers round them in two ways.
    pub(super) fn instant(&self, name: &str) -> Result<Option<i64>, TokenFault> {
        match self.get(name) {
            None if self.0.contains_key(name) => Err(()),
            None => Ok(None),
            Some(Value::Long(seconds)) if (0..=NUMERIC_DATE_MAX).contains(seconds) => Ok(Some(*seconds)),
            Some(_) => Err(()),
        }
        .map_err(|()| TokenFault::claim(name, "whole seconds since 1970"))
    }

    /// An instant that must be there.
    pub(super) fn required_instant(&self, name: &str) -> Result<i64, TokenFault> {
        self.instant(name)?.ok_or(TokenFault::missing(name))
    }
}

impl From<Members> for Claims {
    fn from(members: Members) -> Self {
        Self(members)
    }
}
