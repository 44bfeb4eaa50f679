//! The bundle of a running server changes: when that changes answers, when it must not, and who is told.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::child::until;
use super::place::{FORBID, PERMIT, POLICY, Place};
use super::server::{Server, is_permit, probe, tool_call};

/// Edits are seen by events only after ten seconds, and by the poll after an hour.
const DEAF: &str = "reload:\n  poll_ms: 3600000\n  debounce_ms: 10000\n";

/// What the issue demands of a reload.
const VISIBLE_WITHIN: Duration = Duration::from_secs(1);

/// The fastest of several: what the server needs. What a busy machine adds to the others is not the server's.
fn fastest(times: &[Duration]) -> Duration {
    *times.iter().min().expect("there are some")
}

#[test]
fn an_edit_of_the_shipped_bundle_changes_the_answer_within_a_second() {
    let place = Place::shipped();
    let server = place.start();
    let client = server.client();
    let ask =
        || is_permit(&client.ask(tool_call("lookup_customer", &json!({"customer_id": "c-1"}))).unwrap());
    assert!(ask());
    let closed = "@id(\"support/closed\")\nforbid (principal, action in Action::\"tools/call\", resource in Server::\"crm\");\n";
    let mut times = Vec::new();
    for edit in 0..6 {
        let (text, wanted) = if edit % 2 == 0 { (closed, false) } else { ("// open\n", true) };
        place.write("policies/org/closed.cedar", text);
        let renamed = Instant::now();
        until("the edit takes effect", || (ask() == wanted).then_some(()));
        times.push(renamed.elapsed());
    }
    println!("reload to effect, shipped bundle, write by rename: {times:.0?}");
    assert!(fastest(&times) <= VISIBLE_WITHIN, "{times:?}");
    assert_eq!(place.records_of("published").len(), 1 + times.len());
    assert_eq!(place.records_of("published")[1]["cause"], "event");
}

