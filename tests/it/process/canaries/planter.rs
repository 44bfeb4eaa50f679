//! Plants secrets in requests: in good ones, and in those that differ from them in one thing.
//! Never plants the same twice.

use std::collections::HashSet;

use palisade::api::proto::v1;
use palisade::api::proto::v1::credentials::Proof;
use serde_json::{Value as Json, json};

use super::super::server::tool_call;
use crate::tokens::{AUDIENCE, ISSUER, Signer, b64, claims, now_s, unsigned, with};

/// Every one begins so. Its length is one that base64 leaves whole.
pub const CANARY: &str = "c4n4ry";
/// How much of a signature is enough to know it again.
pub const SIGNATURE: usize = 16;
/// Issues tokens that name no agent.
pub const LOGIN: &str = "https://login.acme.example";
const BOT: &str = "spiffe://acme.example/agent/support-bot";
const MCP: &str = "https://crm.acme.example/mcp";

/// The keys that sign, and the secrets so far.
pub struct Planter {
    /// Signs for everybody who is trusted.
    pub signer: Signer,
    /// Nobody's.
    pub stranger: Signer,
    holder: Signer,
    /// How many secrets there are so far.
    pub planted: usize,
    /// The beginnings of the signatures of tokens.
    pub signatures: HashSet<String>,
}

impl Planter {
    /// Nothing is planted yet.
    pub fn new() -> Self {
        let (signer, stranger, holder) = (Signer::new(), Signer::new(), Signer::new());
        Self { signer, stranger, holder, planted: 0, signatures: HashSet::new() }
    }

    /// Another secret.
    pub fn next(&mut self) -> String {
        self.planted += 1;
        format!("{CANARY}-{:05}-{:08x}", self.planted, self.planted.wrapping_mul(0x9e37_79b9) & 0xffff_ffff)
    }

    /// Remembers the signature of a token, which is a secret too.
    fn keep(&mut self, token: String) -> String {
        let (_, signature) = token.rsplit_once('.').expect("a token has a signature");
        self.signatures.insert(signature[..SIGNATURE].to_owned());
        token
    }

    /// A good token.
    pub fn token(&mut self, claims: &Json) -> String {
        let token = self.signer.token("k1", claims);
        self.keep(token)
    }

    /// Good claims, with secrets in those that no record has.
    pub fn claims(&mut self) -> Json {
        let mut claims = with(&claims("ana", BOT), "acr", self.next());
        claims["amr"] = json!([self.next()]);
        claims["scope"] = format!("crm.read {}", self.next()).into();
        claims["email"] = self.next().into();
        claims["address"] = json!({ "street": [self.next()] });
        claims
    }

    fn svid(&mut self, agent: &str) -> String {
        let claims = json!({ "sub": agent, "aud": AUDIENCE, "exp": now_s() + 600, "email": self.next() });
        let token = self.signer.sign(&json!({ "alg": "ES256", "kid": "k1" }), &claims);
        self.keep(token)
    }

    fn bound(&mut self) -> String {
        let claims = with(&self.claims(), "cnf", json!({ "jkt": self.holder.thumbprint() }));
        self.token(&claims)
    }

    fn proof(&mut self, token: &str) -> String {
        let id = self.next();
        let proof = self.holder.proof(token, MCP, &id);
        self.keep(proof)
    }

    /// A call with a secret among its arguments.
    pub fn call(&mut self, subject_token: String) -> v1::AuthorizeRequest {
        let mut request = tool_call("lookup_customer", &json!({ "customer_id": self.next() }));
        request.subject = None;
        request.credentials = Some(v1::Credentials { subject_token, ..Default::default() });
        request
    }

    /// Calls that are permitted: by tokens, with proofs, with a token of the agent's own, and without any.
    pub fn good(&mut self) -> Vec<v1::AuthorizeRequest> {
        let claims = self.claims();
        let plain = self.token(&claims);
        let bound = self.bound();
        let proof = dpop(self.proof(&bound), MCP.to_owned());
        let claims = with(&self.claims(), "iss", LOGIN);
        let alone = self.token(&claims);
        let actor = self.svid(BOT);
        let mut asserted = self.call(String::new());
        (asserted.credentials, asserted.subject) = (None, tool_call("", &Json::Null).subject);
        vec![
            self.call(plain),
            with_proof(self.call(bound), proof),
            with_actor(self.call(alone), actor),
            asserted,
        ]
    }

