//! A thousand reloads under load, half of them of bad bundles.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::load::Load;
use super::place::{FORBID, PERMIT, POLICY, Place};
use super::server::is_permit;
use super::server::probe;

const RELOADS: usize = 1_000;

/// Bad bundles: a file and what is wrong with it.
const BAD: [(&str, &str); 4] = [
    (POLICY, "permit (principal, action, resource"),
    (
        POLICY,
        "@id(\"doc/read\")\npermit (principal is Agent, action == Action::\"read\", resource is Doc) when { principal.colour };",
    ),
    ("schemas/doc.cedarschema", "entity Agent = ;"),
    ("entities/agents.json", r#"[{ "uid": { "type": "Agent", "id": "bot" }, "attrs": {}, "parents": [] }]"#),
];

/// What has come into force, and what it should answer.
type Wanted = BTreeMap<String, bool>;

#[test]
fn a_thousand_reloads_under_load_fail_no_call_and_mix_no_revisions() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let revision = |of: &serde_json::Value| of.as_str().expect("a revision").to_owned();
    let first = revision(&server.bundle()["in_force"]["revision"]);
    let good: BTreeMap<&str, String> = BAD
        .iter()
        .map(|(path, _)| (*path, std::fs::read_to_string(place.bundle().join(path)).unwrap()))
        .collect();
    let mut wanted = Wanted::from([(first.clone(), true)]);
    let mut in_force = first;

    let client = server.client();
    let load = Load::on(server.grpc);
    load.wait_for_more(100);
    let began = Instant::now();
    let before = load.answered();
    for at in 0..RELOADS {
        if at % 2 == 0 {
            let (path, text) = BAD[at / 2 % BAD.len()];
            place.write(path, text);
            let ended = server.reload();
            assert_eq!(ended["result"], "failed", "{ended}");
            assert!(!ended["findings"].as_array().unwrap().is_empty(), "{ended}");
            assert_eq!(client.ask(probe("")).unwrap().revision, in_force, "the last good one stays in force");
            if path != POLICY {
                place.write(path, &good[path]);
            }
        } else {
            // A comment makes each good bundle another one.
            let permits = at % 4 == 3;
            let policy = if permits { PERMIT } else { FORBID };
            place.write(POLICY, &format!("// {at}\n{policy}"));
            let ended = server.reload();
            // The watch may have been there first.
            assert!(["published", "unchanged"].map(Into::into).contains(&ended["result"]), "{ended}");
            in_force = revision(&ended["revision"]);
            assert!(wanted.insert(in_force.clone(), permits).is_none(), "{at}: {ended}");
            let answer = client.ask(probe("")).unwrap();
            assert_eq!((answer.revision.as_str(), is_permit(&answer)), (in_force.as_str(), permits));
        }
    }
    let under_reload = load.answered() - before;
    let took = began.elapsed();
    let tally = load.end();

    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert_eq!(tally.mixed_batches, 0);
    for ((revision, permit), count) in &tally.answers {
        assert_eq!(wanted.get(revision), Some(permit), "{count} answers of {revision}");
    }
    assert!(tally.calls.iter().all(|count| *count > 100), "{:?}", tally.calls);
    let seen: BTreeSet<&String> = tally.answers.keys().map(|(revision, _)| revision).collect();
    assert!(seen.len() > RELOADS / 4, "the load saw {} revisions", seen.len());
    let published = place.records_of("published");
    assert_eq!(published.len(), 1 + RELOADS / 2, "one record per publication");
    let decided = place.records_of("decided");
    assert_eq!(decided.len(), tally.ids.len() + RELOADS, "one record per answer");
    println!(
        "{RELOADS} reloads (half bad) in {took:.1?}; {under_reload} decisions meanwhile (in all {:?} single calls, \
         batches, stream steps) on {} of {} revisions; 0 failed, 0 mixed",
        tally.calls,
        seen.len(),
        wanted.len(),
    );
}
