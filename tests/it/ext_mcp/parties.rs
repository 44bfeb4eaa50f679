//! Who asks: what the gateway has verified, and what the client shows itself.

use palisade::api::proto::ext_mcp::authorization_error::Code;
use palisade::api::proto::v1;
use palisade::identity::Role;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::ask::{Asked, Came, Does, claims, start, start_of};
use crate::ext_authz::ask::{SUPPORT_BOT, trust};
use crate::pdp::{NOW, TOKEN, TestPdp, caller, task_rules};
use crate::tasks::{Desk, Held, refund_task};
use crate::tokens::{Signer, b64};

#[tokio::test]
async fn claims_are_believed_of_gateways_that_may_assert_and_of_named_issuers() {
    let pdp = start().await;
    let mut other = claims("ana");
    other["iss"] = "https://other.example".into();
    let answer = Asked::refund(30).metadata("jwt", other).ask(&pdp).await;
    assert_eq!(answer.does.refusal().0, Code::PermissionDenied);
    assert_eq!(pdp.ledger.last()["principal"]["id"], "support-bot", "the claims of another issuer count");
    let mut expired = claims("ana");
    expired["exp"] = (NOW.0 / 1000 - 60).into();
    assert_eq!(Asked::refund(30).metadata("jwt", expired).ask(&pdp).await.does.refusal().0, Code::Invalid);

    let pdp = start_of(TestPdp::builder().caller(TOKEN, caller("gw", &[Role::Authorize]))).await;
    let answer = Asked::refund(30).ask(&pdp).await;
    assert_eq!(answer.does.refusal(), (Code::PermissionDenied, "unauthenticated"));
    let tools = Came::of("tools/list", r#"{"tools":[]}"#).ask(&pdp).await;
    assert_eq!(tools.refusal(), (Code::PermissionDenied, "unauthenticated"));
}

#[tokio::test]
async fn a_token_that_is_shown_is_verified_wherever_it_stands() {
    let pdp = start().await;
    let bearer = "Bearer e30.e30.e30";
    let shown = [
        Asked::refund(30).header("authorization", bearer),
        Asked::refund(30).metadata("authorization", bearer),
        Asked::refund(30).metadata("authorization", bearer).header("Authorization", bearer),
        Asked::refund(30).header("palisade-task", "a.b.c"),
        Asked::refund(30).metadata("task", "a.b.c"),
    ];
    for asked in shown {
        let answer = asked.clone().ask(&pdp).await;
        assert_eq!(answer.does.refusal(), (Code::PermissionDenied, "unauthenticated"), "{asked:?}");
        let Does::Refuse(_, words, data) = &answer.does else { panic!() };
        assert!(!words.contains("e30") && !data.to_string().contains("e30"));
    }
    let two = Asked::refund(30).metadata("authorization", bearer).header("authorization", "Bearer x.y.z");
    assert_eq!(two.ask(&pdp).await.does.refusal().0, Code::Invalid);
    let list = Came::of("tools/list", r#"{"tools":[]}"#).metadata("authorization", bearer);
    assert_eq!(list.ask(&pdp).await.refusal(), (Code::PermissionDenied, "unauthenticated"));
}

#[tokio::test]
async fn what_the_operator_has_the_gateway_say_is_understood_or_refused() {
    let pdp = start().await;
    let mut wrong = Vec::new();
    for (name, said) in [
        ("server", json!("crm")),
        ("servers", json!("crm")),
        ("servers", json!({"crm": 1})),
        ("servers", json!({})),
        ("servers", json!({"crm": ""})),
        ("prefix_mode", json!("sometimes")),
        ("jwt", json!("e30")),
        ("authorization", json!(["Bearer a.b.c"])),
        ("authorization", json!("Basic YW5hOng=")),
        ("task", json!({})),
        ("workload", json!(true)),
        ("session", json!(1)),
        ("tenant", json!("t1")),
        ("jwts", claims("ana")),
    ] {
        let request = Asked::refund(30).metadata(name, said.clone()).ask(&pdp).await.does;
        let list = Came::of("tools/list", r#"{"tools":[]}"#).metadata(name, said.clone()).ask(&pdp).await;
        for does in [request, list] {
            if !matches!(&does, Does::Refuse(Code::Invalid, ..)) || pdp.ledger.last()["outcome"] != "deny" {
                wrong.push(format!("{name}: {said}: {does:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // An expression that found nothing says nothing.
    let nothing = Asked::refund(30).metadata("task", json!(null)).metadata("authorization", json!(null));
    assert_eq!(nothing.ask(&pdp).await.does, Does::Pass);
}

fn under(task: &Held, key: &Signer, jti: &str) -> Asked {
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk()});
    let ath = b64(Sha256::digest(&task.token));
    let url = "https://gateway.acme.example/mcp";
    let proof = json!({"jti": jti, "htm": "POST", "htu": url, "iat": NOW.0 / 1000, "ath": ath});
    Asked::refund(30)
        .without("jwt")
        .metadata("workload", SUPPORT_BOT)
        .header("palisade-task", task.token.clone())
        .header("dpop", key.sign(&header, &proof))
}

#[tokio::test]
async fn a_task_is_shown_with_its_key_and_its_budget_ends() {
    let desk = Desk::of(TestPdp::builder().tasks(task_rules())).await;
    trust(&desk.pdp);
    let key = Signer::new();
    let mut start = refund_task();
    let wanted = start.wanted.as_mut().unwrap();
    (wanted.calls_max, wanted.key_thumbprint) = (1, key.thumbprint());
    let wanted: v1::Wanted = wanted.clone();
    assert_eq!(wanted.calls_max, 1);
    let task = desk.lent(start).await;
    let place = |asked: Asked| asked.header(":scheme", "https").header(":authority", "gateway.acme.example");
    let ask = async |asked: Asked| asked.by(&desk.pdp, "t-gateway").await.unwrap().does;
    // Without the place there is nothing to hold a proof against.
    assert_eq!(ask(under(&task, &key, "p-1")).await.refusal().0, Code::Invalid);
    assert_eq!(ask(place(under(&task, &Signer::new(), "p-2"))).await.refusal().0, Code::PermissionDenied);
    assert_eq!(ask(place(under(&task, &key, "p-3"))).await, Does::Pass);
    let spent = ask(place(under(&task, &key, "p-4"))).await;
    assert_eq!(spent.refusal(), (Code::ResourceExhausted, "over_budget"));
}
