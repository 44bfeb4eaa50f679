//! Restarts, orderly and not: what is open, revoked, used and spent stays so.
//! Never more calls than were granted, however the server ends.

use std::fs;

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorization_client::AuthorizationClient;
use palisade::api::proto::v1::target::Target;
use tonic::Code;

use super::super::child::until;
use super::super::http;
use super::super::place::Place;
use super::super::server::{Server, uid};
use super::desk::{self, Desk, GATEWAY, Lent, bearing, callers, key, lookup, timed, wish, wish_of};
use crate::tokens::{AUDIENCE, ISSUER, Signer, claims, with};

/// The names of the keys that are published.
fn kids(server: &Server) -> Vec<String> {
    let keys = http::request(server.http, "GET", "/.well-known/jwks.json", &[]).json();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// How many steps are permitted until one is denied, at most `most`, and why that one was.
fn spend(desk: &Desk, token: &str, most: u64) -> (u64, Option<v1::DenyReason>) {
    for spent in 0..most {
        if let Some(reason) = desk.denied(&lookup(token)) {
            return (spent, Some(reason));
        }
    }
    (most, None)
}

#[test]
fn an_orderly_restart_keeps_tasks_revocations_keys_and_every_unspent_call() {
    let place = desk::place("");
    let server = place.start();
    let (desk, operator) = (Desk::gateway(&server), Desk::operator(&server));
    let open = desk.begin(wish_of(40));
    assert_eq!(spend(&desk, &open.token, 5), (5, None));
    let small = desk.begin(wish_of(3));
    assert_eq!(spend(&desk, &small.token, 9), (3, Some(v1::DenyReason::OverBudget)));
    let ended = desk.begin(wish(&key()));
    assert!(desk.end(&ended.id, v1::Ending::Completed, "end-1").unwrap().was_open);
    let revoked = desk.begin(wish(&key()));
    desk.revoke(Target::Task(revoked.id.clone())).unwrap();
    let in_session = desk.begin(v1::StartRequest { session: "s-1".into(), ..wish(&key()) });
    let session = v1::SessionOfCaller { caller: String::new(), session: "s-1".into() };
    assert_eq!(desk.revoke(Target::Session(session)).unwrap().tasks, 1);
    operator.revoke(Target::Agent(uid("Agent", "lead-bot"))).unwrap();
    operator.revoke(Target::Human(uid("Human", "bo"))).unwrap();
    operator.lift(Target::Human(uid("Human", "bo"))).unwrap();
    let named = v1::StartRequest { idempotency_key: "start-1".into(), ..wish(&key()) };
    let by_name = desk.begin(named.clone());
    let (before, listed) = (kids(&server), operator.list());
    assert_eq!(server.stop().code, Some(0));

    let server = place.start();
    let (desk, operator) = (Desk::gateway(&server), Desk::operator(&server));
    assert_eq!(kids(&server), before);
    let again = operator.list();
    assert_eq!((again.tasks, again.revocations), (listed.tasks, listed.revocations));
    assert_eq!(desk.get(&open.id).unwrap().calls_spent, 5);
    assert_eq!(spend(&desk, &open.token, 99), (35, Some(v1::DenyReason::OverBudget)), "none is lost");
    assert_eq!(spend(&desk, &small.token, 9), (0, Some(v1::DenyReason::OverBudget)));
    for over in [&ended, &revoked, &in_session] {
        assert_eq!(desk.denied(&lookup(&over.token)), Some(v1::DenyReason::TaskRevoked), "{}", over.id);
    }
    let mut of_lead = wish(&key());
    of_lead.subject.as_mut().unwrap().actor = Some(uid("Agent", "lead-bot"));
    let refused = desk.start(of_lead.clone()).unwrap().decision.unwrap();
    assert_eq!(refused.reason(), v1::DenyReason::TaskRevoked, "{refused:?}");
    operator.lift(Target::Agent(uid("Agent", "lead-bot"))).unwrap();
    desk.begin(of_lead);
    // The same start is the same task, and another one under its name is none.
    assert_eq!(desk.begin(named.clone()).id, by_name.id);
    let another = v1::StartRequest { intent: "another".into(), ..named };
    assert_eq!(desk.start(another).unwrap_err().code(), Code::AlreadyExists);
    assert!(!desk.end(&ended.id, v1::Ending::Completed, "end-1").unwrap().was_open);
    let otherwise = desk.end(&ended.id, v1::Ending::Failed, "end-1").unwrap_err();
    assert_eq!(otherwise.code(), Code::AlreadyExists, "{otherwise:?}");
    assert_eq!(server.stop().code, Some(0));
}

/// A place whose server knows an issuer, and grants so many calls to one agent for one purpose.
fn trusting(signer: &Signer, window: u64) -> Place {
    let place = Place::shipped();
    fs::write(place.path().join("jwks.json"), signer.jwks("k1")).unwrap();
    place.configure(&format!(
        "trust:\n  audience: ['{AUDIENCE}']\n  issuers:\n    - issuer: {ISSUER}\n      keys: {{ file: jwks.json }}\n      \
         human: {{}}\n      agent: client_id\ntasks: {{ asserted: true, issuer: '{AUDIENCE}', calls_window_max: {window} }}\n{}",
        callers()
    ));
    place
}

#[test]
fn a_used_credential_and_a_spent_window_stay_so_however_the_server_ends() {
    let signer = Signer::new();
    let place = trusting(&signer, 250);
    let of = |jti: &str, calls_max: u64| {
        let token = signer.token("k1", &with(&claims("bo", "coder-ci"), "jti", jti));
        let mut wish = v1::StartRequest {
            credentials: Some(v1::Credentials { subject_token: token, ..Default::default() }),
            subject: None,
            purpose: Some(uid("Purpose", "development")),
            ..wish_of(calls_max)
        };
        let scope = wish.wanted.as_mut().unwrap().scope.as_mut().unwrap();
        scope.tools = Some(v1::Names { names: vec!["git/git_status".into()] });
        wish
    };
    let mut server = place.start();
    server.log().wait_for("keys", |log| log.contains("are in force").then_some(()));
    let desk = Desk::gateway(&server);
    let first = desk.begin(of("t-1", 100));
    desk.begin(of("t-2", 100));
    for kill in [false, true, false] {
        if kill {
            server.kill();
        } else {
            assert_eq!(server.stop().code, Some(0));
        }
        server = place.start();
        let desk = Desk::gateway(&server);
        let answer = |wish| desk.start(wish).unwrap().decision.unwrap();
        let used = until("the keys of the issuer", || {
            let answer = answer(of("t-1", 10));
            (answer.reason() != v1::DenyReason::Unauthenticated).then_some(answer)
        });
        assert_eq!(used.decision(), v1::Decision::Deny, "its credential has started a task: {used:?}");
        assert_eq!(used.reason(), v1::DenyReason::NoPermit, "{used:?}");
        let spent = answer(of("t-3", 100));
        assert_eq!(spent.reason(), v1::DenyReason::OverBudget, "{spent:?}");
        assert_eq!(desk.get(&first.id).unwrap().state(), v1::TaskState::Open);
    }
    let desk = Desk::gateway(&server);
    desk.begin(of("t-3", 50));
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_crash_takes_at_most_one_piece_of_a_task_s_calls_and_never_gives_any() {
    const CALLS: u64 = 100;
    const PIECE: u64 = 25;
    let place = desk::place("");
    let server = place.start();
    let desk = Desk::gateway(&server);
    let tasks: Vec<(u64, Lent)> =
        [0, 1, 10, 13, 24, 25, 26, 60, 99, 100].map(|spent| (spent, desk.begin(wish_of(CALLS)))).into();
    for (spent, task) in &tasks {
        assert_eq!(spend(&desk, &task.token, *spent), (*spent, None));
    }
    server.kill();
    let (server, _) = timed(&place);
    let desk = Desk::gateway(&server);
    for (before, task) in &tasks {
        let (after, why) = spend(&desk, &task.token, CALLS + 1);
        assert_eq!(why, Some(v1::DenyReason::OverBudget));
        let all = before + after;
        assert!((CALLS - PIECE..=CALLS).contains(&all), "{before} and {after} of {CALLS}");
    }
}

#[test]
fn a_crash_in_the_midst_of_steps_permits_no_more_of_them_than_were_granted() {
    const CALLS: u64 = 400;
    let place = desk::place("");
    let mut server = place.start();
    let task = Desk::gateway(&server).begin(wish_of(CALLS));
    let mut permitted = 0;
    for _ in 0..3 {
        let desk = Desk::gateway(&server);
        let counted = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let hands: Vec<_> = (0..4)
            .map(|_| {
                let (mut grpc, token) = (AuthorizationClient::new(desk.channel()), task.token.clone());
                let counted = counted.clone();
                desk.runtime().spawn(async move {
                    while let Ok(answer) = grpc.authorize(bearing(GATEWAY, lookup(&token))).await {
                        if answer.into_inner().decision() == v1::Decision::Permit {
                            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        let counted_now = || counted.load(std::sync::atomic::Ordering::SeqCst);
        until("some steps", || (counted_now() >= 20).then_some(()));
        server.kill();
        for hand in hands {
            desk.runtime().block_on(hand).unwrap();
        }
        permitted += counted_now();
        server = place.start();
    }
    // Each permit is on record, also one whose answer came no more.
    let (rest, why) = spend(&Desk::gateway(&server), &task.token, CALLS + 1);
    assert_eq!(why, Some(v1::DenyReason::OverBudget));
    assert!(permitted + rest <= CALLS, "{permitted} and {rest} of {CALLS}");
    let recorded = place
        .records_of("decided")
        .into_iter()
        .filter(|record| record["outcome"] == "permit" && record["action"]["id"] == "crm/lookup_customer");
    let recorded = recorded.count() as u64;
    assert!((permitted + rest..=CALLS).contains(&recorded), "{recorded} of {CALLS} on record");
}
