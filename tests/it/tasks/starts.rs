//! Starts: what is denied, with which words; and what a start leaves on record.
//! Never a step under a task.

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::api::proto::v1::bound::Limit;
use palisade::task::{Ceiling, Rules};
use serde_json::json;
use tonic::Code;

use super::{Desk, KEY, a_part, at_most, bound, by_id, entity, names, refund_task, scoped, subject, wanted};
use crate::asks::uid;
use crate::pdp::task_rules;

fn tools<const N: usize>(tools: [&str; N]) -> v1::Scope {
    v1::Scope { tools: names(tools), ..v1::Scope::default() }
}

fn wants(change: impl FnOnce(&mut v1::Wanted)) -> v1::StartRequest {
    let mut wanted = wanted();
    change(&mut wanted);
    v1::StartRequest { wanted: Some(wanted), ..refund_task() }
}

#[tokio::test]
async fn what_the_bundle_does_not_know_cannot_be_asked_for_and_the_words_name_it() {
    let desk = Desk::open().await;
    let refunds = || tools(["crm/issue_refund"]);
    let bounds = |bound: v1::Bound| scoped(v1::Scope { bounds: vec![bound], ..refunds() });
    let amount = |tool: &str| bound(tool, "amount", Limit::AtMost("1".into()));
    let nested = v1::Bound { argument: vec!["amount".into(), "cents".into()], ..at_most("1") };
    let purpose = v1::StartRequest { purpose: Some(uid("Purpose::\"leisure\"")), ..refund_task() };
    for (request, words) in [
        (purpose, "the purpose is a `Purpose` that is not known here"),
        (scoped(v1::Scope { servers: names(["crm", "hr"]), ..refunds() }), "no server `hr`"),
        (scoped(tools(["crm/issue_refund", "crm/fire"])), "no tool `crm/fire`"),
        (scoped(tools(["issue_refund"])), "no tool `issue_refund`; write `<server>/<tool>`"),
        (scoped(v1::Scope { data_classes: names(["secret"]), ..refunds() }), "no data class `secret`"),
        (bounds(amount("crm/fire")), "no tool `crm/fire`"),
        (bounds(bound("crm/issue_refund", "sum", Limit::AtMost("1".into()))), "no argument `sum`"),
        (bounds(nested), "no argument `amount.cents`"),
    ] {
        let (reason, found) = desk.refused(request).await;
        assert_eq!(reason, DenyReason::InvalidInput, "{found}");
        assert!(found.contains(words), "{found}");
    }
    let stranger = v1::StartRequest { purpose: Some(uid("Tool::\"crm/issue_refund\"")), ..refund_task() };
    assert_eq!(desk.refused(stranger).await.0, DenyReason::InvalidInput, "a tool is no purpose");
    assert!(desk.records("task").is_empty());
}

#[tokio::test]
async fn more_than_any_task_may_have_is_out_of_scope() {
    let ceiling = Ceiling { ttl_max_s: 3600, ..task_rules().ceiling };
    let desk = Desk::ruled(Rules { ceiling, calls_max: 100, ..task_rules() }).await;
    for (request, words) in [
        (wants(|wanted| wanted.ttl_s = 3601), "it asks for 3601 s, and 3600 s are to be had"),
        (wants(|wanted| wanted.ttl_s = i64::MAX.unsigned_abs()), "3600 s are to be had"),
        (wants(|wanted| wanted.calls_max = 101), "at most 100 calls here (`tasks.calls_max`)"),
        (wants(|wanted| wanted.calls_max = u64::MAX), "at most 100 calls here"),
    ] {
        let (reason, found) = desk.refused(request).await;
        assert_eq!(reason, DenyReason::OutOfScope, "{found}");
        assert!(found.contains(words), "{found}");
    }
    desk.lent(wants(|wanted| (wanted.ttl_s, wanted.calls_max) = (3600, 100))).await;
}

