//! Connections as they come in on all listeners, no more than a limit at once: further ones wait in the kernel's queues.
//! Never keeps a place for a client that does not begin to speak.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::Connected;

use super::listen::{Accepted, Listener};
use crate::api::Peer;

/// How long a client may take for the first bytes of a connection.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// The length of the first bytes: the preface of HTTP/2 (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
/// How long to wait when the operating system has no connection to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection that holds one of the places, until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: Accepted,
    peer: Peer,
    preface: Option<Preface>,
    _place: OwnedSemaphorePermit,
}

/// The first bytes that have not come yet.
#[derive(Debug)]
struct Preface {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

/// The accepted connections. Whoever drops it ends the accepting.
#[derive(Debug)]
pub struct Incoming {
    connections: mpsc::Receiver<Connection>,
    _accepting: AbortOnDropHandle<()>,
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

/// Accepts connections on all listeners, at most `connections_max` at once, each of which has `preface_timeout` to begin
/// to speak.
pub fn incoming(mut listeners: Vec<Listener>, connections_max: usize, preface_timeout: Duration) -> Incoming {
    let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    let (sender, connections) = mpsc::channel(1);
    let accepting = tokio::spawn(async move {
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            // One loop for all: with one for each, a place would wait for a client at every listener that has none.
            let (stream, peer) = accept(&mut listeners).await;
            let preface = Preface { missing: PREFACE_BYTES, deadline: Box::pin(sleep(preface_timeout)) };
            if sender.send(Connection { stream, peer, preface: Some(preface), _place: place }).await.is_err()
            {
                return;
            }
        }
    });
    Incoming { connections, _accepting: AbortOnDropHandle::new(accepting) }
}

/// The next connection, however long the operating system refuses to give one.
async fn accept(listeners: &mut [Listener]) -> (Accepted, Peer) {
    loop {
        match poll_fn(|cx| poll_accept(listeners, cx)).await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a gRPC connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The next connection of any listener. Who has just had a turn is asked last: no listener makes another wait.
fn poll_accept(listeners: &mut [Listener], cx: &mut Context<'_>) -> Poll<io::Result<(Accepted, Peer)>> {
    let ready = listeners.iter().enumerate().find_map(|(at, listener)| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Some((at, accepted)),
        Poll::Pending => None,
    });
    let Some((at, accepted)) = ready else { return Poll::Pending };
    listeners.rotate_left(at + 1);
    Poll::Ready(accepted)
}

impl Preface {
    /// An error when the first bytes are late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not begin to speak"))
            }
            Poll::Pending => Ok(()),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, preface, peer: _, _place } = &mut *self;
        let Some(awaited) = preface else {
            return Pin::new(stream).poll_read(cx, buffer);
        };
        awaited.poll_late(cx)?;
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buffer))?;
        awaited.missing = awaited.missing.saturating_sub(buffer.filled().len().saturating_sub(before));
        if awaited.missing == 0 {
            *preface = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
