//! The journal of a running server: a line per answer, whatever ends the process.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use serde_json::Value;
use tonic::Code;

use super::load::{Load, Tally};
use super::place::{FORBID, PERMIT, POLICY, Place, mode, names, tree};
use super::server::{is_permit, probe};

/// The ids of decisions, each once.
fn ids(records: &[Value]) -> BTreeSet<String> {
    let ids: BTreeSet<String> =
        records.iter().map(|record| record["decision"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(ids.len(), records.len(), "every id is unique");
    ids
}

fn answered(tally: &Tally) -> BTreeSet<String> {
    tally.ids.iter().cloned().collect()
}

#[test]
fn every_answer_has_its_line_and_every_line_its_answer() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let load = Load::on(server.grpc);
    load.wait_for_more(500);
    // Denies are recorded like permits.
    place.write(POLICY, FORBID);
    server.reload();
    load.wait_for_more(500);
    let tally = load.end();
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    let decided = place.records_of("decided");
    assert_eq!(ids(&decided), answered(&tally));
    let outcomes = |wanted: &str| decided.iter().filter(|line| line["outcome"] == wanted).count() as u64;
    let answers = |wanted: bool| -> u64 {
        tally.answers.iter().filter(|((_, permit), _)| *permit == wanted).map(|(_, count)| count).sum()
    };
    assert_eq!((outcomes("permit"), outcomes("deny")), (answers(true), answers(false)));
    for line in &decided {
        let wanted = if line["outcome"] == "permit" { "doc/read" } else { "doc/closed" };
        assert_eq!(line["determining"][0]["id"], wanted, "{line}");
    }
}

#[test]
fn a_batch_with_a_bad_request_answers_and_records_nothing() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let requests = vec![probe("good"), palisade::api::proto::v1::AuthorizeRequest::default()];
    assert_eq!(server.client().ask_all(requests).unwrap_err().code(), Code::InvalidArgument);
    assert!(place.records_of("decided").is_empty());
}

#[test]
fn no_acknowledged_answer_is_lost_when_the_process_is_killed() {
    let place = Place::with(PERMIT);
    let mut acknowledged = BTreeSet::new();
    for round in 0..5 {
        let server = place.start();
        let load = Load::on(server.grpc);
        load.wait_for_more(100 + 50 * round);
        let ended = server.kill();
        assert_eq!(ended.code, None, "{ended:?}");
        acknowledged.extend(answered(&load.broken()));
        let lines = ids(&place.records_of("decided"));
        let lost: Vec<_> = acknowledged.difference(&lines).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} answers are lost", lost.len(), acknowledged.len());
    }
    println!("5 kills under load: {} acknowledged, 0 lost", acknowledged.len());
    assert!(place.start().client().may_read());
}

#[test]
fn a_torn_last_line_is_set_aside_at_the_next_start() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let first = server.client().ask(probe("first")).unwrap();
    server.kill();
    let whole = fs::read(place.journal()).unwrap();
    let torn = b"{\"type\":\"decided\",\"time\":\"2026-11";
    fs::OpenOptions::new().append(true).open(place.journal()).unwrap().write_all(torn).unwrap();

    let server = place.start();
    server.log().wait_for_text("the last line of the audit journal was torn; it is set aside");
    let folder = place.data().join("audit");
    let aside = names(&folder).into_iter().find(|name| name.starts_with("torn-")).expect("it is set aside");
    assert_eq!(fs::read(folder.join(aside)).unwrap(), torn);
    assert!(fs::read(place.journal()).unwrap().starts_with(&whole), "whole lines stay as they were");
    let second = server.client().ask(probe("second")).unwrap();
    let decided = place.records_of("decided");
    assert_eq!(ids(&decided), BTreeSet::from([first.decision_id, second.decision_id]));
}

#[test]
fn a_truncated_journal_loses_only_what_was_cut_off() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    let answers: Vec<_> = (0..3).map(|_| client.ask(probe("")).unwrap().decision_id).collect();
    server.kill();
    let file = fs::OpenOptions::new().write(true).open(place.journal()).unwrap();
    file.set_len(file.metadata().unwrap().len() - 20).unwrap();
    let server = place.start();
    server.log().wait_for_text("torn");
    assert_eq!(ids(&place.records_of("decided")), answers[..2].iter().cloned().collect());
    assert!(server.client().may_read());
}

#[test]
fn rotation_keeps_every_line_in_files_of_the_configured_length() {
    const ROTATE_BYTES: u64 = 4096;
    let place = Place::with(PERMIT);
    place.configure(&format!("audit: {{ rotate_bytes: {ROTATE_BYTES} }}\n"));
    let server = place.start();
    let load = Load::on(server.grpc);
    load.wait_for_more(300);
    let tally = load.end();
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert_eq!(ids(&place.records_of("decided")), answered(&tally));
    let files = place.journal_files();
    assert!(files.len() > 20, "{files:?}");
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= ROTATE_BYTES, "{file:?}");
        assert_eq!(mode(file), 0o600, "{file:?}");
    }
    assert_eq!(server.stop().code, Some(0));
    // The next start goes on where this one ended.
    let server = place.start();
    assert!(server.client().may_read());
    assert_eq!(place.records_of("decided").len(), tally.ids.len() + 1);
    assert_eq!(place.records_of("published").len(), 2);
}

#[test]
fn an_outcome_is_reported_once_even_after_a_restart() {
    let place = Place::with(PERMIT);
    place.configure("audit: { rotate_bytes: 4096 }\n");
    let server = place.start();
    let (client, token) = (server.client(), server.token());
    let ask = || client.ask_with(probe(""), &[("authorization", &token)]).unwrap().decision_id;
    let (before, reported) = (ask(), ask());
    client.report(&reported, &token).unwrap();
    // Enough for several files.
    (0..40).for_each(|_| drop(ask()));
    server.kill();

    let server = place.start();
    let client = server.client();
    client.report(&before, &server.token()).unwrap();
    for (again, why) in [(&before, "reported just now"), (&reported, "reported before the restart")] {
        assert_eq!(client.report(again, &server.token()).unwrap_err().code(), Code::NotFound, "{why}");
    }
    let outcomes = place.records_of("outcome");
    assert_eq!(ids(&outcomes), BTreeSet::from([before, reported]));
    assert!(ids(&outcomes).is_subset(&ids(&place.records_of("decided"))));
}

#[test]
fn an_outcome_is_taken_only_from_the_caller_that_got_the_decision_and_only_for_a_permit() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    let theirs = client.ask(probe("")).unwrap();
    assert_eq!(client.report(&theirs.decision_id, &server.token()).unwrap_err().code(), Code::NotFound);
    place.write(POLICY, FORBID);
    server.reload();
    let denied = client.ask_with(probe(""), &[("authorization", &server.token())]).unwrap();
    assert!(!is_permit(&denied));
    assert_eq!(client.report(&denied.decision_id, &server.token()).unwrap_err().code(), Code::NotFound);
    assert!(place.records_of("outcome").is_empty());
}

#[test]
fn everything_in_the_data_directory_is_for_its_owner_alone() {
    let place = Place::with(PERMIT);
    let server = place.start();
    assert!(server.client().may_read());
    let found = tree(&place.data());
    assert!(found.len() >= 6, "{found:?}");
    for path in found {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), wanted, "{path:?}");
    }
}
