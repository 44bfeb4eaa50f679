//! Whom the tests trust, and what a request brings: each hostile token differs from a good one in one thing.
//! Never lenient: the good ones are tested too (`good`), or everything could be refused for a wrong reason.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jsonwebtoken::Algorithm as Signs;
use sha2::{Digest, Sha256};

use super::super::*;
use super::maker::{ED, ES256, ES384, HOLDER, Object, Pair, RSA, quoted, sha256};

pub(super) const NOW: i64 = 1_795_256_200;
/// Issues access tokens and ID-JAGs of people.
pub(super) const AS: &str = "https://as.acme.example";
/// Issues access tokens of agents alone.
pub(super) const AGENTS: &str = "https://agents.acme.example";
/// Issues plain JWTs of people, some of them unregistered.
pub(super) const PLAIN: &str = "https://login.acme.example";
/// Issues ID-JAGs alone.
pub(super) const JAG: &str = "https://jag.acme.example";
pub(super) const PDP: &str = "https://pdp.acme.example";
pub(super) const AS_AUDIENCE: &str = "api://as-clients";
pub(super) const SERVER: &str = "https://mcp.acme.example/ledger";
pub(super) const URL: &str = "https://mcp.acme.example/ledger/mcp";
pub(super) const BOT: &str = "spiffe://acme.example/agent/close-bot";
pub(super) const PLANNER: &str = "spiffe://acme.example/agent/planner";
/// In every claim that names somebody. No error may hold it.
pub(super) const CANARY: &str = "cAnArY7Qx9";
/// A registered person.
pub(super) const ANA: &str = "ana-cAnArY7Qx9";

pub(super) struct World {
    pub(super) trust: Trust,
    pub(super) proofs: Proofs,
    agents: HashMap<AgentName, Uid>,
}

impl Directory for World {
    fn agent(&self, name: &AgentName) -> Option<&Uid> {
        self.agents.get(name)
    }

    fn knows(&self, uid: &Uid) -> bool {
        *uid == Uid::new("Human", ANA)
    }
}

impl World {
    pub(super) fn new() -> Self {
        let client = |id: &str, agent: &str| (AgentName::Client(id.into()), Uid::new("Agent", agent));
        let spiffe = |id: &str, agent: &str| {
            (AgentName::Spiffe(SpiffeId::parse(id).unwrap()), Uid::new("Agent", agent))
        };
        let agents = [
            client("close-bot", "close-bot"),
            client("mailer", "mailer"),
            spiffe(BOT, "close-bot"),
            spiffe(PLANNER, "planner"),
        ];
        Self {
            trust: Trust::new(Arc::new(config()), &key_sets()),
            proofs: Proofs::default(),
            agents: agents.into(),
        }
    }

    /// What comes of a request.
    pub(super) fn authenticate(&self, brings: &Brings) -> Result<Principal, Unauthenticated> {
        let caller = Caller {
            name: "gw".into(),
            roles: brings.roles.iter().copied().collect(),
            servers: Servers::All,
            agentless: false,
            authenticated: true,
        };
        let credentials = Credentials {
            subject: brings.subject.as_deref().map(Token::new),
            actor: brings.actor.as_deref().map(Token::new),
            task: None,
            proof: brings.proof.clone(),
            workload: brings.workload.clone(),
        };
        let asks = Asks {
            caller: &caller,
            claim: brings.claim.as_ref(),
            credentials: &credentials,
            server_audience: Some(SERVER),
            own_audience: None,
            now_s: brings.now_s,
        };
        super::super::authenticate(&self.trust, self, &self.proofs, &asks)
    }
}

pub(super) fn config() -> Config {
    let issuer = |name: &str, kinds: &[TokenKind], human, agent_claim: &str| Issuer {
        name: name.into(),
        algorithms: vec![
            Algorithm::Es256,
            Algorithm::Es384,
            Algorithm::Rs256,
            Algorithm::Ps256,
            Algorithm::EdDsa,
        ],
        audience: if name == AS { vec![AS_AUDIENCE.into()] } else { Vec::new() },
        kinds: kinds.to_vec(),
        lifetime_max_s: Some(3600),
        human,
        agent_claim: Some(agent_claim.into()),
    };
    let human =
        |claim: &str, unregistered| HumanClaims { claim: claim.into(), kind: "Human".into(), unregistered };
    let describe = Describe {
        parents: vec![ParentClaim { claim: "groups".into(), kind: "Team".into() }],
        attributes: [("guest".into(), crate::value::Value::Bool(true))].into_iter().collect(),
    };
    Config {
        audience: vec![PDP.into()],
        leeway_s: 30,
        actor_depth_max: 3,
        issuers: vec![
            issuer(AS, &[TokenKind::AccessToken, TokenKind::IdJag], Some(human("sub", None)), "client_id"),
            issuer(AGENTS, &[TokenKind::AccessToken], None, "azp"),
            issuer(PLAIN, &[TokenKind::Jwt], Some(human("email", Some(describe))), "azp"),
            issuer(JAG, &[TokenKind::IdJag], Some(human("sub", None)), "client_id"),
        ],
        domains: vec![Domain { name: "acme.example".into(), audience: vec!["spiffe-clients".into()] }],
    }
}

use super::super::TrustConfig as Config;

