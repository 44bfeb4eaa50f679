//! Load: connections that ask in closed loops, one by one, in batches and on streams, and remember every answer.
//! Never judges: the tests do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorization_client::AuthorizationClient;
use palisade::api::proto::v1::authorize_stream_response::Result as StreamResult;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use super::child::until;
use super::server::{channel, is_permit, probe};

/// Requests in one batch.
const BATCH_LEN: usize = 8;

/// Connections that ask one by one.
pub const SINGLES: usize = 3;

/// What the connections of a load saw.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many answers there were by revision, and whether they permitted.
    pub answers: BTreeMap<(String, bool), u64>,
    /// The id of every decision.
    pub ids: Vec<String>,
    /// Batches whose answers had more than one revision.
    pub mixed_batches: u64,
    /// Calls that failed. A connection ends with its first.
    pub failed: Vec<Status>,
    /// Calls by kind: single, batch, step of a stream.
    pub calls: [u64; 3],
}

impl Tally {
    fn answer(&mut self, answer: v1::AuthorizeResponse) {
        let permit = is_permit(&answer);
        self.ids.push(answer.decision_id);
        *self.answers.entry((answer.revision, permit)).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        let Self { answers, ids, mixed_batches, failed, calls } = other;
        for (key, count) in answers {
            *self.answers.entry(key).or_default() += count;
        }
        self.ids.extend(ids);
        self.mixed_batches += mixed_batches;
        self.failed.extend(failed);
        for (sum, count) in self.calls.iter_mut().zip(calls) {
            *sum += count;
        }
    }
}

/// What all loops of a load share.
#[derive(Clone, Default)]
struct Course {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    broken: Arc<AtomicU64>,
}

impl Course {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn answered(&self, count: usize) {
        self.answered.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn broke(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }
}

/// A load under way.
pub struct Load {
    runtime: Runtime,
    course: Course,
    loops: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Begins to ask, on five connections.
    pub fn on(address: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let course = Course::default();
        let client = || {
            let _within = runtime.enter();
            AuthorizationClient::new(channel(address))
        };
        let mut loops: Vec<_> =
            (0..SINGLES).map(|_| runtime.spawn(singles(client(), course.clone()))).collect();
        loops.push(runtime.spawn(batches(client(), course.clone())));
        loops.push(runtime.spawn(stream(client(), course.clone())));
        Self { runtime, course, loops }
    }

    /// Answers so far.
    pub fn answered(&self) -> u64 {
        self.course.answered.load(Ordering::Relaxed)
    }

    /// Waits for so many more answers.
    pub fn wait_for_more(&self, count: u64) {
        let wanted = self.answered() + count;
        until("more answers", || (self.answered() >= wanted).then_some(()));
    }

    /// Waits until all but the stream have been refused, which a server that stops lets go on.
    pub fn wait_until_refused(&self) {
        let wanted = SINGLES as u64 + 1;
        until("calls are refused", || (self.course.broken.load(Ordering::Relaxed) >= wanted).then_some(()));
    }

    /// Stops asking, and waits for the calls under way.
    pub fn end(self) -> Tally {
        self.course.stop.store(true, Ordering::Relaxed);
        self.tally()
    }

    /// Waits until every connection has ended with a failure.
    pub fn broken(self) -> Tally {
        self.tally()
    }

    fn tally(self) -> Tally {
        let Self { runtime, course: _, loops } = self;
        let mut tally = Tally::default();
        for each in loops {
            tally.add(runtime.block_on(each).expect("no loop panics"));
        }
        tally
    }
}

async fn singles(mut client: AuthorizationClient<Channel>, course: Course) -> Tally {
    let mut tally = Tally::default();
    while course.goes_on() {
        match client.authorize(probe("")).await {
            Ok(answer) => {
                tally.answer(answer.into_inner());
                tally.calls[0] += 1;
                course.answered(1);
            }
            Err(status) => {
                course.broke();
                tally.failed.push(status);
                break;
            }
        }
    }
    tally
}

async fn batches(mut client: AuthorizationClient<Channel>, course: Course) -> Tally {
    let mut tally = Tally::default();
    while course.goes_on() {
        let requests = vec![probe(""); BATCH_LEN];
        match client.authorize_batch(v1::AuthorizeBatchRequest { requests }).await {
            Ok(answer) => {
                let responses = answer.into_inner().responses;
                assert_eq!(responses.len(), BATCH_LEN);
                let one = responses.iter().all(|answer| answer.revision == responses[0].revision);
                tally.mixed_batches += u64::from(!one);
                course.answered(responses.len());
                for answer in responses {
                    tally.answer(answer);
                }
                tally.calls[1] += 1;
            }
            Err(status) => {
                course.broke();
                tally.failed.push(status);
                break;
            }
        }
    }
    tally
}

async fn stream(mut client: AuthorizationClient<Channel>, course: Course) -> Tally {
    let mut tally = Tally::default();
    if let Err(status) = steps(&mut client, &course, &mut tally).await {
        course.broke();
        tally.failed.push(status);
    }
    tally
}

/// One stream: a request, its answer, the next. Ends it as a client should.
async fn steps(
    client: &mut AuthorizationClient<Channel>,
    course: &Course,
    tally: &mut Tally,
) -> Result<(), Status> {
    let (requests, outgoing) = mpsc::channel(1);
    let mut answers = client.authorize_stream(ReceiverStream::new(outgoing)).await?.into_inner();
    let mut step = 0_u64;
    while course.goes_on() {
        let id = step.to_string();
        let request = v1::AuthorizeStreamRequest { request: Some(probe(&id)) };
        if requests.send(request).await.is_err() {
            return Err(Status::unavailable("the stream was closed"));
        }
        let answer = answers.message().await?.ok_or_else(|| Status::unavailable("the stream ended"))?;
        match answer.result {
            Some(StreamResult::Response(answer)) => {
                assert_eq!(answer.request_id, id);
                tally.answer(answer);
            }
            Some(StreamResult::Error(error)) => return Err(Status::new(error.code.into(), error.message)),
            None => return Err(Status::internal("an empty answer")),
        }
        tally.calls[2] += 1;
        course.answered(1);
        step += 1;
    }
    drop(requests);
    match answers.message().await? {
        None => Ok(()),
        Some(more) => Err(Status::internal(format!("an answer to nothing: {more:?}"))),
    }
}
