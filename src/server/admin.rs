//! The administration's port: health, metrics, what is in force and why not something newer, whose keys, reload.
//! Never reads a body, and never shows policies to who has not the role `admin`.

mod connections;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::clock;
use super::hosts::Hosts;
use super::journal::Journal;
use super::keys::Keys;
use super::metrics::{self, Metrics};
use super::reload::{Ended, Reloads};
use crate::audit::{
    Administered, Administration, AuditError, AuditSink as _, Cause, Face, OpenDecisions, Record,
};
use crate::identity::{Caller, Callers, Peer, Role, Trust};

pub use connections::serve;

/// What the administration looks after.
#[derive(Debug)]
pub struct Admin {
    /// Who may call.
    pub callers: Arc<Callers>,
    /// Whose tokens are believed now.
    pub trusted: Trusted,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The bundle.
    pub reloads: Reloads,
    /// The keys of issuers and trust domains.
    pub keys: Keys,
    /// Where answers are recorded.
    pub journal: Arc<Journal>,
    /// The permitted decisions that await their outcome.
    pub open: Arc<OpenDecisions>,
    /// Cancelled when the server begins to stop.
    pub stop: CancellationToken,
    /// Where it listens.
    pub address: SocketAddr,
    /// Names by which it may be called on a loopback address, beside `localhost`.
    pub hosts: Vec<String>,
    /// Counts what only the state of tasks knows.
    pub tally: Tally,
    /// Says yes to a bundle that would end many tasks.
    pub confirm: Confirm,
}

/// Counts what only the state of tasks knows.
pub struct Tally(pub Box<dyn Fn(&Metrics) + Send + Sync>);

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tally")
    }
}

/// Says yes to the bundle of a revision.
pub struct Confirm(pub Box<dyn Fn(&str) + Send + Sync>);

impl std::fmt::Debug for Confirm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confirm")
    }
}

/// Gives the trust in force.
pub struct Trusted(pub Box<dyn Fn() -> Arc<Trust> + Send + Sync>);

impl std::fmt::Debug for Trusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trusted")
    }
}

/// The routes of the administration.
pub fn router(admin: Admin) -> Router {
    let hosts = Hosts { address: admin.address, names: admin.hosts.clone(), key: "listen.admin_hosts" };
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(show_metrics))
        .route("/bundle", get(show_bundle))
        .route("/keys", get(show_keys))
        .route("/reload", post(reload))
        .with_state(Arc::new(admin));
    hosts.guard(router)
}

/// Ready: answers are given and recorded. A newer bundle that is bad changes nothing about that.
async fn ready(State(admin): State<Arc<Admin>>) -> (StatusCode, &'static str) {
    if admin.stop.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if admin.journal.is_writable() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the audit journal cannot be written: see the log\n")
    }
}

async fn show_metrics(State(admin): State<Arc<Admin>>) -> Response {
    admin.metrics.decisions_open(admin.open.count());
    admin.metrics.callers_refused(admin.callers.refused());
    (admin.tally.0)(&admin.metrics);
    match admin.metrics.to_text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn show_bundle(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Result<Response, Refusal> {
    admin.authorize(&headers)?;
    Ok(Json(&*admin.reloads.status()).into_response())
}

async fn show_keys(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Result<Response, Refusal> {
    admin.authorize(&headers)?;
    Ok(Json(json!({ "sources": admin.keys.status() })).into_response())
}

/// The revision that a query says yes to: `confirm=sha256:…`, and nothing else.
fn confirmed(query: Option<&str>) -> Result<Option<String>, Refusal> {
    let mut said = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    match (said.next(), said.next()) {
        (None, _) => Ok(None),
        (Some((name, revision)), None) if name == "confirm" => Ok(Some(revision.into_owned())),
        (Some(_), _) => {
            let text = "the only thing to say with a reload is `confirm=<revision>`, once".to_owned();
            Err(Refusal { status: StatusCode::BAD_REQUEST, text })
        }
    }
}

async fn reload(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = admin.authorize(&headers)?;
    if let Some(revision) = confirmed(query.as_deref())? {
        let why = format!("the bundle {} may end tasks", revision.escape_debug());
        admin.tell(&caller, "confirm", Administration::Done, &why).map_err(|error| {
            tracing::warn!(%error, "a confirmation was not recorded, so it does not count");
            let text = "the confirmation could not be recorded, so it does not count; ask again".to_owned();
            Refusal { status: StatusCode::SERVICE_UNAVAILABLE, text }
        })?;
        (admin.confirm.0)(&revision);
    }
    // What comes into force has a record of its own, without which it does not.
    if let Err(error) = admin.tell(&caller, "reload", Administration::Done, "") {
        tracing::warn!(%error, "who asked for a reload was not recorded");
    }
    let ended = admin
        .reloads
        .reload(Cause::Admin)
        .await
        .map_err(|error| Refusal { status: StatusCode::SERVICE_UNAVAILABLE, text: error.to_string() })?;
    let status = match &ended {
        Ended::Published { .. } | Ended::Unchanged { .. } => StatusCode::OK,
        Ended::Failed(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok((status, Json(ended)).into_response())
}

impl Admin {
    /// Only who has the role; being on this machine is not enough.
    fn authorize(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Refusal> {
        let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let caller = self
            .callers
            .identify(authorization, &Peer::elsewhere(), &(self.trusted.0)(), clock::now().seconds())
            .map_err(|error| Refusal { status: StatusCode::UNAUTHORIZED, text: error.to_string() })?;
        if caller.may(Role::Admin) {
            return Ok(caller.clone());
        }
        let text = format!("the caller `{}` has not the role `admin`", caller.name);
        // Refused it is either way.
        if let Err(error) = self.tell(caller, "admin", Administration::Refused, &text) {
            tracing::warn!(%error, "a refusal was not recorded");
        }
        Err(Refusal { status: StatusCode::FORBIDDEN, text })
    }

    /// Puts on record what a caller did here, or may not do.
    fn tell(
        &self,
        caller: &Caller,
        call: &str,
        outcome: Administration,
        reason: &str,
    ) -> Result<(), AuditError> {
        let told = Administered {
            time: clock::now(),
            face: Face::Admin,
            caller: &caller.name,
            call,
            outcome,
            reason,
            session: None,
        };
        self.journal.record(&Record::Admin(&told)).map(|_written| ())
    }
}

/// No, and why. Safe to show.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    text: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.text }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
