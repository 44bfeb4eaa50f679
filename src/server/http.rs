//! HTTP for AuthZEN and for clients of tasks, in both versions, within limits of time, size and number.
//! Never waits for a client that sends its headers one byte at a time, and never decides.

mod lane;
mod site;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::config::Limits;
use super::incoming::{Deadlines, Door};
use super::listen::Listener;
use lane::Everywhere;
pub use site::{AuthZenRoutes, Site};

/// How long a client may take for the headers of a request, and between two requests: hyper has one timer for both. Longer than
/// pools of clients keep a connection that is idle (60 to 90 seconds), so that they rarely send on one that is being closed.
const HEADERS_TIMEOUT: Duration = Duration::from_mins(2);
/// How often an idle connection of HTTP/2 is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How patient the listener is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// With a connection that begins.
    pub deadlines: Deadlines,
    /// With the headers of a request, and between two requests.
    pub headers: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { deadlines: Deadlines::default(), headers: HEADERS_TIMEOUT }
    }
}

/// Serves until `stop`; requests that have begun are answered. On as many threads of its own as the runtime has; cut off when
/// it is dropped.
///
/// # Errors
/// When nothing is accepted any more, or no thread can be made.
pub async fn serve(
    listener: Listener,
    site: Arc<Site>,
    limits: Limits,
    patience: Patience,
    stop: CancellationToken,
) -> io::Result<()> {
    let main = Handle::current();
    let cut = CancellationToken::new();
    let _when_dropped = cut.clone().drop_guard();
    let door = Door::new(vec![listener], limits.connections_max);
    // When all lanes have dropped the door, nobody is let in any more.
    let lanes = (0..main.metrics().num_workers()).map(move |_| {
        let (door, site, main, stop) = (door.clone(), site.clone(), main.clone(), stop.clone());
        let http = builder(&limits, patience.headers, Everywhere(main.clone()));
        let serving =
            async move { lane::serve(door.incoming(patience.deadlines), site, http, main, stop).await };
        lane::run(serving, cut.clone())
    });
    try_join_all(lanes).await.map(drop)
}

fn builder(limits: &Limits, headers_timeout: Duration, executor: Everywhere) -> auto::Builder<Everywhere> {
    let mut http = auto::Builder::new(executor);
    let head_bytes_max = usize::try_from(limits.header_list_bytes_max).unwrap_or(usize::MAX);
    http.http1()
        .timer(TokioTimer::new())
        // Answers are short: to copy one behind its head takes less than to tell the kernel of two pieces.
        .writev(false)
        // A client may close its side when it has asked. To look for that would take a buffer for each answer that waits.
        .half_close(true)
        .header_read_timeout(headers_timeout)
        // Less than this is not to be had.
        .max_buf_size(head_bytes_max.max(8192));
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.concurrent_streams_max)
        .max_header_list_size(limits.header_list_bytes_max)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    http
}

#[cfg(test)]
mod tests;