/// A JWKS of keys.
pub(super) fn jwks(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// The keys of every issuer. One RSA key stands under three names: pinned to RS256, pinned to PS256, and free.
pub(super) fn key_sets() -> BTreeMap<Arc<str>, KeySet> {
    let of_as = jwks(&[
        ES256.jwk(r#""kid":"es","alg":"ES256","use":"sig""#),
        ES384.jwk(r#""kid":"es-384""#),
        RSA.jwk(r#""kid":"rs","alg":"RS256""#),
        RSA.jwk(r#""kid":"ps","alg":"PS256","key_ops":["verify"]"#),
        RSA.jwk(r#""kid":"rsa""#),
        ED.jwk(r#""kid":"ed""#),
    ]);
    let svid = jwks(&[
        ES256.jwk(r#""kid":"svid","use":"jwt-svid""#),
        ED.jwk(r#""kid":"svid-ed","use":"jwt-svid""#),
        ES256.jwk(r#""kid":"x509","use":"x509-svid""#),
    ]);
    let one = |kid: &str| jwks(&[ES256.jwk(&format!(r#""kid":"{kid}""#))]);
    let set = |name: &str, text: &str, keys_use| {
        let keys = Keys::parse(text.as_bytes(), keys_use, &config().issuers[0].algorithms).unwrap();
        (name.into(), KeySet { keys: Arc::new(keys), digest: Sha256::digest(text).into() })
    };
    BTreeMap::from([
        set(AS, &of_as, Use::Signatures),
        set(AGENTS, &one("of-agents"), Use::Signatures),
        set(PLAIN, &one("of-plain"), Use::Signatures),
        set(JAG, &one("of-jag"), Use::Signatures),
        set("acme.example", &svid, Use::JwtSvid),
    ])
}

/// What a request brings.
#[derive(Debug, Clone)]
pub(super) struct Brings {
    pub(super) subject: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) proof: Option<Proof>,
    pub(super) workload: Option<SpiffeId>,
    pub(super) claim: Option<Claim>,
    pub(super) roles: Vec<Role>,
    pub(super) now_s: i64,
}

/// Only a subject's token, from a caller that may only ask.
pub(super) fn brings(subject: impl Into<String>) -> Brings {
    Brings {
        subject: Some(subject.into()),
        actor: None,
        proof: None,
        workload: None,
        claim: None,
        roles: vec![Role::Authorize],
        now_s: NOW,
    }
}

pub(super) fn header() -> Object {
    Object::of(&[("alg", r#""ES256""#), ("typ", r#""at+jwt""#), ("kid", r#""es""#)])
}

/// The claims of Ana's access token, issued to the client `close-bot`.
pub(super) fn claims() -> Object {
    Object::of(&[
        ("iss", &quoted(AS)),
        ("sub", &quoted(ANA)),
        ("aud", &quoted(PDP)),
        ("client_id", r#""close-bot""#),
        ("jti", &quoted(&format!("at-{CANARY}"))),
        ("iat", &(NOW - 60).to_string()),
        ("exp", &(NOW + 300).to_string()),
        ("scope", r#""ledger.read ledger.post""#),
    ])
}

/// An access token of the agent `close-bot` by the issuer of agents.
pub(super) fn agent_token(change: impl Fn(Object) -> Object) -> String {
    let claims =
        claims().set("iss", &quoted(AGENTS)).set("sub", r#""close-bot""#).set("azp", r#""close-bot""#);
    signed(&header().set("kid", r#""of-agents""#), &change(claims))
}

/// A JWT of the issuer that does not type its tokens.
pub(super) fn plain_token(change: impl Fn(Object) -> Object) -> String {
    let header = header().cut("typ").set("kid", r#""of-plain""#);
    let claims = claims()
        .set("iss", &quoted(PLAIN))
        .set("email", &quoted(&format!("eva-{CANARY}@acme.example")))
        .set("email_verified", "true");
    signed(&header, &change(claims.cut("client_id")))
}

pub(super) fn svid_header() -> Object {
    Object::of(&[("alg", r#""ES256""#), ("kid", r#""svid""#), ("typ", r#""JWT""#)])
}

pub(super) fn svid_claims() -> Object {
    Object::of(&[
        ("sub", &quoted(BOT)),
        ("aud", &format!("[{}]", quoted(PDP))),
        ("exp", &(NOW + 300).to_string()),
    ])
}

/// A token of the issuer's first key.
pub(super) fn signed(header: &Object, claims: &Object) -> String {
    ES256.sign(Signs::ES256, header.text(), claims.text())
}

/// Ana's token, bound to the holder's key.
pub(super) fn bound_token() -> String {
    signed(&header(), &claims().set("cnf", &format!(r#"{{"jkt":"{}"}}"#, HOLDER.thumbprint())))
}

pub(super) fn dpop_header(pair: &Pair) -> Object {
    Object::of(&[("typ", r#""dpop+jwt""#), ("alg", r#""ES256""#), ("jwk", &pair.jwk(""))])
}

pub(super) fn dpop_claims(token: &str) -> Object {
    Object::of(&[
        ("jti", &quoted(&format!("p-{CANARY}"))),
        ("htm", r#""POST""#),
        ("htu", &quoted(URL)),
        ("iat", &NOW.to_string()),
        ("ath", &quoted(&sha256(token))),
    ])
}

/// A proof for the request that the tests make.
pub(super) fn dpop(proof: impl Into<String>) -> Proof {
    Proof::Dpop { proof: Token::new(proof), method: "POST".into(), url: URL.into() }
}

/// The holder's proof for a token.
pub(super) fn good_proof(token: &str) -> Proof {
    dpop(HOLDER.sign(Signs::ES256, dpop_header(&HOLDER).text(), dpop_claims(token).text()))
}
