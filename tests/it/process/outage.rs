//! The journal cannot be written: no answer leaves, everybody is told, and it heals by itself.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use tonic::Code;

use super::child::until;
use super::load::Load;
use super::place::{FORBID, PERMIT, POLICY, Place};
use super::server::{Server, probe};

/// No answer leaves, and the probes and the metrics say why.
fn assert_down(server: &Server, place: &Place) {
    let client = server.client();
    let lines = place.records().len();
    let refused = client.ask(probe("")).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(refused.message().contains("could not be recorded"), "{refused:?}");
    assert_eq!(client.ask_all(vec![probe("")]).unwrap_err().code(), Code::Unavailable);
    let ready = server.get("/readyz");
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.body.contains("the audit journal cannot be written"), "{ready:?}");
    assert_eq!(server.get("/livez").status, 200, "a restart would not help");
    assert_eq!(server.metric("palisade_audit_writable"), Some(0.0));
    assert!(server.metric("palisade_audit_failures_total").unwrap() >= 2.0);
    assert_eq!(place.records().len(), lines, "nothing of a refused record remains");
}

/// Answers leave again, and the journal says since when they did not.
fn assert_up(server: &Server, place: &Place) {
    until("the probe", || (server.get("/readyz").status == 200).then_some(()));
    assert!(server.client().may_read());
    assert_eq!(server.metric("palisade_audit_writable"), Some(1.0));
    let resumed = place.records_of("resumed");
    assert_eq!(resumed.len(), 1);
    assert!(resumed[0]["refused"].as_u64().unwrap() >= 2, "{resumed:?}");
    server.log().wait_for_text("the audit journal is written again");
}

#[test]
fn a_full_disk_stops_every_answer_until_there_is_room() {
    let place = Place::with(PERMIT);
    let server = place.start();
    assert!(server.client().may_read());
    // The file's place leads to a full device for a while; the file itself waits beside it.
    let aside = place.data().join("audit/kept");
    fs::rename(place.journal(), &aside).unwrap();
    symlink("/dev/full", place.journal()).unwrap();
    let client = server.client();
    // Until the server looks, lines go on into the file that it has.
    until("the answers stop", || client.ask(probe("")).is_err().then_some(()));
    let refused = client.ask(probe("")).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    server.log().wait_for_text("the audit journal cannot be written: no answers until it can");
    assert_eq!(server.get("/readyz").status, 503);
    assert_eq!(server.metric("palisade_audit_writable"), Some(0.0));
    assert_eq!(server.get("/livez").status, 200);

    fs::remove_file(place.journal()).unwrap();
    fs::rename(&aside, place.journal()).unwrap();
    assert_up(&server, &place);
}

/// Lets the files of a running server grow no further than this.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let usual = getrlimit(Resource::Fsize);
    let limit = Rlimit { current: bytes.or(usual.current), maximum: usual.maximum };
    prlimit(Some(server.process().pid()), Resource::Fsize, limit).expect("a limit of a child of ours");
}

#[test]
fn a_line_that_fits_only_in_part_leaves_nothing_and_no_answer() {
    let place = Place::with(PERMIT);
    let server = place.start();
    assert!(server.client().may_read());
    let length = fs::metadata(place.journal()).unwrap().len();
    limit_files(&server, Some(length + 100));
    assert_down(&server, &place);
    assert_eq!(fs::metadata(place.journal()).unwrap().len(), length, "a part of a line is taken back");
    limit_files(&server, None);
    assert_up(&server, &place);
}

#[test]
fn an_outage_under_load_lets_no_answer_out_without_its_line() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let load = Load::on(server.grpc);
    load.wait_for_more(100);
    limit_files(&server, Some(fs::metadata(place.journal()).unwrap().len() + 10_000));
    let tally = load.broken();
    assert!(tally.failed.iter().all(|status| status.code() == Code::Unavailable), "{:?}", tally.failed);
    let lines = place.records_of("decided");
    let recorded = |id: &String| lines.iter().any(|line| line["decision"] == id.as_str());
    assert!(tally.ids.iter().all(recorded), "an answer left without its line");
    limit_files(&server, None);
    assert!(server.client().may_read());
}