#[tokio::test]
async fn what_was_left_out_has_its_default() {
    let desk = Desk::open().await;
    let least = v1::Wanted {
        scope: Some(tools(["crm/issue_refund", "crm/lookup_customer"])),
        key_thumbprint: KEY.into(),
        ..v1::Wanted::default()
    };
    let answer = desk.start(v1::StartRequest { wanted: Some(least), ..refund_task() }).await;
    let task = answer.task.unwrap();
    let scope = task.scope.unwrap();
    assert_eq!(scope.servers, names(["crm"]), "the server of its tools");
    assert_eq!((scope.data_classes, scope.bounds), (None, vec![]));
    assert_eq!((task.calls_max, task.calls_spent), (1000, 0));
    let s = |at: Option<prost_types::Timestamp>| at.unwrap().seconds;
    let started = s(task.started);
    assert_eq!((s(task.expires) - started, s(task.renewable_until) - started), (900, 8 * 3600));
    let classes = scoped(v1::Scope { data_classes: names(["confidential"]), ..tools(["crm/issue_refund"]) });
    let scope = desk.start(classes).await.task.unwrap().scope.unwrap();
    let below = ["confidential", "customer", "internal", "payment", "public", "source-code"];
    assert_eq!(scope.data_classes, names(below), "a class stands for those below it");
}

#[tokio::test]
async fn a_task_without_a_key_needs_bearer_tasks_to_be_configured() {
    let desk = Desk::open().await;
    let (reason, words) = desk.refused(wants(|wanted| wanted.key_thumbprint.clear())).await;
    assert_eq!(reason, DenyReason::BindingMissing);
    assert!(words.contains("`tasks.bearer`"), "{words}");
    let desk = Desk::ruled(Rules { bearer: true, ..task_rules() }).await;
    let request = || wants(|wanted| wanted.key_thumbprint.clear());
    assert_eq!(desk.refused(request()).await.0, DenyReason::Forbidden, "and a policy that does not mind");
    assert_eq!(determining(&desk, request()).await, ["guard/bound-task"]);
}

/// The policies that forbid a start.
async fn determining(desk: &Desk, request: v1::StartRequest) -> Vec<String> {
    let decision = desk.start(request).await.decision.unwrap();
    assert_eq!(decision.reason(), DenyReason::Forbidden, "{}", decision.reason_text);
    let mut ids: Vec<String> = decision.determining.into_iter().map(|policy| policy.id).collect();
    ids.dedup();
    ids
}

#[tokio::test]
async fn guards_forbid_wide_and_long_tasks_and_say_which_they_are() {
    let ceiling = Ceiling { ttl_max_s: 24 * 3600, ..task_rules().ceiling };
    let desk = Desk::ruled(Rules { ceiling, ..task_rules() }).await;
    assert_eq!(determining(&desk, scoped(v1::Scope::default())).await, ["guard/narrow-task"]);
    let bounded = v1::Scope { bounds: vec![at_most("1")], ..v1::Scope::default() };
    assert_eq!(determining(&desk, scoped(bounded)).await, ["guard/narrow-task"]);
    let long = wants(|wanted| wanted.ttl_s = 8 * 3600 + 1);
    assert_eq!(determining(&desk, long).await, ["guard/brief-task"]);
    desk.lent(wants(|wanted| wanted.ttl_s = 8 * 3600)).await;
}

#[tokio::test]
async fn only_whom_a_policy_lets_lend_starts_a_task() {
    let desk = Desk::open().await;
    let of = |principal: &str, actor: &str| v1::StartRequest {
        subject: subject(principal, actor),
        ..refund_task()
    };
    for (principal, actor, expected) in [
        ("Human::\"lea\"", "Agent::\"lead-bot\"", None),
        ("Human::\"bo\"", "Agent::\"support-bot\"", Some(DenyReason::NoPermit)),
        ("Human::\"ana\"", "Agent::\"coder\"", Some(DenyReason::NoPermit)),
        ("Human::\"ana\"", "Agent::\"retired-bot\"", Some(DenyReason::Forbidden)),
        ("Human::\"mallory\"", "Agent::\"support-bot\"", Some(DenyReason::Forbidden)),
        ("Human::\"nobody\"", "Agent::\"support-bot\"", Some(DenyReason::InvalidInput)),
    ] {
        let request = of(principal, actor);
        match expected {
            None => drop(desk.lent(request).await),
            Some(reason) => assert_eq!(desk.refused(request).await.0, reason, "{principal} {actor}"),
        }
    }
    let alone = v1::Subject { actor: None, ..refund_task().subject.unwrap() };
    let alone = v1::StartRequest { subject: Some(alone), ..refund_task() };
    assert_ne!(desk.refused(alone).await.0, DenyReason::Unspecified, "nobody lends to nobody");
}