    /// Signed tokens that are refused for what they say.
    pub fn refused(&mut self) -> Vec<v1::AuthorizeRequest> {
        let good = self.claims();
        let (secret, another) = (self.next(), self.next());
        let changed: Vec<Json> = vec![
            with(&good, "exp", now_s() - 3600),
            with(&good, "nbf", now_s() + 3600),
            with(&good, "aud", secret.as_str()),
            with(&good, "iss", format!("https://{secret}.example")),
            with(&good, "sub", secret.as_str()),
            with(&good, "client_id", secret.as_str()),
            with(&good, "jti", json!([secret])),
            with(&good, "act", json!({ "sub": secret })),
            with(&good, "cnf", json!({ "jkt": secret })),
            with(&good, "cnf", json!({ "unknown": another })),
        ];
        let mut tokens: Vec<String> = changed.iter().map(|claims| self.token(claims)).collect();
        let every = json!({ "iss": ISSUER, "sub": self.next(), "aud": self.next(), "jti": self.next(), "exp": now_s() + 60 });
        let forged = self.stranger.token("k1", &every);
        let kid = self.next();
        let unknown = self.signer.token(&kid, &every);
        tokens.extend([self.keep(forged), self.keep(unknown)]);
        let agent = format!("spiffe://acme.example/agent/{}", self.next());
        tokens.push(self.svid(&agent));
        tokens.into_iter().map(|token| self.call(token)).collect()
    }

    /// What is no token at all, or none that can be read.
    pub fn malformed(&mut self) -> Vec<v1::AuthorizeRequest> {
        let good = self.claims();
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k1" });
        let first = unsigned(&header, &good);
        let texts = [
            self.next(),
            format!("{0}.{0}.{0}", self.next()),
            format!("Bearer {}", self.next()),
            format!("{first}.{}", self.next()),
            format!("{first}.{}", b64(self.next())),
            format!("{first}.{}.{}.{}", self.next(), self.next(), self.next()),
            format!("{}.{}", unsigned(&json!({ "alg": self.next() }), &good), b64(self.next())),
            format!("{}.{}", unsigned(&with(&header, "typ", self.next()), &good), b64(self.next())),
            format!("{}.{}", unsigned(&with(&header, "jku", self.next()), &good), b64(self.next())),
            format!("{}.{}", unsigned(&header, &json!(self.next())), b64(self.next())),
            format!("{}.{}.x", b64(header.to_string()), b64(format!("{{\"sub\":\"{}\"", self.next()))),
        ];
        texts.into_iter().map(|text| self.call(text)).collect()
    }

    /// Good tokens beside something that is not.
    pub fn beside(&mut self) -> Vec<v1::AuthorizeRequest> {
        let claims = self.claims();
        let plain = self.token(&claims);
        let bound = self.bound();
        let late = json!({ "jti": self.next(), "htm": self.next(), "htu": self.next(), "iat": 1, "ath": self.next() });
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.holder.jwk() });
        let late = self.holder.sign(&header, &late);
        let proofs = [
            dpop(self.next(), MCP.to_owned()),
            dpop(self.keep(late), MCP.to_owned()),
            dpop(self.proof(&bound), format!("https://{}.example/?key={}", self.next(), self.next())),
            dpop(self.proof(&plain), MCP.to_owned()),
            Proof::KeyThumbprint(self.next()),
            Proof::CertificateSha256(self.next()),
        ];
        let mut requests: Vec<_> =
            proofs.into_iter().map(|proof| with_proof(self.call(bound.clone()), proof)).collect();
        let agent = format!("spiffe://acme.example/agent/{}", self.next());
        for actor in [self.svid(&agent), self.next(), plain.clone()] {
            requests.push(with_actor(self.call(plain.clone()), actor));
        }
        requests
    }

    /// Arguments that do not fit.
    pub fn arguments(&mut self) -> Vec<v1::AuthorizeRequest> {
        vec![
            tool_call("lookup_customer", &json!({ "customer_id": { "deep": self.next() } })),
            tool_call(
                "issue_refund",
                &json!({ "order": self.next(), "amount": 10_000, "note": self.next() }),
            ),
            tool_call(
                "send_email",
                &json!({ "to": self.next(), "subject": self.next(), "body": self.next() }),
            ),
            tool_call("no_such_tool", &json!({ "secret": self.next() })),
        ]
    }
}

fn dpop(proof: String, url: String) -> Proof {
    Proof::Dpop(v1::DpopProof { proof, method: "POST".into(), url })
}

fn with_proof(mut request: v1::AuthorizeRequest, proof: Proof) -> v1::AuthorizeRequest {
    request.credentials.as_mut().unwrap().proof = Some(proof);
    request
}

fn with_actor(mut request: v1::AuthorizeRequest, actor_token: String) -> v1::AuthorizeRequest {
    request.credentials.as_mut().unwrap().actor_token = actor_token;
    request
}
