//! Connections as they come in on all listeners, no more than a limit at once: further ones wait in the kernel's queues.
//! Never keeps a place for a client that does not begin to speak, or does not come to the end of a handshake.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::Connected;

use super::listen::{Accepted, Arrival, Listener};
use super::tls::Tls;
use crate::api::Peer;

/// How long a client may take for a handshake of TLS.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take for the first bytes of a connection, after the handshake if there is one.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// The length of the first bytes: the preface of HTTP/2 (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
/// How long to wait when the operating system has no connection to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes as the client sent them, or out of TLS.
type Stream = Either<Accepted, Box<TlsStream<TcpStream>>>;

/// How long a client may take to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For a handshake of TLS.
    pub handshake: Duration,
    /// For the first bytes of HTTP/2.
    pub preface: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { handshake: HANDSHAKE_TIMEOUT, preface: PREFACE_TIMEOUT }
    }
}

/// A connection that holds one of the places, until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
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

impl tokio_stream::Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.connections.poll_recv(cx).map(|connection| connection.map(Ok))
    }
}

/// Listeners, and how many connections of theirs there may be at once. Those who share them take turns: each gets as many
/// connections as the others.
#[derive(Debug, Clone)]
pub struct Door {
    listeners: Arc<Mutex<Vec<Listener>>>,
    places: Arc<Semaphore>,
}

impl Door {
    /// For at most `connections_max` connections at once.
    pub fn new(listeners: Vec<Listener>, connections_max: usize) -> Self {
        let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Self { listeners: Arc::new(Mutex::new(listeners)), places }
    }

    /// Accepts connections on all listeners, each of which has until its deadlines to begin to speak.
    pub fn incoming(self, deadlines: Deadlines) -> Incoming {
        let Self { listeners, places } = self;
        let (sender, connections) = mpsc::channel(1);
        let accepting = tokio::spawn(async move {
            // They end with the accepting. Each holds a place: there are no more of them than connections.
            let mut handshakes = JoinSet::new();
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                // One loop for all: with one for each, a place would wait for a client at every listener that has none.
                let (arrival, peer) = accept(&mut listeners.lock().await).await;
                while handshakes.try_join_next().is_some() {}
                match arrival {
                    Arrival::Plain(stream) => {
                        let connection =
                            Connection::new(Either::Left(stream), peer, deadlines.preface, place);
                        if sender.send(connection).await.is_err() {
                            return;
                        }
                    }
                    Arrival::Tls(stream, tls) => {
                        let sender = sender.clone();
                        handshakes.spawn(async move {
                            let Some((stream, peer)) = shake(stream, peer, &tls, deadlines.handshake).await
                            else {
                                return;
                            };
                            let connection = Connection::new(stream, peer, deadlines.preface, place);
                            // Nobody listens any more when the server stops.
                            let _ = sender.send(connection).await;
                        });
                    }
                }
            }
        });
        Incoming { connections, _accepting: AbortOnDropHandle::new(accepting) }
    }
}

/// The connection after its handshake, and who it proved to be; none when it came to nothing.
async fn shake(stream: TcpStream, peer: Peer, tls: &Tls, within: Duration) -> Option<(Stream, Peer)> {
    let address = stream.peer_addr().ok();
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the client did not end its handshake");
    match timeout(within, tls.accept(stream)).await.unwrap_or_else(|_| Err(late())) {
        Ok((stream, None)) => Some((Either::Right(stream), peer)),
        Ok((stream, Some(certificate))) => Some((Either::Right(stream), peer.with_certificate(certificate))),
        // Who looks whether a port is open goes without a word.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::debug!(%error, ?address, "a TLS handshake was not ended");
            None
        }
        Err(error) => {
            tracing::info!(%error, ?address, "a TLS handshake failed");
            None
        }
    }
}

/// The next connection, however long the operating system refuses to give one.
async fn accept(listeners: &mut [Listener]) -> (Arrival, Peer) {
    loop {
        match poll_fn(|cx| poll_accept(listeners, cx)).await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The next connection of any listener. Who has just had a turn is asked last: no listener makes another wait.
fn poll_accept(listeners: &mut [Listener], cx: &mut Context<'_>) -> Poll<io::Result<(Arrival, Peer)>> {
    let ready = listeners.iter().enumerate().find_map(|(at, listener)| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Some((at, accepted)),
        Poll::Pending => None,
    });
    let Some((at, accepted)) = ready else { return Poll::Pending };
    listeners.rotate_left(at + 1);
    Poll::Ready(accepted)
}

impl Connection {
    fn new(stream: Stream, peer: Peer, preface_timeout: Duration, place: OwnedSemaphorePermit) -> Self {
        let preface = Preface { missing: PREFACE_BYTES, deadline: Box::pin(sleep(preface_timeout)) };
        Self { stream, peer, preface: Some(preface), _place: place }
    }
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
        self.peer.clone()
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
