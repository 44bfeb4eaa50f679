//! `palisade.v1.Authorization`: decode, one call to the PDP, encode.
//! Never decides, and never answers a caller that it does not know.

mod search;
mod stream;

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::callers::{self, Shown, TurnedAway};
use super::finding::Searches;
use super::proto::v1;
use super::together::{TOGETHER_MAX, Together, since};
use super::wire::{self, Decoded, Malformed};
use super::{Clock, Limits, outcome, tasks, trace};
use crate::access::Timestamp;
use crate::audit::{Administered, Administration, AuditSink, Face};
use crate::identity::{Caller, Callers, Role};
use crate::lifecycle::{Asker, Fault, Lifecycle};
use crate::pdp::{self, Occasion, Pdp};
use crate::store::StateStore;

/// The service. Cheap to clone.
pub struct Authorization<S> {
    pub(super) inner: Arc<Inner<S>>,
}

impl<S> Clone for Authorization<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

pub(super) struct Inner<S> {
    pub(super) pdp: Arc<Pdp<S>>,
    callers: Callers,
    clock: Arc<dyn Clock>,
    limits: Limits,
    pub(super) together: Arc<Together<S>>,
    searches: Searches<S>,
    /// Takes back the tasks of a session; not there where no tasks are served.
    tasks_of_session: OnceLock<EndTasks>,
}

/// Takes back the tasks that a caller started in a session: how many there were.
type EndTasks = Box<dyn Fn(Arc<Caller>, String, Timestamp) -> Ending + Send + Sync>;
type Ending = Pin<Box<dyn Future<Output = Result<usize, Fault>> + Send>>;

