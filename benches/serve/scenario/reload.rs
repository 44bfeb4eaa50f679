//! Latency while policies change: one reload a second, and none, in turn (B7).
//! Never at full speed, where waiting in line would hide everything else.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use palisade::api::proto::v1;

use super::effect::Flip;
use crate::bench::Bench;
use crate::call::Judge;
use crate::load::{self, Length};
use crate::place::Place;
use crate::question::permitted;
use crate::rows::{Bound, Row, Unit};
use crate::running::Listen;
use crate::tally::Slot;
use crate::trouble::{Outcome, Trouble};

const NAMES: [&str; 2] = ["with reloads", "without"];

/// How often a policy is rewritten.
const EVERY: Duration = Duration::from_secs(1);

/// A turn of this scenario is so much longer: there must be several reloads in it.
const LONGER: u32 = 4;

/// Connections of the load, as many as for 64 calls at once.
const CONCURRENCY: usize = 64;

/// The first amount that rewritten policies forbid. Nobody asks for so much.
const AMOUNT_UNASKED: u32 = 1_000_000;

pub(super) fn run(bench: &Bench) -> Outcome<Vec<Row>> {
    let place = Place::with(bench.effort.policies_reload)?;
    let server = bench.palisade(&place, &Listen::Tcp)?;
    let revisions = Revisions::default();
    let calls: Vec<_> =
        bench.calls(&server, CONCURRENCY)?.into_iter().map(|call| call.judged(revisions.judge())).collect();
    let length = bench.effort.length();
    let peak = load::closed(&bench.runtime, &server.process, &calls, CONCURRENCY, length)?.sound()?;
    let rate = peak.per_second / 4.0;
    let length = Length { measured: length.measured * LONGER, ..length };
    let mut flip = Flip::on(bench, &server)?;
    let mut reloads = Vec::new();
    let mut writes = Vec::new();
    let mut amount = AMOUNT_UNASKED;
    let pair = bench.rounds(|reloading| {
        let turn = || load::open(&bench.runtime, &server.process, &calls, rate, length);
        revisions.forget();
        let slot = if reloading {
            let (slot, end) = rewriting(&place, amount, turn)?;
            reloads.push(count(revisions.seen().saturating_sub(1)));
            writes.push(f64::from(end - amount));
            amount = end;
            // What is still being compiled must not fall into the other side's turn.
            flip.to(bench, &place, false)?;
            flip.to(bench, &place, true)?;
            slot
        } else {
            turn()?
        };
        place.tidy()?;
        Ok(slot)
    })?;
    let conditions = format!(
        "{} policies, open loop, {rate:.0} calls a second (peak / 4), turns of {} s",
        place.policies,
        length.measured.as_secs_f64(),
    );
    if pair.ours.iter().chain(&pair.theirs).any(|slot| slot.recorded == 0) {
        return Err(Trouble::Call("a turn without an answer".into()));
    }
    let row = |figure, of: fn(&Slot) -> f64| pair.row(NAMES, &conditions, figure, Unit::Microseconds, of);
    let failed = pair.ours.iter().chain(&pair.theirs).map(|slot| count(slot.failed)).sum();
    let alone = |figure, values| Row::alone("with reloads", &conditions, figure, Unit::Count, values);
    let p99 = row("p99", |slot| slot.p99_us);
    Ok(vec![
        row("p50", |slot| slot.p50_us),
        if place.policies == 1_000 { p99.within("B7", Bound::RatioAtMost(2.0)) } else { p99 },
        row("made late by the client, p99", |slot| slot.late_us),
        alone("files rewritten in a turn", writes),
        alone("new revisions seen in answers of a turn", reloads),
        Row::alone("both", &conditions, "failed calls, all turns", Unit::Count, vec![failed])
            .within("B7", Bound::AtMost(0.0)),
    ])
}

/// Runs a turn while a policy is rewritten each second, with another literal each time. Gives back the next literal.
fn rewriting<T>(place: &Place, first: u32, turn: impl FnOnce() -> Outcome<T>) -> Outcome<(T, u32)> {
    let (stop, stopped) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut amount = first;
            loop {
                place.forbid_refunds_of(amount)?;
                amount += 1;
                match stopped.recv_timeout(EVERY) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(amount),
                }
            }
        });
        let result = turn();
        drop(stop);
        let amount = writer.join().map_err(|_| Trouble::Call("the writer broke".into()))??;
        Ok((result?, amount))
    })
}

/// The revisions that answers named.
#[derive(Clone, Default)]
struct Revisions(Arc<Mutex<BTreeSet<String>>>);

impl Revisions {
    fn judge(&self) -> Judge<v1::AuthorizeResponse> {
        let this = self.clone();
        Arc::new(move |answer| {
            let mut seen = this.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !seen.contains(&answer.revision) {
                seen.insert(answer.revision.clone());
            }
            drop(seen);
            permitted(answer)
        })
    }

    fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn seen(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}
