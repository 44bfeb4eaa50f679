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

/// An issuer with one key.
pub struct Signed {
    config: Arc<TrustConfig>,
    keys: BTreeMap<Arc<str>, KeySet>,
    /// What the request brings.
    pub credentials: Credentials,
}

/// A token signed with a fresh key for this algorithm: ES256 or `EdDSA`.
pub fn signed(algorithm: Algorithm) -> Signed {
    let (kind, signs) = match algorithm {
        Algorithm::Es256 => (&PKCS_ECDSA_P256_SHA256, Signs::ES256),
        _ => (&PKCS_ED25519, Signs::EdDSA),
    };
    let pair = KeyPair::generate_for(kind).unwrap_or_else(|error| unreachable!("{error}"));
    let (jwk, secret) = jwk(&pair, algorithm);
    let issuer = "https://login.acme.example";
    let encode = |json: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let header = json!({"alg": algorithm.name(), "typ": "at+jwt", "kid": "k"});
    let claims = json!({
        "iss": issuer, "sub": "ana", "aud": "https://crm.acme.example/mcp", "client_id": "portal",
        "jti": "at_01", "iat": 1_795_255_100, "exp": 1_795_255_400, "scope": "crm.read crm.refund",
        "acr": "urn:acme:loa:2", "amr": ["pwd", "otp"],
        "act": {"iss": issuer, "sub": "spiffe://acme.example/agent/support-bot"},
    });
    let text = format!("{}.{}", encode(&header), encode(&claims));
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &secret, signs);
    let signature = signature.unwrap_or_else(|error| unreachable!("{error}"));
    let document = json!({ "keys": [jwk] }).to_string();
    let keys = Keys::parse(document.as_bytes(), Use::Signatures, &Algorithm::ALL);
    let keys = Arc::new(keys.unwrap_or_else(|fault| unreachable!("{fault}")));
    let trusted = Issuer {
        name: issuer.into(),
        algorithms: Algorithm::ALL.to_vec(),
        audience: vec![],
        kinds: vec![TokenKind::AccessToken],
        lifetime_max_s: Some(3600),
        human: Some(HumanClaims { claim: "sub".into(), kind: "Human".into(), unregistered: None }),
        agent_claim: None,
    };
    Signed {
        config: Arc::new(TrustConfig {
            actor_depth_max: 4,
            issuers: vec![trusted],
            ..TrustConfig::default()
        }),
        keys: [(issuer.into(), KeySet { keys, digest: [0; 32] })].into(),
        credentials: Credentials {
            subject: Some(Token::new(format!("{text}.{signature}"))),
            ..Credentials::default()
        },
    }
}

impl Signed {
    /// A trust that has seen no token yet.
    pub fn trust(&self) -> Arc<Trust> {
        Arc::new(Trust::new(self.config.clone(), &self.keys))
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
