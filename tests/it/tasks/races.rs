//! Several at once: what each is answered agrees with what happened.
//! Never one task that ended twice, or calls that were lent twice.

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::api::proto::v1::target::Target;
use tonic::Code;

use super::{Desk, Held, PERMITTED, a_part, by_id, delegate, held, refund};

const TRIES: usize = 40;

async fn end_of(desk: &Desk, task: &Held, ending: v1::Ending) -> Result<bool, Code> {
    let request =
        v1::EndRequest { task: Some(by_id(&task.id)), ending: ending.into(), ..v1::EndRequest::default() };
    let answer = desk.tasks.clone().end(request).await;
    answer.map(|answer| answer.into_inner().was_open).map_err(|status| status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_ends_at_once_one_counts() {
    let desk = Desk::open().await;
    for at in 0..TRIES {
        let task = desk.refunds().await;
        if at % 2 == 0 {
            desk.part(&task, a_part()).await;
        }
        let (one, two) = tokio::join!(
            end_of(&desk, &task, v1::Ending::Completed),
            end_of(&desk, &task, v1::Ending::Failed)
        );
        let counts = [one == Ok(true), two == Ok(true)];
        assert_ne!(counts[0], counts[1], "{at}: {one:?}, {two:?}");
        let expected = if counts[0] { v1::TaskState::Completed } else { v1::TaskState::Failed };
        assert_eq!(desk.get(&task.id).await.state(), expected);
        let ends = desk
            .records("task")
            .into_iter()
            .filter(|record| record["move"] == "ended" && record["task"] == task.id.as_str());
        assert_eq!(ends.count(), 1, "{at}: one end is on record");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_handed_on_while_the_whole_ends_does_not_live() {
    let desk = Desk::open().await;
    for at in 0..TRIES {
        let whole = desk.refunds().await;
        let handed_on = async { desk.tasks.clone().delegate(delegate(&whole, a_part())).await };
        let over = async {
            if at % 2 == 0 {
                end_of(&desk, &whole, v1::Ending::Completed).await.map(drop)
            } else {
                desk.revoke(Target::Task(whole.id.clone())).await;
                Ok(())
            }
        };
        let (part, over) = tokio::join!(handed_on, over);
        // Whoever came second may have to ask again.
        if over == Err(Code::Aborted) {
            end_of(&desk, &whole, v1::Ending::Completed).await.unwrap();
        }
        assert_eq!(desk.step(&whole, refund(1)).await, DenyReason::TaskRevoked);
        match part {
            Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
            Ok(answer) => {
                let answer = answer.into_inner();
                if answer.token.is_empty() {
                    continue;
                }
                let part = held(answer.decision, answer.task, answer.token, answer.state_revision);
                assert_eq!(desk.step(&part, refund(1)).await, DenyReason::TaskRevoked);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_at_once_have_no_more_calls_together_than_the_whole() {
    let desk = Desk::open().await;
    for _ in 0..5 {
        let whole = desk.refunds().await;
        let parts = (0..8).map(|at| {
            let wanted =
                v1::Wanted { calls_max: 5, key_thumbprint: format!("{at:B>43}"), ..v1::Wanted::default() };
            let (mut tasks, request) = (desk.tasks.clone(), delegate(&whole, wanted));
            async move { tasks.delegate(request).await }
        });
        let mut lent = 0;
        for answer in futures_util::future::join_all(parts).await {
            match answer.map(|answer| answer.into_inner().decision.unwrap().reason()) {
                Ok(PERMITTED) => lent += 5,
                Ok(reason) => assert_eq!(reason, DenyReason::OutOfScope),
                Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
            }
        }
        assert!(lent <= 20);
        assert_eq!(desk.get(&whole.id).await.calls_spent, lent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_at_once_with_a_revocation_of_its_person_does_not_live() {
    let desk = Desk::open().await;
    let ana = || Target::Human(crate::asks::uid("Human::\"ana\""));
    for _ in 0..TRIES {
        let started = async { desk.tasks.clone().start(super::refund_task()).await };
        let (started, _) = tokio::join!(started, desk.revoke(ana()));
        match started {
            Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
            Ok(answer) => {
                let answer = answer.into_inner();
                if !answer.token.is_empty() {
                    let task = held(answer.decision, answer.task, answer.token, answer.state_revision);
                    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::TaskRevoked);
                }
            }
        }
        desk.lift(ana()).await;
        desk.pdp.clock().advance_s(1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_at_once_are_permitted_no_more_often_than_there_are_calls() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let steps = (0..60).map(|_| async {
        loop {
            match desk.step(&task, refund(1)).await {
                DenyReason::Stale => tokio::task::yield_now().await,
                reason => return reason,
            }
        }
    });
    let answers = futures_util::future::join_all(steps).await;
    assert_eq!(answers.iter().filter(|reason| **reason == PERMITTED).count(), 20);
    assert!(answers.iter().all(|reason| [PERMITTED, DenyReason::OverBudget].contains(reason)));
}
