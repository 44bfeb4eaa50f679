//! Authority that is taken back, by every kind of target: what it concerns is denied at once, the rest goes on.
//! Never back to life by a lift.

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::api::proto::v1::target::Target;
use serde_json::Value as Json;
use tonic::Code;

use super::{
    Desk, Held, PERMITTED, a_part, call, held, lookup, names, refund, refund_task, revoke, said, scoped,
    subject, under,
};
use crate::asks::{by, mcp, uid};

fn session(caller: &str, session: &str) -> Target {
    Target::Session(v1::SessionOfCaller { caller: caller.into(), session: session.into() })
}

fn agent(id: &str) -> Target {
    Target::Agent(uid(&format!("Agent::\"{id}\"")))
}

fn human(id: &str) -> Target {
    Target::Human(uid(&format!("Human::\"{id}\"")))
}

fn chat(session: &str) -> v1::StartRequest {
    v1::StartRequest { session: session.into(), ..refund_task() }
}

fn of(principal: &str, actor: &str) -> v1::StartRequest {
    v1::StartRequest { subject: subject(principal, actor), ..refund_task() }
}

const ANA: &str = "Human::\"ana\"";
const LEA: &str = "Human::\"lea\"";
const BOT: &str = "Agent::\"support-bot\"";
const LEAD: &str = "Agent::\"lead-bot\"";

/// A revocation of parties or a session concerns some tasks and not others, and keeps out new ones until it is lifted.
async fn stops(target: Target, concerned: [v1::StartRequest; 2], others: [v1::StartRequest; 2]) {
    let desk = Desk::open().await;
    let mut before = Vec::new();
    for request in &concerned {
        before.push(desk.lent(request.clone()).await);
    }
    let mut apart = Vec::new();
    for request in &others {
        apart.push(desk.lent(request.clone()).await);
    }
    let revoked = desk.revoke(target.clone()).await;
    assert_eq!(revoked.tasks, 2);
    for task in &before {
        assert_eq!(desk.step(task, refund(1)).await, DenyReason::TaskRevoked);
        assert_eq!(desk.get(&task.id).await.state(), v1::TaskState::Revoked);
        let part = desk.tasks.clone().delegate(super::delegate(task, a_part())).await.unwrap().into_inner();
        assert_eq!(part.decision.unwrap().reason(), DenyReason::TaskRevoked);
        assert_eq!(desk.renew(task, 900).await.decision.unwrap().reason(), DenyReason::TaskRevoked);
    }
    for task in &apart {
        assert_eq!(desk.step(task, refund(1)).await, PERMITTED);
    }
    desk.pdp.clock().advance_s(1);
    for request in &concerned {
        assert_eq!(desk.refused(request.clone()).await.0, DenyReason::TaskRevoked, "{target:?}");
    }
    for request in &others {
        desk.lent(request.clone()).await;
    }
    desk.lift(target.clone()).await;
    for task in &before {
        assert_eq!(desk.step(task, refund(1)).await, DenyReason::TaskRevoked, "lifting revives nothing");
    }
    for request in concerned {
        let task = desk.lent(request).await;
        assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    }
    let again = desk.operator.clone().lift(lift(target)).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
}

fn lift(target: Target) -> v1::LiftRequest {
    let v1::RevokeRequest { target, reason, request_id } = revoke(target);
    v1::LiftRequest { target, reason, request_id }
}

#[tokio::test]
async fn a_revoked_session_stops_its_tasks_and_no_others() {
    stops(session("gateway", "chat-1"), [chat("chat-1"), chat("chat-1")], [chat("chat-2"), refund_task()])
        .await;
}

#[tokio::test]
async fn a_revoked_agent_stops_whoever_it_acts_for() {
    stops(agent("support-bot"), [of(ANA, BOT), of(LEA, BOT)], [of(ANA, LEAD), of(LEA, LEAD)]).await;
}

#[tokio::test]
async fn a_revoked_person_stops_whoever_acts_for_them() {
    stops(human("ana"), [of(ANA, BOT), of(ANA, LEAD)], [of(LEA, BOT), of(LEA, LEAD)]).await;
}