#[test]
fn a_bundle_whose_publication_cannot_be_recorded_waits_for_its_record() {
    let place = Place::with(PERMIT);
    let server = place.start();
    assert!(server.client().may_read());
    limit_files(&server, Some(fs::metadata(place.journal()).unwrap().len() + 10));
    place.write(POLICY, FORBID);
    let ended = server.operate("POST", "/reload");
    assert_eq!(ended.status, 422, "{ended:?}");
    assert!(ended.body.contains("the publication waits for its audit record"), "{ended:?}");
    assert_eq!(place.records_of("published").len(), 1);
    limit_files(&server, None);
    let client = server.client();
    until("the publication comes by itself", || {
        client.ask(probe("")).is_ok_and(|answer| !super::server::is_permit(&answer)).then_some(())
    });
    assert_eq!(place.records_of("published").len(), 2);
}

#[test]
fn an_outcome_that_cannot_be_recorded_may_be_reported_again() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let (client, token) = (server.client(), server.token());
    let decision = client.ask_with(probe(""), &[("authorization", &token)]).unwrap().decision_id;
    limit_files(&server, Some(fs::metadata(place.journal()).unwrap().len() + 10));
    assert_eq!(client.report(&decision, &token).unwrap_err().code(), Code::Unavailable);
    limit_files(&server, None);
    client.report(&decision, &token).unwrap();
    assert_eq!(place.records_of("outcome").len(), 1);
}

#[test]
fn a_journal_that_is_deleted_or_moved_away_is_begun_anew() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    assert!(client.may_read());
    fs::remove_file(place.journal()).unwrap();
    let after = client.ask(probe("")).unwrap();
    assert_eq!(place.records_of("decided")[0]["decision"], after.decision_id.as_str());
    server.log().wait_for_text("the audit journal was deleted while it was written; a new one is begun");

    // As logrotate does it.
    let moved = place.data().join("audit/moved.jsonl");
    fs::rename(place.journal(), &moved).unwrap();
    until("the new file", || {
        assert!(client.may_read());
        place.journal().exists().then_some(())
    });
    server.log().wait_for_text("the audit journal was moved away; a new one is begun");
    assert!(fs::read_to_string(moved).unwrap().contains(&after.decision_id));
}

#[test]
fn a_folder_that_cannot_take_a_new_file_stops_answers_until_it_can() {
    let place = Place::with(PERMIT);
    let server = place.start();
    assert!(server.client().may_read());
    let (folder, aside) = (place.data().join("audit"), place.data().join("elsewhere"));
    fs::rename(&folder, &aside).unwrap();
    let client = server.client();
    until("the answers stop", || client.ask(probe("")).is_err().then_some(()));
    assert_eq!(server.get("/readyz").status, 503);
    fs::rename(&aside, &folder).unwrap();
    until("the answers come again", || client.ask(probe("")).is_ok().then_some(()));
    assert_eq!(place.records_of("resumed").len(), 1);
    assert_eq!(server.get("/readyz").status, 200);
}

#[test]
fn a_server_out_of_file_descriptors_keeps_its_connections_and_comes_back() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    assert!(client.may_read());
    let usual = getrlimit(Resource::Nofile);
    let limit = |current| {
        let limit = Rlimit { current, maximum: usual.maximum };
        prlimit(Some(server.process().pid()), Resource::Nofile, limit).expect("a limit of a child of ours");
    };
    // Fewer than it has open: it gets no more.
    limit(Some(8));
    let waiting = server.client();
    let call = waiting.runtime().spawn({
        let mut grpc = waiting.grpc();
        async move { grpc.authorize(probe("waiting")).await }
    });
    server.log().wait_for_text("a connection was not accepted");
    assert!((0..20).all(|_| client.may_read()), "who is connected is answered");
    assert!(!call.is_finished());
    limit(usual.current);
    let answer = waiting.runtime().block_on(call).unwrap().unwrap().into_inner();
    assert_eq!(answer.request_id, "waiting");
}
