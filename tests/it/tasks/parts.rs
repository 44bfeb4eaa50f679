//! Parts of tasks: never more than the whole, in any direction, nor longer.
//! Never a part without a key of its own.

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::api::proto::v1::bound::Limit;
use palisade::task::{Ceiling, Rules};

use super::{
    Desk, Held, KEY, PART_KEY, PERMITTED, THIRD_KEY, a_part, at_most, bound, delegate, entity, lookup, names,
    refund, refund_task, scoped, under, wanted,
};
use crate::asks::uid;
use crate::pdp::task_rules;

/// A task with every kind of limit.
fn limited() -> v1::StartRequest {
    scoped(v1::Scope {
        tools: names(["crm/issue_refund", "crm/lookup_customer"]),
        data_classes: names(["payment", "customer"]),
        bounds: vec![
            at_most("50"),
            bound("crm/issue_refund", "amount", Limit::AtLeast("5".into())),
            bound("crm/issue_refund", "note", Limit::OneOf(names(["late", "lost"]).unwrap())),
        ],
        ..v1::Scope::default()
    })
}

async fn refused(desk: &Desk, request: v1::DelegateRequest) -> (DenyReason, String) {
    let answer = desk.tasks.clone().delegate(request).await.unwrap().into_inner();
    assert!(answer.task.is_none() && answer.token.is_empty(), "{answer:?}");
    let decision = answer.decision.unwrap();
    (decision.reason(), decision.reason_text)
}

fn scope(change: impl FnOnce(&mut v1::Scope)) -> v1::Wanted {
    let mut scope = v1::Scope::default();
    change(&mut scope);
    v1::Wanted { scope: Some(scope), ..a_part() }
}

#[tokio::test]
async fn a_part_that_asks_for_more_than_the_whole_is_out_of_scope_in_every_direction() {
    let desk = Desk::open().await;
    let whole = desk.lent(limited()).await;
    let bounds = |bound: v1::Bound| scope(|scope| scope.bounds = vec![bound]);
    let note = |notes| bound("crm/issue_refund", "note", Limit::OneOf(notes));
    for (wanted, words) in [
        (scope(|scope| scope.servers = names(["crm", "git"])), "servers"),
        (scope(|scope| scope.tools = names(["crm/send_email"])), "tools"),
        (scope(|scope| scope.tools = names(["crm/lookup_customer", "crm/send_email"])), "tools"),
        (scope(|scope| scope.data_classes = names(["restricted"])), "classes of data"),
        (scope(|scope| scope.data_classes = names(["payment", "internal"])), "classes of data"),
        (bounds(at_most("50.0001")), "the argument `amount` of `crm/issue_refund`"),
        (bounds(bound("crm/issue_refund", "amount", Limit::AtLeast("4.9".into()))), "`amount`"),
        (bounds(note(names(["late", "broken"]).unwrap())), "`note`"),
        (v1::Wanted { calls_max: 21, ..a_part() }, "it asks for 21 calls, and the task has 20 left"),
        (v1::Wanted { ttl_s: 601, ..a_part() }, "it asks for 601 s, and 600 s are to be had"),
        (v1::Wanted { key_thumbprint: KEY.into(), ..a_part() }, "a key of its own"),
    ] {
        let (reason, found) = refused(&desk, delegate(&whole, wanted)).await;
        assert_eq!(reason, DenyReason::OutOfScope, "{found}");
        assert!(found.contains(words), "{found}");
    }
    let keyless = v1::Wanted { key_thumbprint: String::new(), ..a_part() };
    assert_eq!(refused(&desk, delegate(&whole, keyless)).await.0, DenyReason::BindingMissing);
    let unknown = scope(|scope| scope.tools = names(["crm/fire"]));
    assert_eq!(refused(&desk, delegate(&whole, unknown)).await.0, DenyReason::InvalidInput);
    assert_eq!(desk.get(&whole.id).await.calls_spent, 0, "nothing was taken");
    assert_eq!(desk.moves(), ["started"]);
}

