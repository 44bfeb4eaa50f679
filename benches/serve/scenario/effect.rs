//! From a changed file to its effect in a large bundle, and the cold start of that bundle (B8).
//! Never believes a reload before an answer shows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade::api::proto::v1;

use super::findings;
use crate::bench::{Bench, Finding};
use crate::bundle::PER_FILE;
use crate::child::DEADLINE;
use crate::place::{DEBOUNCE, Place};
use crate::question::{AMOUNT, Authorize, is_permit};
use crate::rows::{Bound, Row, Unit};
use crate::running::{Listen, Running};
use crate::trouble::{Outcome, Trouble};

/// The question, whose answer is flipped by the bundle's switch.
pub(super) struct Flip {
    call: Authorize,
    /// How long each poll took, in milliseconds.
    polls_ms: Vec<f64>,
}

impl Flip {
    /// On a connection of its own.
    pub(super) fn on(bench: &Bench, server: &Running) -> Outcome<Self> {
        let either: fn(&v1::AuthorizeResponse) -> Result<(), String> = |_| Ok(());
        let call = crate::question::authorize(bench.connect(server)?)?.judged(Arc::new(either));
        Ok(Self { call, polls_ms: vec![] })
    }

    /// Changes the switch, and asks again and again until the answer is the other one. How long it took.
    pub(super) fn to(&mut self, bench: &Bench, place: &Place, permit: bool) -> Outcome<Duration> {
        let began = Instant::now();
        place.forbid_refunds_of(if permit { 0 } else { AMOUNT })?;
        loop {
            let asked = Instant::now();
            let answer = bench.runtime.block_on(self.call.make()).map_err(Trouble::Call)?;
            self.polls_ms.push(milliseconds(asked.elapsed()));
            if is_permit(&answer) == permit {
                return Ok(began.elapsed());
            }
            if began.elapsed() > DEADLINE {
                let wanted = "the effect of a changed policy".to_owned();
                return Err(Trouble::Late { wanted, seconds: DEADLINE.as_secs() });
            }
        }
    }
}

pub(super) fn run(bench: &Bench) -> Vec<Finding> {
    let policies = bench.effort.policies_many;
    let place = match Place::with(policies) {
        Ok(place) => place,
        Err(trouble) => return findings("a large bundle", Err(trouble)),
    };
    let conditions = format!("{} policies in files of {PER_FILE}", place.policies);
    [cold(bench, &place, &conditions), change(bench, &place, &conditions)]
        .into_iter()
        .flat_map(|rows| findings(&conditions, rows))
        .collect()
}

fn cold(bench: &Bench, place: &Place, conditions: &str) -> Outcome<Vec<Row>> {
    let started = |place: &Place| {
        let starts = (0..bench.effort.rounds).map(|_| {
            let server = bench.palisade(place, &Listen::Tcp)?;
            Ok(milliseconds(server.ready_after))
        });
        starts.collect::<Outcome<Vec<f64>>>()
    };
    let shipped = Place::shipped()?;
    let few = format!("the shipped bundle, {} policies", shipped.policies);
    let name = "start to `ready`";
    let small = Row::alone("palisade", few, name, Unit::Milliseconds, started(&shipped)?);
    let large = Row::alone("palisade", conditions, name, Unit::Milliseconds, started(place)?);
    Ok(vec![small, budget(place, large, 1000.0)])
}

fn change(bench: &Bench, place: &Place, conditions: &str) -> Outcome<Vec<Row>> {
    let server = bench.palisade(place, &Listen::Tcp)?;
    let mut flip = Flip::on(bench, &server)?;
    let mut took_ms = Vec::new();
    for _ in 0..bench.effort.rounds {
        for permit in [false, true] {
            took_ms.push(milliseconds(flip.to(bench, place, permit)?));
        }
    }
    let debounce = milliseconds(DEBOUNCE);
    let beyond = took_ms.iter().map(|took| took - debounce).collect();
    let row = |figure, values| Row::alone("palisade", conditions, figure, Unit::Milliseconds, values);
    Ok(vec![
        row("change to effect", took_ms),
        budget(place, row("the same less the debounce of 100 ms", beyond), 100.0),
        row("one poll of it", flip.polls_ms),
    ])
}

/// The budget is for 10,000 policies.
fn budget(place: &Place, row: Row, most_ms: f64) -> Row {
    if place.policies == 10_000 { row.within("B8", Bound::AtMost(most_ms)) } else { row }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