#[tokio::test]
async fn a_session_of_one_caller_is_not_that_of_another() {
    let desk = Desk::open().await;
    let ours = desk.lent(chat("chat")).await;
    let theirs = desk.other.clone().start(chat("chat")).await.unwrap().into_inner();
    let theirs = held(theirs.decision, theirs.task, theirs.token, theirs.state_revision);
    assert_eq!(desk.revoke(session("other", "chat")).await.tasks, 1);
    assert_eq!(desk.step(&theirs, refund(1)).await, DenyReason::TaskRevoked);
    assert_eq!(desk.step(&ours, refund(1)).await, PERMITTED);
}

#[tokio::test]
async fn a_revoked_task_takes_its_parts_with_it_and_a_revoked_part_itself_alone() {
    let desk = Desk::open().await;
    let (whole, other) = (desk.refunds().await, desk.refunds().await);
    let part = desk.part(&whole, a_part()).await;
    let second = v1::Wanted { key_thumbprint: super::THIRD_KEY.into(), ..a_part() };
    let second = desk.part(&whole, second).await;
    assert_eq!(desk.revoke(Target::Task(part.id.clone())).await.tasks, 1);
    assert_eq!(desk.step(&part, refund(1)).await, DenyReason::TaskRevoked);
    assert_eq!(desk.step(&second, refund(1)).await, PERMITTED);
    assert_eq!(desk.step(&whole, refund(1)).await, PERMITTED);
    assert_eq!(desk.revoke(Target::Task(whole.id.clone())).await.tasks, 2);
    for task in [&whole, &second] {
        assert_eq!(desk.step(task, refund(1)).await, DenyReason::TaskRevoked);
    }
    assert_eq!(desk.step(&other, refund(1)).await, PERMITTED);
    let unknown = Target::Task("tsk_00000000000000000000000000000001".into());
    assert_eq!(desk.operator.clone().revoke(revoke(unknown)).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_part_falls_with_an_agent_of_its_chain_and_with_the_session_of_the_whole() {
    for target in [agent("lead-bot"), agent("support-bot"), human("ana"), session("gateway", "chat")] {
        let desk = Desk::open().await;
        let whole = desk.lent(chat("chat")).await;
        let part = desk.part(&whole, a_part()).await;
        desk.revoke(target.clone()).await;
        assert_eq!(desk.step(&part, refund(1)).await, DenyReason::TaskRevoked, "{target:?}");
        let whole_goes_on = target == agent("lead-bot");
        assert_eq!(desk.step(&whole, refund(1)).await == PERMITTED, whole_goes_on, "{target:?}");
    }
}

#[tokio::test]
async fn what_a_stopped_tool_server_or_class_of_data_is_for_is_closed_with_and_without_a_task() {
    let crm = || v1::Scope { servers: names(["crm"]), ..v1::Scope::default() };
    let lists = || mcp("crm", "tools/list", &Json::Null);
    let both = || [refund(1), lookup(), lists()];
    for (target, closed) in [
        (Target::Tool("crm/issue_refund".into()), [true, false, false]),
        (Target::Server("crm".into()), [true, true, true]),
        (Target::DataClass("customer".into()), [false, true, false]),
        (Target::DataClass("payment".into()), [true, false, false]),
        (Target::DataClass("restricted".into()), [false, false, false]),
        (Target::Server("git".into()), [false, false, false]),
    ] {
        let desk = Desk::open().await;
        let task = desk.lent(scoped(crm())).await;
        desk.revoke(target.clone()).await;
        for (step, is_closed) in both().into_iter().zip(closed) {
            let expected = if is_closed { DenyReason::TaskRevoked } else { PERMITTED };
            assert_eq!(desk.step(&task, step.clone()).await, expected, "{target:?}");
            let (reason, words) = desk.told(said(step)).await;
            assert_eq!(reason, expected, "{target:?}, without a task: {words}");
            assert!(!is_closed || words.contains("closed by an operator"), "{words}");
        }
        desk.lift(target).await;
        for step in both() {
            assert_eq!(desk.step(&task, step).await, PERMITTED);
        }
    }
}

#[tokio::test]
async fn a_closed_class_of_data_closes_what_is_more_sensitive_too() {
    let desk = Desk::open().await;
    let export = || by(LEA, Some(LEAD), call("crm/export_customers", &serde_json::json!({})));
    assert_ne!(desk.told(export()).await.0, DenyReason::TaskRevoked);
    desk.revoke(Target::DataClass("customer".into())).await;
    assert_eq!(desk.told(export()).await.0, DenyReason::TaskRevoked);
    assert_eq!(desk.told(said(refund(1))).await.0, PERMITTED, "payments are beside it");
}

#[tokio::test]
async fn a_stopped_agent_or_person_does_nothing_without_a_task_either() {
    for (target, stopped, others) in [
        (agent("support-bot"), [(ANA, BOT), (LEA, BOT)], [(ANA, LEAD), (LEA, LEAD)]),
        (human("ana"), [(ANA, BOT), (ANA, LEAD)], [(LEA, BOT), (LEA, LEAD)]),
    ] {
        let desk = Desk::open().await;
        desk.revoke(target.clone()).await;
        for (principal, actor) in stopped {
            let (reason, words) = desk.told(by(principal, Some(actor), lookup())).await;
            assert_eq!(reason, DenyReason::TaskRevoked);
            assert!(words.contains("stopped by an operator"), "{words}");
            let record = desk.pdp.ledger.last();
            assert_eq!(record["principal"], super::entity(principal), "who it was is on record");
        }
        for (principal, actor) in others {
            assert_eq!(desk.told(by(principal, Some(actor), lookup())).await.0, PERMITTED);
        }
        desk.lift(target).await;
        assert_eq!(desk.told(said(lookup())).await.0, PERMITTED);
    }
}

#[tokio::test]
async fn what_a_revoked_key_signed_before_counts_no_more() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let kid = desk.pdp.life().tasks().issuer().signing().kid().to_owned();
    for unknown in
        [Target::KeyId("another".into()), Target::Tool("crm/issue".into()), Target::Server("c".into())]
    {
        let refused = desk.operator.clone().revoke(revoke(unknown)).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "it would stop nothing: {refused}");
    }
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    desk.revoke(Target::KeyId(kid)).await;
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::TaskRevoked);
    assert_eq!(desk.told(said(refund(1))).await.0, PERMITTED, "without a task");
}

