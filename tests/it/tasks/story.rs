//! A task from its start to its end: what passes under it, and why each thing else does not.

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::api::proto::v1::bound::Limit;
use palisade::diagnostic::File;
use palisade::task::Rules;
use serde_json::{Value as Json, json};

use super::{
    Desk, Held, PERMITTED, bound, call, lookup, names, preview, refund, refund_task, said, scoped, under,
    wanted,
};
use crate::asks::{mcp, uid};
use crate::pdp::{TestPdp, shipped_files, snapshot, task_rules};

#[tokio::test]
async fn an_agent_refunds_within_its_task_until_the_task_ends() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    for amount in [1, 50] {
        assert_eq!(desk.step(&task, refund(amount)).await, PERMITTED);
        let record = desk.pdp.ledger.last();
        assert_eq!(record["task"], task.id.as_str());
        assert_eq!((&record["task_assurance"], &record["purpose"]), (&"verified".into(), &"refund".into()));
    }
    let (reason, words) = desk.told(under(&task, refund(51))).await;
    assert_eq!(reason, DenyReason::OutOfScope);
    assert!(words.contains("`amount` of `crm/issue_refund`"), "{words}");
    assert_eq!(desk.told(said(refund(51))).await.0, PERMITTED, "policies would permit it");
    assert_eq!(desk.get(&task.id).await.calls_spent, 2);

    let ended = desk.end(&task, v1::Ending::Completed).await.unwrap();
    assert!(ended.was_open);
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::TaskRevoked, "at once, with the same token");
    assert_eq!(desk.get(&task.id).await.state(), v1::TaskState::Completed);
    assert_eq!(desk.moves(), ["started", "ended"]);
    let record = desk.records("task").pop().unwrap();
    assert_eq!((&record["state"], &record["reason"]), (&"completed".into(), &"done".into()));
    assert_eq!(record["calls_spent"], 2);
}

#[tokio::test]
async fn what_a_task_does_not_cover_is_denied_even_where_policies_permit() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let lists = |server: &str| mcp(server, "tools/list", &Json::Null);
    for (step, words) in [
        (lookup(), "the tool `crm/lookup_customer`"),
        (lists("git"), "the server `git`"),
        (refund(51), "the argument `amount` of `crm/issue_refund`"),
    ] {
        assert_eq!(desk.told(said(step.clone())).await.0, PERMITTED, "without a task");
        refused_as_outside(&desk, &task, step, words).await;
    }
    assert_eq!(desk.step(&task, lists("crm")).await, PERMITTED, "the tool's server is within it");
    assert_eq!(desk.get(&task.id).await.calls_spent, 1, "a denied step costs nothing");
}

async fn refused_as_outside(desk: &Desk, task: &Held, step: v1::AuthorizeRequest, words: &str) {
    let (reason, found) = desk.told(under(task, step)).await;
    assert_eq!(reason, DenyReason::OutOfScope, "{found}");
    assert!(found.contains(words), "{found}");
    let record = desk.pdp.ledger.last();
    assert_eq!((&record["reason"], &record["task"]), (&"OutOfScope".into(), &task.id.as_str().into()));
}

#[tokio::test]
async fn a_task_for_classes_of_data_covers_those_below_and_no_others() {
    let desk = Desk::open().await;
    let of = |class: &str| {
        scoped(v1::Scope { servers: names(["crm"]), data_classes: names([class]), ..v1::Scope::default() })
    };
    let task = desk.lent(of("customer")).await;
    assert_eq!(desk.step(&task, lookup()).await, PERMITTED);
    refused_as_outside(&desk, &task, refund(1), "data of the class `payment`").await;
    let task = desk.lent(of("confidential")).await;
    assert_eq!(desk.step(&task, lookup()).await, PERMITTED);
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
}

#[tokio::test]
async fn an_argument_that_is_missing_or_beyond_its_bound_is_out_of_scope() {
    let desk = Desk::open().await;
    let note = bound("crm/issue_refund", "note", Limit::OneOf(v1::Names { names: vec!["late".into()] }));
    let least = bound("crm/issue_refund", "amount", Limit::AtLeast("9.5".into()));
    let scope =
        v1::Scope { tools: names(["crm/issue_refund"]), bounds: vec![note, least], ..v1::Scope::default() };
    let task = desk.lent(scoped(scope)).await;
    let with = |amount: i64, note: &str| {
        call("crm/issue_refund", &json!({ "order": "o", "amount": amount, "note": note }))
    };
    assert_eq!(desk.step(&task, with(10, "late")).await, PERMITTED);
    refused_as_outside(&desk, &task, with(9, "late"), "`amount`").await;
    refused_as_outside(&desk, &task, with(10, "Late"), "`note`").await;
    refused_as_outside(&desk, &task, refund(10), "`note`").await;
    let unfit = call("crm/issue_refund", &json!({ "order": "o", "amount": "10", "note": "late" }));
    assert_ne!(desk.step(&task, unfit).await, PERMITTED);
}