impl<S: AuditSink + 'static> Authorization<S> {
    /// The service over a PDP.
    pub fn new(pdp: Arc<Pdp<S>>, callers: Callers, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let together = Arc::new(Together::new(pdp.clone(), clock.clone()));
        let searches = Searches::new(pdp.clone(), clock.clone());
        let tasks_of_session = OnceLock::new();
        Self { inner: Arc::new(Inner { pdp, callers, clock, limits, together, searches, tasks_of_session }) }
    }

    /// The same; ending a session takes back the tasks that were started in it.
    #[must_use]
    pub fn with_tasks<T: StateStore>(self, life: Arc<Lifecycle<S, T>>) -> Self {
        let end = move |caller: Arc<Caller>, session: String, now: Timestamp| -> Ending {
            let life = life.clone();
            Box::pin(async move {
                let (face, request_id, reason) = (Face::Grpc, "", "its session was ended");
                let asker = Asker { face, caller: &caller, request_id, reason, now };
                life.end_session(&session, asker).await
            })
        };
        // Only the first counts, and there is only one.
        let _second = self.inner.tasks_of_session.set(Box::new(end));
        self
    }

    fn caller<T>(&self, request: &Request<T>) -> Result<Arc<Caller>, Status> {
        self.identify(&Shown::by(request.metadata().as_ref(), request.extensions()))
    }

    fn identify(&self, shown: &Shown) -> Result<Arc<Caller>, Status> {
        Ok(shown.caller(&self.inner.callers, &self.inner.pdp.trusted(), self.inner.clock.now())?)
    }

    fn require(&self, caller: &Caller, role: Role) -> Result<(), Status> {
        callers::require(caller, role).map_err(|turned| self.refused(caller, role.name(), turned))
    }

    /// Puts on record what a caller may not do. Refused it is either way.
    fn refused(&self, caller: &Caller, call: &str, turned: TurnedAway) -> Status {
        let why = turned.to_string();
        let (sink, clock) = (self.inner.pdp.sink(), &*self.inner.clock);
        callers::record_refusal(sink, clock, Face::Grpc, caller, (call, &why));
        turned.into()
    }

    /// One request of a caller that is known, from the wire to the wire.
    pub(super) async fn answer(
        &self,
        caller: &Arc<Caller>,
        request: v1::AuthorizeRequest,
        trace_id: Option<String>,
    ) -> Result<v1::AuthorizeResponse, Status> {
        let arrived = Instant::now();
        let request = self.admit(caller, request, trace_id)?;
        let request_id = request.request_id.clone();
        let pending =
            self.inner.together.evaluate(Box::new(request), None, arrived).await.ok_or_else(defect)?;
        Self::settle(caller, request_id, pending)
    }

    /// Some requests of a stream, each with a fate of its own; their records are written together.
    fn answer_together(
        &self,
        caller: &Arc<Caller>,
        requests: Vec<v1::AuthorizeRequest>,
        trace_id: Option<&str>,
    ) -> Vec<Result<v1::AuthorizeResponse, Status>> {
        let arrived = Instant::now();
        let elapsed_us = since(arrived);
        let admit = |request| self.admit(caller, request, trace_id.map(str::to_owned));
        let admitted: Vec<Result<pdp::Request, Status>> = requests.into_iter().map(admit).collect();
        let asked = admitted.iter().flatten().map(|request| (request, self.occasion(&elapsed_us)));
        let mut pending = self.inner.pdp.batch().evaluate(asked).into_iter();
        let settle = |admitted: Result<pdp::Request, Status>| {
            let request = admitted?;
            let pending = pending.next().ok_or_else(defect)?;
            Self::settle(caller, request.request_id, pending)
        };
        admitted.into_iter().map(settle).collect()
    }

    /// All requests of a batch on one snapshot. Other calls get their turn between them.
    async fn answer_all(
        &self,
        caller: &Arc<Caller>,
        requests: Vec<v1::AuthorizeRequest>,
        trace_id: Option<String>,
    ) -> Result<Vec<v1::AuthorizeResponse>, Status> {
        let arrived = Instant::now();
        if requests.len() > self.inner.limits.batch_len_max {
            let limit = self.inner.limits.batch_len_max;
            let problem =
                format!("has {} items, more than the limit `batch_len_max` of {limit}", requests.len());
            return Err(malformed(&Malformed::new("requests", problem)));
        }
        let admit = |request| self.admit(caller, request, trace_id.clone());
        let requests = requests.into_iter().map(admit).collect::<Result<Vec<_>, _>>()?;
        let mut batch = self.inner.pdp.batch();
        let mut pending = Vec::with_capacity(requests.len());
        for some in requests.chunks(TOGETHER_MAX) {
            let elapsed_us = since(arrived);
            pending.extend(batch.evaluate(some.iter().map(|request| (request, self.occasion(&elapsed_us)))));
            tokio::task::yield_now().await;
        }
        // Every item has its record before the first answer is given.
        let settled = requests.into_iter().zip(pending);
        settled.map(|(request, pending)| Self::settle(caller, request.request_id, pending)).collect()
    }

    /// Decodes, and checks what the caller may ask at all.
    pub(super) fn admit(
        &self,
        caller: &Arc<Caller>,
        request: v1::AuthorizeRequest,
        trace_id: Option<String>,
    ) -> Result<pdp::Request, Status> {
        let Decoded {
            request_id,
            claim,
            ask,
            session,
            task,
            purpose,
            intent,
            explain,
            credentials,
            preview,
            min_state,
            understands,
        } = wire::decode(request, &self.inner.limits).map_err(|problem| malformed(&problem))?;
        self.require(caller, Role::Authorize)?;
        if explain {
            self.require(caller, Role::Explain)?;
        }
        callers::require_asked(caller, claim.as_ref(), &ask)
            .map_err(|turned| self.refused(caller, "server", turned))?;
        let caller = caller.clone();
        let face = Face::Grpc;
        Ok(pdp::Request {
            face,
            caller,
            request_id,
            claim,
            credentials,
            ask,
            session,
            task,
            purpose,
            intent,
            preview,
            min_state,
            understands,
            explain,
            trace_id,
        })
    }

    fn occasion<'a>(&self, elapsed_us: &'a dyn Fn() -> u64) -> Occasion<'a> {
        Occasion { id: self.inner.clock.decision_id(), now: self.inner.clock.now(), elapsed_us }
    }

    fn settle(
        caller: &Arc<Caller>,
        request_id: String,
        pending: pdp::Pending,
    ) -> Result<v1::AuthorizeResponse, Status> {
        let answer = pending.settle().map_err(|error| unavailable(&error))?;
        tracing::debug!(decision = %answer.id, outcome = ?answer.decision.outcome, "decided");
        Ok(wire::encode(request_id, answer, caller.may(Role::Explain)))
    }
}

