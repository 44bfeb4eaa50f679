//! Watches: what happens to tasks, in order, over every reconnect.
//! Never an event that is missed.

use std::time::Duration;

use palisade::api::proto::v1;
use palisade::api::proto::v1::target::Target;
use palisade::api::proto::v1::watch_response::Event;
use palisade::store::History;
use tonic::{Code, Streaming};

use super::{Desk, Tasks, a_part};
use crate::asks::uid;
use crate::pdp::{TestPdp, task_rules};

/// A stream of events, with the place after the last one.
pub struct Watching {
    stream: Streaming<v1::WatchResponse>,
    pub place: String,
}

impl Watching {
    /// Watches; returns with the first sign of life, so that what happens from now on is seen.
    pub async fn from(tasks: &Tasks, place: &str) -> Self {
        let request = v1::WatchRequest { resume_token: place.into() };
        let stream = tasks.clone().watch(request).await.unwrap().into_inner();
        Self { stream, place: place.to_owned() }
    }

    /// Watches from now on.
    pub async fn new(tasks: &Tasks) -> Self {
        let mut watching = Self::from(tasks, "").await;
        let sign = watching.response().await;
        assert!(sign.event.is_none(), "a sign of life comes first");
        watching.place = sign.resume_token;
        watching
    }

    async fn response(&mut self) -> v1::WatchResponse {
        let next = tokio::time::timeout(Duration::from_secs(20), self.stream.message());
        next.await.expect("something is told").unwrap().expect("the watch goes on")
    }

    /// The next event, in words.
    pub async fn next(&mut self) -> String {
        loop {
            let response = self.response().await;
            assert!(response.state_revision > 0 || response.event.is_none());
            self.place = response.resume_token;
            if let Some(event) = response.event {
                return words(event);
            }
        }
    }

    pub async fn some(&mut self, count: usize) -> Vec<String> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.next().await);
        }
        events
    }
}

fn words(event: Event) -> String {
    let moved = |what: &str, moved: v1::TaskMoved| {
        let state = moved.state().as_str_name().trim_start_matches("TASK_STATE_").to_lowercase();
        assert!(moved.expires.is_some());
        format!("{what} {} {state} {}", moved.id, moved.reason).trim_end().to_owned()
    };
    let taken = |what: &str, revocation: v1::Revocation| {
        let target = revocation.target.unwrap().target.unwrap();
        format!("{what} {target:?} {} {}", revocation.caller, revocation.reason)
    };
    match event {
        Event::Started(task) => moved("started", task),
        Event::Renewed(task) => moved("renewed", task),
        Event::Ended(task) => moved("ended", task),
        Event::Revoked(revocation) => taken("revoked", revocation),
        Event::Lifted(revocation) => taken("lifted", revocation),
        Event::Published(bundle) => format!("published {}", bundle.revision),
    }
}

fn bot() -> Target {
    Target::Agent(uid("Agent::\"lead-bot\""))
}

/// Something of every kind but publications, and the words for it.
async fn happenings(desk: &Desk) -> Vec<String> {
    let whole = desk.refunds_later().await;
    let part = desk.part(&whole, a_part()).await;
    desk.renew(&whole, 900).await;
    desk.end(&part, v1::Ending::Failed).await.unwrap();
    desk.revoke(bot()).await;
    desk.lift(bot()).await;
    desk.revoke(Target::Task(whole.id.clone())).await;
    let (whole, part, bot) = (whole.id, part.id, bot());
    vec![
        format!("started {whole} open"),
        format!("started {part} open"),
        format!("renewed {whole} open"),
        format!("ended {part} failed done"),
        format!("revoked {bot:?} operator an incident"),
        format!("lifted {bot:?} operator an incident"),
        format!("ended {whole} revoked an incident"),
    ]
}

#[tokio::test]
async fn a_watch_sees_everything_in_order() {
    let desk = Desk::open().await;
    desk.refunds().await;
    let mut watching = Watching::new(&desk.tasks).await;
    let expected = happenings(&desk).await;
    assert_eq!(watching.some(expected.len()).await, expected);
}

#[tokio::test]
async fn after_a_reconnect_nothing_is_missed_and_nothing_is_told_twice() {
    let desk = Desk::open().await;
    let mut place = Watching::new(&desk.tasks).await.place;
    let (mut expected, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        expected.extend(happenings(&desk).await);
        // One event with each connection, and the place that came with it.
        while seen.len() < expected.len() {
            let mut watching = Watching::from(&desk.tasks, &place).await;
            seen.push(watching.next().await);
            place = watching.place;
        }
    }
    assert_eq!(seen, expected);
    let mut watching = Watching::from(&desk.tasks, &place).await;
    let task = desk.refunds().await;
    assert_eq!(watching.next().await, format!("started {} open", task.id));
}

#[tokio::test]
async fn tasks_that_end_together_are_told_again_until_the_last_of_them_was_seen() {
    let desk = Desk::open().await;
    let whole = desk.refunds().await;
    let part = desk.part(&whole, a_part()).await;
    let mut watching = Watching::new(&desk.tasks).await;
    desk.end(&whole, v1::Ending::Completed).await.unwrap();
    let ended = [&whole, &part].map(|task| format!("ended {} completed done", task.id));
    assert_eq!(watching.next().await, ended[0]);
    let mut again = Watching::from(&desk.tasks, &watching.place).await;
    assert_eq!(again.some(2).await, ended);
    let task = desk.refunds().await;
    let mut on = Watching::from(&desk.tasks, &again.place).await;
    assert_eq!(on.next().await, format!("started {} open", task.id));
}

#[tokio::test]
async fn two_watches_see_the_same() {
    let desk = Desk::open().await;
    let (mut one, mut two) = (Watching::new(&desk.tasks).await, Watching::new(&desk.operator).await);
    let expected = happenings(&desk).await;
    assert_eq!(one.some(expected.len()).await, expected);
    assert_eq!(two.some(expected.len()).await, expected);
}

#[tokio::test]
async fn a_place_that_no_watch_has_given_is_refused() {
    let desk = Desk::open().await;
    let refused = |place: &str| {
        let request = v1::WatchRequest { resume_token: place.into() };
        let mut tasks = desk.tasks.clone();
        async move { tasks.watch(request).await.unwrap_err().code() }
    };
    for place in
        ["x", "r", "1", "r-1", "r+1", "r1 ", "r1.0", "R1", "r99999999999999999999", &"r1".repeat(200)]
    {
        assert_eq!(refused(place).await, Code::InvalidArgument, "{place}");
    }
    assert_eq!(
        refused("r1000000").await,
        Code::OutOfRange,
        "of a state that is not there yet, or not any more"
    );
}

#[tokio::test]
async fn a_place_that_is_too_old_is_out_of_range_and_a_new_watch_goes_on() {
    let history = History { commits_max: 3, ..History::default() };
    let desk = Desk::of(TestPdp::builder().tasks(task_rules()).history(history)).await;
    let place = Watching::new(&desk.tasks).await.place;
    let mut latest = Vec::new();
    for _ in 0..4 {
        latest.push(desk.refunds().await);
    }
    let request = v1::WatchRequest { resume_token: place };
    let refused = desk.tasks.clone().watch(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("watch from now on"), "{refused}");
    let known = format!("r{}", latest[1].state);
    let mut watching = Watching::from(&desk.tasks, &known).await;
    let expected: Vec<String> = latest[2..].iter().map(|task| format!("started {} open", task.id)).collect();
    assert_eq!(watching.some(2).await, expected);
}
