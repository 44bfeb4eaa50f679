//! Obligations where more than one question is asked: batches, tasks, budgets, and callers that nothing proves.
//! Never the wire's own limits; the cases of `tests/cases/obligations.yaml` have the rest.

use std::sync::Arc;

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::diagnostic::File;
use palisade::policy::Snapshot;
use serde_json::json;

use crate::pdp::{TestPdp, gateway, shipped_files, snapshot};
use crate::tasks::{Desk, PERMITTED, refund, refund_task, said, under};

/// The shipped bundle and one policy more.
fn with(policy: &str) -> Arc<Snapshot> {
    let mut files = shipped_files();
    files.push(File::new("policies/test.cedar", policy));
    snapshot(&files)
}

/// Who refunds tells the finance team.
fn refunds_are_told() -> Arc<Snapshot> {
    with(
        r#"@id("test/told") @obligation("notification: { to: finance@acme.example }")
           permit (principal, action == Action::"crm/issue_refund", resource);"#,
    )
}

fn opted_in(request: v1::AuthorizeRequest) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest { supported_obligations: vec!["notification".into()], ..request }
}

#[tokio::test]
async fn each_request_of_a_batch_opts_in_for_itself() {
    let desk =
        Desk::of(TestPdp::builder().snapshot(refunds_are_told()).tasks(crate::pdp::task_rules())).await;
    let requests = vec![said(refund(1)), opted_in(said(refund(1))), said(refund(1))];
    let batch = v1::AuthorizeBatchRequest { requests };
    let answers = desk.client.clone().authorize_batch(batch).await.unwrap().into_inner().responses;
    let told: Vec<(DenyReason, usize)> = answers.iter().map(|a| (a.reason(), a.obligations.len())).collect();
    assert_eq!(
        told,
        [(DenyReason::ObligationUnsupported, 0), (PERMITTED, 1), (DenyReason::ObligationUnsupported, 0)]
    );
    let one = &answers[1].obligations[0];
    assert_eq!((one.id.as_str(), one.r#type.as_str()), ("test/told#1", "notification"));
    let properties: serde_json::Value = serde_json::from_str(&one.properties).unwrap();
    assert_eq!(properties, json!({"to": "finance@acme.example"}));
    assert!(
        answers.iter().flat_map(|a| &a.determining).all(|p| !p.annotations.contains_key("obligation")),
        "nobody is told of an obligation in another way"
    );
}

#[tokio::test]
async fn a_step_that_is_denied_for_its_obligation_costs_nothing() {
    let desk =
        Desk::of(TestPdp::builder().snapshot(refunds_are_told()).tasks(crate::pdp::task_rules())).await;
    let task = desk.refunds().await;
    assert_eq!(desk.get(&task.id).await.calls_spent, 0);
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::ObligationUnsupported);
    assert_eq!(desk.get(&task.id).await.calls_spent, 0);
    assert_eq!(desk.told(opted_in(under(&task, refund(1)))).await.0, PERMITTED);
    assert_eq!(desk.get(&task.id).await.calls_spent, 1);
}

#[tokio::test]
async fn a_task_that_needs_an_obligation_is_not_begun_and_drifts_when_its_start_would_need_one() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    desk.pdp.pdp.publish(with(
        r#"@id("test/start") @obligation("custom: { say: hello }")
           permit (principal, action == Action::"tasks/start", resource);"#,
    ));
    assert_eq!(desk.refused(refund_task()).await.0, DenyReason::ObligationUnsupported);
    let record = desk.pdp.ledger.last();
    assert_eq!(record["obligations"], json!([{"id": "test/start#1", "type": "custom", "sent": false}]));
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::PolicyDrift);
}

#[tokio::test]
async fn the_local_caller_cannot_opt_in() {
    let local = palisade::identity::Caller { name: "local".into(), authenticated: false, ..gateway() };
    let pdp = TestPdp::builder().snapshot(refunds_are_told()).gateway().local(local).start().await;
    let request = || opted_in(said(refund(1)));
    let answer = pdp.client_of(None).await.authorize(request()).await.unwrap().into_inner();
    assert_eq!((answer.reason(), answer.obligations.len()), (DenyReason::ObligationUnsupported, 0));
    let answer = pdp.client().await.authorize(request()).await.unwrap().into_inner();
    assert_eq!((answer.reason(), answer.obligations.len()), (PERMITTED, 1));
}

#[tokio::test]
async fn too_many_types_are_refused_and_unknown_ones_are_not() {
    let pdp = TestPdp::builder().snapshot(refunds_are_told()).gateway().start().await;
    let listing =
        |types: Vec<String>| v1::AuthorizeRequest { supported_obligations: types, ..said(refund(1)) };
    let mut client = pdp.client().await;
    let refused = client.authorize(listing(vec!["notification".into(); 65])).await.unwrap_err();
    assert!(refused.message().contains("supported_obligations"), "{refused}");
    let known = client.authorize(listing(vec!["filter".into(), "notification".into()])).await.unwrap();
    assert_eq!(known.into_inner().reason(), PERMITTED);
}