#[tokio::test]
async fn the_word_of_a_caller_starts_a_task_only_where_that_is_configured() {
    let desk = Desk::ruled(Rules { asserted: false, ..task_rules() }).await;
    let (reason, words) = desk.refused(refund_task()).await;
    assert_eq!(reason, DenyReason::Unauthenticated);
    assert!(words.contains("`tasks.asserted`"), "{words}");
    let desk = Desk::open().await;
    let unsaid = desk.operator.clone().start(refund_task()).await.unwrap().into_inner().decision.unwrap();
    assert_eq!(unsaid.reason(), DenyReason::Unauthenticated, "an operator may not assert");
    let nobody = v1::StartRequest { subject: None, ..refund_task() };
    assert_eq!(desk.refused(nobody).await.0, DenyReason::Unauthenticated);
}

#[tokio::test]
async fn an_agents_calls_for_one_purpose_are_counted_together_and_given_back_by_an_end() {
    let desk = Desk::ruled(Rules { calls_window_max: 50, ..task_rules() }).await;
    let task = desk.refunds().await;
    desk.refunds().await;
    let (reason, words) = desk.refused(refund_task()).await;
    assert_eq!(reason, DenyReason::OverBudget);
    assert!(words.contains("40 calls were granted") && words.contains("of 50"), "{words}");
    let care = v1::StartRequest { purpose: Some(uid("Purpose::\"customer-care\"")), ..refund_task() };
    desk.lent(care).await;
    let lea = subject("Human::\"lea\"", "Agent::\"support-bot\"");
    desk.lent(v1::StartRequest { subject: lea, ..refund_task() }).await;

    assert_eq!(desk.step(&task, super::refund(1)).await, super::PERMITTED);
    desk.end(&task, v1::Ending::Completed).await.unwrap();
    let (_, words) = desk.refused(wants(|wanted| wanted.calls_max = 30)).await;
    assert!(words.contains("21 calls were granted"), "one was spent: {words}");
    desk.lent(wants(|wanted| wanted.calls_max = 29)).await;
    assert_eq!(desk.refused(wants(|wanted| wanted.calls_max = 1)).await.0, DenyReason::OverBudget);
    desk.pdp.clock().advance_s(86_400);
    desk.refunds().await;
}

#[tokio::test]
async fn many_tasks_that_end_at_once_give_all_their_calls_back() {
    // More than end with one commit.
    const TASKS: u64 = 130;
    let desk = Desk::ruled(Rules { calls_window_max: 2 * TASKS, ..task_rules() }).await;
    let in_chat = || v1::StartRequest { session: "chat".into(), ..wants(|wanted| wanted.calls_max = 2) };
    let task = desk.lent(in_chat()).await;
    for _ in 1..TASKS {
        desk.lent(in_chat()).await;
    }
    assert_eq!(desk.refused(wants(|wanted| wanted.calls_max = 1)).await.0, DenyReason::OverBudget);
    assert_eq!(desk.step(&task, super::refund(1)).await, super::PERMITTED);
    let end = v1::EndSessionRequest { session: "chat".into() };
    assert_eq!(desk.client.clone().end_session(end).await.unwrap().get_ref().tasks, TASKS);
    let revoked = desk.moves().iter().filter(|what| *what == "revoked").count();
    assert_eq!(revoked, 131, "the session, and each of its tasks");

    let (_, words) = desk.refused(wants(|wanted| wanted.calls_max = 2 * TASKS)).await;
    assert!(words.contains("1 calls were granted"), "one was spent: {words}");
    desk.lent(wants(|wanted| wanted.calls_max = 2 * TASKS - 1)).await;
}

