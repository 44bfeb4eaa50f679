//! PORC over HTTP (`POST /decision`), as `ToolHive` asks a decision point: decode, one call to the PDP, encode.
//! Never decides, and never says with a status what a decision was.

mod decode;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tracing::Instrument as _;
use url::form_urlencoded;

use super::authzen::{Refused, Scope, Types, body, said_of};
use super::callers::{self, Shown, TurnedAway};
use super::together::Together;
use super::{Clock, Limits, trace};
use crate::audit::{AuditSink, Face};
use crate::identity::{Caller, Callers, Credentials, Role};
use crate::pdp::{self, Pdp};
use decode::Decoded;

/// Where it is asked.
const DECISION: &str = "/decision";
/// Asks only to know: no step follows.
const PROBE: &str = "probe";

/// The face. Cheap to clone.
pub struct Porc<S> {
    inner: Arc<Inner<S>>,
}

impl<S> Clone for Porc<S> {
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
    together: Arc<Together<S>>,
}

impl<S: AuditSink + 'static> Porc<S> {
    /// The face of a PDP.
    pub fn new(
        pdp: Arc<Pdp<S>>,
        callers: Callers,
        clock: Arc<dyn Clock>,
        limits: Limits,
        types: Types,
    ) -> Self {
        let together = Arc::new(Together::new(pdp.clone(), clock.clone()));
        Self { inner: Arc::new(Inner { pdp, callers, clock, limits, types, together }) }
    }

    /// The route. A request counts as from elsewhere unless its extensions have a [`super::Peer`].
    pub fn routes(self) -> Router {
        Router::new().route(DECISION, any(move |request| self.serve(request)))
    }

    async fn serve(self, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let span = tracing::info_span!("decision");
        trace::adopt(&span, &parts.headers);
        let answered = self.answer(&parts, body).instrument(span).await;
        answered.unwrap_or_else(Refused::into_response)
    }

    async fn answer(&self, parts: &Parts, body: Body) -> Result<Response, Refused> {
        let arrived = Instant::now();
        if parts.method != Method::POST {
            return Err(Refused::method());
        }
        let caller = self.caller(parts)?;
        let preview = is_probe(parts.uri.query().unwrap_or_default())?;
        let Inner { pdp, limits, types, together, .. } = &*self.inner;
        let bytes = body::read(&parts.headers, body, limits.body_bytes_max).await?;
        let members = body::members(&bytes, limits, 1)?;
        let current = pdp.current();
        let decoded = {
            let scope = Scope { names: current.vocabulary(), types, caller: &caller };
            decode::decode(members, &bytes, &scope)?
        };
        let request = self.admit(&caller, parts, preview, decoded)?;
        let pending = together.evaluate(Box::new(request), Some(current), arrived).await;
        let answer = pending.ok_or_else(Refused::defect)?.settle()?;
        tracing::debug!(decision = %answer.id, outcome = ?answer.decision.outcome, "decided");
        let said: &'static [u8] =
            if answer.decision.outcome.is_permit() { br#"{"allow":true}"# } else { br#"{"allow":false}"# };
        Ok(said_of(&answer, said))
    }

    /// Who asks, if it is somebody who may.
    fn caller(&self, parts: &Parts) -> Result<Arc<Caller>, Refused> {
        if parts.headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
            return Err(Refused::malformed("send one `Authorization`"));
        }
        let Inner { pdp, callers, clock, .. } = &*self.inner;
        let shown = match bearer(&parts.headers) {
            None => Shown::by(&parts.headers, &parts.extensions),
            Some(bearer) => Shown::by(&HeaderMap::from_iter([(AUTHORIZATION, bearer)]), &parts.extensions),
        };
        let caller = shown.caller(callers, &pdp.trusted(), clock.now())?;
        let role = Role::Authorize;
        callers::require(&caller, role).map_err(|turned| self.turned_away(&caller, role.name(), turned))?;
        Ok(caller)
    }

    /// Puts on record what a caller may not do. Refused it is either way.
    fn turned_away(&self, caller: &Caller, call: &str, turned: TurnedAway) -> Refused {
        let refused = Refused::from(turned);
        let (sink, clock) = (self.inner.pdp.sink(), &*self.inner.clock);
        callers::record_refusal(sink, clock, Face::Porc, caller, (call, &refused.words));
        refused
    }

    /// The request, if its caller may ask it at all.
    fn admit(
        &self,
        caller: &Arc<Caller>,
        parts: &Parts,
        preview: bool,
        Decoded { claim, ask }: Decoded,
    ) -> Result<pdp::Request, Refused> {
        callers::require_asked(caller, claim.as_ref(), &ask)
            .map_err(|turned| self.turned_away(caller, "server", turned))?;
        Ok(pdp::Request {
            face: Face::Porc,
            caller: caller.clone(),
            request_id: trace::request_id(&parts.headers).to_owned(),
            claim,
            // It passes on what it has read of a token, and not the token.
            credentials: Credentials::default(),
            ask,
            session: None,
            task: None,
            purpose: None,
            intent: None,
            preview,
            min_state: 0,
            // There is no word for one in the answer.
            understands: BTreeSet::new(),
            explain: false,
            trace_id: trace::trace_id(&parts.headers),
        })
    }
}

/// The token of a client that can be told its credential only within the address that it calls: it sends it as the password of
/// `Basic` (RFC 7617), under any name.
fn bearer(headers: &HeaderMap) -> Option<HeaderValue> {
    let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (_, token) = pair.split_once(':')?;
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    bearer.set_sensitive(true);
    Some(bearer)
}

/// Whether the query says so.
fn is_probe(query: &str) -> Result<bool, Refused> {
    let mut said =
        form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == PROBE).map(|(_, value)| value);
    let fault = || Refused::malformed("`probe` must be `true` or `false`, and there once");
    match (said.next().as_deref(), said.next()) {
        (None, _) | (Some("false"), None) => Ok(false),
        (Some("true"), None) => Ok(true),
        (Some(_), _) => Err(fault()),
    }
}