/// Lays out what Kubernetes mounts: `<generation>/…`, `..data -> <generation>`, and a link per folder into `..data`.
fn mount(volume: &Path, generation: &str, policy: &str) {
    let files = volume.join(generation);
    let small = Place::with(policy);
    let output = std::process::Command::new("cp").arg("-r").arg(small.bundle()).arg(&files).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    symlink(generation, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

#[test]
fn the_swap_of_a_kubernetes_config_map_changes_the_answer_within_a_second() {
    let place = Place::empty();
    let volume = place.bundle();
    fs::create_dir(&volume).unwrap();
    mount(&volume, "..2026_11_21_10_00_00.1", PERMIT);
    for folder in ["schemas", "policies", "entities"] {
        symlink(format!("..data/{folder}"), volume.join(folder)).unwrap();
    }
    let server = place.start();
    let client = server.client();
    assert!(client.may_read());
    let mut times = Vec::new();
    let mut former = "..2026_11_21_10_00_00.1".to_owned();
    for swap in 2..7 {
        let wanted = swap % 2 == 1;
        let generation = format!("..2026_11_21_10_00_00.{swap}");
        mount(&volume, &generation, if wanted { PERMIT } else { FORBID });
        let swapped = Instant::now();
        // The kubelet removes the former generation.
        fs::remove_dir_all(volume.join(&former)).unwrap();
        former = generation;
        until("the swap takes effect", || (client.may_read() == wanted).then_some(()));
        times.push(swapped.elapsed());
    }
    println!("reload to effect, ConfigMap swap: {times:.0?}");
    assert!(fastest(&times) <= VISIBLE_WITHIN, "{times:?}");
    assert_eq!(place.records_of("published").len(), 1 + times.len(), "one publication per swap");
    assert_eq!(server.metric("palisade_bundle_failing"), Some(0.0));
}

#[test]
fn a_hangup_looks_at_the_bundle_at_once() {
    let place = Place::with(PERMIT);
    place.configure(DEAF);
    let server = place.start();
    let client = server.client();
    assert!(client.may_read());
    place.write(POLICY, FORBID);
    server.process().signal(Signal::HUP);
    until("the answer changes", || (!client.may_read()).then_some(()));
    assert_eq!(place.records_of("published")[1]["cause"], "signal");
    server.log().wait_for_text("SIGHUP");
}

#[test]
fn a_reload_that_the_operator_asks_for_says_what_came_of_it() {
    let place = Place::with(PERMIT);
    place.configure(DEAF);
    let server = place.start();
    let first = server.bundle()["in_force"]["revision"].clone();
    assert_eq!(server.reload(), json!({"result": "unchanged", "revision": first}));
    place.write(POLICY, FORBID);
    let published = server.operate("POST", "/reload");
    assert_eq!((published.status, &published.json()["result"]), (200, &json!("published")));
    assert!(!server.client().may_read(), "in force when it is acknowledged");
    assert_eq!(server.bundle()["in_force"]["revision"], published.json()["revision"]);
    place.write(POLICY, "permit (principal, action, resource) when { principal.colour };");
    let failed = server.operate("POST", "/reload");
    assert_eq!((failed.status, &failed.json()["result"]), (422, &json!("failed")));
    let record = &place.records_of("published")[1];
    assert_eq!((&record["cause"], &record["previous"]), (&json!("admin"), &first));
    assert_eq!(record["changes"]["changed"][0]["path"], POLICY);
}

fn failing(server: &Server) -> bool {
    server.metric("palisade_bundle_failing").expect("the metric is there") > 0.0
}

#[test]
fn a_bad_bundle_keeps_the_last_good_one_is_shown_everywhere_and_mends_by_itself() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    let good = client.ask(probe("")).unwrap();
    assert!(!failing(&server));

    place.write(POLICY, "@id(\"doc/read\")\npermit (principal is Agent, action == Action::\"read\", resource is Doc)\nwhen { principal.colour };\n");
    server.log().wait_for_text("the bundle does not come into force");
    server.log().wait_for_text("colour");
    until("the metric", || failing(&server).then_some(()));
    let status = server.bundle();
    let finding = &status["failing"]["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["level"]),
        (&json!(POLICY), &json!(3), &json!("error"))
    );
    assert!(finding["column"].as_u64().is_some_and(|column| column > 1), "{finding}");
    assert!(finding["message"].as_str().is_some_and(|message| message.contains("colour")), "{finding}");
    assert!(
        status["failing"]["error"].as_str().unwrap().contains("the last good one stays in force"),
        "{status}"
    );
    assert_eq!(status["in_force"]["revision"], good.revision.as_str());
    let still = client.ask(probe("")).unwrap();
    assert!(is_permit(&still));
    assert_eq!(still.revision, good.revision);
    assert_eq!(server.get("/readyz").status, 200, "the last good one answers");

    // Another fault is another message.
    place.write(POLICY, "permit (");
    until("the other fault", || {
        (server.bundle()["failing"]["findings"] != status["failing"]["findings"]).then_some(())
    });

    place.write(POLICY, FORBID);
    until("the mended bundle is in force", || (!client.may_read()).then_some(()));
    until("the metric", || (!failing(&server)).then_some(()));
    assert_eq!(server.bundle()["failing"], json!(null));
    server.log().wait_for_text("is in force again");
    assert_eq!(place.records_of("published").len(), 2, "bad bundles were never published");
}

#[test]
fn a_bad_bundle_that_goes_back_to_the_last_good_one_is_mended_without_a_publication() {
    let place = Place::with(PERMIT);
    let server = place.start();
    place.write(POLICY, "permit (");
    until("the fault", || failing(&server).then_some(()));
    place.write(POLICY, PERMIT);
    until("the mending", || (!failing(&server)).then_some(()));
    assert!(server.client().may_read());
    assert_eq!(place.records_of("published").len(), 1);
}

#[test]
fn a_bundle_deleted_under_the_server_goes_on_answering_and_may_come_back() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    let good = client.ask(probe("")).unwrap();
    fs::remove_dir_all(place.bundle()).unwrap();
    let error =
        until("the loss is reported", || server.bundle()["failing"]["error"].as_str().map(str::to_owned));
    // Seen in the middle of the deletion it may be a bundle without a schema; in the end it is none.
    until("the loss is named", || {
        let error = server.bundle()["failing"]["error"].as_str().map(str::to_owned)?;
        error.contains("there is no bundle directory").then_some(())
    });
    assert!(!error.is_empty());
    server.log().wait_for_text("there is no bundle directory");
    assert!(failing(&server));
    let still = client.ask(probe("")).unwrap();
    assert_eq!((is_permit(&still), &still.revision), (true, &good.revision));

    let other = Place::with(FORBID);
    let output =
        std::process::Command::new("cp").arg("-r").arg(other.bundle()).arg(place.bundle()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    until("the bundle that came back is in force", || (!client.may_read()).then_some(()));
    until("the metric", || (!failing(&server)).then_some(()));
}

#[test]
fn one_policy_file_deleted_is_a_change_like_any_other() {
    let place = Place::with(PERMIT);
    place.write("policies/closed.cedar", FORBID);
    let server = place.start();
    let client = server.client();
    assert!(!client.may_read());
    place.remove("policies/closed.cedar");
    until("the answer changes", || client.may_read().then_some(()));
    assert_eq!(place.records_of("published")[1]["changes"]["removed"][0]["path"], "policies/closed.cedar");
}

#[test]
fn unchanged_content_publishes_nothing() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let first = server.bundle();
    for _ in 0..3 {
        place.write(POLICY, PERMIT);
        fs::write(place.bundle().join("policies/notes.txt"), "no part of a bundle").unwrap();
        assert_eq!(server.reload()["result"], "unchanged");
    }
    // Policy tests are no part of the revision.
    place.write("policies/doc_test.yaml", "# nothing yet\n");
    assert_eq!(server.reload()["result"], "unchanged");
    server.process().signal(Signal::HUP);
    server.log().wait_for_text("SIGHUP");
    assert_eq!(server.bundle()["in_force"], first["in_force"]);
    assert_eq!(place.records_of("published").len(), 1);
}

#[test]
fn equal_content_has_an_equal_revision_on_another_server() {
    let revision = |place: &Place| place.start().bundle()["in_force"]["revision"].clone();
    let (one, other) = (Place::with(PERMIT), Place::with(FORBID));
    let first = revision(&one);
    assert_ne!(revision(&other), first);
    other.write(POLICY, PERMIT);
    assert_eq!(revision(&other), first);
}
