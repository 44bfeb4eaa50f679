//! AuthZEN's evaluation beside Treetop's engine behind HTTP, with few policies and with many (B11).
//! Never without saying so when Treetop is not there.

use std::path::Path;
use std::process::Command;

use super::findings;
use crate::bench::{Bench, Finding};
use crate::load;
use crate::place::Place;
use crate::question::AMOUNT;
use crate::rows::{Bound, Row};
use crate::running::Running;
use crate::trouble::{Outcome, Trouble};

const NAMES: [&str; 2] = ["palisade", "treetop"];
const CONCURRENCY: usize = 64;
/// How many policies, and how much more we answer.
const SIZES: [(usize, f64); 2] = [(10, 1.25), (1_000, 15.0)];
/// How its permit begins.
const ALLOWED: &[u8] = br#"{"Allow""#;

pub(super) fn run(bench: &Bench) -> Vec<Finding> {
    let Some(binary) = &bench.options.treetop else {
        let trouble = Trouble::Call("give its binary with --treetop; `make bench-peers` builds it".into());
        return findings("treetop", Err(trouble));
    };
    let at = |(policies, ratio)| {
        let conditions = format!("HTTP/1.1, {CONCURRENCY} connections, {policies} policies");
        findings(&conditions, measure(bench, binary, policies, ratio, &conditions))
    };
    SIZES.into_iter().flat_map(at).collect()
}

fn measure(bench: &Bench, binary: &Path, policies: usize, ratio: f64, conditions: &str) -> Outcome<Vec<Row>> {
    let place = Place::with(policies)?;
    let palisade = place.serve_http(&bench.options)?;
    let mut command = Command::new(binary);
    command.arg(policies.to_string());
    let treetop = Running::start_at("treetop", "http listening on ", &mut command, bench.options.workers)?;
    let posts = bench.posts(&palisade, CONCURRENCY)?;
    let theirs = bench.posts_to(&treetop.uri, &question(), ALLOWED, CONCURRENCY)?;
    let pair = bench.rounds(|ours| {
        let (posts, server) = if ours { (&posts, &palisade) } else { (&theirs, &treetop) };
        let slot = load::closed(&bench.runtime, &server.process, posts, CONCURRENCY, bench.effort.length())?;
        place.tidy()?;
        slot.sound()
    })?;
    let mut rows = pair.rows(NAMES, conditions).to_vec();
    for row in rows.iter_mut().filter(|row| row.figure == "answers") {
        *row = row.clone().within("B11", Bound::RatioAtLeast(ratio));
    }
    Ok(rows)
}

/// The same refund, in Treetop's words: it believes whom it is told of.
fn question() -> String {
    serde_json::json!({
        "principal": {"User": {"id": "ana", "namespace": [], "groups": [{"id": "support", "namespace": []}]}},
        "action": {"id": "issue_refund", "namespace": []},
        "resource": {
            "kind": "Tool", "id": "crm-issue_refund", "attrs": {"amount": {"type": "Long", "value": AMOUNT}},
        },
    })
    .to_string()
}
