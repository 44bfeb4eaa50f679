//! A token of the benchmarks: an access token of Ana's, exchanged for the agent that asks, with the issuer that signed it.
//! Never one that a server would not take.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Signs, EncodingKey};
use palisade::identity::{
    Algorithm, Credentials, HumanClaims, Issuer, KeySet, Keys, Token, TokenKind, Trust, TrustConfig, Use,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::json;

const ISSUER: &str = "https://login.acme.example";
/// The audience of the server that is called.
pub const CRM: &str = "https://crm.acme.example/mcp";

/// An issuer with one key.
pub struct Signer {
    config: Arc<TrustConfig>,
    keys: BTreeMap<Arc<str>, KeySet>,
    algorithm: Algorithm,
    secret: EncodingKey,
}

impl Signer {
    /// An issuer with a fresh key for this algorithm: ES256 or `EdDSA`.
    pub fn new(algorithm: Algorithm) -> Self {
        let kind = if algorithm == Algorithm::Es256 { &PKCS_ECDSA_P256_SHA256 } else { &PKCS_ED25519 };
        let pair = KeyPair::generate_for(kind).unwrap_or_else(|error| unreachable!("{error}"));
        let (jwk, secret) = jwk(&pair, algorithm);
        let document = json!({ "keys": [jwk] }).to_string();
        let keys = Keys::parse(document.as_bytes(), Use::Signatures, &Algorithm::ALL);
        let keys = Arc::new(keys.unwrap_or_else(|fault| unreachable!("{fault}")));
        let trusted = Issuer {
            name: ISSUER.into(),
            algorithms: Algorithm::ALL.to_vec(),
            audience: vec![],
            kinds: vec![TokenKind::AccessToken],
            lifetime_max_s: Some(3600),
            human: Some(HumanClaims { claim: "sub".into(), kind: "Human".into(), unregistered: None }),
            agent_claim: None,
        };
        let config = TrustConfig { actor_depth_max: 4, issuers: vec![trusted], ..TrustConfig::default() };
        let keys = [(ISSUER.into(), KeySet { keys, digest: [0; 32] })].into();
        Self { config: Arc::new(config), keys, algorithm, secret }
    }

    /// A trust in it that has seen no token yet.
    pub fn trust(&self) -> Arc<Trust> {
        Arc::new(Trust::new(self.config.clone(), &self.keys))
    }

    /// A token for an audience that differs from those of other numbers.
    pub fn token(&self, number: usize, audience: &str) -> Credentials {
        let signs = if self.algorithm == Algorithm::Es256 { Signs::ES256 } else { Signs::EdDSA };
        let encode = |json: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let header = json!({"alg": self.algorithm.name(), "typ": "at+jwt", "kid": "k"});
        let claims = json!({
            "iss": ISSUER, "sub": "ana", "aud": audience, "client_id": "portal",
            "jti": format!("at_{number}"), "iat": 1_795_255_100, "exp": 1_795_255_400,
            "scope": "crm.read crm.refund", "acr": "urn:acme:loa:2", "amr": ["pwd", "otp"],
            "act": {"iss": ISSUER, "sub": "spiffe://acme.example/agent/support-bot"},
        });
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &self.secret, signs);
        let signature = signature.unwrap_or_else(|error| unreachable!("{error}"));
        Credentials { subject: Some(Token::new(format!("{text}.{signature}"))), ..Credentials::default() }
    }
}

fn jwk(pair: &KeyPair, algorithm: Algorithm) -> (serde_json::Value, EncodingKey) {
    let raw = pair.public_key_raw();
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let part = |range| text(raw.get::<std::ops::Range<usize>>(range).unwrap_or_default());
    let der = pair.serialized_der();
    match algorithm {
        // An uncompressed point: 4, x, y (SEC 1, section 2.3.3).
        Algorithm::Es256 => (
            json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": part(1..33), "y": part(33..65)}),
            EncodingKey::from_ec_der(der),
        ),
        _ => (
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": text(raw)}),
            EncodingKey::from_ed_der(der),
        ),
    }
}
