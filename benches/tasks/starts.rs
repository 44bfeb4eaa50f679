//! Starts of tasks that are durable and on record: alone, and many at once.
//! Never on a disk of memory: what the disk itself takes stands beside it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade::identity::{Algorithm, Credentials};
use palisade::lifecycle::Fault;
use palisade::pdp::Request;
use palisade::store::{Embedded, History};
use palisade::value::Uid;
use tokio::runtime::Runtime;

use crate::measure::{Times, median};
use crate::report::Report;
use crate::token::Signer;
use crate::world::{ISSUER, Life, World, issuer, moment, place, runtime, snapshot, start, starter, wish};

/// Who start at once.
const MANY: usize = 64;
const ROUNDS: usize = 5;
/// Starts of a round, when they come alone.
const ALONE: usize = 400;
/// How long many start at once, in each round.
const SPAN: Duration = Duration::from_secs(3);
const CALLS: u64 = 100;

/// Measures.
pub fn run(report: &mut Report) {
    let (runtime, directory) = (runtime(), place());
    let store = Embedded::open(directory.path(), History::default()).expect("a store");
    let world = World::open(&runtime, snapshot(""), store, issuer());
    let signer = Signer::new(Algorithm::Es256);
    world.pdp.trust(signer.trust());
    alone(report, &runtime, &world, &signer, &plain(&directory));
    let people: Vec<Uid> = (0..MANY).map(starter).collect();
    let (rate, times, _) = many(&runtime, &world, &people);
    let today =
        format!("{rate:.0}/s (p50 {:.1} ms, p99 {:.1} ms)", times.us(0.5) / 1e3, times.us(0.99) / 1e3);
    report.held("starts a second, 64 people at once", "≥ 2,000/s", today, rate >= 2000.0);
    let (rate, times, failed) = many(&runtime, &world, &vec![starter(0); MANY]);
    let today = format!(
        "{rate:.0}/s (p50 {:.1} ms, p99 {:.1} ms); {:.1} % told to ask again",
        times.us(0.5) / 1e3,
        times.us(0.99) / 1e3,
        failed * 100.0
    );
    report.told("starts a second, 64 at once of one person's agent for one purpose", today);
    let counts = world.store.counts();
    let commits = counts.commits as f64 / counts.groups.max(1) as f64;
    report.told("commits to an fsync, over all of this", format!("{commits:.1}"));
}

/// A file beside the store.
fn plain(directory: &tempfile::TempDir) -> File {
    let file =
        OpenOptions::new().create(true).truncate(true).write(true).open(directory.path().join("plain"));
    let file = file.expect("a file");
    file.write_all_at(&[7; 4096], 0).expect("a write");
    file
}

/// One after the other, beside an fdatasync of the same disk.
fn alone(report: &mut Report, runtime: &Runtime, world: &World<Embedded>, signer: &Signer, plain: &File) {
    let (mut said, mut shown, mut disk) = (Times::default(), Times::default(), Times::default());
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let (mut here, mut there) = (Times::default(), Times::default());
        for number in 0..ALONE {
            let began = Instant::now();
            plain.write_all_at(&[7; 4096], 0).expect("a write");
            plain.sync_data().expect("an fsync");
            there.add(began.elapsed());
            let request = start(starter(number), CALLS, "a key of the agent's");
            let began = Instant::now();
            world.begin(runtime, request);
            here.add(began.elapsed());
            let request = start(starter(number), CALLS, "a key of the agent's");
            let credentials = Credentials { ..signer.token(round * ALONE + number, ISSUER) };
            let began = Instant::now();
            world.begin(runtime, Request { claim: None, credentials, ..request });
            shown.add(began.elapsed());
        }
        ratios.push(here.us(0.5) / there.us(0.5));
        said.merge(&here);
        disk.merge(&there);
    }
    let told = |times: &Times| format!("p50 {:.0} µs, p99 {:.0} µs", times.us(0.5), times.us(0.99));
    let ratio = median(ratios);
    report.told("the disk alone: 4 KiB and fdatasync", told(&disk));
    let today = format!("{}; {ratio:.1} × the disk", told(&said));
    report.held(
        "a start, durable and on record, parties asserted",
        "p50 ≤ 1 ms",
        today,
        said.us(0.5) <= 1000.0,
    );
    let met = shown.us(0.5) <= 1000.0;
    report.held("the same with a token of the person's, each a new one", "p50 ≤ 1 ms", told(&shown), met);
}

/// Each waits for one start before the next. How many a second, how long each took, and which share was told to ask again.
fn many(runtime: &Runtime, world: &World<Embedded>, people: &[Uid]) -> (f64, Times, f64) {
    let (mut all, mut rates, mut failed) = (Times::default(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let starting: Vec<_> = people
            .iter()
            .map(|human| runtime.spawn(again_and_again(world.life.clone(), human.clone(), began + SPAN)))
            .collect();
        let mut started = 0;
        for starter in starting {
            let (times, faults) = runtime.block_on(starter).expect("a starter");
            started += times.len();
            failed += faults;
            all.merge(&times);
        }
        rates.push(started as f64 / began.elapsed().as_secs_f64());
    }
    let share = failed as f64 / (failed + all.len()).max(1) as f64;
    (median(rates), all, share)
}

async fn again_and_again(life: Arc<Life<Embedded>>, human: Uid, until: Instant) -> (Times, u64) {
    let (mut times, mut failed) = (Times::default(), 0);
    while Instant::now() < until {
        let request = start(human.clone(), CALLS, "a key of the agent's");
        let asked = Instant::now();
        match life.begin(wish(request), moment()).await {
            Ok(begun) => {
                assert!(begun.token.is_some(), "the start is permitted");
                times.add(asked.elapsed());
            }
            Err(Fault::Changed) => failed += 1,
            Err(fault) => unreachable!("{fault}"),
        }
    }
    (times, failed)
}