#[tokio::test]
async fn who_has_the_role_tasks_alone_takes_back_its_own_tasks_and_sessions_and_nothing_else() {
    let desk = Desk::open().await;
    let ours = desk.lent(chat("chat")).await;
    let mut gateway = desk.tasks.clone();
    let mut other = desk.other.clone();
    let strange = [
        Target::Task(ours.id.clone()),
        session("gateway", "chat"),
        agent("support-bot"),
        human("ana"),
        Target::Tool("crm/issue_refund".into()),
        Target::Server("crm".into()),
        Target::DataClass("customer".into()),
        Target::KeyId(desk.pdp.life().tasks().issuer().signing().kid().to_owned()),
    ];
    for target in strange.clone() {
        let refused = other.revoke(revoke(target.clone())).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{target:?}");
        let record = desk.pdp.ledger.last();
        assert_eq!((&record["type"], &record["outcome"]), (&"admin".into(), &"refused".into()));
        assert_eq!((&record["caller"], &record["call"]), (&"other".into(), &"admin".into()));
        assert_eq!(other.lift(lift(target)).await.unwrap_err().code(), Code::PermissionDenied);
    }
    assert_eq!(desk.step(&ours, refund(1)).await, PERMITTED);
    assert_eq!(
        gateway.revoke(revoke(session("", "chat"))).await.unwrap().get_ref().tasks,
        1,
        "its own session"
    );
    assert_eq!(desk.step(&ours, refund(1)).await, DenyReason::TaskRevoked);
    let own_lift = gateway.lift(lift(session("", "chat"))).await.unwrap_err();
    assert_eq!(own_lift.code(), Code::PermissionDenied);
    let task = desk.refunds().await;
    assert_eq!(
        gateway.revoke(revoke(Target::Task(task.id))).await.unwrap().get_ref().tasks,
        1,
        "its own task"
    );
    for target in &strange[1..] {
        desk.revoke(target.clone()).await;
    }
}

