//! Gateways without code (`envoy.service.auth.v3.Authorization`): decode, one call to the PDP, encode.
//! Never decides, never believes half a request, and never lets on what it cannot read in one way only.

mod answer;
mod body;
mod exchange;
mod headers;
mod message;
mod parties;
mod plain;
mod refusal;
mod route;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::callers::{self, Shown, TurnedAway};
use super::proto::envoy::service::auth::v3 as wire;
use super::together::{TOGETHER_MAX, Together, since};
use super::{Clock, Limits, grpc, trace};
use crate::audit::{AuditSink, Face};
use crate::identity::{Caller, Callers, Role};
use crate::pdp::{self, Answer, Ask, Current, Occasion, Pdp, Unclear, Vocabulary};
use answer::Asked;
pub use answer::Telling;
use exchange::Exchange;
use message::Understood;
use parties::{Known, Parties};
use refusal::Unreadable;
use route::Profile;

/// Headers that only this server and the gateway may speak by: what a client sends under such a name goes no further.
const OURS: [&str; 3] = ["palisade-", "x-palisade-", "x-authz-"];
/// The token of a transaction, which a gateway may be told to add.
const TRANSACTION_TOKEN: &str = "txn-token";

/// How gateways are answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How a deny is told.
    pub telling: Telling,
    /// The issuers whose claims a gateway with the role `assert` may have verified.
    pub issuers: BTreeSet<String>,
}

/// The service. Cheap to clone.
pub struct ExtAuthz<S> {
    inner: Arc<Inner<S>>,
}

impl<S> Clone for ExtAuthz<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

struct Inner<S> {
    pdp: Arc<Pdp<S>>,
    callers: Callers,
    clock: Arc<dyn Clock>,
    limits: Limits,
    settings: Settings,
    together: Arc<Together<S>>,
}

/// What a request over HTTP asks, with what its answer needs.
struct Read {
    asks: Vec<Ask>,
    parties: Parties,
    session: Option<String>,
    asked: Asked,
}

