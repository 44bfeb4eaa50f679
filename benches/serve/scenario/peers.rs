//! Palisade beside Cerbos: an equivalent question, both with their records on, in one run (B5).
//! Never without saying so when Cerbos is not there.

use super::findings;
use crate::bench::{Bench, Finding, PERMITTED};
use crate::cerbos::{self, Cerbos};
use crate::load;
use crate::place::Place;
use crate::rows::{Bound, Row};
use crate::running::{Listen, Running};
use crate::trouble::{Outcome, Trouble};

const NAMES: [&str; 2] = ["palisade", "cerbos"];
const CONDITIONS: &str = "one equivalent policy, decisions recorded in a file";

pub(super) fn run(bench: &Bench) -> Vec<Finding> {
    let sides = || {
        let Some(binary) = &bench.options.cerbos else {
            return Err(Trouble::Call(
                "give its binary with --cerbos; `make bench-peers` installs it".into(),
            ));
        };
        let cerbos = Cerbos::start(binary, &bench.runtime)?;
        let place = Place::shipped()?;
        let palisade = bench.palisade(&place, &Listen::Tcp)?;
        Ok((cerbos, place, palisade))
    };
    let (cerbos, place, palisade) = match sides() {
        Ok(sides) => sides,
        Err(trouble) => return findings(CONDITIONS, Err(trouble)),
    };
    let mut found = Vec::new();
    for concurrency in [1, 64] {
        let conditions = format!("{CONDITIONS}, concurrency {concurrency}");
        found.extend(findings(
            &conditions,
            measure(bench, (&place, &palisade), &cerbos, concurrency, &conditions),
        ));
    }
    for concurrency in [1, 64] {
        let conditions = format!("{CONDITIONS}, AuthZEN over HTTP/1.1, concurrency {concurrency}");
        found.extend(findings(&conditions, over_http(bench, &cerbos, concurrency, &conditions)));
    }
    if !cerbos.has_recorded() {
        let trouble = Trouble::Call("Cerbos recorded nothing: the comparison is not fair".into());
        found.push(Finding::Failed { conditions: CONDITIONS.into(), trouble });
    }
    found
}

fn measure(
    bench: &Bench,
    (place, palisade): (&Place, &Running),
    cerbos: &Cerbos,
    concurrency: usize,
    conditions: &str,
) -> Outcome<Vec<Row>> {
    let length = bench.effort.length();
    let calls = bench.calls(palisade, concurrency)?;
    let checks = calls.iter().map(|_| bench.connect(&cerbos.running).map(cerbos::check));
    let checks = checks.collect::<Outcome<Vec<_>>>()?;
    let pair = bench.rounds(|ours| {
        let slot = if ours {
            load::closed(&bench.runtime, &palisade.process, &calls, concurrency, length)?
        } else {
            load::closed(&bench.runtime, &cerbos.running.process, &checks, concurrency, length)?
        };
        place.tidy()?;
        slot.sound()
    })?;
    let mut rows = pair.rows(NAMES, conditions).to_vec();
    for row in rows.iter_mut().filter(|row| concurrency == 64 && row.figure == "answers") {
        *row = row.clone().within("B5", Bound::RatioAtLeast(4.0));
    }
    Ok(rows)
}

fn over_http(bench: &Bench, cerbos: &Cerbos, concurrency: usize, conditions: &str) -> Outcome<Vec<Row>> {
    let length = bench.effort.length();
    let place = Place::shipped()?;
    let palisade = place.serve_http(&bench.options)?;
    let posts = bench.posts(&palisade, concurrency)?;
    let theirs = bench.posts_to(&cerbos.http, &cerbos::evaluation(), PERMITTED, concurrency)?;
    let pair = bench.rounds(|ours| {
        let (posts, process) =
            if ours { (&posts, &palisade.process) } else { (&theirs, &cerbos.running.process) };
        let slot = load::closed(&bench.runtime, process, posts, concurrency, length)?;
        place.tidy()?;
        slot.sound()
    })?;
    let mut rows = pair.rows(NAMES, conditions).to_vec();
    for row in rows.iter_mut().filter(|row| concurrency == 64 && row.figure == "answers") {
        *row = row.clone().within("HTTP", Bound::RatioAtLeast(4.0));
    }
    Ok(rows)
}
