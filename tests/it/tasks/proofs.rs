//! Tasks that are started with tokens of people and agents, and used with proofs of their keys.
//! Never a caller's word.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::api::proto::v1::credentials::Proof;
use palisade::diagnostic::File;
use palisade::identity::{
    Algorithm, Domain, HumanClaims, Issuer, KeySet, Keys, Role, TokenKind, Trust, TrustConfig, Use,
};
use palisade::task::Rules;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tonic::Code;

use super::{Desk, Held, PERMITTED, call, held, names, refund, wanted};
use crate::asks::uid;
use crate::pdp::{ISSUER, NOW, TestPdp, caller, shipped_files, snapshot, task_rules};
use crate::tokens::{self, Signer, b64};

/// The audience of the customer system.
const CRM: &str = "https://crm.acme.example/mcp";
const URL: &str = "https://gateway.acme.example/mcp";

/// A PDP that believes an issuer and a trust domain, and no caller's word.
struct House {
    desk: Desk,
    /// Signs tokens of people, and those of agents.
    authority: Signer,
    /// The key of the agent.
    agent: Signer,
    /// A gateway that may neither assert nor attest.
    tasks: super::Tasks,
    client: crate::pdp::Client,
    proofs: AtomicU64,
}

impl House {
    async fn open(files: &[File]) -> Self {
        let (authority, agent) = (Signer::new(), Signer::new());
        let builder = TestPdp::builder()
            .snapshot(snapshot(files))
            .tasks(Rules { asserted: false, ..task_rules() })
            .caller("t-plain", caller("plain", &[Role::Authorize, Role::Tasks]));
        let desk = Desk::of(builder).await;
        desk.pdp.pdp.trust(Arc::new(trust(&authority)));
        let tasks = desk.pdp.tasks_of("t-plain").await;
        let client = desk.pdp.client_of(Some("t-plain")).await;
        Self { desk, authority, agent, tasks, client, proofs: AtomicU64::new(0) }
    }

    /// A token of a person for these audiences.
    fn person(&self, id: &str, jti: &str, audience: &[&str]) -> String {
        let now_s = NOW.seconds();
        self.authority.token(
            "as",
            &json!({
                "iss": tokens::ISSUER, "sub": id, "aud": audience, "client_id": "portal", "jti": jti,
                "iat": now_s - 60, "exp": now_s + 600,
            }),
        )
    }

    /// A JWT-SVID of an agent for this server.
    fn svid(&self, agent: &str) -> String {
        let claims = json!({
            "sub": format!("spiffe://acme.example/agent/{agent}"), "aud": [ISSUER], "exp": NOW.seconds() + 600,
        });
        self.authority.sign(&json!({ "alg": "ES256", "typ": "JWT", "kid": "svid" }), &claims)
    }

    /// Lea starts a task for the lead bot, with tokens of both.
    fn wish(&self, jti: &str) -> v1::StartRequest {
        let scope = v1::Scope { servers: names(["crm"]), ..v1::Scope::default() };
        v1::StartRequest {
            credentials: Some(v1::Credentials {
                subject_token: self.person("lea", jti, &[ISSUER]),
                actor_token: self.svid("lead-bot"),
                ..v1::Credentials::default()
            }),
            purpose: Some(uid("Purpose::\"refund\"")),
            wanted: Some(v1::Wanted {
                scope: Some(scope),
                key_thumbprint: self.agent.thumbprint(),
                ..wanted()
            }),
            ..v1::StartRequest::default()
        }
    }

    async fn start(&self, request: v1::StartRequest) -> v1::StartResponse {
        self.tasks.clone().start(request).await.unwrap().into_inner()
    }

    async fn lent(&self, request: v1::StartRequest) -> Held {
        let answer = self.start(request).await;
        held(answer.decision, answer.task, answer.token, answer.state_revision)
    }

    async fn refused(&self, request: v1::StartRequest) -> (DenyReason, String) {
        let decision = self.start(request).await.decision.unwrap();
        (decision.reason(), decision.reason_text)
    }

    /// A fresh proof of a key for a token.
    fn proof(&self, key: &Signer, token: &str) -> v1::DpopProof {
        let jti = self.proofs.fetch_add(1, Ordering::SeqCst);
        Self::made(key, token, &json!({ "jti": format!("p-{jti}"), "iat": NOW.seconds() }))
    }

