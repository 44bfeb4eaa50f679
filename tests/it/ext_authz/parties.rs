//! Who asks, when a gateway passes it on: claims, workloads, tokens.

use palisade::api::ext_authz::Settings;
use palisade::identity::Role;
use serde_json::{Value as Json, json};

use super::ask::{Answer, Exchange, ISSUER, SUPPORT_BOT, ask, start, trust};
use crate::pdp::{NOW, TOKEN, TestPdp, caller};

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
