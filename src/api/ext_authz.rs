//! Gateways without code (`envoy.service.auth.v3.Authorization`): decode, one call to the PDP, encode.
//! Never decides, never believes half a request, and never lets on what it cannot read in one way only.

mod answer;
mod body;
mod exchange;
mod message;
mod plain;
mod route;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::callers::Shown;
use super::gateway::{Front, Joined, Parties, Unreadable};
use super::proto::envoy::service::auth::v3 as wire;
use super::{Clock, Limits, trace};
use crate::audit::{AuditSink, Face};
use crate::identity::{Caller, Callers};
use crate::pdp::{Ask, Pdp, Unclear, Vocabulary};
use answer::Asked;
pub use answer::Telling;
use exchange::Exchange;
use message::Understood;
use route::Profile;

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
    front: Front<S>,
    telling: Telling,
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
        let Settings { telling, issuers } = settings;
        let front = Front::new(Face::ExtAuthz, pdp, callers, clock, limits, issuers);
        Self { inner: Arc::new(Inner { front, telling }) }
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
        let Inner { front, telling } = &*self.inner;
        let current = front.pdp.current();
        let Read { asks, parties, session, asked } = self.read(&exchange, current.vocabulary(), caller);
        let joined = Joined::by(exchange.as_ref().ok().map(|exchange| &exchange.headers), trace_id);
        let request = |ask| front.request(caller, parties.clone(), session.clone(), joined.clone(), ask);
        let requests = asks.into_iter().map(request).collect::<Result<Vec<_>, _>>()?;
        let answers = front.decide(requests, current, arrived).await?;
        Ok(answer::encode(&answers, asked, *telling))
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
        asked.remove = exchange.headers.ours();
        let front = &self.inner.front;
        let understood = match route::read(&exchange.route, names, caller).map_err(Unreadable::request)? {
            Profile::Http { route, tenant } => {
                asked.is_plain = true;
                let question = plain::question(exchange, route.as_deref(), tenant, names)?;
                Understood { asks: vec![Ask::Access(question)], session: None }
            }
            Profile::Mcp { server, audience } => {
                asked.audience = audience;
                message::read(exchange, &server, &front.limits, asked)?
            }
        };
        let parties = front.parties(&exchange.brought()?, names, caller, asked.audience.as_deref())?;
        Ok((understood, parties))
    }
}

#[tonic::async_trait]
impl<S: AuditSink + 'static> wire::authorization_server::Authorization for ExtAuthz<S> {
    async fn check(
        &self,
        request: Request<wire::CheckRequest>,
    ) -> Result<Response<wire::CheckResponse>, Status> {
        let span = tracing::info_span!("check");
        trace::adopt(&span, request.metadata().as_ref());
        let caller =
            self.inner.front.caller(&Shown::by(request.metadata().as_ref(), request.extensions()))?;
        let trace_id = trace::trace_id(request.metadata().as_ref());
        let attributes = request.into_inner().attributes.unwrap_or_default();
        self.answer(&caller, attributes, trace_id).instrument(span).await.map(Response::new)
    }
}
