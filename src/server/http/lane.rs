//! A thread with a runtime of its own, for connections that stay on it: what a core reads it decides and answers, with its
//! own memory.
//! Never shares a connection's work with another lane: that costs more than what it is shared for.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::runtime::{self, Handle};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::Connected as _;

use super::Site;
use crate::server::incoming::Incoming;
use crate::server::stack::deep_beside;

/// Shorter than a connection may be quiet.
const TICK: Duration = Duration::from_secs(5);

/// Answers the requests of HTTP/2 on all threads of a runtime: one connection may have many of them under way.
#[derive(Debug, Clone)]
pub(super) struct Everywhere(pub(super) Handle);

impl<F> Executor<F> for Everywhere
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, work: F) {
        drop(self.0.spawn(work));
    }
}

/// Runs a future on a thread of its own, with a runtime of its own, until it ends or `cut` is cancelled.
///
/// # Errors
/// When no thread or no runtime can be made, or the thread panicked.
pub(super) async fn run<F>(serving: F, cut: CancellationToken) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    // Policies are evaluated here.
    deep_beside("palisade-http", move || runtime.block_on(cut.run_until_cancelled(serving)).unwrap_or(Ok(())))
        .await?
}

/// Keeps a timer that is due before those of connections: to set one that is due before all others is a system call.
async fn tick() {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
    }
}

/// Serves connections until `stop`; requests that have begun are answered.
///
/// # Errors
/// When nothing is accepted any more.
pub(super) async fn serve(
    mut connections: Incoming,
    site: Arc<Site>,
    http: auto::Builder<Everywhere>,
    main: Handle,
    stop: CancellationToken,
) -> io::Result<()> {
    let _ticking = AbortOnDropHandle::new(tokio::spawn(tick()));
    let graceful = GracefulShutdown::new();
    loop {
        let connection = match stop.run_until_cancelled(connections.next()).await {
            None => break,
            Some(Some(accepted)) => accepted?,
            Some(None) => return Err(io::Error::other("no connection is accepted any more")),
        };
        let peer = connection.connect_info();
        let (site, main) = (site.clone(), main.clone());
        let service = service_fn(move |request| {
            let (site, main, peer) = (site.clone(), main.clone(), peer.clone());
            async move { Ok::<_, Infallible>(site.answer(&main, peer, request).await) }
        });
        let connection =
            graceful.watch(http.serve_connection(TokioIo::new(connection), service).into_owned());
        // Its parent is the watcher, which waits for it when the serving ends.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection over HTTP broke");
            }
        });
    }
    drop(connections);
    graceful.shutdown().await;
    Ok(())
}
