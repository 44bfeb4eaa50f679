//! The same request asked again: the same task, once.
//! Never two tasks for one idempotency key.

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use tonic::Code;

use super::{Desk, Held, PERMITTED, a_part, delegate, handle, refund, refund_task};

fn keyed(key: &str) -> v1::StartRequest {
    v1::StartRequest { idempotency_key: key.into(), ..refund_task() }
}

#[tokio::test]
async fn the_same_start_is_answered_with_the_same_task_and_a_token_that_counts() {
    let desk = Desk::open().await;
    let first = desk.start(keyed("k")).await;
    let again = desk.start(v1::StartRequest { request_id: "r-2".into(), ..keyed("k") }).await;
    let ids = |answer: &v1::StartResponse| answer.task.as_ref().unwrap().id.clone();
    assert_eq!(ids(&first), ids(&again));
    let decisions = [&first, &again].map(|answer| answer.decision.clone().unwrap());
    assert_ne!(decisions[0].decision_id, decisions[1].decision_id, "it is decided again");
    assert_eq!(decisions[1].decision(), v1::Decision::Permit);
    let held = Held { id: ids(&again), token: again.token, key: super::KEY.into(), state: 0 };
    assert_eq!(desk.step(&held, refund(1)).await, PERMITTED);
    assert_eq!(desk.pdp.life().tasks().open_len(), 1);
    assert_eq!(desk.moves(), ["started", "reissued"]);
    let record = desk.records("task").pop().unwrap();
    assert_eq!((&record["task"], &record["request_id"]), (&held.id.as_str().into(), &"r-2".into()));
    assert_eq!(record["decision"], decisions[1].decision_id.as_str());
    assert_ne!(desk.lent(keyed("other")).await.id, held.id);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let desk = Desk::open().await;
    desk.lent(keyed("k")).await;
    let longer = v1::Wanted { ttl_s: 601, ..super::wanted() };
    for request in [
        v1::StartRequest { intent: "something else".into(), ..keyed("k") },
        v1::StartRequest { wanted: Some(longer), ..keyed("k") },
        v1::StartRequest { session: "s".into(), ..keyed("k") },
        v1::StartRequest { purpose: Some(crate::asks::uid("Purpose::\"customer-care\"")), ..keyed("k") },
        v1::StartRequest {
            subject: super::subject("Human::\"lea\"", "Agent::\"support-bot\""),
            ..keyed("k")
        },
    ] {
        let refused = desk.tasks.clone().start(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    }
    assert_eq!(desk.moves(), ["started"]);
    let other = desk.other.clone().start(keyed("k")).await.unwrap().into_inner();
    assert_eq!(other.decision.unwrap().decision(), v1::Decision::Permit, "another caller's keys are its own");
}

#[tokio::test]
async fn a_denied_start_does_not_use_its_key_up() {
    let desk = Desk::open().await;
    let wide = v1::Wanted { scope: None, ..super::wanted() };
    desk.refused(v1::StartRequest { wanted: Some(wide), ..keyed("k") }).await;
    desk.start(v1::StartRequest { mode: v1::Mode::Preview.into(), ..keyed("k") }).await;
    assert!(desk.moves().is_empty());
    desk.lent(keyed("k")).await;
}

#[tokio::test]
async fn what_is_over_is_not_given_out_again() {
    let desk = Desk::open().await;
    let task = desk.lent(keyed("ended")).await;
    desk.end(&task, v1::Ending::Completed).await.unwrap();
    desk.lent(keyed("expired")).await;
    desk.pdp.clock().advance_s(600);
    desk.lent(v1::StartRequest { session: "chat".into(), ..keyed("stopped") }).await;
    let session = v1::SessionOfCaller { caller: "gateway".into(), session: "chat".into() };
    desk.revoke(v1::target::Target::Session(session)).await;
    for request in
        [keyed("ended"), keyed("expired"), v1::StartRequest { session: "chat".into(), ..keyed("stopped") }]
    {
        let refused = desk.tasks.clone().start(request).await.unwrap().into_inner();
        assert_eq!(refused.decision.unwrap().reason(), DenyReason::TaskRevoked);
        assert!(refused.task.is_none() && refused.token.is_empty());
    }
    assert!(!desk.moves().contains(&"reissued".to_owned()));
}

#[tokio::test]
async fn starts_with_one_key_at_once_make_one_task() {
    let desk = Desk::open().await;
    let starts = (0..8).map(|_| {
        let mut tasks = desk.tasks.clone();
        async move { tasks.start(keyed("k")).await }
    });
    let mut ids = std::collections::BTreeSet::new();
    for answer in futures_util::future::join_all(starts).await {
        match answer {
            Ok(answer) => drop(ids.insert(answer.into_inner().task.unwrap().id)),
            Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
        }
    }
    ids.insert(desk.lent(keyed("k")).await.id);
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(desk.pdp.life().tasks().open_len(), 1);
}

#[tokio::test]
async fn starts_of_one_agent_at_once_are_all_counted() {
    let desk = Desk::open().await;
    let starts = (0..10).map(|_| {
        let mut tasks = desk.tasks.clone();
        async move { tasks.start(refund_task()).await.unwrap().into_inner() }
    });
    for answer in futures_util::future::join_all(starts).await {
        assert_eq!(answer.decision.unwrap().decision(), v1::Decision::Permit);
    }
    assert_eq!(desk.pdp.life().tasks().open_len(), 10);
    let lent = desk.pdp.life().tasks().all()[0].lent();
    let name = palisade::task::window_name(&lent.grant.parties, &lent.grant.purpose);
    let window = desk.pdp.life().tasks().window(&name, lent.grant.started_s);
    assert_eq!(window.calls, 200);
}

#[tokio::test]
async fn the_same_part_is_handed_on_once() {
    let desk = Desk::open().await;
    let whole = desk.refunds().await;
    let request = |wanted: v1::Wanted| v1::DelegateRequest {
        idempotency_key: "k".into(),
        ..delegate(&whole, v1::Wanted { calls_max: 5, ..wanted })
    };
    let mut tasks = desk.tasks.clone();
    let first = tasks.delegate(request(a_part())).await.unwrap().into_inner();
    let again = tasks.delegate(request(a_part())).await.unwrap().into_inner();
    let [id, same] = [first, again].map(|answer| answer.task.unwrap().id);
    assert_eq!(id, same);
    assert_eq!(desk.get(&whole.id).await.calls_spent, 5, "taken once");
    let another = request(v1::Wanted { ttl_s: 60, ..a_part() });
    assert_eq!(tasks.delegate(another).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(desk.moves(), ["started", "delegated", "reissued"]);
}

#[tokio::test]
async fn to_end_twice_the_same_changes_nothing_and_otherwise_is_refused() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let ended = desk.end(&task, v1::Ending::Completed).await.unwrap();
    assert!(ended.was_open);
    for handle in [handle(&task), super::by_id(&task.id)] {
        let request = |ending: v1::Ending| v1::EndRequest {
            task: Some(handle.clone()),
            ending: ending.into(),
            ..v1::EndRequest::default()
        };
        let mut tasks = desk.tasks.clone();
        let again = tasks.end(request(v1::Ending::Completed)).await.unwrap().into_inner();
        assert!(!again.was_open);
        for other in [v1::Ending::Failed, v1::Ending::Cancelled] {
            let refused = tasks.end(request(other)).await.unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
            assert!(refused.message().contains("completed"), "{refused}");
        }
    }
    assert_eq!(desk.moves(), ["started", "ended"]);
}

#[tokio::test]
async fn an_end_with_a_key_is_the_end_of_one_task() {
    let desk = Desk::open().await;
    let (task, other) = (desk.refunds().await, desk.refunds().await);
    let end = |task: &Held, ending: v1::Ending| v1::EndRequest {
        task: Some(super::by_id(&task.id)),
        ending: ending.into(),
        idempotency_key: "k".into(),
        ..v1::EndRequest::default()
    };
    let mut tasks = desk.tasks.clone();
    assert!(tasks.end(end(&task, v1::Ending::Completed)).await.unwrap().get_ref().was_open);
    assert!(!tasks.end(end(&task, v1::Ending::Completed)).await.unwrap().get_ref().was_open);
    for request in [
        end(&task, v1::Ending::Failed),
        end(&other, v1::Ending::Completed),
        v1::EndRequest { task: Some(handle(&other)), ..end(&other, v1::Ending::Completed) },
    ] {
        assert_eq!(tasks.end(request).await.unwrap_err().code(), Code::AlreadyExists);
    }
    assert_eq!(desk.step(&other, refund(1)).await, PERMITTED, "nobody ended it");
}