#[tokio::test]
async fn a_part_works_within_what_it_was_given_and_within_the_whole() {
    let desk = Desk::open().await;
    let whole = desk.lent(limited()).await;
    let part = scope(|scope| {
        scope.tools = names(["crm/issue_refund"]);
        scope.bounds = vec![at_most("20")];
    });
    let part = desk.part(&whole, part).await;
    let with = |amount: i64, note: &str| {
        let arguments = serde_json::json!({ "order": "o", "amount": amount, "note": note });
        super::call("crm/issue_refund", &arguments)
    };
    assert_eq!(desk.step(&part, with(20, "late")).await, PERMITTED);
    let record = desk.pdp.ledger.last();
    assert_eq!(record["principal"], entity("Human::\"ana\""));
    assert_eq!(record["actor"], entity("Agent::\"lead-bot\""));
    assert_eq!(record["earlier_actors"], serde_json::json!([entity("Agent::\"support-bot\"")]));
    for step in [with(21, "late"), with(4, "late"), with(20, "other"), lookup()] {
        assert_eq!(desk.step(&part, step).await, DenyReason::OutOfScope);
    }
    assert_eq!(desk.step(&whole, with(50, "lost")).await, PERMITTED, "the whole goes on");
    let with_the_wrong_key = Held { key: KEY.into(), ..part.clone() };
    assert_eq!(desk.step(&with_the_wrong_key, with(20, "late")).await, DenyReason::Unauthenticated);

    let shown = desk.get(&part.id).await;
    assert_eq!(shown.ancestors, [whole.id]);
    let scope = shown.scope.unwrap();
    assert_eq!(scope.data_classes, names(["customer", "payment"]), "what it did not name is the whole's");
    assert_eq!(scope.bounds.len(), 3, "{:?}", scope.bounds);
    let records = desk.records("task");
    assert_eq!((&records[1]["move"], &records[1]["intent"]), (&"delegated".into(), &"a part of it".into()));
    let decided = desk.records("decided");
    assert!(decided.iter().any(|record| record["action"] == entity("Action::\"tasks/delegate\"")));
}

#[tokio::test]
async fn a_part_takes_its_calls_from_the_whole() {
    let desk = Desk::open().await;
    let whole = desk.refunds().await;
    let part = desk.part(&whole, v1::Wanted { calls_max: 5, ..a_part() }).await;
    assert_eq!(desk.get(&whole.id).await.calls_spent, 5);
    let half = desk.part(&whole, v1::Wanted { key_thumbprint: THIRD_KEY.into(), ..a_part() }).await;
    assert_eq!(desk.get(&half.id).await.calls_max, 7, "half of the 15 that are left, unless it asks");
    for _ in 0..5 {
        assert_eq!(desk.step(&part, refund(1)).await, PERMITTED);
    }
    assert_eq!(desk.step(&part, refund(1)).await, DenyReason::OverBudget);
    for _ in 0..8 {
        assert_eq!(desk.step(&whole, refund(1)).await, PERMITTED);
    }
    assert_eq!(desk.step(&whole, refund(1)).await, DenyReason::OverBudget);
    assert_eq!(desk.step(&half, refund(1)).await, PERMITTED, "what it was given it has");
}

#[tokio::test]
async fn a_part_dies_with_the_whole_however_that_ends() {
    let desk = Desk::open().await;
    for (reason, state, how) in [
        (DenyReason::TaskRevoked, v1::TaskState::Failed, "end"),
        (DenyReason::TaskRevoked, v1::TaskState::Revoked, "revoke"),
        (DenyReason::TaskExpired, v1::TaskState::Expired, "expire"),
    ] {
        let whole = desk.refunds().await;
        let part = desk.part(&whole, a_part()).await;
        assert_eq!(desk.step(&part, refund(1)).await, PERMITTED);
        match how {
            "end" => drop(desk.end(&whole, v1::Ending::Failed).await.unwrap()),
            "revoke" => {
                let revoked = desk.revoke(v1::target::Target::Task(whole.id.clone())).await;
                assert_eq!(revoked.tasks, 2, "with its part");
            }
            _ => desk.pdp.clock().advance_s(600),
        }
        assert_eq!(desk.step(&part, refund(1)).await, reason, "{how}");
        assert_eq!(desk.get(&part.id).await.state(), state, "{how}");
    }
}

