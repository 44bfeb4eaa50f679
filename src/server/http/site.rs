//! What answers over HTTP: AuthZEN, the faces beside it, and what clients of tasks need, behind the names of the port.
//! Never decides.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::api::authzen::{Direct, Metadata, Sign};
use crate::api::oauth::{self, Behind, Names};
use crate::api::{Peer, REQUEST_ID, openapi};
use crate::server::config::{Http, Tasks};
use crate::server::hosts::Hosts;

/// AuthZEN's part of what is served.
#[derive(Default)]
pub struct AuthZenRoutes {
    /// Evaluation and search, and the faces beside it that need nothing but callers.
    pub routes: Router,
    /// What is asked more often than anything else, and answers with no router before it.
    pub direct: Option<Direct>,
    /// Whether the metadata is signed too, where there are keys.
    pub signed_metadata: bool,
}

/// The routes as they are reached at one address.
pub struct Site {
    hosts: Hosts,
    direct: Option<Direct>,
    pub(super) routes: TowerToHyperService<Router>,
}

impl Site {
    /// AuthZEN's routes, and those of tasks where there are any.
    pub fn new(
        config: &Http,
        tasks: &Tasks,
        bound: SocketAddr,
        behind: Option<Behind>,
        authzen: AuthZenRoutes,
    ) -> Self {
        let at = || format!("{}://{bound}", config.scheme());
        let public_url = tasks.public_url.clone().unwrap_or_else(at);
        let mut names = config.hosts.clone();
        // Clients are told to call it so.
        names.extend(Url::parse(&public_url).ok().and_then(|url| url.host_str().map(str::to_owned)));
        let AuthZenRoutes { routes, direct, signed_metadata } = authzen;
        let signed = match &behind {
            Some(Behind::Tasks(authority)) if signed_metadata => {
                let authority = Arc::clone(authority);
                let sign: Sign = Arc::new(move |claims: &[u8]| authority.sign(claims));
                Some((tasks.issuer.clone(), sign))
            }
            Some(Behind::Tasks(_) | Behind::Keys(_)) | None => None,
        };
        let metadata = Metadata { public_url: public_url.clone(), keys: behind.is_some(), signed };
        let mut routes = routes
            .merge(metadata.routes())
            .merge(openapi::routes(behind.is_some()))
            .route("/healthz", get(|| async { "ok\n" }));
        if let Some(behind) = behind {
            let names = Names { issuer: tasks.issuer.clone(), public_url };
            routes = routes.merge(oauth::router(names, behind));
        }
        let hosts = Hosts { address: bound, names, key: "listen.http_hosts" };
        Self { hosts, direct, routes: TowerToHyperService::new(routes) }
    }

    /// The answer to a request of a peer, with the client's own id for the request, whatever is asked and whatever comes of it
    /// (AuthZEN 1.0, section "Request identification").
    pub(super) async fn answer(&self, main: &Handle, peer: Peer, request: Request<Incoming>) -> Response {
        let id = request.headers().get(REQUEST_ID).cloned();
        let mut response = match self.hosts.refusal(request.uri(), request.headers()) {
            Some(refusal) => refusal,
            None => self.route(main, peer, request).await,
        };
        if let Some(id) = id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }

    /// What may take longer than one question is done by the main runtime's threads, where others can go on beside it.
    async fn route(&self, main: &Handle, peer: Peer, mut request: Request<Incoming>) -> Response {
        match &self.direct {
            Some(direct) if request.uri().path() == direct.path => {
                (direct.answer)(peer, request.map(Body::new)).await
            }
            Some(_) | None => {
                request.extensions_mut().insert(peer);
                let routed = AbortOnDropHandle::new(main.spawn(self.routes.call(request)));
                match routed.await {
                    Ok(Ok(response)) => response,
                    Ok(Err(never)) => match never {},
                    Err(ended) => cut(ended),
                }
            }
        }
    }
}

/// Of a request whose work ended without an answer: the connection breaks, too.
fn cut(ended: JoinError) -> Response {
    match ended.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        // The main runtime is going down.
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