#[tokio::test]
async fn a_revocation_and_its_lift_are_on_record_and_in_the_list() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    desk.revoke(agent("support-bot")).await;
    let list = || async {
        desk.operator.clone().list(v1::ListRequest::default()).await.unwrap().into_inner().revocations
    };
    let shown = list().await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].target.clone().unwrap().target, Some(agent("support-bot")));
    assert_eq!((shown[0].reason.as_str(), shown[0].caller.as_str()), ("an incident", "operator"));
    desk.lift(agent("support-bot")).await;
    assert!(list().await.is_empty());
    let mut records = desk.records("task");
    records.retain(|record| record.get("target").is_some());
    assert_eq!(records.len(), 2);
    for (record, what) in records.iter().zip(["revoked", "lifted"]) {
        assert_eq!((&record["move"], &record["caller"]), (&what.into(), &"operator".into()));
        assert_eq!(record["target"], r#"agent/Agent::"support-bot""#);
        assert_eq!(record["reason"], "an incident");
    }
    desk.end(&task, v1::Ending::Completed).await.unwrap_err();
    let task = desk.refunds_later().await;
    desk.end(&task, v1::Ending::Completed).await.unwrap();
    desk.revoke(Target::Task(task.id.clone())).await;
    let record = desk.pdp.ledger.last();
    assert_eq!(
        (&record["move"], &record["state"], &record["tasks"]),
        (&"revoked".into(), &"completed".into(), &0.into())
    );
}

#[tokio::test]
async fn a_revocation_needs_a_reason_and_a_target_that_has_a_name() {
    let desk = Desk::open().await;
    let named = |target| v1::RevokeRequest { reason: "why".into(), ..revoke(target) };
    for request in [
        v1::RevokeRequest { reason: String::new(), ..revoke(agent("support-bot")) },
        v1::RevokeRequest { reason: "x".repeat(257), ..revoke(agent("support-bot")) },
        v1::RevokeRequest { target: None, ..revoke(agent("support-bot")) },
        v1::RevokeRequest { target: Some(v1::Target { target: None }), ..revoke(agent("support-bot")) },
        named(Target::Task("tsk_1".into())),
        named(Target::Tool(String::new())),
        named(session("", "")),
        named(Target::Agent(v1::EntityUid { r#type: "Agent".into(), id: String::new() })),
    ] {
        let refused = desk.operator.clone().revoke(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

#[tokio::test]
async fn a_step_that_waits_for_a_revocation_sees_it() {
    let desk = Desk::open().await;
    let task: Held = desk.refunds().await;
    let revoked = desk.revoke(Target::Task(task.id.clone())).await;
    let step = v1::AuthorizeRequest { min_state_revision: revoked.state_revision, ..refund(1) };
    assert_eq!(desk.told(under(&task, step)).await.0, DenyReason::TaskRevoked);
}

#[tokio::test]
async fn the_end_of_a_session_ends_the_tasks_that_its_caller_started_in_it() {
    let desk = Desk::open().await;
    let (ours, elsewhere) = (desk.lent(chat("chat")).await, desk.lent(chat("another")).await);
    let theirs = desk.other.clone().start(chat("chat")).await.unwrap().into_inner();
    let theirs = held(theirs.decision, theirs.task, theirs.token, theirs.state_revision);
    assert_eq!(desk.step(&ours, refund(1)).await, PERMITTED);
    let end = || v1::EndSessionRequest { session: "chat".into() };
    assert_eq!(desk.client.clone().end_session(end()).await.unwrap().get_ref().tasks, 1);
    assert_eq!(desk.step(&ours, refund(1)).await, DenyReason::TaskRevoked);
    for task in [&elsewhere, &theirs] {
        assert_eq!(desk.step(task, refund(1)).await, PERMITTED);
    }
    assert_eq!(desk.refused(chat("chat")).await.0, DenyReason::TaskRevoked, "nothing more begins in it");
    let mut records = desk.records("task");
    records.retain(|record| record["task"] == ours.id.as_str() && record["move"] == "revoked");
    assert_eq!((records.len(), &records[0]["reason"]), (1, &"its session was ended".into()));
    assert_eq!(desk.client.clone().end_session(end()).await.unwrap().get_ref().tasks, 0);
}
