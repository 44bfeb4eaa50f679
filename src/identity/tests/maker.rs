//! Makes keys and tokens for tests, out of raw JSON text, so that nothing hostile is smoothed away.
//! Never reads a token: what it writes is judged by the code under test alone.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, RsaKeySize};
use sha2::{Digest, Sha256};

/// A key pair: what signs, and the members of its public JWK.
pub(super) struct Pair {
    pub(super) secret: EncodingKey,
    /// Without braces: `"kty":"EC",…`.
    pub(super) members: String,
    /// The public key as its certificate would hold it: what a confused verifier takes for a secret.
    pub(super) public: Vec<u8>,
}

pub(super) static ES256: LazyLock<Pair> = LazyLock::new(es256);
pub(super) static ES384: LazyLock<Pair> = LazyLock::new(|| ec(&rcgen::PKCS_ECDSA_P384_SHA384, "P-384", 48));
pub(super) static RSA: LazyLock<Pair> = LazyLock::new(rsa);
pub(super) static ED: LazyLock<Pair> = LazyLock::new(ed);
/// Who holds bound tokens.
pub(super) static HOLDER: LazyLock<Pair> = LazyLock::new(es256);
/// Nobody's key.
pub(super) static STRANGER: LazyLock<Pair> = LazyLock::new(es256);

fn es256() -> Pair {
    ec(&rcgen::PKCS_ECDSA_P256_SHA256, "P-256", 32)
}

fn ec(algorithm: &'static rcgen::SignatureAlgorithm, curve: &str, size: usize) -> Pair {
    let pair = KeyPair::generate_for(algorithm).unwrap();
    let point = pair.public_key_raw();
    assert_eq!((point.len(), point[0]), (1 + 2 * size, 4), "an uncompressed point");
    let (x, y) = (b64(&point[1..=size]), b64(&point[1 + size..]));
    Pair {
        secret: EncodingKey::from_ec_der(&pair.serialize_der()),
        members: format!(r#""kty":"EC","crv":"{curve}","x":"{x}","y":"{y}""#),
        public: point.to_vec(),
    }
}

fn ed() -> Pair {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    Pair {
        secret: EncodingKey::from_ed_der(&pair.serialize_der()),
        members: format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, b64(pair.public_key_raw())),
        public: pair.public_key_raw().to_vec(),
    }
}

fn rsa() -> Pair {
    let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    // RSAPublicKey: a sequence (4 bytes of head) of the modulus (4 bytes of head, a zero, 256 bytes) and the exponent.
    let public = pair.public_key_raw();
    assert_eq!((public.len(), &public[4..9]), (270, &[2, 0x82, 1, 1, 0][..]), "2048 bits");
    let (n, e) = (b64(&public[9..265]), b64(&public[267..]));
    // PKCS #8 wraps PKCS #1 in 26 bytes.
    let der = pair.serialize_der();
    Pair {
        secret: EncodingKey::from_rsa_der(&der[26..]),
        members: format!(r#""kty":"RSA","n":"{n}","e":"{e}""#),
        public: public.to_vec(),
    }
}

impl Pair {
    /// Its public JWK with further members: `"kid":"x"`.
    pub(super) fn jwk(&self, more: &str) -> String {
        let comma = if more.is_empty() { "" } else { "," };
        format!("{{{}{comma}{more}}}", self.members)
    }

    /// A token of these bytes, signed by it.
    pub(super) fn sign(&self, how: Algorithm, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        signed(&self.secret, how, header, claims)
    }

    /// The RFC 7638 thumbprint of an EC key.
    pub(super) fn thumbprint(&self) -> String {
        let part = |name: &str| {
            let (_, rest) = self.members.split_once(&format!(r#""{name}":""#)).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let (crv, x, y) = (part("crv"), part("x"), part("y"));
        b64(Sha256::digest(format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)))
    }
}

/// A token of these bytes, signed.
pub(super) fn signed(
    secret: &EncodingKey,
    how: Algorithm,
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
) -> String {
    let text = format!("{}.{}", b64(header), b64(claims));
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), secret, how).unwrap();
    format!("{text}.{signature}")
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn sha256(text: &str) -> String {
    b64(Sha256::digest(text))
}

/// A JSON object by its members, in order, each value as raw text. Nothing keeps a name from standing there twice.
#[derive(Debug, Clone)]
pub(super) struct Object(Vec<(String, String)>);

impl Object {
    pub(super) fn of(members: &[(&str, &str)]) -> Self {
        Self(members.iter().map(|(name, raw)| ((*name).to_owned(), (*raw).to_owned())).collect())
    }

    /// With a member in place of what it had of that name.
    pub(super) fn set(&self, name: &str, raw: &str) -> Self {
        self.cut(name).also(name, raw)
    }

    /// With one more member.
    pub(super) fn also(&self, name: &str, raw: &str) -> Self {
        let mut members = self.0.clone();
        members.push((name.to_owned(), raw.to_owned()));
        Self(members)
    }

    /// Without a member.
    pub(super) fn cut(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(own, _)| own != name).cloned().collect())
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::from("{");
        for (at, (name, raw)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(text, r#"{comma}"{name}":{raw}"#).unwrap();
        }
        text + "}"
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}
