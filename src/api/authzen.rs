//! AuthZEN 1.0 over HTTP: decode, one call to the PDP, encode.
//! Never decides, and never says with a status what a decision was.

pub(in crate::api) mod actor;
mod answer;
mod batch;
pub(in crate::api) mod body;
pub(in crate::api) mod coaz;
mod decode;
mod extension;
mod metadata;
mod names;
mod refusal;
mod search;
mod tuple;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Method, Request};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tracing::Instrument as _;

use super::callers::{self, Shown, TurnedAway};
use super::finding::Searches;
use super::together::Together;
use super::{Clock, Limits, Peer, peer_of, trace};
use crate::audit::{AuditSink, Face};
use crate::identity::{Caller, Callers, Role};
use crate::pdp::{self, Answer, Occasion, Pdp};
use answer::Telling;
pub(in crate::api) use answer::said_of;
pub(in crate::api) use decode::Scope;
use decode::{Decoded, Told};
pub use metadata::{Metadata, Sign};
pub use names::Types;
pub(in crate::api) use refusal::Refused;
use search::For;
pub(in crate::api) use tuple::{Members, object, required_object, wrong};

/// Where one question is asked.
const EVALUATION: &str = "/access/v1/evaluation";
/// Where several are asked at once.
const EVALUATIONS: &str = "/access/v1/evaluations";

/// Where it is asked who, what and how.
const SEARCHES: [(&str, For); 3] = [
    ("/access/v1/search/subject", For::Subject),
    ("/access/v1/search/resource", For::Resource),
    ("/access/v1/search/action", For::Action),
];

/// The face. Cheap to clone.
pub struct AuthZen<S> {
    inner: Arc<Inner<S>>,
}

impl<S> Clone for AuthZen<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

struct Inner<S> {
    pdp: Arc<Pdp<S>>,
    callers: Callers,
    clock: Arc<dyn Clock>,
    limits: Limits,
    types: Types,
    searches: Searches<S>,
    together: Arc<Together<S>>,
}

/// A route by itself, for a server that need not look for it among all.
#[derive(Clone)]
pub struct Direct {
    /// Where it is asked.
    pub path: &'static str,
    /// What answers there.
    pub answer: Arc<Answering>,
}

/// Answers a request of a peer.
pub type Answering = dyn Fn(Peer, Request<Body>) -> BoxFuture<'static, Response> + Send + Sync;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Evaluation,
    Evaluations,
    Search(For),
}

/// Who asks, and how the request is found again.
struct Asker {
    caller: Arc<Caller>,
    request_id: String,
    trace_id: Option<String>,
    arrived: Instant,
}

