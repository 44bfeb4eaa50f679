//! What tasks and revocations take of memory: each in a process of its own, resident before and after.
//! Never an estimate: it is what the kernel says.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use palisade::lifecycle::fresh_id;
use palisade::store::{Change, Embedded, History, Memory, StateStore};
use palisade::task::{State, TaskId, Tasks};
use tokio::runtime::Runtime;

use crate::calls::{stop, target};
use crate::report::Report;
use crate::seed;
use crate::world::{NOW, World, issuer, place, rules, runtime, snapshot};

/// What says that a process is such a child, before the name of what it measures.
pub const CHILD: &str = "--child";

const REVOKED: usize = 1_000_000;
const STOPS: usize = 100_000;
const OPEN: usize = 100_000;
const MIB: f64 = 1024.0 * 1024.0;

/// Measures.
pub fn run(report: &mut Report) {
    let goal_met = |mib: f64| mib <= 100.0;
    let mib = mib("gone");
    report.held(
        "1,000,000 revoked ids, as decisions know them",
        "≤ 100 MiB",
        told(mib, REVOKED),
        goal_met(mib),
    );
    let mib = self::mib("revoked");
    let what = "1,000,000 tasks that were started and revoked, with all that the server still keeps of them \
                (16 MiB of it history)";
    report.held(what, "≤ 100 MiB", told(mib, REVOKED), goal_met(mib));
    for (what, child, count) in [
        ("100,000 revocations in force (agents, people, sessions, tools)", "stops", STOPS),
        ("100,000 open tasks, state in memory", "open-memory", OPEN),
        ("100,000 open tasks, state on the disk", "open-embedded", OPEN),
        ("100,000 open tasks, state on the disk, opened again", "open-again", OPEN),
    ] {
        report.told(what, told(self::mib(child), count));
    }
}

fn told(mib: f64, count: usize) -> String {
    format!("{mib:.0} MiB ({:.0} bytes each)", mib * MIB / count as f64)
}

/// What a child found.
fn mib(what: &str) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let out = Command::new(program).args([CHILD, what]).output().expect("a child");
    let said = String::from_utf8_lossy(&out.stdout);
    said.trim().parse().unwrap_or_else(|_| unreachable!("{said} {}", String::from_utf8_lossy(&out.stderr)))
}

/// Measures one thing and says how many MiB it takes.
pub fn child(what: &str) {
    let grown = match what {
        "gone" => gone(),
        "revoked" => revoked(),
        "stops" => stops(),
        "open-memory" => open(&|runtime| world(runtime, Memory::new(History::default()))),
        "open-embedded" => {
            let directory = place();
            open(&|runtime| {
                world(runtime, Embedded::open(directory.path(), History::default()).expect("a store"))
            })
        }
        "open-again" => open_again(),
        _ => unreachable!("no such part"),
    };
    println!("{}", grown / MIB);
}

fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.expect("Linux says how much is resident") * 1024.0
}

/// How much more is resident after something was made, while it is there.
fn grown<T>(make: impl FnOnce() -> T) -> f64 {
    let before = resident();
    let held = make();
    let after = resident();
    drop(held);
    after - before
}

fn world<T: StateStore>(runtime: &Runtime, store: T) -> World<T> {
    World::open(runtime, snapshot(""), store, issuer())
}

fn gone() -> f64 {
    let tasks = Tasks::new(rules(), issuer(), |_id| {});
    grown(|| (0..REVOKED).for_each(|_| tasks.close(fresh_id(), State::Revoked)))
}

fn stops() -> f64 {
    let tasks = Tasks::new(rules(), issuer(), |_id| {});
    grown(|| tasks.stop((0..STOPS).map(|number| (target(number), stop()))))
}

fn open<T: StateStore>(make: &dyn Fn(&Runtime) -> World<T>) -> f64 {
    let runtime = runtime();
    let world = make(&runtime);
    grown(|| drop(seed::open(&runtime, &world, OPEN, |_number, _lent| {})))
}

fn open_again() -> f64 {
    let directory = place();
    let own = issuer();
    let filled = runtime();
    let store = || Embedded::open(directory.path(), History::default()).expect("a store");
    seed::open(&filled, &World::open(&filled, snapshot(""), store(), own.clone()), OPEN, |_number, _lent| {});
    drop(filled);
    // What was freed is used again first: a lower bound, beside the figure of the first time.
    let (runtime, snapshot) = (runtime(), snapshot(""));
    grown(|| World::open(&runtime, snapshot, store(), own))
}

/// Opened and revoked in turn, as drift does, so that few are open at a time.
fn revoked() -> f64 {
    let runtime = runtime();
    let world = world(&runtime, Memory::new(History::default()));
    seed::open(&runtime, &world, 100, |_number, _lent| {});
    grown(|| {
        for _ in 0..REVOKED / 1000 {
            let ids = seed::open(&runtime, &world, 1000, |_number, _lent| {});
            for ids in ids.chunks(100) {
                seed::commit(&runtime, &world, ended(ids));
            }
        }
    })
}

/// The end of tasks as it stands in the state.
fn ended(ids: &[TaskId]) -> Vec<Change> {
    let expires_s = NOW.seconds() + 600;
    let mut event = String::from("{\"ended\":{\"tasks\":[");
    for (place, id) in ids.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let _ = write!(event, "{comma}[\"{id}\",{expires_s}]");
    }
    event.push_str("],\"state\":\"revoked\",\"reason\":\"drift\"}}");
    let gone = ids.iter().map(|id| Change::delete(format!("task/{id}")));
    gone.chain([Change::put("event", event.into_bytes())]).collect()
}
