//! Resident memory of the server: idle and after load, on the shipped bundle and on a large one (B10).
//! Never right after the start, when buffers of the compile may not have been given back yet.

use std::thread;
use std::time::Duration;

use super::findings;
use crate::bench::{Bench, Finding};
use crate::load;
use crate::place::Place;
use crate::rows::{Bound, Row, Unit};
use crate::running::{Listen, Running};
use crate::trouble::Outcome;

/// A server that was asked nothing for so long is idle.
const IDLE: Duration = Duration::from_secs(1);

const CONCURRENCY: usize = 64;

pub(super) fn run(bench: &Bench) -> Vec<Finding> {
    let sizes = [(0, 25.0), (bench.effort.policies_many, 250.0)];
    sizes
        .into_iter()
        .flat_map(|(policies, most)| findings("resident memory", measure(bench, policies, most)))
        .collect()
}

fn measure(bench: &Bench, policies: usize, most_mib: f64) -> Outcome<Vec<Row>> {
    let place = Place::with(policies)?;
    let server = bench.palisade(&place, &Listen::Tcp)?;
    thread::sleep(IDLE);
    let idle = mebibytes(&server)?;
    let calls = bench.calls(&server, CONCURRENCY)?;
    load::closed(&bench.runtime, &server.process, &calls, CONCURRENCY, bench.effort.length())?.sound()?;
    let loaded = mebibytes(&server)?;
    let conditions = format!("{} policies", place.policies);
    let row = |figure, value| Row::alone("palisade", &conditions, figure, Unit::Mebibytes, vec![value]);
    let budgeted = |row: Row| match policies {
        0 | 10_000 => row.within("B10", Bound::AtMost(most_mib)),
        _ => row,
    };
    // The idle process is bounded with the shipped bundle, the loaded one with the large bundle.
    let (idle, loaded) = (row("resident, idle", idle), row("resident, after load", loaded));
    Ok(if policies == 0 { vec![budgeted(idle), loaded] } else { vec![idle, budgeted(loaded)] })
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mebibytes(server: &Running) -> Outcome<f64> {
    Ok(server.process.resident_bytes()? as f64 / f64::from(1 << 20))
}
