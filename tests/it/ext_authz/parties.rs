//! Who asks, when a gateway passes it on: claims, workloads, tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use palisade::api::ext_authz::Settings;
use palisade::identity::{
    Algorithm, HumanClaims, Issuer, KeySet, Keys, Role, TokenKind, Trust, TrustConfig, Use,
};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::ask::{Answer, Exchange, ISSUER, SUPPORT_BOT, ask, start, trust};
use crate::pdp::{NOW, TOKEN, TestPdp, caller};
use crate::tokens::{self, Signer, b64};

/// What is done to claims.
type Change = fn(&mut Json);

fn lookup() -> Exchange {
    Exchange::call("lookup_customer", &json!({"customer_id": "c-1"}))
}

fn claims(change: impl Fn(&mut Json)) -> Json {
    let now_s = NOW.0 / 1000;
    let mut claims = json!({
        "iss": ISSUER, "sub": "ana", "aud": "https://crm.acme.example/mcp", "iat": now_s, "exp": now_s + 600,
    });
    change(&mut claims);
    claims
}

async fn denied(pdp: &TestPdp, exchange: Exchange) -> (Answer, String) {
    let answer = exchange.ask(pdp).await;
    assert!(!answer.permit, "{answer:?}");
    let reason = pdp.ledger.last()["reason"].as_str().unwrap().to_owned();
    (answer, reason)
}

#[tokio::test]
async fn claims_and_workload_together_are_a_person_and_the_agent_that_acts() {
    let pdp = start().await;
    assert!(lookup().ask(&pdp).await.permit);
    let record = pdp.ledger.last();
    assert_eq!((&record["assurance"], &record["actor_assurance"]), (&"asserted".into(), &"asserted".into()));
    // An agent that nobody vouches for is no agent.
    let mut alone = lookup();
    alone.peer.clear();
    assert_eq!(denied(&pdp, alone.clone()).await.1, "ActorMissing");
    for peer in
        ["spiffe://acme.example/agent/nobody", "spiffe://evil.example/agent/support-bot", "support-bot"]
    {
        alone.peer = peer.into();
        assert_eq!(denied(&pdp, alone.clone()).await.1, "ActorMissing", "{peer}");
    }
    // An agent that works on its own.
    let own = lookup().unclaimed();
    denied(&pdp, own).await;
    assert_eq!(pdp.ledger.last()["principal"], json!({"type": "Agent", "id": "support-bot"}));
}

#[tokio::test]
async fn claims_name_the_agent_too_and_must_not_name_another_than_the_workload() {
    let pdp = start().await;
    let acting = |agent: &str| lookup().claims(&claims(|claims| claims["act"] = json!({"sub": agent})));
    let mut by_claims = acting(SUPPORT_BOT);
    assert!(by_claims.clone().ask(&pdp).await.permit);
    by_claims.peer.clear();
    assert!(by_claims.ask(&pdp).await.permit);
    let (answer, reason) = denied(&pdp, acting("spiffe://acme.example/agent/coder")).await;
    assert_eq!((reason.as_str(), answer.status), ("Unauthenticated", 401));
}

#[tokio::test]
async fn claims_that_the_token_itself_would_be_refused_for_are_refused() {
    let pdp = start().await;
    let changes: [(&str, Change); 9] = [
        ("another audience", |c| c["aud"] = "https://git.acme.example/mcp".into()),
        ("no audience", |c| drop(c.as_object_mut().unwrap().remove("aud"))),
        ("expired", |c| c["exp"] = (NOW.0 / 1000 - 60).into()),
        ("no end", |c| drop(c.as_object_mut().unwrap().remove("exp"))),
        ("not yet valid", |c| c["nbf"] = (NOW.0 / 1000 + 600).into()),
        ("bound to a key", |c| c["cnf"] = json!({"jkt": "x".repeat(43)})),
        ("nobody", |c| drop(c.as_object_mut().unwrap().remove("sub"))),
        ("an unregistered client", |c| c["client_id"] = "nobody".into()),
        ("an unregistered actor", |c| c["act"] = json!({"sub": "nobody"})),
    ];
    assert!(lookup().claims(&claims(|_| ())).ask(&pdp).await.permit);
    for (what, change) in changes {
        let (answer, _) = denied(&pdp, lookup().claims(&claims(change))).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
    }
    // Of two that it was told to believe, it chooses none.
    let two = json!({"one": claims(|_| ()), "other": claims(|claims| claims["sub"] = "bo".into())});
    denied(&pdp, lookup().metadata("envoy.filters.http.jwt_authn", &two)).await;
}

