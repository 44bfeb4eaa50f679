//! Clients that speak OAuth only, over real sockets: keys, introspection, access tokens of single servers.
//! Never a signature that is believed without its key.

use std::fmt::Write as _;

use jsonwebtoken::{Algorithm, DecodingKey};
use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_request::Question;
use palisade::api::proto::v1::credentials::Proof;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::super::http::{self, Answer};
use super::super::place::Place;
use super::super::server::{Server, tool_call};
use super::desk::{self, Desk, GATEWAY, Lent, wish};
use crate::tokens::{Signer, now_s, unb64};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Where tokens of the customer system are for.
const CRM: &str = "https://crm.acme.example/mcp";
/// The same of a server that is outside of the task.
const GIT: &str = "https://git.acme.example/mcp";

const LOOKUP: (&str, &str) = ("crm", "lookup_customer");

/// A task that is bound to a key, and the key.
struct World {
    place: Place,
    server: Server,
    holder: Signer,
    task: Lent,
    proofs: u32,
}

impl World {
    fn new() -> Self {
        let place = desk::place("");
        let facts = std::fs::read_to_string(place.bundle().join("tools/git.facts.yaml")).unwrap();
        place.write("tools/git.facts.yaml", &format!("audience: {GIT}\n{facts}"));
        let server = place.start();
        let holder = Signer::new();
        let task = Desk::gateway(&server).begin(wish(&holder.thumbprint()));
        Self { place, server, holder, task, proofs: 0 }
    }

    /// A proof for the token endpoint. No token is shown there, so it has no `ath` (RFC 9449, section 5).
    fn proof(&mut self, signer: &Signer) -> String {
        self.proofs += 1;
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": signer.jwk() });
        let url = format!("http://{}/oauth2/token", self.server.http);
        let claims =
            json!({ "jti": format!("p-{}", self.proofs), "htm": "POST", "htu": url, "iat": now_s() });
        signer.sign(&header, &claims)
    }