#[tokio::test]
async fn the_whole_goes_on_when_its_part_ends() {
    let desk = Desk::open().await;
    let whole = desk.refunds().await;
    let part = desk.part(&whole, a_part()).await;
    assert!(desk.end(&part, v1::Ending::Completed).await.unwrap().was_open);
    assert_eq!(desk.step(&part, refund(1)).await, DenyReason::TaskRevoked);
    assert_eq!(desk.step(&whole, refund(1)).await, PERMITTED);
}

#[tokio::test]
async fn a_task_is_handed_on_as_often_as_may_be_and_no_more() {
    let ceiling = Ceiling { depth_max: 1, ..task_rules().ceiling };
    let desk = Desk::ruled(Rules { ceiling, ..task_rules() }).await;
    let whole = desk.refunds().await;
    let part = desk.part(&whole, a_part()).await;
    let further = v1::Wanted { key_thumbprint: THIRD_KEY.into(), ..a_part() };
    let (reason, words) = refused(&desk, delegate(&part, further.clone())).await;
    assert_eq!(reason, DenyReason::OutOfScope);
    assert!(words.contains("may be handed on 1 times"), "{words}");

    let desk = Desk::open().await;
    let whole = desk.refunds().await;
    let part = desk.part(&whole, a_part()).await;
    let (reason, _) = refused(&desk, delegate(&part, further)).await;
    assert_eq!(reason, DenyReason::Forbidden, "a guard of the bundle is stricter");
}

#[tokio::test]
async fn a_part_goes_to_an_agent_that_a_policy_lets_have_it_and_from_the_keys_holder_alone() {
    let desk = Desk::open().await;
    let whole = desk.refunds().await;
    let to = |agent: &str| v1::DelegateRequest { actor: Some(uid(agent)), ..delegate(&whole, a_part()) };
    assert_eq!(refused(&desk, to("Agent::\"coder\"")).await.0, DenyReason::NoPermit);
    assert_eq!(refused(&desk, to("Agent::\"retired-bot\"")).await.0, DenyReason::Forbidden);
    assert_ne!(refused(&desk, to("Human::\"lea\"")).await.0, PERMITTED);
    let nobody = v1::DelegateRequest { actor: None, ..delegate(&whole, a_part()) };
    assert_eq!(refused(&desk, nobody).await.0, DenyReason::Unauthenticated);
    let unproven = Held { key: String::new(), ..whole.clone() };
    assert_eq!(refused(&desk, delegate(&unproven, a_part())).await.0, DenyReason::BindingMissing);
    let stolen = Held { key: PART_KEY.into(), ..whole.clone() };
    assert_eq!(refused(&desk, delegate(&stolen, a_part())).await.0, DenyReason::Unauthenticated);

    let looked = v1::DelegateRequest { mode: v1::Mode::Preview.into(), ..delegate(&whole, a_part()) };
    let answer = desk.tasks.clone().delegate(looked).await.unwrap().into_inner();
    assert!(answer.task.is_some() && answer.token.is_empty(), "a preview: {answer:?}");
    assert_eq!(desk.get(&whole.id).await.calls_spent, 0);
}

#[tokio::test]
async fn a_part_of_a_large_task_never_has_calls_that_the_whole_has_spent() {
    let desk = Desk::open().await;
    let large = v1::Wanted { calls_max: 40, ..wanted() };
    let whole = desk.lent(v1::StartRequest { wanted: Some(large), ..refund_task() }).await;
    desk.part(&whole, v1::Wanted { calls_max: 38, ..a_part() }).await;
    let mut permitted = 0;
    loop {
        match desk.told(under(&whole, refund(1))).await.0 {
            PERMITTED => permitted += 1,
            DenyReason::Stale => tokio::task::yield_now().await,
            reason => break assert_eq!(reason, DenyReason::OverBudget),
        }
    }
    assert_eq!(permitted, 2);
}
