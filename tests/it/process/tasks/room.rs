//! A disk without room: what cannot be kept or recorded is refused, is not done by half, and can be had later.
//! Never fewer decisions than can be recorded.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;

use palisade::api::proto::v1;
use palisade::api::proto::v1::target::Target;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;
use tonic::Code;

use super::super::child::until;
use super::super::place::Place;
use super::super::server::{Server, tool_call};
use super::desk::{self, Desk, callers, key, lookup, wish};

/// Lets the files of a running server grow no further than this.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let usual = getrlimit(Resource::Fsize);
    let limit = Rlimit { current: bytes.or(usual.current), maximum: usual.maximum };
    prlimit(Some(server.process().pid()), Resource::Fsize, limit).expect("a limit of a child of ours");
}

fn length(place: &Place, name: &str) -> u64 {
    fs::metadata(place.data().join(name)).unwrap().len()
}

/// A start with a name of its own, and many words.
fn named(number: usize) -> v1::StartRequest {
    let name = format!("start-{number}");
    v1::StartRequest { intent: format!("{name} {}", "w".repeat(1000)), idempotency_key: name, ..wish(&key()) }
}

/// A step of a person's bot without any task.
fn is_decided(desk: &Desk) -> bool {
    let request = tool_call("lookup_customer", &json!({ "customer_id": "c-1" }));
    desk.may(request).unwrap().decision() == v1::Decision::Permit
}

#[test]
fn a_state_without_room_refuses_starts_and_revocations_until_there_is_some() {
    let place = Place::shipped();
    // The journal begins new files before it is as long as the state may be.
    place.configure(&format!("tasks: {{ asserted: true }}\naudit: {{ rotate_bytes: 65536 }}\n{}", callers()));
    let server = place.start();
    let desk = Desk::gateway(&server);
    let first = desk.begin(v1::StartRequest { session: "s".into(), ..wish(&key()) });
    limit_files(&server, Some(length(&place, "state.redb")));
    let mut begun = Vec::new();
    let refused = loop {
        match desk.start(named(begun.len())) {
            Ok(answer) => begun.push(desk::lent(answer)),
            Err(status) => break status,
        }
        assert!(begun.len() < 20_000, "the limit is reached");
    };
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(refused.message().contains("ask again with the same idempotency key"), "{refused:?}");
    let refused = desk.revoke(Target::Task(first.id.clone())).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let refused = desk.end(&first.id, v1::Ending::Completed, "end").unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let session = v1::SessionOfCaller { caller: String::new(), session: "s".into() };
    assert_eq!(desk.revoke(Target::Session(session)).unwrap_err().code(), Code::Unavailable);
    // Nothing of it happened, and what was there goes on: with tasks and without.
    assert_eq!(desk.get(&first.id).unwrap().state(), v1::TaskState::Open);
    assert_eq!(desk.list().tasks.len(), begun.len() + 1);
    assert_eq!(desk.list().revocations, []);
    assert_eq!(desk.denied(&lookup(&first.token)), None);
    assert!((0..50).all(|_| is_decided(&desk)));
    assert_eq!(server.metric("palisade_state_writable"), Some(0.0));

    limit_files(&server, None);
    let late = until("the start that was refused", || desk.start(named(begun.len())).ok());
    let late = desk::lent(late);
    assert_eq!(desk.begin(named(begun.len())).id, late.id, "it is one task");
    assert_eq!(desk.list().tasks.len(), begun.len() + 2);
    assert_eq!(desk.denied(&lookup(&late.token)), None);
    desk.revoke(Target::Task(first.id.clone())).unwrap();
    assert_eq!(desk.denied(&lookup(&first.token)), Some(v1::DenyReason::TaskRevoked));
    assert_eq!(server.metric("palisade_state_writable"), Some(1.0));
    server.kill();
    let server = place.start();
    let desk = Desk::gateway(&server);
    let open = desk.list().tasks;
    assert_eq!(open.len(), begun.len() + 1);
    assert!(begun.iter().chain([&late]).all(|task| open.iter().any(|open| open.id == task.id)));
}

