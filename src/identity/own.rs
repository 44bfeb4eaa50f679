//! Tokens that this server issues itself: their signing keys, and the verification of what was signed with them.
//! Never shows a private key.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::credential::Token;
use super::fault::{Part, TokenFault};
use super::jwt::{self, Algorithm, KeyInHeader};
use super::keys::{Keys, KeysFault, Use};

/// Why something cannot be signed. Safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningFault {
    /// Not a private key of this kind.
    #[error("not a private key for {0} in PKCS#8 (RFC 5208)")]
    Key(Algorithm),
    /// Own tokens are not signed so.
    #[error("tokens are signed here with ES256 or EdDSA, not with {0}")]
    Algorithm(Algorithm),
    /// The signature could not be made.
    #[error("the signature could not be made")]
    Signature,
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// A key that signs. Its name is the RFC 7638 thumbprint of its public half, so that it is the same wherever it is used.
pub struct SigningKey {
    pair: Pair,
    kid: String,
    jwk: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A fresh private key in PKCS#8, to be kept where nobody else reads it.
    ///
    /// # Errors
    /// [`SigningFault`] for another algorithm than ES256 and `EdDSA`, and where there is no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Vec<u8>, SigningFault> {
        let random = SystemRandom::new();
        let made = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
            other => return Err(SigningFault::Algorithm(other)),
        };
        made.map(|document| document.as_ref().to_vec()).map_err(|_| SigningFault::Signature)
    }

    /// A private key from PKCS#8.
    ///
    /// # Errors
    /// [`SigningFault`].
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, SigningFault> {
        let refused = |_| SigningFault::Key(algorithm);
        let pair = match algorithm {
            Algorithm::Es256 => {
                Pair::Es256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(refused)?)
            }
            Algorithm::EdDsa => Pair::EdDsa(Ed25519KeyPair::from_pkcs8(der).map_err(refused)?),
            other => return Err(SigningFault::Algorithm(other)),
        };
        let members = public_members(&pair).ok_or(SigningFault::Key(algorithm))?;
        // RFC 7638, section 3: the required members, in the order of their names, without spaces.
        let kid = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{{{members}}}")));
        let alg = algorithm.name();
        let jwk = format!(r#"{{{members},"alg":"{alg}","kid":"{kid}","use":"sig"}}"#);
        Ok(Self { pair, kid, jwk })
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half as a JSON Web Key (RFC 7517).
    pub fn jwk(&self) -> &str {
        &self.jwk
    }

    /// Signs claims as a token of this type: `header.claims.signature` (RFC 7515, section 7.1).
    ///
    /// # Errors
    /// [`SigningFault::Signature`].
    pub fn sign(&self, typ: &str, claims: &[u8]) -> Result<String, SigningFault> {
        let algorithm = match self.pair {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::EdDsa(_) => Algorithm::EdDsa,
        };
        let header = serde_json::json!({ "alg": algorithm.name(), "kid": self.kid, "typ": typ }).to_string();
        let mut text = BASE64_URL_SAFE_NO_PAD.encode(header);
        text.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut text);
        let signature = match &self.pair {
            Pair::Es256(pair) => {
                pair.sign(&SystemRandom::new(), text.as_bytes()).map_err(|_| SigningFault::Signature)?
            }
            Pair::EdDsa(pair) => pair.sign(text.as_bytes()),
        };
        text.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut text);
        Ok(text)
    }
}

/// This server as an issuer of tokens: its name, the key that signs, and every key whose tokens still count. Another key makes
/// another value.
#[derive(Debug, Clone)]
pub struct OwnIssuer {
    name: Arc<str>,
    signing: Arc<SigningKey>,
    keys: Arc<Keys>,
    jwks: Arc<str>,
}

impl OwnIssuer {
    /// An issuer of this name (`iss`) that signs with `signing`, and whose tokens of `others` still count. The others may
    /// also be keys that will sign later, and are shown before they do.
    ///
    /// # Errors
    /// [`KeysFault`] when the public halves are no key set.
    pub fn new<'a>(
        name: impl Into<Arc<str>>,
        signing: Arc<SigningKey>,
        others: impl IntoIterator<Item = &'a SigningKey>,
    ) -> Result<Self, KeysFault> {
        let others: Vec<&str> = others.into_iter().map(SigningKey::jwk).collect();
        let all: Vec<&str> = std::iter::once(signing.jwk()).chain(others).collect();
        let jwks = format!(r#"{{"keys":[{}]}}"#, all.join(","));
        let keys = Keys::parse(jwks.as_bytes(), Use::Signatures, &[Algorithm::Es256, Algorithm::EdDsa])?;
        Ok(Self { name: name.into(), signing, keys: Arc::new(keys), jwks: jwks.into() })
    }

    /// `iss` of its tokens, and the audience of those that are for this server itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key that signs.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The keys that verify.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The public halves as a JSON Web Key Set (RFC 7517, section 5).
    pub fn jwks(&self) -> &str {
        &self.jwks
    }
}

