//! JWT-SVIDs and the bundles that verify them, out of keys of a test's own.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

/// A key of a trust domain.
pub struct Signer {
    name: String,
    secret: EncodingKey,
    x: String,
    y: String,
}

impl Signer {
    /// A new key with this `kid`.
    pub fn new(name: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.public_key_raw();
        assert_eq!((point.len(), point[0]), (65, 4), "an uncompressed point");
        let (x, y) = (base64(&point[1..33]), base64(&point[33..]));
        Self { name: name.to_owned(), secret: EncodingKey::from_ec_der(&pair.serialize_der()), x, y }
    }

    /// A JWK Set of it alone, with this `use`: SPIFFE bundles say one, and SPIRE's Workload API says none.
    pub fn bundle(&self, said: Option<&str>) -> String {
        let mut key = json!({ "kty": "EC", "crv": "P-256", "kid": self.name, "x": self.x, "y": self.y });
        if let Some(said) = said {
            key["use"] = Value::from(said);
        }
        json!({ "keys": [key] }).to_string()
    }

    /// A JWT-SVID of this workload that is good for five minutes.
    pub fn svid(&self, id: &str, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let header = json!({ "alg": "ES256", "kid": self.name, "typ": "JWT" });
        let claims = json!({ "sub": id, "aud": [audience], "iat": now, "exp": now + 300 });
        let text = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &self.secret, Algorithm::ES256).unwrap();
        format!("{text}.{signature}")
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