    fn made(key: &Signer, token: &str, claims: &Json) -> v1::DpopProof {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk() });
        let mut all = json!({ "htm": "POST", "htu": URL, "ath": b64(Sha256::digest(token)) });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        v1::DpopProof { proof: key.sign(&header, &all), method: "POST".into(), url: URL.into() }
    }

    async fn step(
        &self,
        token: &str,
        proof: v1::DpopProof,
        step: v1::AuthorizeRequest,
    ) -> (DenyReason, String) {
        let credentials = v1::Credentials {
            task_token: token.into(),
            proof: Some(Proof::Dpop(proof)),
            ..v1::Credentials::default()
        };
        let step = v1::AuthorizeRequest { credentials: Some(credentials), ..step };
        let answer = self.client.clone().authorize(step).await.unwrap().into_inner();
        (answer.reason(), answer.reason_text)
    }

    /// A step under a task, with a fresh proof.
    async fn proven(&self, task: &Held, step: v1::AuthorizeRequest) -> DenyReason {
        self.step(&task.token, self.proof(&self.agent, &task.token), step).await.0
    }
}

fn trust(authority: &Signer) -> Trust {
    let issuer = Issuer {
        name: tokens::ISSUER.into(),
        algorithms: vec![Algorithm::Es256],
        audience: vec![],
        kinds: vec![TokenKind::AccessToken],
        lifetime_max_s: None,
        human: Some(HumanClaims { claim: "sub".into(), kind: "Human".into(), unregistered: None }),
        // Who signs in, signs in with a portal; agents have tokens of their own.
        agent_claim: None,
    };
    let config = TrustConfig {
        audience: vec![ISSUER.into()],
        leeway_s: 30,
        actor_depth_max: 3,
        issuers: vec![issuer],
        domains: vec![Domain { name: "acme.example".into(), audience: vec![] }],
    };
    let set = |kid: &str, purpose: &str, keys_use| {
        let mut jwk = authority.jwk();
        (jwk["kid"], jwk["use"]) = (kid.into(), purpose.into());
        let text = json!({ "keys": [jwk] }).to_string();
        let keys = Keys::parse(text.as_bytes(), keys_use, &[Algorithm::Es256]).unwrap();
        KeySet { keys: Arc::new(keys), digest: Sha256::digest(text).into() }
    };
    let keys = BTreeMap::from([
        (tokens::ISSUER.into(), set("as", "sig", Use::Signatures)),
        ("acme.example".into(), set("svid", "jwt-svid", Use::JwtSvid)),
    ]);
    Trust::new(Arc::new(config), &keys)
}

fn export() -> v1::AuthorizeRequest {
    call("crm/export_customers", &json!({}))
}

fn mail() -> v1::AuthorizeRequest {
    call("crm/send_email", &json!({ "to": "eve@evil.example", "subject": "s", "body": "b" }))
}

#[tokio::test]
async fn tokens_of_the_person_and_the_agent_start_a_task_that_its_key_uses() {
    let house = House::open(&shipped_files()).await;
    let task = house.lent(house.wish("t-1")).await;
    assert_eq!(house.proven(&task, refund(1)).await, PERMITTED);
    let record = house.desk.pdp.ledger.last();
    assert_eq!(record["principal"], super::entity("Human::\"lea\""));
    assert_eq!((&record["assurance"], &record["actor_assurance"]), (&"verified".into(), &"verified".into()));
    let started = &house.desk.records("task")[0];
    assert_eq!(
        (&started["assurance"], &started["actor_assurance"]),
        (&"verified".into(), &"verified".into())
    );
    assert_eq!(started["key"], house.agent.thumbprint());
    let decided = &house.desk.records("decided")[0];
    assert_eq!(decided["token"]["issuer"], tokens::ISSUER);
    for record in house.desk.pdp.ledger.records() {
        assert!(!record.to_string().contains("eyJ"), "no token is recorded: {record}");
    }
}

