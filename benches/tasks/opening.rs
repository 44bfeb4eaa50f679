//! Opening a state with many tasks: what a server does before it is ready.
//! Never the first opening alone: a median, the file in the page cache or not, as the store itself arranges it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use palisade::identity::OwnIssuer;
use palisade::lifecycle::Follower;
use palisade::store::{Change, Commit, Embedded, History, StateStore as _};
use palisade::task::Tasks;

use crate::calls::{stop, target};
use crate::measure::median;
use crate::report::Report;
use crate::seed;
use crate::world::{NOW, World, issuer, place, rules, runtime, snapshot};

const OPEN: usize = 100_000;
const STOPS: usize = 100_000;
const TIMES: usize = 7;

/// Measures.
pub fn run(report: &mut Report) {
    let (directory, own) = (place(), issuer());
    {
        let runtime = runtime();
        let store = Embedded::open(directory.path(), History::default()).expect("a store");
        let world = World::open(&runtime, snapshot(""), store, own.clone());
        seed::open(&runtime, &world, OPEN, |_number, _lent| {});
    }
    let (file, all) = open(directory.path(), &own);
    let today = format!("{all:.2} s ({file:.2} s of it the file)");
    report.held("opening a state of 100,000 open tasks", "ready ≤ 2 s", today, all <= 2.0);
    {
        let runtime = runtime();
        let store = Embedded::open(directory.path(), History::default()).expect("a store");
        for first in (0..STOPS).step_by(100) {
            let changes = (first..first + 100).map(stored).collect();
            runtime.block_on(store.commit(Commit { expects: vec![], changes })).expect("a commit");
        }
    }
    let (file, all) = open(directory.path(), &own);
    let today = format!("{all:.2} s ({file:.2} s of it the file)");
    report.held("the same with 100,000 revocations in force", "ready ≤ 2 s", today, all <= 2.0);
    one_more(report);
}

/// How long the file takes, and how long everything takes until decisions know it: medians, in seconds.
fn open(directory: &Path, own: &Arc<OwnIssuer>) -> (f64, f64) {
    let (mut files, mut alls) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let began = Instant::now();
        let store = Embedded::open(directory, History::default()).expect("a store");
        files.push(began.elapsed().as_secs_f64());
        let tasks = Arc::new(Tasks::new(rules(), own.clone(), |_id| {}));
        let followed = Follower::start(tasks.clone(), &store).expect("a state that can be read");
        alls.push(began.elapsed().as_secs_f64());
        assert_eq!(tasks.open_len(), OPEN);
        drop(followed);
    }
    (median(files), median(alls))
}

/// A revocation as it stands in the state.
fn stored(number: usize) -> Change {
    let (target, reason) = (target(number).to_string(), stop().reason);
    let value = serde_json::json!({
        "target": target, "at_ms": NOW.0, "reason": reason, "caller": "operator", "lifted": false,
    });
    Change::put(format!("stop/{number:032x}"), value.to_string().into_bytes())
}

/// What one revocation more costs the registry.
fn one_more(report: &mut Report) {
    let tasks = Tasks::new(rules(), issuer(), |_id| {});
    tasks.stop((0..STOPS - 20).map(|number| (target(number), stop())));
    let once = |number| {
        let began = Instant::now();
        tasks.stop([(target(number), stop())]);
        began.elapsed().as_secs_f64() * 1e3
    };
    let each = median((STOPS - 20..STOPS).map(once).collect());
    report.told("one revocation more with 100,000 in force", format!("{each:.3} ms of the follower's"));
}
