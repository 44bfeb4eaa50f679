//! SIGKILL while tasks are started, ended and revoked: what was acknowledged is so afterwards.
//! Never counts what was under way: it may have happened or not, but not in part.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use palisade::api::proto::v1;
use palisade::api::proto::v1::target::Target;
use palisade::api::proto::v1::tasks_client::TasksClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::super::child::until;
use super::super::server::Server;
use super::desk::{Desk, GATEWAY, Lent, bearing, by_id, lent, lookup, place, revocation, timed, wish_of};

/// How many crashes there are: by hand 200, in `PALISADE_CRASHES`.
const CRASHES: u64 = 8;
/// Connections that start and end side by side.
const HANDS: u64 = 6;
/// Each crash takes a piece of a task's calls along: enough for the long form.
const CALLS: u64 = 1_000_000;
/// A generous bound for a debug build on a machine that is shared; the promise is 2 s.
const READY_MAX: Duration = Duration::from_secs(5);

/// What was acknowledged.
#[derive(Debug, Default)]
struct Told {
    open: Vec<Lent>,
    over: Vec<Lent>,
    /// The key of the start that was under way at the end, if it was one.
    asked: Option<String>,
    /// How often the server said that others came in the way.
    aborted: u64,
}

/// Starts tasks, and takes three of four back in one of three ways, until the server is gone.
async fn hand(mut tasks: TasksClient<Channel>, name: String, acknowledged: Arc<AtomicU64>) -> Told {
    let mut told = Told::default();
    for turn in 0_u64.. {
        let key = format!("{name}-{turn}");
        told.asked = Some(key.clone());
        let Some(task) = begin(&mut tasks, &key, &mut told.aborted).await else { break };
        told.asked = None;
        acknowledged.fetch_add(1, Ordering::Relaxed);
        if turn % 4 == 3 {
            told.open.push(task);
            continue;
        }
        // If the server goes meanwhile nobody knows whether it happened.
        let Some(()) = take_back(&mut tasks, &task, &key, turn, &mut told.aborted).await else { break };
        told.over.push(task);
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    told
}

fn start(key: &str) -> v1::StartRequest {
    v1::StartRequest { session: key.to_owned(), idempotency_key: key.to_owned(), ..wish_of(CALLS) }
}

/// Nothing when the server is gone. What was aborted did not happen, and is asked for again.
async fn begin(tasks: &mut TasksClient<Channel>, key: &str, aborted: &mut u64) -> Option<Lent> {
    loop {
        match tasks.start(bearing(GATEWAY, start(key))).await {
            Ok(answer) => return Some(lent(answer.into_inner())),
            Err(status) if status.code() == Code::Aborted => *aborted += 1,
            Err(status) => return gone(&status),
        }
    }
}

async fn take_back(
    tasks: &mut TasksClient<Channel>,
    task: &Lent,
    session: &str,
    turn: u64,
    aborted: &mut u64,
) -> Option<()> {
    let session = v1::SessionOfCaller { caller: String::new(), session: session.to_owned() };
    let ending = v1::Ending::Completed.into();
    let end = v1::EndRequest { task: Some(by_id(&task.id)), ending, ..Default::default() };
    loop {
        let answer = match turn % 3 {
            0 => tasks.end(bearing(GATEWAY, end.clone())).await.map(drop),
            1 => tasks.revoke(bearing(GATEWAY, revocation(Target::Task(task.id.clone())))).await.map(drop),
            _ => tasks.revoke(bearing(GATEWAY, revocation(Target::Session(session.clone())))).await.map(drop),
        };
        match answer {
            Ok(()) => return Some(()),
            Err(status) if status.code() == Code::Aborted => *aborted += 1,
            Err(status) => return gone(&status),
        }
    }
}

/// A connection that broke, and no answer that refuses.
fn gone<T>(status: &Status) -> Option<T> {
    assert!(status.source().is_some(), "{status:?}");
    None
}

/// A server under the hands of many, killed when it has acknowledged so much.
fn round(server: Server, at: u64) -> Vec<Told> {
    let desk = Desk::gateway(&server);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let hands: Vec<_> = (0..HANDS)
        .map(|number| {
            let tasks = TasksClient::new(desk.channel());
            desk.runtime().spawn(hand(tasks, format!("k-{at}-{number}"), acknowledged.clone()))
        })
        .collect();
    // Another place in the course of things each time.
    let enough = 20 + at * 37 % 101;
    until("starts and revocations", || (acknowledged.load(Ordering::Relaxed) >= enough).then_some(()));
    server.kill();
    hands.into_iter().map(|hand| desk.runtime().block_on(hand).expect("no hand panics")).collect()
}

/// What of all that was acknowledged is not so.
fn lost(desk: &Desk, open: &[Lent], over: &[Lent]) -> Vec<String> {
    let mut lost = Vec::new();
    for task in open {
        let state = desk.get(&task.id).map(|task| task.state());
        let denied = desk.denied(&lookup(&task.token));
        if state.as_ref().ok() != Some(&v1::TaskState::Open) || denied.is_some() {
            lost.push(format!("{} was open: {state:?}, {denied:?}", task.id));
        }
    }
    for task in over {
        let state = desk.get(&task.id).map(|task| task.state());
        let denied = desk.denied(&lookup(&task.token));
        if state.as_ref().ok() == Some(&v1::TaskState::Open) || denied.is_none() {
            lost.push(format!("{} was over: {state:?}, {denied:?}", task.id));
        }
    }
    lost
}

/// A start that was under way can be asked for again, and is one task then.
fn ask_again(desk: &Desk, told: &[Told], open: &mut Vec<Lent>) {
    for key in told.iter().filter_map(|told| told.asked.as_ref()) {
        let again = desk.begin(start(key));
        assert_eq!(desk.begin(start(key)).id, again.id, "{key}");
        open.push(again);
    }
}

#[test]
fn what_was_acknowledged_outlives_a_crash() {
    let crashes = std::env::var("PALISADE_CRASHES").map_or(CRASHES, |count| count.parse().unwrap());
    let place = place(&format!("calls_max: {CALLS}, calls_window_max: 1000000000, calls_window_s: 1"));
    let (mut server, mut ready_max) = timed(&place);
    let (mut open, mut over, mut lost_all) = (Vec::new(), Vec::new(), Vec::new());
    let mut aborted = 0;
    for at in 0..crashes {
        let told = round(server, at);
        let (next, ready) = timed(&place);
        (server, ready_max) = (next, ready_max.max(ready));
        let desk = Desk::gateway(&server);
        let (mut opened, mut ended) = (Vec::new(), Vec::new());
        for told in &told {
            opened.extend(told.open.iter().cloned());
            ended.extend(told.over.iter().cloned());
            aborted += told.aborted;
        }
        lost_all.extend(lost(&desk, &opened, &ended));
        ask_again(&desk, &told, &mut opened);
        open.extend(opened);
        over.extend(ended);
    }
    // And nothing that was so after one crash is otherwise after the next ones.
    lost_all.extend(lost(&Desk::gateway(&server), &open, &over));
    println!(
        "{crashes} crashes: {} open and {} ended or revoked were acknowledged, {} lost, {aborted} aborted; ready again after \
         {ready_max:?} at most",
        open.len(),
        over.len(),
        lost_all.len()
    );
    assert!(lost_all.is_empty(), "{lost_all:#?}");
    assert!(ready_max < READY_MAX, "{ready_max:?}");
    assert_eq!(server.stop().code, Some(0));
}
