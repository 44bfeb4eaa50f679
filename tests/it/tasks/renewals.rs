//! More time for tasks: within what they could have had at their start, and only if they would start today.
//! Never more of anything else.

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::task::{Ceiling, Rules};

use super::{
    Desk, Held, KEY, PART_KEY, PERMITTED, a_part, handle, refund, refund_task, without_support_tasks,
};
use crate::pdp::task_rules;

const CEILING_S: i64 = 8 * 3600;

async fn refused(desk: &Desk, task: &Held, ttl_s: u64) -> (DenyReason, String) {
    let answer = desk.renew(task, ttl_s).await;
    assert!(answer.task.is_none() && answer.token.is_empty(), "{answer:?}");
    let decision = answer.decision.unwrap();
    (decision.reason(), decision.reason_text)
}

/// A task's new token, and how long it lasts from its start, in seconds.
async fn renewed(desk: &Desk, task: &Held, ttl_s: u64) -> (Held, i64) {
    let answer = desk.renew(task, ttl_s).await;
    let words = answer.decision.unwrap().reason_text;
    let shown = answer.task.unwrap_or_else(|| panic!("{words}"));
    assert_eq!(shown.id, task.id);
    let lasts_s = shown.expires.unwrap().seconds - shown.started.unwrap().seconds;
    (Held { token: answer.token, state: answer.state_revision, ..task.clone() }, lasts_s)
}

#[tokio::test]
async fn a_renewed_task_lasts_longer_and_its_old_token_ends_when_it_says() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    desk.pdp.clock().advance_s(500);
    let (longer, lasts_s) = renewed(&desk, &task, 1200).await;
    assert_eq!(lasts_s, 1700);
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    desk.pdp.clock().advance_s(100);
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::TaskExpired);
    assert_eq!(desk.step(&longer, refund(1)).await, PERMITTED);
    assert_eq!(desk.get(&task.id).await.calls_spent, 3, "its calls are not renewed");
    desk.pdp.clock().advance_s(1100);
    assert_eq!(desk.step(&longer, refund(1)).await, DenyReason::TaskExpired);
    assert_eq!(refused(&desk, &longer, 60).await.0, DenyReason::TaskExpired);
    assert_eq!(desk.moves(), ["started", "renewed"]);
    let record = desk.records("task").pop().unwrap();
    assert_eq!(record["expires"], "2026-11-21T10:28:20.000Z");
}

#[tokio::test]
async fn a_task_is_renewed_up_to_what_it_could_have_had_at_its_start_and_not_beyond() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    desk.pdp.clock().advance_s(500);
    let left = (CEILING_S - 500).unsigned_abs();
    let (reason, words) = refused(&desk, &task, left + 1).await;
    assert_eq!(reason, DenyReason::OutOfScope);
    assert!(words.contains(&format!("{left} s are to be had")), "{words}");
    let (task, lasts_s) = renewed(&desk, &task, left).await;
    assert_eq!(lasts_s, CEILING_S);
    desk.pdp.clock().advance_s(CEILING_S - 510);
    assert_eq!(refused(&desk, &task, 11).await.0, DenyReason::OutOfScope);
    assert_eq!(refused(&desk, &task, 0).await.0, DenyReason::OutOfScope, "there is no more");
    desk.pdp.clock().advance_s(10);
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::TaskExpired);
}

#[tokio::test]
async fn a_renewal_takes_no_time_away_and_a_preview_gives_none() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let (reason, words) = refused(&desk, &task, 10).await;
    assert_eq!(reason, DenyReason::OutOfScope);
    assert!(words.contains("lasts that long already"), "{words}");
    let looked = v1::RenewRequest {
        task: Some(handle(&task)),
        ttl_s: 3600,
        mode: v1::Mode::Preview.into(),
        ..v1::RenewRequest::default()
    };
    let answer = desk.tasks.clone().renew(looked).await.unwrap().into_inner();
    assert!(answer.task.is_some() && answer.token.is_empty());
    let shown = desk.get(&task.id).await;
    assert_eq!(shown.expires.unwrap().seconds - shown.started.unwrap().seconds, 600);
}

#[tokio::test]
async fn what_is_over_is_not_renewed() {
    let desk = Desk::open().await;
    for ending in [v1::Ending::Completed, v1::Ending::Failed, v1::Ending::Cancelled] {
        let task = desk.refunds().await;
        desk.end(&task, ending).await.unwrap();
        assert_eq!(refused(&desk, &task, 600).await.0, DenyReason::TaskRevoked);
    }
    let task = desk.refunds().await;
    desk.revoke(v1::target::Target::Task(task.id.clone())).await;
    assert_eq!(refused(&desk, &task, 600).await.0, DenyReason::TaskRevoked);
}

#[tokio::test]
async fn only_who_has_its_key_renews_a_task() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let unproven = Held { key: String::new(), ..task.clone() };
    assert_eq!(refused(&desk, &unproven, 900).await.0, DenyReason::BindingMissing);
    let stolen = Held { key: PART_KEY.into(), ..task.clone() };
    assert_eq!(refused(&desk, &stolen, 900).await.0, DenyReason::Unauthenticated);
    assert_eq!(task.key, KEY);
    renewed(&desk, &task, 900).await;
}

#[tokio::test]
async fn a_renewal_is_decided_as_a_start_is_today() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    renewed(&desk, &task, 900).await;
    let record = desk.records("decided").pop().unwrap();
    assert_eq!(record["action"], super::entity("Action::\"tasks/start\""));
    desk.pdp.pdp.publish(without_support_tasks());
    let (reason, words) = refused(&desk, &task, 1000).await;
    assert_eq!(reason, DenyReason::Forbidden, "{words}");
    desk.pdp.pdp.publish(crate::pdp::shipped());
    renewed(&desk, &task, 1000).await;

    let ceiling = Ceiling { ttl_max_s: 24 * 3600, ..task_rules().ceiling };
    let desk = Desk::ruled(Rules { ceiling, ..task_rules() }).await;
    let task = desk.lent(refund_task()).await;
    assert_eq!(refused(&desk, &task, 8 * 3600 + 1).await.0, DenyReason::Forbidden, "a guard is stricter");
    renewed(&desk, &task, 8 * 3600).await;
}

#[tokio::test]
async fn a_part_is_renewed_no_further_than_the_whole_lasts() {
    let desk = Desk::open().await;
    let whole = desk.refunds().await;
    let part = desk.part(&whole, v1::Wanted { ttl_s: 60, ..a_part() }).await;
    assert_eq!(refused(&desk, &part, 601).await.0, DenyReason::OutOfScope);
    assert_eq!(renewed(&desk, &part, 600).await.1, 600);
    renewed(&desk, &whole, 1200).await;
    assert_eq!(
        refused(&desk, &part, 601).await.0,
        DenyReason::OutOfScope,
        "as the whole was when it was handed on"
    );
}