#[tokio::test]
async fn a_proof_counts_once_for_its_own_token_request_and_key() {
    let house = House::open(&shipped_files()).await;
    let (task, other) = (house.lent(house.wish("t-1")).await, house.lent(house.wish("t-2")).await);
    let stranger = Signer::new();
    let iat = |iat: i64| json!({ "jti": "p", "iat": iat });
    let now_s = NOW.seconds();
    for (proof, why) in [
        (house.proof(&stranger, &task.token), "another key"),
        (house.proof(&house.agent, &other.token), "another token"),
        (House::made(&house.agent, &task.token, &iat(now_s - 61)), "too old"),
        (House::made(&house.agent, &task.token, &iat(now_s + 6)), "from the future"),
        (
            House::made(&house.agent, &task.token, &json!({ "jti": "p", "iat": now_s, "htm": "GET" })),
            "method",
        ),
        (House::made(&house.agent, &task.token, &json!({ "jti": "p", "iat": now_s, "htu": CRM })), "URL"),
        (v1::DpopProof { proof: "a.b.c".into(), method: "POST".into(), url: URL.into() }, "no proof"),
    ] {
        let (reason, words) = house.step(&task.token, proof, refund(1)).await;
        assert_eq!(reason, DenyReason::Unauthenticated, "{why}: {words}");
    }
    let proof = house.proof(&house.agent, &task.token);
    assert_eq!(house.step(&task.token, proof.clone(), refund(1)).await.0, PERMITTED);
    let (reason, words) = house.step(&task.token, proof, refund(1)).await;
    assert_eq!(reason, DenyReason::Unauthenticated, "used before: {words}");
    let attested = Held { key: house.agent.thumbprint(), ..task.clone() };
    let said = super::under(&attested, refund(1));
    let answer = house.client.clone().authorize(said).await.unwrap().into_inner();
    assert_eq!(answer.reason(), DenyReason::Unauthenticated, "who may not attest says nothing of keys");
    assert_eq!(house.desk.get(&task.id).await.calls_spent, 1);
}

#[tokio::test]
async fn a_token_for_another_audience_or_an_old_one_starts_nothing() {
    let house = House::open(&shipped_files()).await;
    let with = |subject: String| {
        let mut request = house.wish("t");
        request.credentials.as_mut().unwrap().subject_token = subject;
        request
    };
    for audience in [&[CRM][..], &["https://elsewhere.example"], &[]] {
        let (reason, words) = house.refused(with(house.person("lea", "t", audience))).await;
        assert_eq!(reason, DenyReason::Unauthenticated, "{words}");
    }
    house.lent(with(house.person("lea", "both", &[CRM, ISSUER]))).await;
    let mut forged = house.person("lea", "t", &[ISSUER]);
    forged.pop();
    assert_eq!(house.refused(with(forged)).await.0, DenyReason::Unauthenticated);
    assert_eq!(house.refused(with(house.person("eve", "t", &[ISSUER]))).await.0, DenyReason::Unauthenticated);
    house.desk.pdp.clock().advance_s(631);
    assert_eq!(house.refused(house.wish("late")).await.0, DenyReason::Unauthenticated, "it has expired");
}

#[tokio::test]
async fn an_agent_that_is_only_named_starts_no_task() {
    let house = House::open(&shipped_files()).await;
    let mut request = house.wish("t");
    request.credentials.as_mut().unwrap().actor_token.clear();
    request.subject = super::subject("Human::\"lea\"", "Agent::\"lead-bot\"");
    let (reason, words) = house.refused(request.clone()).await;
    assert_eq!(reason, DenyReason::Unauthenticated, "{words}");
    let of_asserting = house.desk.start(request).await.decision.unwrap();
    assert_eq!(of_asserting.reason(), DenyReason::Unauthenticated);
    assert!(of_asserting.reason_text.contains("`tasks.asserted`"), "{}", of_asserting.reason_text);
}

#[tokio::test]
async fn a_credential_starts_one_task_unless_a_policy_permits_another() {
    let house = House::open(&shipped_files()).await;
    house
        .refused(v1::StartRequest { purpose: Some(uid("Purpose::\"development\"")), ..house.wish("t-1") })
        .await;
    let looked = v1::StartRequest { mode: v1::Mode::Preview.into(), ..house.wish("t-1") };
    assert_eq!(house.refused(looked).await.0, PERMITTED, "neither a deny nor a preview uses it up");
    let task = house.lent(house.wish("t-1")).await;
    assert_eq!(house.refused(house.wish("t-1")).await.0, DenyReason::NoPermit);
    let record = house.desk.pdp.ledger.last();
    assert_eq!(record["action"], super::entity("Action::\"tasks/start-again\""));
    house.desk.end(&Held { key: String::new(), ..task.clone() }, v1::Ending::Completed).await.unwrap_err();
    let end = v1::EndRequest {
        task: Some(super::by_id(&task.id)),
        ending: v1::Ending::Completed.into(),
        ..v1::EndRequest::default()
    };
    house.tasks.clone().end(end).await.unwrap();
    assert_eq!(house.refused(house.wish("t-1")).await.0, DenyReason::NoPermit, "used is used");
    house.lent(house.wish("t-2")).await;

    let mut files = shipped_files();
    files.push(File::new(
        "policies/again.cedar",
        r#"@id("test/again") permit (principal, action == Action::"tasks/start-again", resource);"#,
    ));
    let house = House::open(&files).await;
    for _ in 0..3 {
        house.lent(house.wish("t-1")).await;
    }
}

