//! What ends tasks, as a stream: every event in order, and signs of life between them.
//! Never holds events for a client that is slow: it is told when it fell behind.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::super::proto::v1;
use super::super::wire::{Malformed, NAME_BYTES_MAX, text};
use super::wire;
use crate::lifecycle::{Event, Events};
use crate::store::StoreError;

/// How often there is a sign of life.
const SIGN_EVERY: Duration = Duration::from_secs(10);

/// How many responses may wait for a client.
const WAITING_MAX: usize = 64;

/// The stream.
pub type Responses = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

/// The state that a resume token stands for; none for a new watch.
pub(super) fn place(resume_token: String) -> Result<Option<u64>, Malformed> {
    let token = text("resume_token", resume_token, NAME_BYTES_MAX)?;
    if token.is_empty() {
        return Ok(None);
    }
    let digits = token.strip_prefix('r').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let place = digits.and_then(|digits| digits.parse().ok());
    place.map(Some).ok_or_else(|| Malformed::new("resume_token", "is none that a watch has given"))
}

fn token(state: u64) -> String {
    format!("r{state}")
}

/// Follows events until the client goes, falls behind, is no longer let in, or the server stops.
pub(super) fn follow(
    mut events: Events,
    still: impl Fn() -> Result<(), Status> + Send + 'static,
    place: OwnedSemaphorePermit,
    stop: CancellationToken,
) -> Responses {
    let (sender, receiver) = tokio::sync::mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let _place = place;
        let mut signs = tokio::time::interval(SIGN_EVERY);
        loop {
            let responses = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    // Whoever watches connects again, to a server that goes on.
                    drop(sender.send(Err(Status::unavailable("the server stops; watch again"))).await);
                    return;
                }
                () = sender.closed() => return,
                // First: on a busy server there would be no sign of life otherwise, and nobody would be asked again who it is.
                _ = signs.tick() => match still() {
                    Ok(()) => vec![sign(events.seen())],
                    Err(status) => {
                        drop(sender.send(Err(status)).await);
                        return;
                    }
                },
                next = events.next() => match next {
                    Ok((state, events)) => encode(state, events),
                    Err(error) => {
                        drop(sender.send(Err(ended(&error))).await);
                        return;
                    }
                },
            };
            for response in responses {
                if sender.send(Ok(response)).await.is_err() {
                    return;
                }
            }
        }
    });
    Box::pin(tokio_stream::wrappers::ReceiverStream::new(receiver))
}

fn sign(state: u64) -> v1::WatchResponse {
    v1::WatchResponse { event: None, resume_token: token(state), state_revision: state }
}

/// The events of one commit. Only the last one is a place to go on from: who stops before it hears all of them again.
fn encode(state: u64, events: Vec<Event>) -> Vec<v1::WatchResponse> {
    let last = events.len().saturating_sub(1);
    let place = |at: usize| token(if at == last { state } else { state.saturating_sub(1) });
    let encoded = events.into_iter().enumerate().map(|(at, event)| v1::WatchResponse {
        event: Some(encode_event(event)),
        resume_token: place(at),
        state_revision: state,
    });
    encoded.collect()
}

fn encode_event(event: Event) -> v1::watch_response::Event {
    use v1::watch_response::Event as Wire;
    let moved = |id: crate::task::TaskId, state, reason: String, expires_s| v1::TaskMoved {
        id: id.to_string(),
        state: wire::state(state).into(),
        reason,
        expires: Some(wire::instant(expires_s)),
    };
    let open = crate::task::State::Open;
    match event {
        Event::Started { task, expires_s } => Wire::Started(moved(task, open, String::new(), expires_s)),
        Event::Renewed { task, expires_s } => Wire::Renewed(moved(task, open, String::new(), expires_s)),
        Event::Ended { task, expires_s, state, reason } => Wire::Ended(moved(task, state, reason, expires_s)),
        Event::Revoked(target, stop) => Wire::Revoked(wire::revocation(&target, &stop)),
        Event::Lifted(target, stop) => Wire::Lifted(wire::revocation(&target, &stop)),
        Event::Published { revision } => Wire::Published(v1::BundlePublished { revision }),
    }
}

pub(super) fn ended(error: &StoreError) -> Status {
    match error {
        StoreError::Compacted { .. } => Status::out_of_range(
            "the events after that place are no longer known: watch from now on, and look at the tasks that you hold",
        ),
        StoreError::Closed => Status::unavailable("the server stops; watch again"),
        StoreError::Conflict { .. } | StoreError::Malformed(_) | StoreError::Unavailable { .. } => {
            Status::unavailable("the state cannot be followed; watch again")
        }
    }
}