#[tokio::test]
async fn claims_are_believed_of_named_issuers_and_of_gateways_that_may_assert() {
    let pdp = start().await;
    let other = claims(|claims| claims["iss"] = "https://other.example".into());
    denied(&pdp, lookup().claims(&other)).await;
    assert_eq!(pdp.ledger.last()["principal"]["id"], "support-bot", "the claims of another issuer count");

    let settings = Settings { issuers: [ISSUER.to_owned()].into(), ..Settings::default() };
    let pdp =
        TestPdp::builder().caller(TOKEN, caller("gw", &[Role::Authorize])).ext_authz(settings).start().await;
    trust(&pdp);
    let answer = ask(&pdp, TOKEN, lookup().request()).await.unwrap();
    assert_eq!((answer.permit, answer.status), (false, 401));
    assert_eq!(pdp.ledger.last()["principal"], Json::Null, "a workload counts without `assert`");
}

#[tokio::test]
async fn a_token_beside_claims_is_verified_all_the_same() {
    let pdp = start().await;
    let (answer, reason) = denied(&pdp, lookup().header("authorization", "Bearer e30.e30.e30")).await;
    assert_eq!((reason.as_str(), answer.status), ("Unauthenticated", 401));
    let (_, reason) = denied(&pdp, lookup().header("palisade-task", "a.b.c")).await;
    assert_eq!(reason, "Unauthenticated");
}

/// A PDP that verifies the tokens of this signer, and whose gateway has these roles.
async fn verifying(signer: &Signer, roles: &[Role]) -> TestPdp {
    let pdp = TestPdp::builder().caller(TOKEN, caller("gw", roles)).start().await;
    let issuer = Issuer {
        name: tokens::ISSUER.into(),
        algorithms: vec![Algorithm::Es256],
        audience: vec![],
        kinds: vec![TokenKind::AccessToken],
        lifetime_max_s: None,
        human: Some(HumanClaims { claim: "sub".into(), kind: "Human".into(), unregistered: None }),
        agent_claim: None,
    };
    let config = TrustConfig {
        audience: vec![],
        leeway_s: 5,
        actor_depth_max: 4,
        issuers: vec![issuer],
        domains: vec![],
    };
    let text = signer.jwks("as");
    let keys = Keys::parse(text.as_bytes(), Use::Signatures, &[Algorithm::Es256]).unwrap();
    let set = KeySet { keys: Arc::new(keys), digest: Sha256::digest(&text).into() };
    pdp.pdp.trust(Arc::new(Trust::new(Arc::new(config), &BTreeMap::from([(tokens::ISSUER.into(), set)]))));
    pdp
}

/// An access token of Ana's for the server `crm`, bound so.
fn bound(signer: &Signer, agent: Option<&str>, confirmation: &Json) -> String {
    let now_s = NOW.0 / 1000;
    let mut claims = json!({
        "iss": tokens::ISSUER, "sub": "ana", "aud": "https://crm.acme.example/mcp", "client_id": "desk", "jti": "t-1",
        "iat": now_s, "exp": now_s + 600,
    });
    if let Some(agent) = agent {
        claims["act"] = json!({"sub": agent});
    }
    if !confirmation.is_null() {
        claims["cnf"] = confirmation.clone();
    }
    signer.token("as", &claims)
}

