//! Calls at once: decided together, answered apart.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use futures_util::future::join_all;
use futures_util::poll;
use tonic::{Code, Status};

use super::*;
use crate::access::{DecisionId, Timestamp};
use crate::api::Authorization;
use crate::api::proto::v1;
use crate::api::{Clock, Limits};
use crate::audit::{AuditError, Receipt, Record};
use crate::identity::{Caller, Callers, Role, Servers};
use crate::pdp::Pdp;

/// Takes some records and no more, and counts how often it was given any.
struct Room {
    left: AtomicUsize,
    writes: AtomicUsize,
    /// Whether the next write fails by a defect.
    broken: AtomicBool,
}

impl AuditSink for Room {
    fn record(&self, _record: &Record<'_>) -> Result<Receipt, AuditError> {
        let full = || AuditError::Write { place: "here".into(), source: "full".into() };
        let take = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).map_err(|_| full())?;
        Ok(Receipt::written())
    }

    fn record_all(&self, records: &[Record<'_>]) -> Vec<Result<Receipt, AuditError>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        assert!(!self.broken.swap(false, Ordering::SeqCst), "a defect");
        records.iter().map(|record| self.record(record)).collect()
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn decision_id(&self) -> DecisionId {
        DecisionId("d".into())
    }
}

/// Where Ana may look at one of two documents.
fn pdp(doc: &str, room: usize) -> Pdp<Room> {
    let schema = "entity User, Doc; action look appliesTo { principal: [User], resource: [Doc] };";
    let entities = r#"[{"uid": {"type": "User", "id": "ana"}, "attrs": {}, "parents": []},
        {"uid": {"type": "Doc", "id": "open"}, "attrs": {}, "parents": []},
        {"uid": {"type": "Doc", "id": "shut"}, "attrs": {}, "parents": []}]"#;
    let policy = format!(r#"permit (principal, action, resource == Doc::"{doc}");"#);
    let files =
        [("schemas/s.cedarschema", schema), ("entities/e.json", entities), ("policies/p.cedar", &policy)];
    let sink =
        Room { left: AtomicUsize::new(room), writes: AtomicUsize::new(0), broken: AtomicBool::new(false) };
    Pdp::over(&files, sink)
}

fn service(room: usize) -> Authorization<Room> {
    Authorization::new(Arc::new(pdp("open", room)), Callers::default(), Arc::new(Still), Limits::default())
}

/// The share of this thread.
fn share(service: &Authorization<Room>) -> &Share {
    let shares = &service.inner.together.shares;
    &shares[thread() % shares.len()]
}

fn gateway() -> Arc<Caller> {
    let roles = [Role::Authorize, Role::Assert].into();
    Arc::new(Caller { name: "gw".into(), roles, servers: Servers::All, agentless: true, authenticated: true })
}

fn asks(id: &str, doc: &str) -> v1::AuthorizeRequest {
    let uid = |kind: &str, id: &str| Some(v1::EntityUid { r#type: kind.into(), id: id.into() });
    let access = v1::Access {
        action: uid("Action", "look"),
        resource: uid("Doc", doc),
        context: std::collections::BTreeMap::default(),
        entities: vec![],
    };
    v1::AuthorizeRequest {
        request_id: id.into(),
        subject: Some(v1::Subject { principal: uid("User", "ana"), actor: None, earlier_actors: vec![] }),
        question: Some(v1::authorize_request::Question::Access(access)),
        ..v1::AuthorizeRequest::default()
    }
}

#[tokio::test]
async fn calls_that_come_together_are_recorded_together_and_answered_apart() {
    let service = service(100);
    let caller = gateway();
    let _another = share(&service).begin();
    let call = |at: usize| {
        let (service, caller) = (&service, &caller);
        async move {
            let request = asks(&at.to_string(), if at.is_multiple_of(2) { "open" } else { "shut" });
            service.answer(caller, request, None).await.unwrap()
        }
    };
    let answers = join_all((0..40).map(call)).await;
    for (at, answer) in answers.iter().enumerate() {
        let wanted = if at % 2 == 0 { v1::Decision::Permit } else { v1::Decision::Deny };
        assert_eq!((answer.request_id.as_str(), answer.decision()), (at.to_string().as_str(), wanted));
    }
    let sink = service.inner.pdp.sink();
    assert_eq!(sink.left.load(Ordering::SeqCst), 60, "each has a record");
    assert_eq!(sink.writes.load(Ordering::SeqCst), 3, "40 calls in goes of 16");
}

#[tokio::test]
async fn each_call_is_decided_on_what_was_in_force_when_it_was_read() {
    let service = service(100);
    let pdp_here = &service.inner.pdp;
    let _another = share(&service).begin();
    let read = pdp_here.current();
    pdp_here.publish(pdp("shut", 0).snapshot());
    // Some say when they were read, and some are decided on what is in force then.
    let call = async |read: Option<Current>| {
        let request = Box::new(service.admit(&gateway(), asks("1", "open"), None).unwrap());
        let pending = service.inner.together.evaluate(request, read, Instant::now()).await;
        pending.unwrap().settle().unwrap().decision.outcome.is_permit()
    };
    let reads = [Some(&read), None, None, Some(&read), Some(&read), None];
    let permitted = join_all(reads.map(|read| call(read.cloned()))).await;
    assert_eq!(permitted, [true, false, false, true, true, false]);
    assert_eq!(
        pdp_here.sink().writes.load(Ordering::SeqCst),
        4,
        "those beside each other that agree go together"
    );
}

#[tokio::test]
async fn a_call_that_is_alone_is_answered_without_waiting() {
    let service = service(1);
    let caller = gateway();
    let mut call = pin!(service.answer(&caller, asks("1", "open"), None));
    assert!(poll!(call.as_mut()).is_ready());
    assert_eq!(service.inner.pdp.sink().writes.load(Ordering::SeqCst), 0);
    assert_eq!(share(&service).under_way.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn whether_calls_come_together_is_seen_when_one_waits_for_its_turn_to_end() {
    let service = service(1000);
    let caller = gateway();
    let call = || Box::pin(service.answer(&caller, asks("1", "open"), None));
    let at_once = async |calls: usize| {
        for _ in 0..calls {
            assert!(poll!(call().as_mut()).is_ready());
        }
    };
    let looks = async || {
        let mut looks = call();
        assert!(poll!(looks.as_mut()).is_pending());
        looks.await.unwrap();
    };
    // One in a while looks.
    for _ in 0..2 {
        at_once(ALONE_MAX).await;
        looks().await;
    }
    at_once(ALONE_MAX).await;
    let (mut one, mut another) = (call(), call());
    assert!(poll!(one.as_mut()).is_pending());
    assert!(poll!(another.as_mut()).is_pending());
    join_all([one, another]).await;
    // Where there were two there may be more; and the longer there are none, the fewer look.
    for alone in [0, 1, 2, 4, 8, 16, ALONE_MAX, ALONE_MAX] {
        at_once(alone).await;
        looks().await;
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_takes_nobody_along() {
    let service = service(10);
    let caller = gateway();
    let _another = share(&service).begin();
    let mut second = pin!(service.answer(&caller, asks("2", "open"), None));
    {
        let mut first = Box::pin(service.answer(&caller, asks("1", "open"), None));
        assert!(poll!(first.as_mut()).is_pending());
        assert!(poll!(second.as_mut()).is_pending());
    }
    assert_eq!(second.await.unwrap().request_id, "2");
    assert_eq!(
        service.inner.pdp.sink().left.load(Ordering::SeqCst),
        8,
        "the first was decided and recorded too"
    );
}

#[tokio::test]
async fn only_those_without_a_record_get_no_answer() {
    let service = service(3);
    let caller = gateway();
    let _another = share(&service).begin();
    let calls = (0..5).map(|at| service.answer(&caller, asks(&at.to_string(), "open"), None));
    let codes: Vec<Code> = join_all(calls.collect::<Vec<_>>())
        .await
        .iter()
        .map(|answer| answer.as_ref().map_or_else(Status::code, |_| Code::Ok))
        .collect();
    let (ok, no) = (Code::Ok, Code::Unavailable);
    assert_eq!(codes, [ok, ok, ok, no, no]);
}

#[tokio::test]
async fn a_defect_takes_its_own_go_and_no_other() {
    let service = service(100);
    let caller = gateway();
    let _another = share(&service).begin();
    service.inner.pdp.sink().broken.store(true, Ordering::SeqCst);
    let calls = (0..20).map(|at| service.answer(&caller, asks(&at.to_string(), "open"), None));
    let answers = join_all(calls.collect::<Vec<_>>()).await;
    let code = |at: usize| answers[at].as_ref().map_or_else(Status::code, |_| Code::Ok);
    assert!((0..16).all(|at| code(at) == Code::Internal));
    assert!((16..20).all(|at| code(at) == Code::Ok));
}

#[tokio::test]
async fn no_more_wait_than_there_is_room_for() {
    let service = service(1000);
    let caller = gateway();
    let _another = share(&service).begin();
    let mut calls: Vec<_> =
        (0..100).map(|at| Box::pin(service.answer(&caller, asks(&at.to_string(), "open"), None))).collect();
    let mut answered = 0;
    for call in &mut calls {
        answered += usize::from(poll!(call.as_mut()).is_ready());
    }
    assert_eq!(answered, 100 - WAITING_MAX);
}