#[tokio::test]
async fn a_task_of_the_window_before_keeps_nothing_from_those_of_this_one() {
    let desk = Desk::ruled(Rules { calls_window_max: 30, calls_window_s: 60, ..task_rules() }).await;
    let in_chat =
        |calls: u64| v1::StartRequest { session: "chat".into(), ..wants(|wanted| wanted.calls_max = calls) };
    desk.lent(in_chat(10)).await;
    desk.pdp.clock().advance_s(61);
    desk.lent(in_chat(30)).await;
    let end = v1::EndSessionRequest { session: "chat".into() };
    assert_eq!(desk.client.clone().end_session(end).await.unwrap().get_ref().tasks, 2);
    desk.lent(wants(|wanted| wanted.calls_max = 30)).await;
    assert_eq!(desk.refused(wants(|wanted| wanted.calls_max = 1)).await.0, DenyReason::OverBudget);
}

#[tokio::test]
async fn an_end_that_cannot_be_recorded_leaves_no_part_open() {
    // More than end with one commit.
    const PARTS: usize = 60;
    let desk = Desk::open().await;
    let whole = desk.lent(wants(|wanted| wanted.calls_max = 100)).await;
    for _ in 0..PARTS {
        desk.part(&whole, v1::Wanted { calls_max: 1, ..a_part() }).await;
    }
    assert_eq!(desk.pdp.life().tasks().open_len(), 1 + PARTS);
    desk.pdp.ledger.set_room(10);
    desk.end(&whole, v1::Ending::Completed).await.unwrap_err();
    assert_eq!(desk.pdp.life().tasks().open_len(), 0);
}

#[tokio::test]
async fn no_more_tasks_are_open_than_may_be() {
    let desk = Desk::ruled(Rules { open_max: 2, ..task_rules() }).await;
    let task = desk.refunds().await;
    desk.refunds().await;
    let (reason, words) = desk.refused(refund_task()).await;
    assert_eq!(reason, DenyReason::OverBudget);
    assert!(words.contains("raise `tasks.open_max`"), "{words}");
    desk.end(&task, v1::Ending::Cancelled).await.unwrap();
    desk.refunds().await;
}

