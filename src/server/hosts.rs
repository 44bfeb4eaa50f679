//! The names by which a port on the loopback may be called.
//! Never believes a name because it leads here: a page in a browser can make any name lead to the loopback (DNS rebinding).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, http};
use serde_json::json;

/// Names of a port.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Names beside those of the loopback.
    pub(super) names: Vec<String>,
    /// The key of the configuration with further names.
    pub(super) key: &'static str,
}

impl Hosts {
    /// The routes, for requests that name this machine.
    pub(super) fn guard(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(Arc::new(self), only_known))
    }

    /// What a request is told that does not name this machine.
    pub(super) fn refusal(&self, uri: &http::Uri, headers: &http::HeaderMap) -> Option<Response> {
        if self.admits(uri, headers) {
            return None;
        }
        let text = format!("this host name is not known here; use localhost, or add it to `{}`", self.key);
        Some((StatusCode::MISDIRECTED_REQUEST, Json(json!({ "error": text }))).into_response())
    }

    /// Whether the request names this machine. A page cannot change the name that its browser sends. On another address
    /// than the loopback's, any name will do.
    fn admits(&self, uri: &http::Uri, headers: &http::HeaderMap) -> bool {
        if !self.address.ip().to_canonical().is_loopback() {
            return true;
        }
        // RFC 9112, section 3.2.2: an authority in the target goes before the header; there is one of it.
        let mut sent = headers.get_all(HOST).iter();
        let header = sent.next().and_then(|host| host.to_str().ok());
        let host = uri.authority().map(Authority::as_str).or(header);
        sent.next().is_none() && host.is_some_and(|host| self.is_known(host))
    }

    fn is_known(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => name,
            Some(_) | None => host,
        };
        ["localhost", "127.0.0.1", "[::1]"]
            .into_iter()
            .chain(self.names.iter().map(String::as_str))
            .any(|known| known.eq_ignore_ascii_case(name))
    }
}

async fn only_known(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    match hosts.refusal(request.uri(), request.headers()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}