#[tokio::test]
async fn a_task_of_three_calls_has_three_and_a_preview_or_a_deny_costs_none() {
    let desk = Desk::open().await;
    let wanted = v1::Wanted { calls_max: 3, ..wanted() };
    let task = desk.lent(v1::StartRequest { wanted: Some(wanted), ..refund_task() }).await;
    for _ in 0..5 {
        assert_eq!(desk.step(&task, preview(refund(1))).await, PERMITTED);
        assert_eq!(desk.step(&task, refund(51)).await, DenyReason::OutOfScope);
    }
    for _ in 0..3 {
        assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    }
    let (reason, words) = desk.told(under(&task, refund(1))).await;
    assert_eq!(reason, DenyReason::OverBudget);
    assert!(words.contains("3 calls are spent"), "{words}");
    assert_eq!(desk.get(&task.id).await.calls_spent, 3);
}

#[tokio::test]
async fn the_calls_of_a_large_task_are_charged_as_they_are_spent() {
    let desk = Desk::open().await;
    let wanted = v1::Wanted { calls_max: 60, ..wanted() };
    let task = desk.lent(v1::StartRequest { wanted: Some(wanted), ..refund_task() }).await;
    let mut permitted = 0;
    loop {
        match desk.step(&task, refund(1)).await {
            PERMITTED => permitted += 1,
            // The next piece is on its way to the state.
            DenyReason::Stale => tokio::task::yield_now().await,
            reason => break assert_eq!(reason, DenyReason::OverBudget),
        }
    }
    assert_eq!(permitted, 60);
}

#[tokio::test]
async fn a_preview_starts_nothing_and_binds_nothing() {
    let desk = Desk::open().await;
    let looked = v1::StartRequest { mode: v1::Mode::Preview.into(), ..refund_task() };
    let answer = desk.start(looked).await;
    assert_eq!(answer.decision.unwrap().decision(), v1::Decision::Permit);
    assert!(answer.token.is_empty());
    let id = answer.task.unwrap().id;
    let get = v1::GetRequest { id };
    assert_eq!(desk.tasks.clone().get(get).await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(desk.pdp.life().tasks().open_len(), 0);
    assert!(desk.moves().is_empty());
    assert_eq!(desk.pdp.ledger.last()["mode"], "preview");

    let within = |step| v1::AuthorizeRequest { session: "s".into(), ..step };
    let task = desk.refunds().await;
    assert_eq!(desk.step(&task, within(preview(refund(1)))).await, PERMITTED);
    let (reason, words) = desk.told(within(said(refund(1)))).await;
    assert_eq!(reason, PERMITTED, "the session was not bound to the task's key: {words}");
    assert_eq!(desk.step(&task, within(preview(refund(1)))).await, DenyReason::SessionMismatch, "now it is");
}

#[tokio::test]
async fn a_step_that_asks_for_a_later_state_than_is_known_is_stale() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let at_least = |state: u64| v1::AuthorizeRequest { min_state_revision: state, ..refund(1) };
    assert_eq!(desk.step(&task, at_least(task.state)).await, PERMITTED);
    let (reason, words) = desk.told(under(&task, at_least(task.state + 100))).await;
    assert_eq!(reason, DenyReason::Stale);
    assert!(words.contains("ask again"), "{words}");
}

#[tokio::test]
async fn policies_see_the_task_of_a_step() {
    let mut files = shipped_files();
    files.push(File::new(
        "policies/refunds.cedar",
        r#"@id("test/refunds") forbid (principal, action == Action::"crm/issue_refund", resource)
           unless { context has task && context.task.purpose == Purpose::"refund" && context.task.depth == 0
                    && context.task.started <= context.now && context.now < context.task.expires };"#,
    ));
    let desk = Desk::of(TestPdp::builder().tasks(task_rules()).snapshot(snapshot(&files))).await;
    assert_eq!(desk.told(said(refund(1))).await.0, DenyReason::Forbidden, "outside of any task");
    let task = desk.refunds().await;
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    let care = v1::StartRequest { purpose: Some(uid("Purpose::\"customer-care\"")), ..refund_task() };
    let care = desk.lent(care).await;
    assert_eq!(desk.step(&care, refund(1)).await, DenyReason::Forbidden, "for another purpose");
}

#[tokio::test]
async fn where_tasks_are_required_a_call_without_one_is_denied() {
    for (required, listing) in [
        (palisade::task::Required::Tools, PERMITTED),
        (palisade::task::Required::Always, DenyReason::TaskRequired),
    ] {
        let desk = Desk::ruled(Rules { required, ..task_rules() }).await;
        assert_eq!(desk.told(said(refund(1))).await.0, DenyReason::TaskRequired);
        assert_eq!(desk.told(said(mcp("crm", "tools/list", &Json::Null))).await.0, listing);
        let task = desk.refunds().await;
        assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    }
}

#[tokio::test]
async fn a_caller_ends_its_task_by_its_id_and_another_does_not_find_it() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let end = || v1::EndRequest {
        task: Some(super::by_id(&task.id)),
        ending: v1::Ending::Failed.into(),
        ..v1::EndRequest::default()
    };
    let stranger = desk.other.clone().end(end()).await.unwrap_err();
    assert_eq!(stranger.code(), tonic::Code::NotFound, "{stranger}");
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    assert!(desk.tasks.clone().end(end()).await.unwrap().into_inner().was_open);
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::TaskRevoked);
    let task = desk.refunds().await;
    let by_operator = v1::EndRequest { task: Some(super::by_id(&task.id)), ..end() };
    assert!(desk.operator.clone().end(by_operator).await.unwrap().into_inner().was_open);
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::TaskRevoked);
}