#[tokio::test]
async fn a_start_leaves_its_decision_and_its_grant_on_record() {
    let desk = Desk::open().await;
    let request = v1::StartRequest {
        approvals: vec!["apr-1".into(), "apr-2".into()],
        session: "chat-7".into(),
        request_id: "r-1".into(),
        ..refund_task()
    };
    let answer = desk.start(request).await;
    let (decision, task) = (answer.decision.unwrap(), answer.task.unwrap());
    let [decided, started] = &desk.pdp.ledger.records()[..] else { panic!("two records") };
    assert_eq!((&decided["type"], &started["type"]), (&"decided".into(), &"task".into()));
    assert_eq!((&decided["outcome"], &decided["caller"]), (&"permit".into(), &"gateway".into()));
    assert_eq!(decided["action"], entity("Action::\"tasks/start\""));
    assert_eq!(decided["resource"], entity("Purpose::\"refund\""));
    assert_eq!(
        (&decided["intent"], &decided["session"]),
        (&"refund the late orders".into(), &"chat-7".into())
    );
    assert_eq!(
        (&decided["assurance"], &decided["actor_assurance"]),
        (&"asserted".into(), &"asserted".into())
    );
    let expected = json!({
        "move": "started", "state": "open", "task": task.id, "face": "grpc", "caller": "gateway",
        "request_id": "r-1", "decision": decision.decision_id, "revision": decision.revision,
        "principal": entity("Human::\"ana\""), "actor": entity("Agent::\"support-bot\""), "purpose": "refund",
        "assurance": "asserted", "actor_assurance": "asserted", "key": KEY, "session": "chat-7",
        "intent": "refund the late orders", "approvals": ["apr-1", "apr-2"], "calls_max": 20, "calls_spent": 0,
        "started": "2026-11-21T10:00:00.000Z", "expires": "2026-11-21T10:10:00.000Z",
        "state_revision": answer.state_revision,
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(started[member], *value, "{member}");
    }
    assert_eq!(started["scope"]["tools"], json!(["crm/issue_refund"]));
    assert_eq!(started["scope"]["bounds"][0]["limit"], json!({ "at_most": 500_000 }));
    assert!(!started.to_string().contains(&answer.token), "no record has a token");
    assert_eq!(desk.get(&task.id).await, task);
}

#[tokio::test]
async fn a_denied_start_is_decided_on_record_and_no_task() {
    let desk = Desk::open().await;
    desk.refused(scoped(v1::Scope::default())).await;
    let record = desk.pdp.ledger.last();
    assert_eq!((&record["type"], &record["outcome"]), (&"decided".into(), &"deny".into()));
    assert_eq!(record["action"], entity("Action::\"tasks/start\""));
    assert_eq!(record["reason"], "Forbidden");
    assert!(desk.moves().is_empty());
}

#[tokio::test]
async fn a_start_that_cannot_be_recorded_is_not_answered_and_leaves_nothing_open() {
    let desk = Desk::open().await;
    for room in [0, 1] {
        desk.pdp.ledger.set_room(room);
        let refused = desk.tasks.clone().start(refund_task()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        assert_eq!(desk.pdp.life().tasks().open_len(), 0, "with room for {room}");
    }
    desk.pdp.ledger.set_room(100);
    desk.refunds().await;
}

#[tokio::test]
async fn malformed_requests_are_refused_with_their_field() {
    let desk = Desk::open().await;
    let long = |bytes: usize| "x".repeat(bytes);
    let credentials = v1::Credentials { task_token: "a.b.c".into(), ..v1::Credentials::default() };
    for (request, field) in [
        (v1::StartRequest { purpose: None, ..refund_task() }, "purpose"),
        (v1::StartRequest { intent: long(1025), ..refund_task() }, "intent"),
        (v1::StartRequest { session: long(257), ..refund_task() }, "session"),
        (v1::StartRequest { idempotency_key: long(129), ..refund_task() }, "idempotency_key"),
        (v1::StartRequest { request_id: long(129), ..refund_task() }, "request_id"),
        (v1::StartRequest { approvals: vec![String::new(); 17], ..refund_task() }, "approvals"),
        (v1::StartRequest { mode: 9, ..refund_task() }, "mode"),
        (v1::StartRequest { credentials: Some(credentials), ..refund_task() }, "credentials.task_token"),
        (wants(|wanted| wanted.key_thumbprint = "short".into()), "wanted.key_thumbprint"),
    ] {
        let refused = desk.tasks.clone().start(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with(&format!("`{field}` ")), "{refused}");
    }
    let mut tasks = desk.tasks.clone();
    let end = |task, ending: v1::Ending| v1::EndRequest {
        task,
        ending: ending.into(),
        ..v1::EndRequest::default()
    };
    for request in [
        end(None, v1::Ending::Completed),
        end(Some(by_id("tsk_1")), v1::Ending::Completed),
        end(Some(by_id("tsk_00000000000000000000000000000001")), v1::Ending::Unspecified),
    ] {
        assert_eq!(tasks.end(request).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let id = || Some(by_id("tsk_00000000000000000000000000000001"));
    let renew = v1::RenewRequest { task: id(), ..v1::RenewRequest::default() };
    assert_eq!(tasks.renew(renew).await.unwrap_err().code(), Code::InvalidArgument, "only by its token");
    let part = v1::DelegateRequest { task: id(), ..v1::DelegateRequest::default() };
    assert_eq!(tasks.delegate(part).await.unwrap_err().code(), Code::InvalidArgument, "only by its token");
}

#[tokio::test]
async fn where_tasks_are_not_served_every_call_says_so() {
    let pdp = crate::pdp::TestPdp::builder()
        .caller("t", crate::pdp::caller("gateway", &palisade::identity::Role::ALL))
        .start()
        .await;
    let refused = pdp.tasks_of("t").await.start(refund_task()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("`tasks.enabled`"), "{refused}");
}
