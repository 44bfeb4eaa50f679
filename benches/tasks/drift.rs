//! A bundle under which open tasks would not be granted any more: how long until all of them are revoked and announced, and
//! what that costs decisions meanwhile. Never a step let through in between: the next call of each such task is denied.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use palisade::access::{DenyReason, Outcome};
use palisade::identity::{Credentials, Proof, Token};
use palisade::lifecycle::{DriftRules, Event};
use palisade::pdp::{Pdp, Request};
use palisade::policy::Snapshot;
use palisade::server::background;
use palisade::store::{Embedded, History, Memory, StateStore};
use palisade::value::Uid;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::measure::{Times, median};
use crate::quiet::{Processors, disturbed, quietest};
use crate::refund::{Lines, decide, refund};
use crate::report::Report;
use crate::seed;
use crate::world::{NOW, World, issuer, place, runtime, snapshot, start};

const OPEN: usize = 100_000;
const ROUNDS: usize = 3;
/// How often a decision is asked for while tasks drift.
const EVERY: Duration = Duration::from_micros(200);
/// How long decisions are watched before.
const BEFORE: Duration = Duration::from_secs(3);
/// A drift that is not announced by then has failed.
const LATEST: Duration = Duration::from_mins(5);

/// Nobody starts a task any more.
const ALL: &str = r#"
@id("beside/all")
forbid (principal, action in Action::"lend", resource);
"#;
/// Those that have an odd number do not.
const HALF: &str = r#"
@id("beside/half")
forbid (principal, action in Action::"lend", resource)
when { context.wanted.calls == 101 };
"#;
/// Everybody does, by another bundle.
const NONE: &str = r#"
@id("beside/none")
forbid (principal, action in Action::"lend", resource)
when { context.wanted.calls == 102 };
"#;

/// Measures.
pub fn run(report: &mut Report) {
    let bundles = [("none", NONE, 0), ("half", HALF, OPEN / 2), ("all", ALL, OPEN)];
    let bundles = bundles.map(|(name, policies, ending)| Next { name, snapshot: snapshot(policies), ending });
    reviewed(report, &bundles);
    for next in bundles.iter().filter(|next| next.ending > 0) {
        let rounds = quiet(|| round(Memory::new(History::default()), next));
        announced(report, next, "in memory", &rounds);
        let rounds = quiet(|| {
            let directory = place();
            round(Embedded::open(directory.path(), History::default()).expect("a store"), next)
        });
        announced(report, next, "on the disk", &rounds);
    }
}

/// Three rounds, as undisturbed as they can be had.
fn quiet(mut round: impl FnMut() -> Round) -> Vec<Round> {
    let Ok(rounds) = quietest(ROUNDS, |round: &Round| round.stolen, || Ok::<_, Infallible>(round()));
    rounds
}

/// The bundle that is published, and how many tasks it ends.
struct Next {
    name: &'static str,
    snapshot: Arc<Snapshot>,
    ending: usize,
}

/// What a round found.
struct Round {
    announced_s: f64,
    /// The 99th percentiles of decisions in microseconds, from when each was due: before, and meanwhile.
    due_us: (f64, f64),
    /// The same from when each began.
    begun_us: (f64, f64),
    /// Which share of the processors' time was taken away: in the worse of the two.
    stolen: f64,
}

fn filled<T: StateStore>(runtime: &Runtime, store: T) -> World<T> {
    let world = World::open(runtime, snapshot(""), store, issuer());
    seed::open(runtime, &world, OPEN, |number, lent| lent.grant.calls_max = Some(100 + number as u64 % 2));
    assert_eq!(world.tasks.open_len(), OPEN);
    world
}

/// The decisions alone, as `palisade drift` asks for them.
fn reviewed(report: &mut Report, bundles: &[Next]) {
    let runtime = runtime();
    let world = filled(&runtime, Memory::new(History::default()));
    for Next { name, snapshot, ending } in bundles {
        let once = |_| {
            let began = Instant::now();
            let review = world.life.review(snapshot);
            assert_eq!((review.open, review.drifted.len()), (OPEN, *ending));
            began.elapsed().as_secs_f64()
        };
        let spent_s = median((0..ROUNDS).map(once).collect());
        let today = format!("{spent_s:.2} s ({:.1} µs a task)", spent_s * 1e6 / OPEN as f64);
        report.told(format!("100,000 open tasks decided again on one core, {name} of them drift"), today);
    }
}