    /// Asks for an access token of one server.
    fn exchange(&self, token: &str, resource: &str, proof: Option<&str>) -> Answer {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", JWT),
            ("resource", resource),
        ];
        let headers: Vec<_> = proof.map(|proof| ("DPoP", proof)).into_iter().collect();
        http::post(self.server.http, "/oauth2/token", &headers, &form)
    }

    fn introspect(&self, token: &str) -> Json {
        let bearer = format!("Bearer {GATEWAY}");
        let headers = [("Authorization", &*bearer)];
        let answer = http::post(self.server.http, "/oauth2/introspect", &headers, &[("token", token)]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// An access token of the customer system.
    fn access(&mut self) -> String {
        let proof = self.proof(&self.holder.clone());
        let answer = self.exchange(&self.task.token, CRM, Some(&proof));
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        assert_eq!((&body["token_type"], &body["issued_token_type"]), (&"DPoP".into(), &ACCESS_TOKEN.into()));
        assert!(body["expires_in"].as_i64().is_some_and(|left| (1..=3600).contains(&left)), "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    /// A tool of a server is called with an access token and a proof for it.
    fn step(
        &mut self,
        token: &str,
        (server, tool): (&str, &str),
        arguments: &Json,
        url: &str,
    ) -> v1::AuthorizeRequest {
        self.proofs += 1;
        let proof = self.holder.proof(token, url, &format!("p-{}", self.proofs));
        let dpop = v1::DpopProof { proof, method: "POST".into(), url: url.into() };
        let credentials = v1::Credentials {
            subject_token: token.into(),
            proof: Some(Proof::Dpop(dpop)),
            ..Default::default()
        };
        let mut request = tool_call(tool, arguments);
        (request.subject, request.credentials) = (None, Some(credentials));
        if let Some(Question::Mcp(message)) = &mut request.question {
            server.clone_into(&mut message.server);
        }
        request
    }
}

/// A part of a token, as JSON.
fn part(token: &str, at: usize) -> Json {
    serde_json::from_slice(&unb64(token.split('.').nth(at).unwrap())).unwrap()
}

/// Whether somebody who has nothing but the published keys finds the signature good.
fn is_signed(token: &str, keys: &Json) -> bool {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let header = part(token, 0);
    let of_kid = |key: &&Json| key["kid"] == header["kid"] && key["alg"] == header["alg"];
    let key = keys["keys"].as_array().unwrap().iter().find(of_kid).expect("the key that signed is published");
    let (x, y) = (key["x"].as_str().unwrap(), key["y"].as_str().unwrap());
    let key = DecodingKey::from_ec_components(x, y).unwrap();
    jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, Algorithm::ES256).unwrap()
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap().to_owned())
}

#[test]
fn the_published_keys_alone_show_where_a_task_s_token_comes_from() {
    let mut world = World::new();
    let answer = http::request(world.server.http, "GET", "/.well-known/jwks.json", &[]);
    assert!(answer.head.to_ascii_lowercase().contains("content-type: application/json"), "{answer:?}");
    let keys = answer.json();
    let private = keys["keys"].as_array().unwrap().iter().any(|key| key.get("d").is_some());
    assert!(!private, "{keys}");
    let access = world.access();
    let task = world.task.token.clone();
    for token in [&task, &access] {
        assert!(is_signed(token, &keys));
        let (head, rest) = token.split_once('.').unwrap();
        let (claims, signature) = rest.split_once('.').unwrap();
        let mut other = part(token, 1);
        other["exp"] = (other["exp"].as_i64().unwrap() + 1).into();
        let other = crate::tokens::b64(other.to_string());
        assert!(other != claims && !is_signed(&format!("{head}.{other}.{signature}"), &keys));
    }
    let (task, access) = (part(&task, 1), part(&access, 1));
    assert_eq!((&task["txn"], &access["txn"]), (&json!(world.task.id), &json!(world.task.id)));
    assert_eq!((&task["aud"], &access["aud"]), (&task["iss"], &json!(CRM)));
    let bound = json!({ "jkt": world.holder.thumbprint() });
    assert_eq!((&task["cnf"], &access["cnf"]), (&bound, &bound));
    assert_eq!((&access["sub"], &access["act"]["sub"]), (&json!("ana"), &json!("support-bot")));
}

#[test]
fn introspection_says_what_is_in_force_and_nothing_of_what_is_not() {
    let mut world = World::new();
    let access = world.access();
    let task = world.task.token.clone();
    let inactive = json!({ "active": false });
    for (token, typ, audience) in
        [(&task, "palisade-task+jwt", part(&task, 1)["iss"].clone()), (&access, "at+jwt", json!(CRM))]
    {
        let said = world.introspect(token);
        assert_eq!(
            (&said["active"], &said["typ"], &said["aud"]),
            (&json!(true), &json!(typ), &audience),
            "{said}"
        );
        assert_eq!((&said["txn"], &said["sub"]), (&json!(world.task.id), &json!("ana")));
        assert_eq!(said["cnf"]["jkt"], world.holder.thumbprint());
    }
    let mut cut = access.clone();
    cut.truncate(access.len() - 2);
    for token in ["nonsense", &*cut, &format!("{task}x"), GATEWAY] {
        assert_eq!(world.introspect(token), inactive);
    }
    let unknown = http::post(
        world.server.http,
        "/oauth2/introspect",
        &[("Authorization", "Bearer t-nobody")],
        &[("token", &task)],
    );
    assert_eq!(unknown.status, 401, "{unknown:?}");
    Desk::gateway(&world.server).end(&world.task.id, v1::Ending::Completed, "").unwrap();
    for token in [&task, &access] {
        assert_eq!(world.introspect(token), inactive);
    }
    let holder = world.holder.clone();
    let proof = world.proof(&holder);
    assert_eq!(error(&world.exchange(&task, CRM, Some(&proof))), (400, "invalid_grant".into()));
}

#[test]
fn a_refused_introspection_is_on_record() {
    let place = desk::place("");
    let digest = Sha256::digest("t-plain").iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let plain = format!("  - {{ name: plain, token_sha256: {digest}, roles: [outcome], servers: '*' }}\n");
    place.configure(&format!("tasks: {{ asserted: true }}\n{}{plain}", desk::callers()));
    let server = place.start();
    let headers = [("Authorization", "Bearer t-plain")];
    let answer = http::post(server.http, "/oauth2/introspect", &headers, &[("token", "t.secret.x")]);
    assert_eq!(answer.status, 403, "{answer:?}");
    let refusals = place.records_of("admin");
    let [refusal] = refusals.as_slice() else { panic!("{refusals:?}") };
    let said = [&refusal["face"], &refusal["caller"], &refusal["call"], &refusal["outcome"]];
    assert_eq!(said, [&json!("http"), &json!("plain"), &json!("introspect"), &json!("refused")], "{refusal}");
    assert!(refusal["reason"].as_str().unwrap().contains("role") && !refusal.to_string().contains("secret"));
}

#[test]
fn an_access_token_of_one_server_is_good_for_that_server_alone() {
    let mut world = World::new();
    let access = world.access();
    let customer = json!({ "customer_id": "c-1" });
    let desk = Desk::gateway(&world.server);
    let good = world.step(&access, LOOKUP, &customer, CRM);
    let answer = desk.may(good.clone()).unwrap();
    assert_eq!(answer.decision(), v1::Decision::Permit, "{answer:?}");
    let again = desk.may(good).unwrap();
    assert_eq!(again.reason(), v1::DenyReason::Unauthenticated, "the proof was used: {again:?}");
    let elsewhere = world.step(&access, ("git", "git_status"), &json!({ "repo_path": "/src" }), GIT);
    let elsewhere = desk.may(elsewhere).unwrap();
    assert_eq!(elsewhere.reason(), v1::DenyReason::OutOfScope, "{elsewhere:?}");
    let beyond = world.step(&access, ("crm", "issue_refund"), &json!({ "order": "o-1", "amount": 10 }), CRM);
    let beyond = desk.may(beyond).unwrap();
    assert_eq!(beyond.reason(), v1::DenyReason::OutOfScope, "{beyond:?}");
    let mut unproven = world.step(&access, LOOKUP, &customer, CRM);
    unproven.credentials.as_mut().unwrap().proof = None;
    assert_eq!(desk.may(unproven).unwrap().reason(), v1::DenyReason::BindingMissing);
    assert_eq!(desk.get(&world.task.id).unwrap().calls_spent, 1, "it is the task's budget");
    // It is no task token, so nothing more is had for it.
    let holder = world.holder.clone();
    let proof = world.proof(&holder);
    assert_eq!(error(&world.exchange(&access, CRM, Some(&proof))), (400, "invalid_grant".into()));
    desk.end(&world.task.id, v1::Ending::Completed, "").unwrap();
    let over = world.step(&access, LOOKUP, &customer, CRM);
    assert_eq!(desk.may(over).unwrap().reason(), v1::DenyReason::TaskRevoked);
}

#[test]
fn an_exchange_is_refused_without_the_key_and_beyond_the_task() {
    let mut world = World::new();
    let (token, holder) = (world.task.token.clone(), world.holder.clone());
    for target in [GIT, "https://nobody.example/mcp"] {
        let proof = world.proof(&holder);
        let refused = world.exchange(&token, target, Some(&proof));
        assert_eq!(error(&refused), (400, "invalid_target".into()), "{refused:?}");
    }
    assert_eq!(error(&world.exchange(&token, CRM, None)), (400, "invalid_dpop_proof".into()));
    let stranger = world.proof(&Signer::new());
    let refused = world.exchange(&token, CRM, Some(&stranger));
    assert_eq!(refused.status, 400, "{refused:?}");
    let proof = world.proof(&holder);
    assert_eq!(world.exchange(&token, CRM, Some(&proof)).status, 200);
    assert_eq!(world.exchange(&token, CRM, Some(&proof)).status, 400, "each proof is taken once");
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    let proof = world.proof(&holder);
    assert_eq!(error(&world.exchange(&forged, CRM, Some(&proof))), (400, "invalid_grant".into()));
    // What was issued is on record, and what was refused never left as a token.
    let records = world.place.records_of("task").into_iter();
    assert_eq!(records.filter(|record| record["move"] == "exchanged").count(), 1);
}