#[test]
fn a_journal_without_room_starts_and_revokes_nothing_that_is_acknowledged() {
    let place = desk::place("");
    let server = place.start();
    let desk = Desk::gateway(&server);
    let open = desk.begin(wish(&key()));
    let other = desk.begin(wish(&key()));
    let aside = place.data().join("audit/kept");
    fs::rename(place.journal(), &aside).unwrap();
    symlink("/dev/full", place.journal()).unwrap();
    until("answers stop", || desk.start(named(0)).is_err().then_some(()));
    let refused = desk.start(named(1)).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(refused.message().contains("recorded"), "{refused:?}");
    let refused = desk.revoke(Target::Task(open.id.clone())).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let refused = desk.end(&other.id, v1::Ending::Completed, "").unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert_eq!(desk.may(lookup(&other.token)).unwrap_err().code(), Code::Unavailable, "and no step");
    assert_eq!(desk.get(&other.id).unwrap().state(), v1::TaskState::Open, "it was not ended");

    fs::remove_file(place.journal()).unwrap();
    fs::rename(&aside, place.journal()).unwrap();
    let begun = desk::lent(until("the start", || desk.start(named(1)).ok()));
    assert_eq!(desk.denied(&lookup(&begun.token)), None);
    assert_eq!(desk.list().tasks.iter().filter(|task| task.id == begun.id).count(), 1);
    desk.revoke(Target::Task(open.id.clone())).unwrap();
    assert_eq!(desk.denied(&lookup(&open.token)), Some(v1::DenyReason::TaskRevoked));
    assert!(desk.end(&other.id, v1::Ending::Completed, "").unwrap().was_open);
    // What is acknowledged is on record, also if it had happened before.
    let moved = |what: &str, id: &str| {
        let records = place.records_of("task").into_iter();
        records.filter(|record| record["task"] == id && record["move"] == what).count()
    };
    assert!(moved("started", &begun.id) == 1 && moved("ended", &other.id) == 1);
    assert!(moved("revoked", &open.id) >= 1, "a revocation was acknowledged that is not on record");
}

/// A start is decided and committed, and then there is no room to say that it began.
#[test]
fn a_start_that_cannot_be_put_on_record_is_undone_and_can_be_asked_for_again() {
    // Two tasks of a hundred calls, and not three.
    let place = desk::place("calls_window_max: 250");
    fs::create_dir_all(place.data().join("audit")).unwrap();
    let mut journal = OpenOptions::new().create(true).append(true).open(place.journal()).unwrap();
    let line = format!("{}\n", json!({ "type": "before", "pad": "p".repeat(60_000) }));
    // Longer than the state, so that the limit is the journal's alone.
    (0..400).for_each(|_| journal.write_all(line.as_bytes()).unwrap());
    let server = place.start();
    let desk = Desk::gateway(&server);
    let before = length(&place, "audit/audit.jsonl");
    desk.begin(named(0));
    let grown = length(&place, "audit/audit.jsonl") - before;
    assert!(length(&place, "state.redb") < before, "the journal is the longer one");
    // One record and a half.
    limit_files(&server, Some(before + grown + grown * 3 / 4));
    let refused = desk.start(named(1)).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let decided = place.records_of("decided").len();
    assert_eq!((decided, place.records_of("task").len()), (2, 1), "it was decided, and not begun");
    assert_eq!(desk.list().tasks.len(), 1, "it is undone");
    limit_files(&server, None);
    let begun = desk::lent(until("the same start", || match desk.start(named(1)) {
        Ok(answer) => Some(answer),
        Err(status) => {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            None
        }
    }));
    assert_eq!(desk.begin(named(1)).id, begun.id);
    assert_eq!(desk.list().tasks.len(), 2);
    assert_eq!(desk.denied(&lookup(&begun.token)), None);
}