#[tokio::test]
async fn a_token_is_verified_here_and_its_agent_may_be_told_by_the_workload() {
    let signer = Signer::new();
    let pdp = verifying(&signer, &[Role::Authorize, Role::Assert]).await;
    let with = |agent| {
        let token = bound(&signer, agent, &Json::Null);
        lookup().unclaimed().header("authorization", &format!("Bearer {token}"))
    };
    assert!(with(Some(SUPPORT_BOT)).ask(&pdp).await.permit);
    assert_eq!(pdp.ledger.last()["actor_assurance"], "verified");
    assert!(with(None).ask(&pdp).await.permit);
    let record = pdp.ledger.last();
    assert_eq!((&record["assurance"], &record["actor_assurance"]), (&"verified".into(), &"asserted".into()));
    // The token of one agent in the hands of another.
    assert_eq!(denied(&pdp, with(Some("spiffe://acme.example/agent/coder"))).await.1, "Unauthenticated");
    let pdp = verifying(&signer, &[Role::Authorize]).await;
    assert!(with(Some(SUPPORT_BOT)).ask(&pdp).await.permit);
    assert_eq!(denied(&pdp, with(None)).await.1, "ActorMissing");
}

#[tokio::test]
async fn a_bound_token_needs_its_key_for_this_request() {
    let (signer, holder) = (Signer::new(), Signer::new());
    let pdp = verifying(&signer, &[Role::Authorize]).await;
    let token = bound(&signer, Some(SUPPORT_BOT), &json!({"jkt": holder.thumbprint()}));
    let asked = |scheme: &str| lookup().unclaimed().header("authorization", &format!("{scheme} {token}"));
    let (answer, reason) = denied(&pdp, asked("Bearer")).await;
    assert_eq!((reason.as_str(), answer.status), ("BindingMissing", 401));
    let proof = |key: &Signer, method: &str, url: &str, jti: &str| {
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk()});
        let ath = b64(Sha256::digest(&token));
        let claims = json!({"jti": jti, "htm": method, "htu": url, "iat": NOW.0 / 1000, "ath": ath});
        key.sign(&header, &claims)
    };
    let here = "https://gateway.acme.example/mcp";
    let good = proof(&holder, "POST", here, "p-1");
    let queried = Exchange { path: "/mcp?x=1".into(), ..asked("DPoP").header("dpop", &good) };
    let answer = queried.ask(&pdp).await;
    assert!(answer.permit, "{answer:?}");
    for (what, proof) in [
        ("used before", good),
        ("another key", proof(&signer, "POST", here, "p-2")),
        ("another method", proof(&holder, "GET", here, "p-3")),
        ("another place", proof(&holder, "POST", "https://elsewhere.example/mcp", "p-4")),
    ] {
        let (answer, _) = denied(&pdp, asked("DPoP").header("dpop", &proof)).await;
        assert_eq!(answer.status, 401, "{what}");
    }
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_needs_that_of_the_connection() {
    let (signer, der) = (Signer::new(), b"no certificate, but bytes like one's");
    let confirmation = json!({"x5t#S256": b64(Sha256::digest(der))});
    let token = bound(&signer, Some(SUPPORT_BOT), &confirmation);
    let pem = |der: &[u8]| {
        use base64::Engine as _;
        let text = base64::prelude::BASE64_STANDARD
            .encode(der)
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        format!(
            "-----BEGIN%20CERTIFICATE-----%0A{}%0A{}%0A-----END%20CERTIFICATE-----%0A",
            &text[..8],
            &text[8..]
        )
    };
    let asked = |certificate: String| {
        let exchange = lookup().unclaimed().header("authorization", &format!("Bearer {token}"));
        Exchange { certificate, ..exchange }
    };
    let pdp = verifying(&signer, &[Role::Authorize, Role::Attest]).await;
    let answer = asked(pem(der)).ask(&pdp).await;
    assert!(answer.permit, "{answer:?}");
    for other in
        [pem(b"other bytes, of another"), String::new(), "%zz".into(), format!("{}{}", pem(der), pem(der))]
    {
        denied(&pdp, asked(other)).await;
    }
    // A gateway that may not say so does not.
    let pdp = verifying(&signer, &[Role::Authorize]).await;
    assert_eq!(denied(&pdp, asked(pem(der))).await.1, "BindingMissing");
}
