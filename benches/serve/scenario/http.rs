//! AuthZEN's evaluation over HTTP/1.1 beside a plain axum server that reads and writes JSON.
//! Never with a bundle other than the shipped one.

use super::findings;
use crate::bench::{Bench, Finding};
use crate::load;
use crate::place::Place;
use crate::plain;
use crate::post::Post;
use crate::rows::{Bound, Row};
use crate::running::Running;
use crate::trouble::{Outcome, Trouble};

const NAMES: [&str; 2] = ["palisade", "plain axum"];
const CONCURRENCIES: [usize; 3] = [1, 16, 64];

pub(super) fn run(bench: &Bench) -> Vec<Finding> {
    let sides = || {
        let place = Place::shipped()?;
        let palisade = place.serve_http(bench.options.workers)?;
        let answer = said(bench, &palisade)?;
        let plain = plain::start(&answer, bench.options.workers)?;
        Ok((place, palisade, plain))
    };
    let (place, palisade, plain) = match sides() {
        Ok(sides) => sides,
        Err(trouble) => return findings("HTTP/1.1", Err(trouble)),
    };
    let at = |concurrency| {
        let conditions = conditions(concurrency);
        findings(&conditions, measure(bench, &place, [&palisade, &plain], concurrency, &conditions))
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
    [palisade, plain]: [&Running; 2],
    concurrency: usize,
    conditions: &str,
) -> Outcome<Vec<Row>> {
    let posts: [Vec<Post>; 2] = [bench.posts(palisade, concurrency)?, bench.posts(plain, concurrency)?];
    let pair = bench.rounds(|ours| {
        let [to_palisade, to_plain] = &posts;
        let (posts, server) = if ours { (to_palisade, palisade) } else { (to_plain, plain) };
        let slot = load::closed(&bench.runtime, &server.process, posts, concurrency, bench.effort.length())?;
        place.tidy()?;
        slot.sound()
    })?;
    let mut rows = pair.rows(NAMES, conditions).to_vec();
    for row in rows.iter_mut().filter(|row| concurrency == 64 && row.figure == "answers") {
        *row = row.clone().within("HTTP", Bound::RatioAtLeast(0.6));
    }
    Ok(rows)
}