impl<S: AuditSink + 'static> AuthZen<S> {
    /// The face of a PDP.
    pub fn new(
        pdp: Arc<Pdp<S>>,
        callers: Callers,
        clock: Arc<dyn Clock>,
        limits: Limits,
        types: Types,
    ) -> Self {
        let searches = Searches::new(pdp.clone(), clock.clone());
        let together = Arc::new(Together::new(pdp.clone(), clock.clone()));
        Self { inner: Arc::new(Inner { pdp, callers, clock, limits, types, searches, together }) }
    }

    /// The routes. A request counts as from elsewhere unless its extensions have a [`super::Peer`].
    pub fn routes(self) -> Router {
        let at = |endpoint| {
            let face = self.clone();
            any(move |request: Request<Body>| {
                let peer = peer_of(request.extensions());
                face.serve(endpoint, peer, request)
            })
        };
        let searches = SEARCHES
            .into_iter()
            .fold(Router::new(), |routes, (path, sought)| routes.route(path, at(Endpoint::Search(sought))));
        searches
            .route(EVALUATION, at(Endpoint::Evaluation))
            .route(EVALUATIONS, at(Endpoint::Evaluations))
            .fallback(|| async { Refused::not_found().into_response() })
    }

    /// The route of one question by itself. Answers as the one in [`Self::routes`] does.
    pub fn direct(&self) -> Direct {
        let face = self.clone();
        let answer = move |peer, request| face.clone().serve(Endpoint::Evaluation, peer, request).boxed();
        Direct { path: EVALUATION, answer: Arc::new(answer) }
    }

    async fn serve(self, endpoint: Endpoint, peer: Peer, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let span = match endpoint {
            Endpoint::Evaluation => tracing::info_span!("evaluation"),
            Endpoint::Evaluations => tracing::info_span!("evaluations"),
            Endpoint::Search(_) => tracing::info_span!("search"),
        };
        trace::adopt(&span, &parts.headers);
        let answered = if span.is_disabled() {
            self.answer(endpoint, peer, &parts, body).await
        } else {
            Box::pin(self.answer(endpoint, peer, &parts, body)).instrument(span).await
        };
        answered.unwrap_or_else(Refused::into_response)
    }

    async fn answer(
        &self,
        endpoint: Endpoint,
        peer: Peer,
        parts: &Parts,
        body: Body,
    ) -> Result<Response, Refused> {
        let arrived = Instant::now();
        if parts.method != Method::POST {
            return Err(Refused::method());
        }
        let asker = self.asker(peer, parts, arrived)?;
        let limits = &self.inner.limits;
        let bytes = body::read(&parts.headers, body, limits.body_bytes_max).await?;
        match endpoint {
            Endpoint::Evaluation => self.evaluate(&asker, &bytes).await,
            // Apart, so that one question does not take the room of many.
            Endpoint::Evaluations => {
                let members = body::members(&bytes, limits, limits.batch_len_max)?;
                Box::pin(self.evaluate_all(&asker, members, &bytes)).await
            }
            Endpoint::Search(sought) => {
                let members = body::members(&bytes, limits, 1)?;
                Box::pin(self.search(&asker, sought, members, &bytes)).await
            }
        }
    }

    /// Who asks, if it is somebody who may.
    fn asker(&self, peer: Peer, parts: &Parts, arrived: Instant) -> Result<Asker, Refused> {
        if parts.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
            return Err(Refused::malformed("send one `Authorization`"));
        }
        let Inner { pdp, callers, clock, .. } = &*self.inner;
        let shown = Shown::of(&parts.headers, peer);
        let caller = shown.caller(callers, &pdp.trusted(), clock.now())?;
        self.require(&caller, Role::Authorize)?;
        let request_id = trace::request_id(&parts.headers).to_owned();
        Ok(Asker { caller, request_id, trace_id: trace::trace_id(&parts.headers), arrived })
    }

    fn require(&self, caller: &Caller, role: Role) -> Result<(), Refused> {
        callers::require(caller, role).map_err(|turned| self.turned_away(caller, role.name(), turned))
    }

    /// Puts on record what a caller may not do. Refused it is either way.
    fn turned_away(&self, caller: &Caller, call: &str, turned: TurnedAway) -> Refused {
        let refused = Refused::from(turned);
        let (sink, clock) = (self.inner.pdp.sink(), &*self.inner.clock);
        callers::record_refusal(sink, clock, Face::Authzen, caller, (call, &refused.words));
        refused
    }

    /// One question: the members beside each other in the body.
    async fn evaluate(&self, asker: &Asker, bytes: &[u8]) -> Result<Response, Refused> {
        let explains = asker.caller.may(Role::Explain);
        let tuple = body::question(bytes, &self.inner.limits)?;
        let current = self.inner.pdp.current();
        let request = {
            let scope =
                Scope { names: current.vocabulary(), types: &self.inner.types, caller: &asker.caller };
            let decoded = decode::decode(tuple, &scope)?;
            Box::new(self.admit(asker, decoded)?)
        };
        let explain = request.explain;
        let pending = self.inner.together.evaluate(request, Some(current), asker.arrived).await;
        let answer = settle(pending.ok_or_else(Refused::defect)?)?;
        Ok(answer::single(&answer, Telling { explains, explain, ids: false }))
    }

    /// The request, if its caller may ask it at all.
    fn admit(&self, asker: &Asker, decoded: Decoded) -> Result<pdp::Request, Refused> {
        let Decoded { claim, ask, told, understood } = decoded;
        let Told { credentials, session, task, purpose, intent, preview, explain, min_state } = told;
        let caller = &asker.caller;
        if explain {
            self.require(caller, Role::Explain)?;
        }
        callers::require_asked(caller, claim.as_ref(), &ask)
            .map_err(|turned| self.turned_away(caller, "server", turned))?;
        Ok(pdp::Request {
            face: Face::Authzen,
            caller: caller.clone(),
            request_id: asker.request_id.clone(),
            claim,
            credentials,
            ask,
            session,
            task,
            purpose,
            intent,
            preview,
            min_state,
            understands: understood.obligations,
            explain,
            trace_id: asker.trace_id.clone(),
        })
    }

    fn occasion<'a>(&self, elapsed_us: &'a dyn Fn() -> u64) -> Occasion<'a> {
        Occasion { id: self.inner.clock.decision_id(), now: self.inner.clock.now(), elapsed_us }
    }
}

fn settle(pending: pdp::Pending) -> Result<Answer, Refused> {
    let answer = pending.settle()?;
    tracing::debug!(decision = %answer.id, outcome = ?answer.decision.outcome, "decided");
    Ok(answer)
}
