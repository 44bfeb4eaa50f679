//! Every state of a task × everything that can happen to it, as a golden table.
//! Never an end that is undone.

use std::fmt::Write as _;

use palisade::api::proto::v1;
use tonic::Status;

use super::{Desk, Held, a_part, by_id, delegate, handle, refund};

/// What each call answers, and `-> state` where the task stands otherwise afterwards.
const TABLE: &str = "\
state      use                 delegate            renew               completed           failed              cancelled           completed by id     failed by id        cancelled by id     revoke
open       permit              permit              permit              ok -> completed     ok -> failed        ok -> cancelled     ok -> completed     ok -> failed        ok -> cancelled     ok, 1 -> revoked
completed  TASK_REVOKED        TASK_REVOKED        TASK_REVOKED        ok, again           FailedPrecondition  FailedPrecondition  ok, again           FailedPrecondition  FailedPrecondition  ok, 0
failed     TASK_REVOKED        TASK_REVOKED        TASK_REVOKED        FailedPrecondition  ok, again           FailedPrecondition  FailedPrecondition  ok, again           FailedPrecondition  ok, 0
cancelled  TASK_REVOKED        TASK_REVOKED        TASK_REVOKED        FailedPrecondition  FailedPrecondition  ok, again           FailedPrecondition  FailedPrecondition  ok, again           ok, 0
expired    TASK_EXPIRED        TASK_EXPIRED        TASK_EXPIRED        NotFound            NotFound            NotFound            NotFound            NotFound            NotFound            ok, 1 -> revoked
revoked    TASK_REVOKED        TASK_REVOKED        TASK_REVOKED        FailedPrecondition  FailedPrecondition  FailedPrecondition  FailedPrecondition  FailedPrecondition  FailedPrecondition  ok, 0
";

const STATES: [&str; 6] = ["open", "completed", "failed", "cancelled", "expired", "revoked"];
const EVENTS: [&str; 10] = [
    "use",
    "delegate",
    "renew",
    "completed",
    "failed",
    "cancelled",
    "completed by id",
    "failed by id",
    "cancelled by id",
    "revoke",
];

#[tokio::test]
async fn every_state_under_every_event_is_as_the_table_says() {
    let desk = Desk::open().await;
    let mut found = row("state", EVENTS.map(str::to_owned));
    for state in STATES {
        let mut cells = EVENTS.map(str::to_owned);
        for cell in &mut cells {
            let task = standing(&desk, state).await;
            assert_eq!(stands(&desk, &task).await, state);
            let answer = happens(&desk, &task, cell).await;
            let after = stands(&desk, &task).await;
            *cell = if after == state { answer } else { format!("{answer} -> {after}") };
            assert!(state == "open" || !answers_open(&desk, &task).await, "{state}: alive after {cell}");
        }
        found += &row(state, cells);
    }
    assert!(found == TABLE, "{}", similar::TextDiff::from_lines(TABLE, &found).unified_diff());
}

fn row(state: &str, cells: [String; 10]) -> String {
    let mut row = format!("{state:<11}");
    for cell in cells {
        write!(row, "{cell:<20}").unwrap();
    }
    format!("{}\n", row.trim_end())
}

/// A task that stands so.
async fn standing(desk: &Desk, state: &str) -> Held {
    let task = desk.refunds().await;
    match state {
        "open" => {}
        "expired" => desk.pdp.clock().advance_s(600),
        "revoked" => drop(desk.revoke(v1::target::Target::Task(task.id.clone())).await),
        ending => drop(desk.end(&task, self::ending(ending)).await.unwrap()),
    }
    task
}

async fn stands(desk: &Desk, task: &Held) -> String {
    let state = desk.get(&task.id).await.state().as_str_name();
    state.trim_start_matches("TASK_STATE_").to_lowercase()
}

async fn answers_open(desk: &Desk, task: &Held) -> bool {
    desk.step(task, refund(1)).await == super::PERMITTED
}

fn ending(name: &str) -> v1::Ending {
    match name {
        "completed" => v1::Ending::Completed,
        "failed" => v1::Ending::Failed,
        "cancelled" => v1::Ending::Cancelled,
        other => panic!("{other}"),
    }
}

async fn happens(desk: &Desk, task: &Held, event: &str) -> String {
    let mut tasks = desk.tasks.clone();
    match event {
        "use" => reason(desk.step(task, refund(1)).await),
        "delegate" => {
            let answer = tasks.delegate(delegate(task, a_part())).await;
            answered(answer.map(|answer| answer.into_inner().decision))
        }
        "renew" => answered(Ok(desk.renew(task, 900).await.decision)),
        "revoke" => {
            let revoked = desk.revoke(v1::target::Target::Task(task.id.clone())).await;
            format!("ok, {}", revoked.tasks)
        }
        how => {
            let (how, is_by_id) = how.strip_suffix(" by id").map_or((how, false), |how| (how, true));
            let request = v1::EndRequest {
                task: Some(if is_by_id { by_id(&task.id) } else { handle(task) }),
                ending: ending(how).into(),
                ..v1::EndRequest::default()
            };
            match tasks.end(request).await {
                Ok(answer) if answer.get_ref().was_open => "ok".into(),
                Ok(_) => "ok, again".into(),
                Err(status) => format!("{:?}", status.code()),
            }
        }
    }
}

fn reason(reason: v1::DenyReason) -> String {
    match reason {
        super::PERMITTED => "permit".into(),
        reason => reason.as_str_name().trim_start_matches("DENY_REASON_").into(),
    }
}

fn answered(decision: Result<Option<v1::TaskDecision>, Status>) -> String {
    decision
        .map_or_else(|status| format!("{:?}", status.code()), |decision| reason(decision.unwrap().reason()))
}
