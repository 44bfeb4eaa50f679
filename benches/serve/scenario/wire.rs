//! Palisade beside the echo: single calls and streams, over TCP and a Unix socket, at full speed and at a given rate.
//! Never with a bundle other than the shipped one.

use super::findings;
use crate::bench::{Bench, Finding, connections};
use crate::load;
use crate::place::Place;
use crate::question::Authorize;
use crate::rows::{Bound, Row, Unit};
use crate::running::{Listen, Running};
use crate::trouble::Outcome;

const NAMES: [&str; 2] = ["palisade", "echo"];
const CONCURRENCIES: [usize; 3] = [1, 16, 64];

/// Palisade and the echo of its answer, side by side.
struct Sides {
    place: Place,
    palisade: Running,
    echo: Running,
}

impl Sides {
    fn start(bench: &Bench, palisade: &Listen, echo: &Listen) -> Outcome<Self> {
        let place = Place::shipped()?;
        let palisade = bench.palisade(&place, palisade)?;
        let echo = bench.echo_of(&palisade, echo)?;
        Ok(Self { place, palisade, echo })
    }

    fn of(&self, ours: bool) -> &Running {
        if ours { &self.palisade } else { &self.echo }
    }
}

pub(super) fn unary(bench: &Bench) -> Vec<Finding> {
    match Sides::start(bench, &Listen::Tcp, &Listen::Tcp) {
        Ok(sides) => closed(bench, &sides, "TCP"),
        Err(trouble) => findings("TCP", Err(trouble)),
    }
}

pub(super) fn unix(bench: &Bench) -> Vec<Finding> {
    match Sides::start(bench, &bench.socket("palisade.sock"), &bench.socket("echo.sock")) {
        Ok(sides) => closed(bench, &sides, "Unix socket"),
        Err(trouble) => findings("Unix socket", Err(trouble)),
    }
}

fn closed(bench: &Bench, sides: &Sides, over: &str) -> Vec<Finding> {
    let at = |concurrency| {
        let conditions = conditions(over, concurrency);
        let calls: [Vec<Authorize>; 2] =
            [bench.calls(&sides.palisade, concurrency)?, bench.calls(&sides.echo, concurrency)?];
        let pair = bench.rounds(|ours| {
            let [palisade, echo] = &calls;
            let calls = if ours { palisade } else { echo };
            let process = &sides.of(ours).process;
            let slot = load::closed(&bench.runtime, process, calls, concurrency, bench.effort.length())?;
            sides.place.tidy()?;
            slot.sound()
        })?;
        let mut rows = pair.rows(NAMES, &conditions).to_vec();
        if over == "TCP" {
            budget(&mut rows, concurrency);
        }
        Ok(rows)
    };
    CONCURRENCIES
        .into_iter()
        .flat_map(|concurrency| findings(&conditions(over, concurrency), at(concurrency)))
        .collect()
}

fn conditions(over: &str, concurrency: usize) -> String {
    let connections = connections(concurrency);
    let plural = if connections == 1 { "" } else { "s" };
    format!("{over}, concurrency {concurrency}, {connections} connection{plural}")
}

fn budget(rows: &mut [Row], concurrency: usize) {
    for row in rows {
        match (concurrency, row.figure) {
            (1, "p50") => *row = row.clone().within("B4", Bound::RatioAtMost(1.35)),
            (64, "answers") => *row = row.clone().within("B5", Bound::RatioAtLeast(0.65)),
            _ => {}
        }
    }
}

pub(super) fn stream(bench: &Bench) -> Vec<Finding> {
    let sides = match Sides::start(bench, &Listen::Tcp, &Listen::Tcp) {
        Ok(sides) => sides,
        Err(trouble) => return findings("one stream", Err(trouble)),
    };
    let at = |window: usize, conditions: &str| {
        let channels = [bench.connect(&sides.palisade)?, bench.connect(&sides.echo)?];
        let pair = bench.rounds(|ours| {
            let [palisade, echo] = &channels;
            let channel = if ours { palisade } else { echo };
            let process = &sides.of(ours).process;
            let slot = load::stream(&bench.runtime, process, channel, window, bench.effort.length())?;
            sides.place.tidy()?;
            slot.sound()
        })?;
        let mut rows = pair.rows(NAMES, conditions).to_vec();
        for row in rows.iter_mut().filter(|row| window == 64 && row.figure == "answers") {
            *row = row.clone().within("B6", Bound::AtLeast(80_000.0));
        }
        Ok(rows)
    };
    CONCURRENCIES
        .into_iter()
        .flat_map(|window| {
            let conditions = format!("TCP, one stream, window {window}");
            findings(&conditions, at(window, &conditions))
        })
        .collect()
}

pub(super) fn open(bench: &Bench) -> Outcome<Vec<Row>> {
    let sides = Sides::start(bench, &Listen::Tcp, &Listen::Tcp)?;
    let rate = bench.options.rate;
    let concurrency = 64;
    let calls = [bench.calls(&sides.palisade, concurrency)?, bench.calls(&sides.echo, concurrency)?];
    let pair = bench.rounds(|ours| {
        let [palisade, echo] = &calls;
        let calls = if ours { palisade } else { echo };
        let process = &sides.of(ours).process;
        let slot = load::open(&bench.runtime, process, calls, f64::from(rate), bench.effort.length())?;
        sides.place.tidy()?;
        slot.sound()
    })?;
    let conditions = format!("TCP, {rate} calls a second, {} connections", connections(concurrency));
    let mut rows = pair.rows(NAMES, &conditions).to_vec();
    rows.push(
        pair.row(NAMES, &conditions, "made late by the client, p99", Unit::Microseconds, |slot| slot.late_us),
    );
    Ok(rows)
}

/// The echo over a Unix socket beside the echo over TCP.
pub(super) fn floor(bench: &Bench) -> Vec<Finding> {
    let servers = || {
        let place = Place::shipped()?;
        let answer = bench.ask_once(&bench.palisade(&place, &Listen::Tcp)?)?;
        Ok([bench.echo(&answer, &bench.socket("floor.sock"))?, bench.echo(&answer, &Listen::Tcp)?])
    };
    let [unix, tcp] = match servers() {
        Ok(servers) => servers,
        Err(trouble) => return findings("echo", Err(trouble)),
    };
    let at = |concurrency| {
        let calls = [bench.calls(&unix, concurrency)?, bench.calls(&tcp, concurrency)?];
        let pair = bench.rounds(|ours| {
            let [over_unix, over_tcp] = &calls;
            let (calls, server) = if ours { (over_unix, &unix) } else { (over_tcp, &tcp) };
            load::closed(&bench.runtime, &server.process, calls, concurrency, bench.effort.length())?.sound()
        })?;
        Ok(pair.rows(["echo, Unix socket", "echo, TCP"], &format!("concurrency {concurrency}")).to_vec())
    };
    [1, 64]
        .into_iter()
        .flat_map(|concurrency| findings(&format!("concurrency {concurrency}"), at(concurrency)))
        .collect()
}
