//! AuthZEN's evaluation over HTTP/1.1 beside plain axum servers: an echo, and one that says the same answer each time.
//! Never with a bundle other than the shipped one.

use super::findings;
use crate::bench::{Bench, Finding, PERMITTED};
use crate::load;
use crate::place::Place;
use crate::plain;
use crate::question::evaluation;
use crate::rows::{Bound, Row};
use crate::running::Running;
use crate::trouble::{Outcome, Trouble};

const OURS: &str = "palisade";
/// It reads JSON and says the same JSON.
const ECHO: &str = "axum echo";
/// It reads JSON and says our answer, given in advance: less to write than the echo has.
const SAYER: &str = "axum, one answer";
const CONCURRENCIES: [usize; 3] = [1, 16, 64];
/// How an echo of the question begins, as the question does.
const ECHOED: &[u8] = br#"{"subject":"#;

/// A plain server that we are held beside.
struct Floor {
    name: &'static str,
    server: Running,
    /// How its answers begin.
    says: &'static [u8],
}

pub(super) fn run(bench: &Bench) -> Vec<Finding> {
    let sides = || {
        let place = Place::shipped()?;
        let palisade = place.serve_http(&bench.options)?;
        let answer = said(bench, &palisade)?;
        let workers = bench.options.workers;
        let echo = Floor { name: ECHO, server: plain::start(None, workers)?, says: ECHOED };
        let sayer = Floor { name: SAYER, server: plain::start(Some(&answer), workers)?, says: PERMITTED };
        Ok((place, palisade, [echo, sayer]))
    };
    let (place, palisade, floors) = match sides() {
        Ok(sides) => sides,
        Err(trouble) => return findings("HTTP/1.1", Err(trouble)),
    };
    let at = |concurrency| {
        let conditions = conditions(concurrency);
        let beside =
            |floor| findings(&conditions, measure(bench, &place, &palisade, floor, concurrency, &conditions));
        floors.iter().flat_map(beside).collect::<Vec<_>>()
    };
    CONCURRENCIES.into_iter().flat_map(at).collect()
}

fn conditions(concurrency: usize) -> String {
    format!("HTTP/1.1, AuthZEN evaluation, {concurrency} connections")
}

/// The real answer.
fn said(bench: &Bench, server: &Running) -> Outcome<String> {
    let posts = bench.posts(server, 1)?;
    let post = posts.first().ok_or_else(|| Trouble::Call("no connection".into()))?;
    let body = bench.runtime.block_on(post.send()).map_err(Trouble::Call)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn measure(
    bench: &Bench,
    place: &Place,
    palisade: &Running,
    floor: &Floor,
    concurrency: usize,
    conditions: &str,
) -> Outcome<Vec<Row>> {
    let to_palisade = bench.posts(palisade, concurrency)?;
    let to_floor = bench.posts_to(&floor.server.uri, &evaluation(), floor.says, concurrency)?;
    let pair = bench.rounds(|ours| {
        let (posts, server) = if ours { (&to_palisade, palisade) } else { (&to_floor, &floor.server) };
        let slot = load::closed(&bench.runtime, &server.process, posts, concurrency, bench.effort.length())?;
        place.tidy()?;
        slot.sound()
    })?;
    let mut rows = pair.rows([OURS, floor.name], conditions).to_vec();
    let is_held = |row: &&mut Row| floor.name == ECHO && concurrency == 64 && row.figure == "answers";
    for row in rows.iter_mut().filter(is_held) {
        *row = row.clone().within("HTTP", Bound::RatioAtLeast(0.6));
    }
    Ok(rows)
}
