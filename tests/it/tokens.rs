//! Keys, and the tokens and proofs that they sign.
//! Never shipped: every key is made for one test.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::KeyPair;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

/// Who issues.
pub const ISSUER: &str = "https://as.acme.example";
/// Whom its tokens are for.
pub const AUDIENCE: &str = "https://pdp.acme.example";

/// A key of P-256.
#[derive(Clone)]
pub struct Signer {
    secret: EncodingKey,
    x: String,
    y: String,
}

impl Signer {
    /// A new one.
    pub fn new() -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.public_key_raw();
        let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
        Self { secret: EncodingKey::from_ec_der(&pair.serialize_der()), x, y }
    }

    /// The public key.
    pub fn jwk(&self) -> Json {
        json!({ "kty": "EC", "crv": "P-256", "x": self.x, "y": self.y })
    }

    /// A set of the one key, under this name.
    pub fn jwks(&self, kid: &str) -> String {
        let mut key = self.jwk();
        key["kid"] = kid.into();
        json!({ "keys": [key] }).to_string()
    }

    /// Its RFC 7638 thumbprint.
    pub fn thumbprint(&self) -> String {
        let Self { x, y, .. } = self;
        b64(Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)))
    }

    /// A token with this header and these claims.
    pub fn sign(&self, header: &Json, claims: &Json) -> String {
        let signed = unsigned(header, claims);
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &self.secret, Algorithm::ES256).unwrap();
        format!("{signed}.{signature}")
    }

    /// An access token with these claims.
    pub fn token(&self, kid: &str, claims: &Json) -> String {
        self.sign(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid }), claims)
    }

    /// A proof of the key for a token's use by `POST` at a URL.
    pub fn proof(&self, token: &str, url: &str, jti: &str) -> String {
        let ath = b64(Sha256::digest(token));
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        self.sign(&header, &json!({ "jti": jti, "htm": "POST", "htu": url, "iat": now_s(), "ath": ath }))
    }
}

/// The first two parts of a token.
pub fn unsigned(header: &Json, claims: &Json) -> String {
    format!("{}.{}", b64(header.to_string()), b64(claims.to_string()))
}

/// The claims of an access token of a person, issued to a client, valid for ten minutes.
pub fn claims(person: &str, client: &str) -> Json {
    let now_s = now_s();
    json!({
        "iss": ISSUER, "sub": person, "aud": AUDIENCE, "client_id": client, "jti": "t-1",
        "iat": now_s - 60, "exp": now_s + 600,
    })
}

/// The same with another member.
pub fn with(claims: &Json, name: &str, value: impl Into<Json>) -> Json {
    let mut claims = claims.clone();
    claims[name] = value.into();
    claims
}

/// Base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// What base64url without padding stands for.
pub fn unb64(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Now, in seconds.
pub fn now_s() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