#[tokio::test]
async fn starts_with_one_credential_at_once_make_one_task() {
    let house = House::open(&shipped_files()).await;
    let starts = (0..8).map(|_| {
        let (mut tasks, request) = (house.tasks.clone(), house.wish("t-1"));
        async move { tasks.start(request).await }
    });
    let mut begun = 0;
    for answer in futures_util::future::join_all(starts).await {
        match answer.map(|answer| answer.into_inner().decision.unwrap().reason()) {
            Ok(PERMITTED) => begun += 1,
            Ok(reason) => assert_eq!(reason, DenyReason::NoPermit),
            Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
        }
    }
    assert_eq!((begun, house.desk.pdp.life().tasks().open_len()), (1, 1));
}

#[tokio::test]
async fn after_restricted_data_a_tasks_way_out_is_closed() {
    let house = House::open(&shipped_files()).await;
    let (task, other) = (house.lent(house.wish("t-1")).await, house.lent(house.wish("t-2")).await);
    assert_eq!(house.proven(&task, mail()).await, PERMITTED);
    let preview = super::preview(export());
    assert_eq!(house.proven(&task, preview).await, PERMITTED);
    assert_eq!(house.proven(&task, mail()).await, PERMITTED, "a preview has seen nothing");
    assert_eq!(house.proven(&task, export()).await, PERMITTED);
    let proof = house.proof(&house.agent, &task.token);
    let (reason, words) = house.step(&task.token, proof, mail()).await;
    assert_eq!(reason, DenyReason::Forbidden);
    assert!(words.contains("restricted data was read in this task"), "{words}");
    assert_eq!(house.proven(&task, refund(1)).await, PERMITTED, "the rest goes on");
    assert_eq!(house.proven(&other, mail()).await, PERMITTED, "and so do other tasks");
    assert_eq!(house.desk.get(&task.id).await.data_classes_seen, ["customer", "payment", "restricted"]);
}

#[tokio::test]
async fn a_part_goes_to_an_agent_that_shows_its_own_token() {
    let house = House::open(&shipped_files()).await;
    let task = house.lent(house.wish("t-1")).await;
    let part_key = Signer::new();
    let request = |actor_token: String| v1::DelegateRequest {
        task: Some(v1::Handle {
            task: Some(v1::handle::Task::Token(task.token.clone())),
            proof: Some(v1::handle::Proof::Dpop(house.proof(&house.agent, &task.token))),
        }),
        actor_token,
        wanted: Some(v1::Wanted { key_thumbprint: part_key.thumbprint(), ..v1::Wanted::default() }),
        ..v1::DelegateRequest::default()
    };
    let mut tasks = house.tasks.clone();
    let answer = tasks.delegate(request(house.svid("support-bot"))).await.unwrap().into_inner();
    let part = held(answer.decision, answer.task, answer.token, answer.state_revision);
    let proof = house.proof(&part_key, &part.token);
    assert_eq!(house.step(&part.token, proof, refund(1)).await.0, PERMITTED);
    let of_the_whole = house.proof(&house.agent, &part.token);
    assert_eq!(house.step(&part.token, of_the_whole, refund(1)).await.0, DenyReason::Unauthenticated);
    for token in [house.svid("nobody"), house.person("lea", "t", &[ISSUER]), "a.b.c".into()] {
        let denied = tasks.delegate(request(token)).await.unwrap().into_inner().decision.unwrap();
        assert_eq!(denied.reason(), DenyReason::Unauthenticated, "{}", denied.reason_text);
    }
}