/// The members of the public key that its thumbprint is made of, in order.
fn public_members(pair: &Pair) -> Option<String> {
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    Some(match pair {
        Pair::Es256(pair) => {
            // An uncompressed point: 4, x, y (SEC 1, section 2.3.3).
            let point = pair.public_key().as_ref();
            let (x, y) = (point.get(1..33)?, point.get(33..65)?);
            format!(r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#, text(x), text(y))
        }
        Pair::EdDsa(pair) => {
            format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, text(pair.public_key().as_ref()))
        }
    })
}

/// The claims of a token that one of these keys signed, as they were signed. Only that: time, audience and what they mean is
/// for who asked.
///
/// # Errors
/// [`TokenFault`].
pub fn open(token: &Token, keys: &Keys, typ: &str) -> Result<Opened, TokenFault> {
    let jws = jwt::parse(token.expose(), KeyInHeader::Refused)?;
    // Nobody else writes our type: it is compared letter by letter.
    if jws.header.typ.as_deref() != Some(typ) {
        return Err(TokenFault::WrongType { expected: format!("`{typ}`") });
    }
    keys.verify(&jws)?;
    let claims = token.expose().split('.').nth(1).unwrap_or_default();
    let claims =
        BASE64_URL_SAFE_NO_PAD.decode(claims).map_err(|_| TokenFault::Base64 { part: Part::Claims })?;
    Ok(Opened { claims, kid: jws.header.kid.clone().unwrap_or_default() })
}

/// What one of our keys signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The claims, as they were signed.
    pub claims: Vec<u8>,
    /// The name of the key.
    pub kid: String,
}

#[cfg(test)]
mod tests {
    use super::super::keys;
    use super::*;

    const TYP: &str = "palisade-task+jwt";

    fn key(algorithm: Algorithm) -> SigningKey {
        SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap()).unwrap()
    }

    fn published(keys: &[&SigningKey]) -> Keys {
        let jwks: Vec<&str> = keys.iter().map(|key| key.jwk()).collect();
        let set = format!(r#"{{"keys":[{}]}}"#, jwks.join(","));
        Keys::parse(set.as_bytes(), Use::Signatures, &[Algorithm::Es256, Algorithm::EdDsa]).unwrap()
    }

    #[test]
    fn what_a_key_signs_its_published_half_verifies_and_no_other() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let (ours, other) = (key(algorithm), key(algorithm));
            let claims = br#"{"sub":"ana","txn":"tsk_1"}"#;
            let token = Token::new(ours.sign(TYP, claims).unwrap());
            assert_eq!(
                open(&token, &published(&[&other, &ours]), TYP).unwrap().claims,
                claims,
                "{algorithm}"
            );
            assert_eq!(open(&token, &published(&[&other]), TYP), Err(TokenFault::UnknownKey));
            let wrong = TokenFault::WrongType { expected: "`at+jwt`".into() };
            assert_eq!(open(&token, &published(&[&ours]), "at+jwt"), Err(wrong));
            let mut forged = token.expose().to_owned();
            let other = other.sign(TYP, claims).unwrap();
            forged.truncate(forged.rfind('.').unwrap());
            forged.push_str(&other[other.rfind('.').unwrap()..]);
            let forged = Token::new(forged);
            assert_eq!(open(&forged, &published(&[&ours]), TYP), Err(TokenFault::Signature));
        }
    }

    #[test]
    fn a_key_has_the_same_name_wherever_it_is_used() {
        let der = SigningKey::generate(Algorithm::Es256).unwrap();
        let [one, same] = [(); 2].map(|()| SigningKey::from_pkcs8(Algorithm::Es256, &der).unwrap());
        assert_eq!((one.kid(), one.jwk()), (same.kid(), same.jwk()));
        assert_ne!(one.kid(), key(Algorithm::Es256).kid());
        let members = crate::json::parse(one.jwk().as_bytes(), crate::json::Limits::default()).unwrap();
        let crate::value::Value::Record(members) = members else { panic!("an object") };
        assert_eq!(keys::thumbprint(&members).as_deref(), Some(one.kid()), "RFC 7638");
        let private = BASE64_URL_SAFE_NO_PAD.encode(&der);
        assert!(!format!("{one:?}").contains(&private) && !one.jwk().contains("\"d\""));
    }

    #[test]
    fn what_is_no_key_of_ours_is_refused() {
        let of_ed = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let refused = |algorithm, der: &[u8]| SigningKey::from_pkcs8(algorithm, der).map(|_| ()).unwrap_err();
        assert_eq!(refused(Algorithm::Es256, &of_ed), SigningFault::Key(Algorithm::Es256));
        assert_eq!(refused(Algorithm::Es256, b""), SigningFault::Key(Algorithm::Es256));
        assert_eq!(refused(Algorithm::Rs256, &of_ed), SigningFault::Algorithm(Algorithm::Rs256));
        assert_eq!(SigningKey::generate(Algorithm::Es384), Err(SigningFault::Algorithm(Algorithm::Es384)));
    }
}