#[tonic::async_trait]
impl<S: AuditSink + 'static> v1::authorization_server::Authorization for Authorization<S> {
    async fn authorize(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        let span = tracing::info_span!("authorize");
        trace::adopt(&span, request.metadata().as_ref());
        let caller = self.caller(&request)?;
        let trace_id = trace::trace_id(request.metadata().as_ref());
        self.answer(&caller, request.into_inner(), trace_id).instrument(span).await.map(Response::new)
    }

    async fn authorize_batch(
        &self,
        request: Request<v1::AuthorizeBatchRequest>,
    ) -> Result<Response<v1::AuthorizeBatchResponse>, Status> {
        let span = tracing::info_span!("authorize_batch");
        trace::adopt(&span, request.metadata().as_ref());
        let caller = self.caller(&request)?;
        let trace_id = trace::trace_id(request.metadata().as_ref());
        let v1::AuthorizeBatchRequest { requests } = request.into_inner();
        let responses = self.answer_all(&caller, requests, trace_id).instrument(span).await?;
        Ok(Response::new(v1::AuthorizeBatchResponse { responses }))
    }

    type AuthorizeStreamStream = stream::Answers;

    async fn authorize_stream(
        &self,
        request: Request<tonic::Streaming<v1::AuthorizeStreamRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        let span = tracing::info_span!("authorize_stream");
        trace::adopt(&span, request.metadata().as_ref());
        let shown = Shown::by(request.metadata().as_ref(), request.extensions());
        let trace_id = trace::trace_id(request.metadata().as_ref());
        let caller = self.identify(&shown)?;
        self.require(&caller, Role::Authorize)?;
        let answers = stream::answer(self.clone(), shown, trace_id, request.into_inner(), span);
        Ok(Response::new(answers))
    }

    async fn report_outcome(
        &self,
        request: Request<v1::ReportOutcomeRequest>,
    ) -> Result<Response<v1::ReportOutcomeResponse>, Status> {
        let caller = self.caller(&request)?;
        self.require(&caller, Role::Outcome)?;
        let now = self.inner.clock.now();
        outcome::report(&self.inner.pdp, &caller, now, request.get_ref())?;
        Ok(Response::new(v1::ReportOutcomeResponse {}))
    }

    async fn end_session(
        &self,
        request: Request<v1::EndSessionRequest>,
    ) -> Result<Response<v1::EndSessionResponse>, Status> {
        let caller = self.caller(&request)?;
        self.require(&caller, Role::Authorize)?;
        let v1::EndSessionRequest { session } = request.get_ref();
        let session = wire::session(session).map_err(|problem| malformed(&problem))?;
        let done = Administered {
            time: self.inner.clock.now(),
            face: Face::Grpc,
            caller: &caller.name,
            call: "end_session",
            outcome: Administration::Done,
            reason: "",
            session: Some(session),
        };
        let was_open =
            self.inner.pdp.end_session(&done, &caller, session).map_err(|error| unavailable(&error))?;
        let tasks = match self.inner.tasks_of_session.get() {
            // Who hangs up does not stop what was begun.
            Some(end) => tokio::spawn(end(caller.clone(), session.to_owned(), done.time))
                .await
                .map_err(|_| defect())?
                .map_err(|fault| tasks::status(&fault))?,
            None => 0,
        };
        let tasks = u64::try_from(tasks).unwrap_or(u64::MAX);
        Ok(Response::new(v1::EndSessionResponse { was_open, tasks }))
    }
}

pub(super) fn malformed(problem: &Malformed) -> Status {
    Status::invalid_argument(problem.to_string())
}

pub(super) fn unavailable(error: &pdp::Error) -> Status {
    match error {
        pdp::Error::AuditUnavailable(cause) => {
            tracing::debug!(error = %cause, "no answer: its record was not written");
            Status::unavailable("the decision could not be recorded, so there is none; ask again")
        }
    }
}

/// Deciding panicked. There is no answer.
pub(super) fn defect() -> Status {
    Status::internal("deciding failed; please report it")
}
