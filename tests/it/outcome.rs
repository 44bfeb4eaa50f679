//! `ReportOutcome`: once, by the caller that got the decision, about a permitted call, within limits.

use palisade::api::proto::v1;
use palisade::identity::Role;
use serde_json::json;
use tonic::Code;

use crate::asks::{delete, lookup};
use crate::pdp::{Client, TestPdp, caller};

fn succeeded(decision_id: &str) -> v1::ReportOutcomeRequest {
    v1::ReportOutcomeRequest {
        decision_id: decision_id.into(),
        status: v1::OutcomeStatus::Succeeded.into(),
        ..v1::ReportOutcomeRequest::default()
    }
}

async fn decided(client: &mut Client, request: v1::AuthorizeRequest) -> String {
    client.authorize(request).await.unwrap().into_inner().decision_id
}

async fn reported(client: &mut Client, request: v1::ReportOutcomeRequest) -> Code {
    match client.report_outcome(request).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

#[tokio::test]
async fn an_outcome_joins_the_record_of_its_decision() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let id = decided(&mut client, lookup()).await;
    let outcome = v1::ReportOutcomeRequest {
        decision_id: id.clone(),
        status: v1::OutcomeStatus::Failed.into(),
        error: "E-TIMEOUT".into(),
        result_bytes: 42,
        data_classes: vec!["customer".into()],
        ended_at: Some(prost_types::Timestamp { seconds: 1_795_255_201, nanos: 500_000_000 }),
    };
    client.report_outcome(outcome).await.unwrap();
    assert_eq!(
        pdp.ledger.last(),
        json!({
            "type": "outcome", "time": "2026-11-21T10:00:00.000Z", "decision": id, "caller": "gateway",
            "status": "failed", "error": "E-TIMEOUT", "result_bytes": 42, "data_classes": ["customer"],
            "ended_at": "2026-11-21T10:00:01.500Z",
        })
    );
}

#[tokio::test]
async fn an_outcome_is_taken_once() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let id = decided(&mut client, lookup()).await;
    assert_eq!(reported(&mut client, succeeded(&id)).await, Code::Ok);
    assert_eq!(reported(&mut client, succeeded(&id)).await, Code::NotFound);
    assert_eq!(pdp.ledger.records().len(), 2);
}

#[tokio::test]
async fn an_outcome_is_taken_only_from_the_caller_that_got_the_decision() {
    let roles = [Role::Authorize, Role::Assert, Role::Outcome];
    let pdp = TestPdp::builder().gateway().caller("t-other", caller("other", &roles)).start().await;
    let (mut gateway, mut other) = (pdp.client().await, pdp.client_of(Some("t-other")).await);
    let id = decided(&mut gateway, lookup()).await;
    assert_eq!(reported(&mut other, succeeded(&id)).await, Code::NotFound);
    assert_eq!(reported(&mut gateway, succeeded(&id)).await, Code::Ok);
}

#[tokio::test]
async fn a_denied_call_has_no_outcome() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let id = decided(&mut client, delete()).await;
    assert_eq!(reported(&mut client, succeeded(&id)).await, Code::NotFound);
    assert_eq!(pdp.ledger.records().len(), 1);
}

#[tokio::test]
async fn what_merely_passed_has_no_outcome() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let mut ping = lookup();
    let Some(v1::authorize_request::Question::Mcp(message)) = &mut ping.question else { unreachable!() };
    message.method = "ping".into();
    message.params.clear();
    let id = decided(&mut client, ping).await;
    assert_eq!(pdp.ledger.records()[0]["outcome"], "permit");
    assert_eq!(reported(&mut client, succeeded(&id)).await, Code::NotFound);
}

#[tokio::test]
async fn the_outcome_of_an_unknown_decision_is_not_found() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    for id in ["", "d-1", "0197f000-0000-7000-8000-000000000000"] {
        assert_eq!(reported(&mut client, succeeded(id)).await, Code::NotFound, "{id:?}");
    }
    assert_eq!(pdp.ledger.records().len(), 0);
}

#[tokio::test]
async fn an_outcome_has_limits_and_a_refused_one_may_be_mended() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let id = decided(&mut client, lookup()).await;
    let with = |change: &dyn Fn(&mut v1::ReportOutcomeRequest)| {
        let mut outcome = succeeded(&id);
        change(&mut outcome);
        outcome
    };
    for (field, outcome) in [
        ("status", with(&|o| o.status = 0)),
        ("status", with(&|o| o.status = 99)),
        ("error", with(&|o| o.error = "x".repeat(257))),
        ("data_classes", with(&|o| o.data_classes = vec!["c".into(); 33])),
        ("data_classes", with(&|o| o.data_classes = vec!["c".repeat(129)])),
        ("decision_id", with(&|o| o.decision_id = "d".repeat(65))),
    ] {
        let refused = client.report_outcome(outcome).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().contains(field), "{refused}");
    }
    let most = with(&|o| {
        o.error = "x".repeat(256);
        o.data_classes = vec!["c".repeat(128); 32];
        o.result_bytes = u64::MAX;
    });
    assert_eq!(reported(&mut client, most).await, Code::Ok);
}

#[tokio::test]
async fn an_instant_beyond_the_calendar_is_recorded_as_the_nearest() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    for (seconds, nanos, wanted) in
        [(i64::MAX, i32::MAX, "9999-12-31T23:59:59.999Z"), (i64::MIN, i32::MIN, "0001-01-01T00:00:00.000Z")]
    {
        let id = decided(&mut client, lookup()).await;
        let ended_at = Some(prost_types::Timestamp { seconds, nanos });
        let outcome = v1::ReportOutcomeRequest { ended_at, ..succeeded(&id) };
        assert_eq!(reported(&mut client, outcome).await, Code::Ok);
        assert_eq!(pdp.ledger.last()["ended_at"], wanted);
    }
}

#[tokio::test]
async fn the_oldest_decisions_are_forgotten_first() {
    let pdp = TestPdp::builder().gateway().limits(|limits| limits.open_decisions_max = 2).start().await;
    let mut client = pdp.client().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(decided(&mut client, lookup()).await);
    }
    assert_eq!(reported(&mut client, succeeded(&ids[0])).await, Code::NotFound);
    assert_eq!(reported(&mut client, succeeded(&ids[1])).await, Code::Ok);
    assert_eq!(reported(&mut client, succeeded(&ids[2])).await, Code::Ok);
}
