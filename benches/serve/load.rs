//! Loads: closed loops of single calls, a stream with a window, and an open loop with instants given in advance.
//! Never judges the figures.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_stream_response::Result as StreamResult;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::call::Ask;
use crate::child::{DEADLINE, Process};
use crate::codec::Shared;
use crate::question::{AUTHORIZE_STREAM, permitted, request, token};
use crate::tally::{FAILURES_MAX, Latencies, Slot, Span, Tally};
use crate::trouble::{Attempt as _, Outcome, Trouble};

/// How long one slot of one server is: unrecorded, then recorded.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// Until caches, branch predictors and the kernel's scheduler have turned to this server.
    pub settle: Duration,
    /// In which latencies are recorded.
    pub measured: Duration,
}

/// `concurrency` loops, each of which asks again when it has its answer; spread over the given connections.
pub fn closed(
    runtime: &Runtime,
    process: &Process,
    calls: &[impl Ask],
    concurrency: usize,
    length: Length,
) -> Outcome<Slot> {
    let before = process.cpu()?;
    let span = Span::after(length.settle, length.measured);
    let tally = within(runtime, span, async {
        let mut loops = JoinSet::new();
        for call in calls.iter().cycle().take(concurrency) {
            loops.spawn(again_and_again(call.clone(), span));
        }
        let mut tally = Tally::new()?;
        while let Some(ended) = loops.join_next().await {
            tally.add(&ended.map_err(|error| Trouble::Call(format!("a loop broke: {error}")))??);
        }
        Ok(tally)
    })?;
    Ok(tally.slot(span, process.cpu()?.saturating_sub(before)))
}

async fn again_and_again(mut call: impl Ask, span: Span) -> Outcome<Tally> {
    let mut tally = Tally::new()?;
    let mut began = Instant::now();
    while began < span.until && tally.failed < FAILURES_MAX {
        let result = call.ask().await;
        let ended = Instant::now();
        tally.note(span.holds(ended), began, ended, result);
        began = ended;
    }
    Ok(tally)
}

/// One stream with so many questions under way. Answers come in the order of the questions, as the API promises.
pub fn stream(
    runtime: &Runtime,
    process: &Process,
    channel: &Channel,
    window: usize,
    length: Length,
) -> Outcome<Slot> {
    let before = process.cpu()?;
    let span = Span::after(length.settle, length.measured);
    let tally = within(runtime, span, async {
        // A task of its own, so that it runs on a worker as the closed loops do.
        let ended = tokio::spawn(window_full(channel.clone(), window, span)).await;
        ended.map_err(|error| Trouble::Call(format!("the stream's task broke: {error}")))?
    })?;
    Ok(tally.slot(span, process.cpu()?.saturating_sub(before)))
}

async fn window_full(channel: Channel, window: usize, span: Span) -> Outcome<Tally> {
    let failed = |status: Status| Trouble::Call(format!("the stream ended: {status}"));
    let question = Arc::new(v1::AuthorizeStreamRequest { request: Some(request()) });
    let (sender, questions) = mpsc::channel(window);
    let ask = || sender.try_send(question.clone()).map_err(|_| Trouble::Call("the stream is closed".into()));
    let mut asked = VecDeque::with_capacity(window);
    for _ in 0..window {
        asked.push_back(Instant::now());
        ask()?;
    }
    let mut call = Request::new(ReceiverStream::new(questions));
    call.metadata_mut().insert("authorization", token()?);
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Trouble::Call(format!("no connection: {error}")))?;
    let path = http::uri::PathAndQuery::from_static(AUTHORIZE_STREAM);
    let codec = Shared::<v1::AuthorizeStreamRequest, v1::AuthorizeStreamResponse>::new();
    let mut answers = grpc.streaming(call, path, codec).await.map_err(failed)?.into_inner();
    let mut tally = Tally::new()?;
    while let Some(began) = asked.pop_front() {
        let Some(answer) = answers.message().await.map_err(failed)? else {
            return Err(Trouble::Call("the stream ended early".into()));
        };
        let ended = Instant::now();
        tally.note(span.holds(ended), began, ended, step(&answer));
        if ended < span.until && tally.failed < FAILURES_MAX {
            asked.push_back(ended);
            ask()?;
        }
    }
    Ok(tally)
}

fn step(answer: &v1::AuthorizeStreamResponse) -> Result<(), String> {
    match &answer.result {
        Some(StreamResult::Response(answer)) => permitted(answer),
        Some(StreamResult::Error(error)) => Err(format!("{}: {}", error.code, error.message)),
        None => Err("an answer without a result".into()),
    }
}

/// So many calls a second, each at an instant that is fixed in advance. A call's latency counts from that instant, whether
/// or not it could be made then: neither a slow server nor a late client hides what callers would have waited.
pub fn open(
    runtime: &Runtime,
    process: &Process,
    calls: &[impl Ask],
    per_second: f64,
    length: Length,
) -> Outcome<Slot> {
    let before = process.cpu()?;
    let span = Span::after(length.settle, length.measured);
    let began = Instant::now();
    let tally = Arc::new(Mutex::new(Tally::new()?));
    let mut late = Latencies::new()?;
    let tracker = TaskTracker::new();
    for (at, call) in (0_u32..).zip(calls.iter().cycle()) {
        let intended = began + Duration::from_secs_f64(f64::from(at) / per_second);
        if intended >= span.until {
            break;
        }
        // This thread is none of the runtime's, and the kernel wakes it within some 50 µs.
        thread::sleep(intended.saturating_duration_since(Instant::now()));
        if span.holds(intended) {
            late.record(intended.elapsed());
        }
        let (mut call, tally) = (call.clone(), tally.clone());
        let asked = async move {
            let result = call.ask().await;
            let ended = Instant::now();
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.note(span.holds(intended), intended, ended, result);
        };
        tracker.spawn_on(asked, runtime.handle());
    }
    tracker.close();
    within(runtime, span, async {
        tracker.wait().await;
        Ok(())
    })?;
    let all = Arc::try_unwrap(tally).map_err(|_| Trouble::Call("a call is still under way".into()))?;
    let tally = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    let slot = tally.slot(span, process.cpu()?.saturating_sub(before));
    Ok(Slot { late_us: late.quantile_us(0.99), ..slot })
}

/// Runs a load; one that hangs is given up.
fn within<T>(runtime: &Runtime, span: Span, load: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let limit = span.until.saturating_duration_since(Instant::now()) + DEADLINE;
    let late = || Trouble::Late { wanted: "the end of a load".into(), seconds: limit.as_secs() };
    runtime.block_on(async { timeout(limit, load).await.unwrap_or_else(|_| Err(late())) })
}

/// A runtime for the clients, apart from everything that is measured.
pub fn runtime() -> Outcome<Runtime> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().thread_name("bench-client").enable_all().build();
    runtime.to("cannot make a runtime")
}
