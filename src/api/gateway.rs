//! What the faces for gateways share: who calls, what a gateway passes on of who asks, how messages are read and answered.
//! Never decides, and never believes a gateway about more than its roles say.

mod call;
mod headers;
mod parties;
mod refusal;
mod spoken;
mod told;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::Status;

use super::callers::{self, Shown, TurnedAway};
use super::together::{TOGETHER_MAX, Together, since};
use super::{Clock, Limits, grpc, trace};
use crate::audit::{AuditSink, Face};
use crate::identity::{Caller, Callers, Role};
use crate::pdp::{self, Answer, Ask, Current, Occasion, Pdp, Vocabulary};
pub(super) use call::{Call, folded, unambiguous};
pub(super) use headers::Headers;
use parties::Known;
pub(super) use parties::{Brought, Parties, TASK_TOKEN};
pub(super) use refusal::{INTERNAL, PARAMS, Unreadable};
pub(super) use spoken::{Spoken, session};
pub(super) use told::{metadata, snake};

/// What a face for gateways stands on.
pub(super) struct Front<S> {
    face: Face,
    pub(super) pdp: Arc<Pdp<S>>,
    callers: Callers,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    /// The issuers whose claims a gateway with the role `assert` may have verified.
    issuers: BTreeSet<String>,
    together: Arc<Together<S>>,
}

/// What joins a request to others.
#[derive(Debug, Clone, Default)]
pub(super) struct Joined {
    pub(super) request_id: String,
    pub(super) trace_id: Option<String>,
}

impl Joined {
    /// By the headers of the request, and by the trace that the gateway's own question belongs to.
    pub(super) fn by(headers: Option<&Headers>, trace_id: Option<String>) -> Self {
        let names = [trace::REQUEST_ID, HeaderName::from_static("traceparent")];
        let value = |name: &HeaderName| HeaderValue::from_str(headers?.one(name.as_str()).ok()??).ok();
        let sent: HeaderMap =
            names.into_iter().filter_map(|name| value(&name).map(|value| (name, value))).collect();
        let request_id = trace::request_id(&sent).to_owned();
        Self { request_id, trace_id: trace_id.or_else(|| trace::trace_id(&sent)) }
    }
}

impl<S: AuditSink + 'static> Front<S> {
    pub(super) fn new(
        face: Face,
        pdp: Arc<Pdp<S>>,
        callers: Callers,
        clock: Arc<dyn Clock>,
        limits: Limits,
        issuers: BTreeSet<String>,
    ) -> Self {
        let together = Arc::new(Together::new(pdp.clone(), clock.clone()));
        Self { face, pdp, callers, clock, limits, issuers, together }
    }

    /// Who asks, if it is somebody who may.
    pub(super) fn caller(&self, shown: &Shown) -> Result<Arc<Caller>, Status> {
        let caller = shown.caller(&self.callers, &self.pdp.trusted(), self.clock.now())?;
        callers::require(&caller, Role::Authorize)
            .map_err(|turned| self.turned_away(&caller, Role::Authorize.name(), turned))?;
        Ok(caller)
    }

    /// Puts on record what a caller may not do. Refused it is either way.
    pub(super) fn turned_away(&self, caller: &Caller, call: &str, turned: TurnedAway) -> Status {
        let why = turned.to_string();
        let (sink, clock) = (self.pdp.sink(), &*self.clock);
        callers::record_refusal(sink, clock, self.face, caller, (call, &why));
        turned.into()
    }

    /// Who asks the server with this audience, as far as the gateway says so and may.
    pub(super) fn parties(
        &self,
        brought: &Brought<'_>,
        names: Vocabulary<'_>,
        caller: &Caller,
        audience: Option<&str>,
    ) -> Result<Parties, Unreadable> {
        let (trust, issuers, now) = (&*self.pdp.trusted(), &self.issuers, self.clock.now());
        Parties::read(brought, &Known { names, trust, caller, issuers, audience, now })
    }

    /// A question in its envelope, if its caller may ask it at all.
    pub(super) fn request(
        &self,
        caller: &Arc<Caller>,
        parties: Parties,
        session: Option<String>,
        joined: Joined,
        ask: Ask,
    ) -> Result<pdp::Request, Status> {
        let Parties { credentials, claim } = parties;
        let Joined { request_id, trace_id } = joined;
        callers::require_asked(caller, claim.as_ref(), &ask)
            .map_err(|turned| self.turned_away(caller, "server", turned))?;
        Ok(pdp::Request {
            face: self.face,
            caller: caller.clone(),
            request_id,
            claim,
            credentials,
            ask,
            session,
            task: None,
            purpose: None,
            intent: None,
            preview: false,
            min_state: 0,
            // A gateway fulfils nothing itself: what needs an obligation is denied.
            understands: BTreeSet::new(),
            explain: false,
            trace_id,
        })
    }

    /// The answers to all of them, on what was in force when they were read.
    pub(super) async fn decide(
        &self,
        mut requests: Vec<pdp::Request>,
        current: Current,
        arrived: Instant,
    ) -> Result<Vec<Answer>, Status> {
        let Self { pdp, clock, together, .. } = self;
        let pending = if requests.len() == 1 {
            let only = requests.pop().ok_or_else(grpc::defect)?;
            vec![together.evaluate(Box::new(only), Some(current), arrived).await.ok_or_else(grpc::defect)?]
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
