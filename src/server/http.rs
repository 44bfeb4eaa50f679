//! HTTP for AuthZEN and for clients of tasks, in both versions, within limits of time, size and number.
//! Never waits for a client that sends its headers one byte at a time, and never decides.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::StreamExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected as _;
use url::Url;

use super::config::{Http, Limits, Tasks};
use super::hosts::Hosts;
use super::incoming::{self, Deadlines};
use super::listen::Listener;
use crate::api::REQUEST_ID;
use crate::api::authzen::{Metadata, Sign};
use crate::api::oauth::{self, Behind, Names};
use crate::api::openapi;

/// How long a client may take for the headers of a request, and between two requests.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
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

/// AuthZEN's part of what is served.
#[derive(Debug, Default)]
pub struct AuthZenRoutes {
    /// Evaluation and search, and the faces beside it that need nothing but callers.
    pub routes: Router,
    /// Whether the metadata is signed too, where there are keys.
    pub signed_metadata: bool,
}

impl From<Router> for AuthZenRoutes {
    fn from(routes: Router) -> Self {
        Self { routes, signed_metadata: false }
    }
}

/// The routes as they are reached at this address: AuthZEN's, and those of tasks where there are any.
pub fn router(
    config: &Http,
    tasks: &Tasks,
    bound: SocketAddr,
    behind: Option<Behind>,
    authzen: AuthZenRoutes,
) -> Router {
    let at = || format!("{}://{bound}", config.scheme());
    let public_url = tasks.public_url.clone().unwrap_or_else(at);
    let mut names = config.hosts.clone();
    // Clients are told to call it so.
    names.extend(Url::parse(&public_url).ok().and_then(|url| url.host_str().map(str::to_owned)));
    let AuthZenRoutes { routes, signed_metadata } = authzen;
    let signed = match &behind {
        Some(Behind::Tasks(authority)) if signed_metadata => {
            let authority = Arc::clone(authority);
            let sign: Sign = Arc::new(move |claims: &[u8]| authority.sign(claims));
            Some((tasks.issuer.clone(), sign))
        }
        Some(Behind::Tasks(_) | Behind::Keys(_)) | None => None,
    };
    let metadata = Metadata { public_url: public_url.clone(), keys: behind.is_some(), signed };
    let mut router = routes
        .merge(metadata.routes())
        .merge(openapi::routes(behind.is_some()))
        .route("/healthz", get(|| async { "ok\n" }));
    if let Some(behind) = behind {
        let names = Names { issuer: tasks.issuer.clone(), public_url };
        router = router.merge(oauth::router(names, behind));
    }
    let guarded = Hosts { address: bound, names, key: "listen.http_hosts" }.guard(router);
    guarded.layer(middleware::from_fn(echoing))
}

/// The answer with the client's own id for the request, whatever is asked and whatever comes of it (AuthZEN 1.0, section "Request
/// identification").
async fn echoing(request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Serves until `stop`; requests that have begun are answered.
///
/// # Errors
/// When nothing is accepted any more.
pub async fn serve(
    listener: Listener,
    router: Router,
    limits: Limits,
    patience: Patience,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut connections = incoming::incoming(vec![listener], limits.connections_max, patience.deadlines);
    let graceful = GracefulShutdown::new();
    let http = builder(&limits, patience.headers);
    loop {
        let connection = match stop.run_until_cancelled(connections.next()).await {
            None => break,
            Some(Some(accepted)) => accepted?,
            Some(None) => return Err(io::Error::other("no connection is accepted any more")),
        };
        let peer = connection.connect_info();
        let service = TowerToHyperService::new(router.clone().layer(Extension(peer)));
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

fn builder(limits: &Limits, headers_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    let head_bytes_max = usize::try_from(limits.header_list_bytes_max).unwrap_or(usize::MAX);
    http.http1()
        .timer(TokioTimer::new())
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