impl<S: AuditSink + 'static> ExtAuthz<S> {
    /// The service over a PDP.
    pub fn new(
        pdp: Arc<Pdp<S>>,
        callers: Callers,
        clock: Arc<dyn Clock>,
        limits: Limits,
        settings: Settings,
    ) -> Self {
        let together = Arc::new(Together::new(pdp.clone(), clock.clone()));
        Self { inner: Arc::new(Inner { pdp, callers, clock, limits, settings, together }) }
    }

    /// Who asks, if it is somebody who may.
    fn caller(&self, shown: &Shown) -> Result<Arc<Caller>, Status> {
        let Inner { pdp, callers, clock, .. } = &*self.inner;
        let caller = shown.caller(callers, &pdp.trusted(), clock.now())?;
        callers::require(&caller, Role::Authorize)
            .map_err(|turned| self.turned_away(&caller, Role::Authorize.name(), turned))?;
        Ok(caller)
    }

    /// Puts on record what a caller may not do. Refused it is either way.
    fn turned_away(&self, caller: &Caller, call: &str, turned: TurnedAway) -> Status {
        let why = turned.to_string();
        let (sink, clock) = (self.inner.pdp.sink(), &*self.inner.clock);
        callers::record_refusal(sink, clock, Face::ExtAuthz, caller, (call, &why));
        turned.into()
    }

    async fn answer(
        &self,
        caller: &Arc<Caller>,
        attributes: wire::AttributeContext,
        trace_id: Option<String>,
    ) -> Result<wire::CheckResponse, Status> {
        let arrived = Instant::now();
        let exchange = Exchange::of(attributes)
            .ok_or_else(|| Status::invalid_argument("`attributes.request.http` is missing"))?;
        let current = self.inner.pdp.current();
        let read = self.read(&exchange, current.vocabulary(), caller);
        let (requests, asked) = self.requests(caller, &exchange, read, trace_id.as_deref())?;
        let answers = self.decide(requests, current, arrived).await?;
        Ok(answer::encode(&answers, asked, self.inner.settings.telling))
    }

    /// What a request asks. Something always is: what cannot be read goes on record too.
    fn read(&self, exchange: &Result<Exchange, Unreadable>, names: Vocabulary<'_>, caller: &Caller) -> Read {
        let mut asked = Asked::default();
        let understood = match exchange {
            Ok(exchange) => self.understand(exchange, names, caller, &mut asked),
            Err(unreadable) => Err(unreadable.clone()),
        };
        match understood {
            Ok((Understood { asks, session }, parties)) => Read { asks, parties, session, asked },
            Err(Unreadable { code, words }) => {
                if asked.is_batch {
                    (asked.is_batch, asked.ids) = (false, Vec::new());
                }
                let asks = vec![Ask::Unclear(Unclear { words, ..Unclear::default() })];
                let asked = Asked { code: Some(code), ..asked };
                Read { asks, parties: Parties::default(), session: None, asked }
            }
        }
    }

    fn understand(
        &self,
        exchange: &Exchange,
        names: Vocabulary<'_>,
        caller: &Caller,
        asked: &mut Asked,
    ) -> Result<(Understood, Parties), Unreadable> {
        asked.shows_token = exchange.headers.names().any(|name| name == "authorization");
        asked.remove = removed(exchange);
        let Inner { pdp, clock, settings, limits, .. } = &*self.inner;
        let understood = match route::read(&exchange.route, names, caller).map_err(Unreadable::request)? {
            Profile::Http { route, tenant } => {
                asked.is_plain = true;
                let question = plain::question(exchange, route.as_deref(), tenant, names)?;
                Understood { asks: vec![Ask::Access(question)], session: None }
            }
            Profile::Mcp { server, audience } => {
                asked.audience = audience;
                message::read(exchange, &server, limits, asked)?
            }
        };
        let (trust, issuers, audience, now) =
            (&*pdp.trusted(), &settings.issuers, asked.audience.as_deref(), clock.now());
        let parties = Parties::read(exchange, &Known { names, trust, caller, issuers, audience, now })?;
        Ok((understood, parties))
    }

    /// The questions in their envelopes, if their caller may ask them at all.
    fn requests(
        &self,
        caller: &Arc<Caller>,
        exchange: &Result<Exchange, Unreadable>,
        read: Read,
        trace_id: Option<&str>,
    ) -> Result<(Vec<pdp::Request>, Asked), Status> {
        let Read { asks, parties, session, asked } = read;
        let Parties { credentials, claim } = parties;
        let sent = exchange.as_ref().map(joining).unwrap_or_default();
        let request_id = trace::request_id(&sent);
        let trace_id = trace_id.map(str::to_owned).or_else(|| trace::trace_id(&sent));
        let request = |ask: Ask| {
            callers::require_asked(caller, claim.as_ref(), &ask)
                .map_err(|turned| self.turned_away(caller, "server", turned))?;
            Ok::<_, Status>(pdp::Request {
                face: Face::ExtAuthz,
                caller: caller.clone(),
                request_id: request_id.to_owned(),
                claim: claim.clone(),
                credentials: credentials.clone(),
                ask,
                session: session.clone(),
                task: None,
                purpose: None,
                intent: None,
                preview: false,
                min_state: 0,
                // The gateway fulfils nothing: what needs an obligation is denied.
                understands: BTreeSet::new(),
                explain: false,
                trace_id: trace_id.clone(),
            })
        };
        Ok((asks.into_iter().map(request).collect::<Result<Vec<_>, _>>()?, asked))
    }

    async fn decide(
        &self,
        mut requests: Vec<pdp::Request>,
        current: Current,
        arrived: Instant,
    ) -> Result<Vec<Answer>, Status> {
        let Inner { pdp, clock, together, .. } = &*self.inner;
        let pending = if requests.len() == 1 {
            let only = requests.pop().ok_or_else(grpc::defect)?;
            vec![together.evaluate(only, Some(current), arrived).await.ok_or_else(grpc::defect)?]
        } else {
            let elapsed_us = since(arrived);
            let occasion = || Occasion { id: clock.decision_id(), now: clock.now(), elapsed_us: &elapsed_us };
            let mut batch = pdp.batch_on(current);
            let mut pending = Vec::with_capacity(requests.len());
            for some in requests.chunks(TOGETHER_MAX) {
                pending.extend(batch.evaluate(some.iter().map(|request| (request, occasion()))));
            }
            pending
        };
        let settle = |pending: pdp::Pending| pending.settle().map_err(|error| grpc::unavailable(&error));
        pending.into_iter().map(settle).collect()
    }
}

/// The headers that join a request to others.
fn joining(exchange: &Exchange) -> HeaderMap {
    let names = [trace::REQUEST_ID, HeaderName::from_static("traceparent")];
    let value = |name: &HeaderName| HeaderValue::from_str(exchange.headers.one(name.as_str()).ok()??).ok();
    names.into_iter().filter_map(|name| value(&name).map(|value| (name, value))).collect()
}

/// The headers that go no further.
fn removed(exchange: &Exchange) -> Vec<String> {
    let ours = |name: &&str| *name == TRANSACTION_TOKEN || OURS.iter().any(|prefix| name.starts_with(prefix));
    let names: BTreeSet<&str> = exchange.headers.names().filter(ours).collect();
    names.into_iter().map(str::to_owned).collect()
}

#[tonic::async_trait]
impl<S: AuditSink + 'static> wire::authorization_server::Authorization for ExtAuthz<S> {
    async fn check(
        &self,
        request: Request<wire::CheckRequest>,
    ) -> Result<Response<wire::CheckResponse>, Status> {
        let span = tracing::info_span!("check");
        trace::adopt(&span, request.metadata().as_ref());
        let caller = self.caller(&Shown::by(request.metadata().as_ref(), request.extensions()))?;
        let trace_id = trace::trace_id(request.metadata().as_ref());
        let attributes = request.into_inner().attributes.unwrap_or_default();
        self.answer(&caller, attributes, trace_id).instrument(span).await.map(Response::new)
    }
}