fn announced(report: &mut Report, next: &Next, place: &str, rounds: &[Round]) {
    let of = |what: &dyn Fn(&Round) -> f64| median(rounds.iter().map(what).collect());
    let what = format!("100,000 open tasks, state {place}, {} of them drift", next.name);
    let announced_s = of(&|round| round.announced_s);
    let goal = format!("{what}: from publication until the last is revoked and announced");
    report.held(goal, "≤ 5 s", format!("{announced_s:.2} s"), announced_s <= 5.0);
    let ratio = of(&|round| round.due_us.1 / round.due_us.0);
    let stolen: Vec<f64> = rounds.iter().map(|round| round.stolen).collect();
    let today = format!(
        "{ratio:.2} × ({:.0} → {:.0} µs; from its beginning {:.0} → {:.0} µs){}",
        of(&|round| round.due_us.0),
        of(&|round| round.due_us.1),
        of(&|round| round.begun_us.0),
        of(&|round| round.begun_us.1),
        disturbed(&stolen).map_or(String::new(), |words| format!("; {words}")),
    );
    report.held("p99 of a decision meanwhile, from when it was due", "≤ 2 ×", today, ratio <= 2.0);
}

fn round<T: StateStore>(store: T, next: &Next) -> Round {
    let runtime = runtime();
    let world = filled(&runtime, store);
    let calling = calling(&runtime, &world);
    let stop = CancellationToken::new();
    let (publish, published) = watch::channel(0);
    let rules = DriftRules { grace: Duration::ZERO, share_max: 1.0 };
    let (life, stopped) = (world.life.clone(), stop.clone());
    let tended = async move { life.tend_drift(rules, published, || NOW, stopped).await };
    let tending = runtime.spawn(background::drive("drift", tended));
    let before = watched(&world.pdp, || false, BEFORE);
    let mut events = world.life.events(None).expect("what happens");
    let done = Arc::new(AtomicBool::new(false));
    let (ending, told) = (next.ending, done.clone());
    let hearing = runtime.spawn(async move {
        let (mut ended, mut revision) = (0, 0);
        while ended <= ending {
            let (at, events) = events.next().await.expect("what happens");
            ended += events.iter().filter(|event| matches!(event, Event::Ended { .. })).count();
            revision = at;
        }
        let announced = Instant::now();
        told.store(true, Ordering::Release);
        (announced, revision)
    });
    let began = Instant::now();
    world.pdp.publish(next.snapshot.clone());
    let answer = decide(&world.pdp, &calling).expect("an answer");
    assert_eq!(answer.decision.outcome, Outcome::Deny(DenyReason::PolicyDrift), "the very next call");
    publish.send_replace(1);
    let meanwhile = watched(&world.pdp, || done.load(Ordering::Acquire), LATEST);
    assert!(done.load(Ordering::Acquire), "all of them are announced");
    let (announced, revision) = runtime.block_on(hearing).expect("who hears");
    // A watch may see a commit a moment before the registry does.
    while world.tasks.revision() < revision {
        std::thread::yield_now();
    }
    assert_eq!(world.tasks.open_len(), OPEN - next.ending);
    stop.cancel();
    runtime.block_on(tending).expect("who tends").expect("a thread");
    Round {
        announced_s: (announced - began).as_secs_f64(),
        due_us: (before.due.us(0.99), meanwhile.due.us(0.99)),
        begun_us: (before.own.us(0.99), meanwhile.own.us(0.99)),
        stolen: before.stolen.max(meanwhile.stolen),
    }
}

/// A call under a task that drifts with the others, and is permitted until then.
fn calling<T: StateStore>(runtime: &Runtime, world: &World<T>) -> Request {
    let key = "a key of the agent's";
    let begun = world.begin(runtime, start(Uid::new("Human", "ana"), 101, key));
    let task = begun.token.map(Token::new);
    let credentials = Credentials { task, proof: Some(Proof::Key(key.into())), ..Credentials::default() };
    let calling = Request { claim: None, credentials, ..refund("support-bot") };
    let answer = decide(&world.pdp, &calling);
    assert!(answer.is_some_and(|answer| answer.decision.outcome.is_permit()), "it is permitted until then");
    calling
}

/// Decisions that were watched.
struct Watched {
    /// How long each took from its instant.
    due: Times,
    /// How long from when it began.
    own: Times,
    /// Which share of the processors' time was taken away meanwhile.
    stolen: f64,
}

/// Decisions about calls without a task, each at its instant.
fn watched(pdp: &Pdp<Lines>, done: impl Fn() -> bool, at_most: Duration) -> Watched {
    let request = refund("support-bot");
    let (mut due, mut own) = (Times::default(), Times::default());
    let processors = Processors::now();
    let first = Instant::now();
    let mut at = first;
    while at - first < at_most && !done() {
        at += EVERY;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let began = Instant::now();
        let answer = decide(pdp, &request);
        own.add(began.elapsed());
        due.add(at.elapsed());
        assert!(answer.is_some_and(|answer| answer.decision.outcome.is_permit()), "each is permitted");
    }
    Watched { due, own, stolen: processors.stolen_since() }
}
