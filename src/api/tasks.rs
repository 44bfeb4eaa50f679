//! `palisade.v1.Tasks`: decode, one call to the life of tasks, encode.
//! Never decides, and never answers a caller that it does not know.

mod taken_back;
mod watch;
pub(super) mod wire;
mod wishes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::callers::{Shown, require};
use super::proto::v1;
use super::wire::{Malformed, NAME_BYTES_MAX, REQUEST_ID_BYTES_MAX, decode_uid, optional, preview, text};
use super::{Clock, grpc, trace};
use crate::access::Outcome;
use crate::audit::{Administered, Administration, AuditSink, Face, Record};
use crate::identity::{Caller, Callers, Claim, Credentials, Role};
use crate::lifecycle::{Begun, Closed, Fault, Lifecycle, Moment, Wish};
use crate::pdp::{self, Ask, TaskAsk};
use crate::store::StateStore;
use crate::task::TaskId;
use grpc::malformed;
use taken_back::TakenBack;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;
/// How many may watch at once.
const WATCHES_MAX: usize = 1000;

/// The service. Cheap to clone.
pub struct TaskService<S, T> {
    inner: Arc<Inner<S, T>>,
}

impl<S, T> Clone for TaskService<S, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

struct Inner<S, T> {
    /// None where tasks are not served.
    life: Option<Arc<Lifecycle<S, T>>>,
    callers: Callers,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    /// Who may watch still.
    watches: Arc<Semaphore>,
}

/// Who calls, and the tasks that it may ask about.
type Admitted<S, T> = (Arc<Caller>, Arc<Lifecycle<S, T>>);

/// What a request about a task has in common with others.
struct Common {
    credentials: Credentials,
    claim: Option<Claim>,
    ask: TaskAsk,
    session: Option<String>,
    intent: Option<String>,
    request_id: String,
    mode: i32,
}

impl<S: AuditSink + 'static, T: StateStore> TaskService<S, T> {
    /// The service over the life of tasks, if they are served. Watches end with `stop`.
    pub fn new(
        life: Option<Arc<Lifecycle<S, T>>>,
        callers: Callers,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        let watches = Arc::new(Semaphore::new(WATCHES_MAX));
        Self { inner: Arc::new(Inner { life, callers, clock, stop, watches }) }
    }

    fn life(&self) -> Result<Arc<Lifecycle<S, T>>, Status> {
        let words = "tasks are not served here: `tasks.enabled` is false";
        self.inner.life.clone().ok_or_else(|| Status::failed_precondition(words))
    }

    fn caller<M>(&self, request: &Request<M>) -> Result<Admitted<S, T>, Status> {
        let life = self.life()?;
        let shown = Shown::by(request.metadata().as_ref(), request.extensions());
        let caller = shown.caller(&self.inner.callers, &life.pdp().trusted(), self.inner.clock.now())?;
        self.require(&life, &caller, Role::Tasks)?;
        Ok((caller, life))
    }

    fn require(&self, life: &Lifecycle<S, T>, caller: &Caller, role: Role) -> Result<(), Status> {
        require(caller, role).map_err(Status::from).inspect_err(|status| {
            let refused = Administered {
                time: self.inner.clock.now(),
                face: Face::Grpc,
                caller: &caller.name,
                call: role.name(),
                outcome: Administration::Refused,
                reason: status.message(),
                session: None,
            };
            if let Err(error) = life.pdp().sink().record(&Record::Admin(&refused)) {
                tracing::warn!(%error, "a refusal was not recorded");
            }
        })
    }

    fn request(
        caller: Arc<Caller>,
        trace_id: Option<String>,
        common: Common,
    ) -> Result<pdp::Request, Malformed> {
        let Common { credentials, claim, ask, session, intent, request_id, mode } = common;
        Ok(pdp::Request {
            face: Face::Grpc,
            caller,
            request_id: text("request_id", request_id, REQUEST_ID_BYTES_MAX)?,
            claim,
            credentials,
            ask: Ask::Task(ask),
            session,
            task: None,
            purpose: None,
            intent,
            preview: preview(mode)?,
            min_state: 0,
            // The answers about tasks have no place for obligations.
            understands: BTreeSet::new(),
            explain: false,
            trace_id,
        })
    }

    fn moment(&self) -> Moment {
        let clock = &self.inner.clock;
        Moment { id: clock.decision_id(), now: clock.now(), arrived: Instant::now() }
    }

    /// Who hangs up does not stop what was begun: it would be durable and not on record.
    async fn begin(&self, life: Arc<Lifecycle<S, T>>, wish: Wish) -> Result<Begun, Status> {
        let moment = self.moment();
        tokio::spawn(async move { life.begin(wish, moment).await })
            .await
            .map_err(|_| defect())?
            .map_err(|fault| status(&fault))
    }
}

/// A key of the caller's own.
fn idempotency_key(key: String) -> Result<String, Malformed> {
    text("idempotency_key", key, wire::KEY_BYTES_MAX)
}

fn granted(mut begun: Begun, intent: String) -> (v1::TaskDecision, Option<v1::Task>, String, u64) {
    let decision = wire::decision(&mut begun);
    let Begun { lent, head, token, state, .. } = begun;
    let task = lent.map(|lent| wire::task(&lent, head.as_deref(), intent));
    (decision, task, token.unwrap_or_default(), state)
}

#[tonic::async_trait]
impl<S: AuditSink + 'static, T: StateStore> v1::tasks_server::Tasks for TaskService<S, T> {
    async fn start(&self, request: Request<v1::StartRequest>) -> Result<Response<v1::StartResponse>, Status> {
        let (caller, life) = self.caller(&request)?;
        let trace_id = trace::trace_id(request.metadata().as_ref());
        let wish = wishes::start(caller, trace_id, request.into_inner(), Self::request)
            .map_err(|p| malformed(&p))?;
        let intent = wish.request.intent.clone().unwrap_or_default();
        let begun = self.begin(life, wish).await?;
        let (decision, task, token, state_revision) = granted(begun, intent);
        Ok(Response::new(v1::StartResponse { decision: Some(decision), task, token, state_revision }))
    }

    async fn delegate(
        &self,
        request: Request<v1::DelegateRequest>,
    ) -> Result<Response<v1::DelegateResponse>, Status> {
        let (caller, life) = self.caller(&request)?;
        let trace_id = trace::trace_id(request.metadata().as_ref());
        let wish = wishes::delegate(caller, trace_id, request.into_inner(), Self::request)
            .map_err(|p| malformed(&p))?;
        let intent = wish.request.intent.clone().unwrap_or_default();
        let begun = self.begin(life, wish).await?;
        let (decision, task, token, state_revision) = granted(begun, intent);
        Ok(Response::new(v1::DelegateResponse { decision: Some(decision), task, token, state_revision }))
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        let (caller, life) = self.caller(&request)?;
        let trace_id = trace::trace_id(request.metadata().as_ref());
        let v1::RenewRequest { task, ttl_s, mode, request_id } = request.into_inner();
        let wish = || {
            let ask = TaskAsk::Renew { ttl_s: wire::ttl(ttl_s)? };
            let (credentials, id) = wire::handle(task)?;
            if id.is_some() {
                return Err(Malformed::new("task", "must be its token: only who has its key renews a task"));
            }
            let common =
                Common { credentials, claim: None, ask, session: None, intent: None, request_id, mode };
            let request = Self::request(caller, trace_id, common)?;
            Ok(Wish { request, approvals: vec![], idempotency_key: String::new() })
        };
        let begun = self.begin(life, wish().map_err(|problem| malformed(&problem))?).await?;
        let (decision, task, token, state_revision) = granted(begun, String::new());
        Ok(Response::new(v1::RenewResponse { decision: Some(decision), task, token, state_revision }))
    }

    async fn end(&self, request: Request<v1::EndRequest>) -> Result<Response<v1::EndResponse>, Status> {
        let (caller, life) = self.caller(&request)?;
        let trace_id = trace::trace_id(request.metadata().as_ref());
        let v1::EndRequest { task, ending, reason, idempotency_key: key, request_id } = request.into_inner();
        let wish = || {
            let (credentials, id) = wire::handle(task)?;
            let ask = TaskAsk::End { id, end: wire::ending(ending)? };
            let common =
                Common { credentials, claim: None, ask, session: None, intent: None, request_id, mode: 0 };
            let request = Self::request(caller, trace_id, common)?;
            let wish = Wish { request, approvals: vec![], idempotency_key: idempotency_key(key)? };
            Ok((wish, text("reason", reason, wire::REASON_BYTES_MAX)?))
        };
        let (wish, reason) = wish().map_err(|problem| malformed(&problem))?;
        let moment = self.moment();
        let closed = tokio::spawn(async move { life.end(wish, &reason, moment).await });
        let Closed { state, tasks, denied } = closed.await.map_err(|_| defect())?.map_err(|f| status(&f))?;
        match denied.map(|decision| (decision.outcome, decision.reason)) {
            None => Ok(Response::new(v1::EndResponse { state_revision: state, was_open: tasks > 0 })),
            Some((Outcome::Deny(reason), words)) if wire::is_no_task(reason) => Err(Status::not_found(words)),
            Some((_, words)) => Err(Status::permission_denied(words)),
        }
    }

    async fn revoke(
        &self,
        request: Request<v1::RevokeRequest>,
    ) -> Result<Response<v1::RevokeResponse>, Status> {
        let (caller, life) = self.caller(&request)?;
        let v1::RevokeRequest { target, reason, request_id } = request.into_inner();
        let asked = self.taken_back(&life, &caller, target, reason, request_id)?;
        let closed = self.spawned(life, caller, asked, TakenBack::revoke).await?;
        let tasks = u64::try_from(closed.tasks).unwrap_or(u64::MAX);
        Ok(Response::new(v1::RevokeResponse { state_revision: closed.state, tasks }))
    }

    async fn lift(&self, request: Request<v1::LiftRequest>) -> Result<Response<v1::LiftResponse>, Status> {
        let (caller, life) = self.caller(&request)?;
        self.require(&life, &caller, Role::Admin)?;
        let v1::LiftRequest { target, reason, request_id } = request.into_inner();
        let asked = self.taken_back(&life, &caller, target, reason, request_id)?;
        let closed = self.spawned(life, caller, asked, TakenBack::lift).await?;
        Ok(Response::new(v1::LiftResponse { state_revision: closed.state }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let (caller, life) = self.caller(&request)?;
        let id = wire::task_id("id", &request.get_ref().id).map_err(|problem| malformed(&problem))?;
        let shown = life.get(id, &caller, self.inner.clock.now()).map_err(|fault| status(&fault))?;
        Ok(Response::new(v1::GetResponse { task: Some(wire::shown(&shown)) }))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        let (caller, life) = self.caller(&request)?;
        let v1::ListRequest { page_size, page_token, party } = request.into_inner();
        let asked = || {
            let from = optional("page_token", page_token, NAME_BYTES_MAX)?;
            let from = from.map(|from| wire::task_id("page_token", &from)).transpose()?;
            let party = party.map(|uid| decode_uid("party", uid)).transpose()?;
            Ok::<_, Malformed>((from, party))
        };
        let (from, party) = asked().map_err(|problem| malformed(&problem))?;
        let count = match usize::try_from(page_size) {
            Ok(0) => PAGE_DEFAULT,
            Ok(count) => count.min(PAGE_MAX),
            Err(_) => PAGE_MAX,
        };
        let now = self.inner.clock.now();
        // Many tasks take a while to look through.
        let page = tokio::task::spawn_blocking(move || life.list(from, count, party.as_ref(), &caller, now));
        let page = page.await.map_err(|_| defect())?.map_err(|fault| status(&fault))?;
        Ok(Response::new(v1::ListResponse {
            tasks: page.tasks.iter().map(wire::shown).collect(),
            next_page_token: page.next.as_ref().map(TaskId::to_string).unwrap_or_default(),
            revocations: page.stops.iter().map(|(target, stop)| wire::revocation(target, stop)).collect(),
            state_revision: page.state,
        }))
    }

    type WatchStream = watch::Responses;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (caller, life) = self.caller(&request)?;
        let shown = Shown::by(request.metadata().as_ref(), request.extensions());
        let v1::WatchRequest { resume_token } = request.into_inner();
        let after = watch::place(resume_token).map_err(|problem| malformed(&problem))?;
        let events = life.events(after).map_err(|error| watch::ended(&error))?;
        let service = self.clone();
        let still = move || {
            let now = service.inner.clock.now();
            let known = shown.caller(&service.inner.callers, &life.pdp().trusted(), now)?;
            if known.name == caller.name {
                Ok(require(&known, Role::Tasks)?)
            } else {
                Err(Status::unauthenticated("the caller is another now"))
            }
        };
        let place = self.inner.watches.clone().try_acquire_owned();
        let place =
            place.map_err(|_| Status::resource_exhausted("as many watch as may; end one, or ask later"))?;
        Ok(Response::new(watch::follow(events, still, place, self.inner.stop.clone())))
    }
}

/// Why there is no answer, in a code that says what to do.
pub(super) fn status(fault: &Fault) -> Status {
    let words = fault.to_string();
    match fault {
        Fault::Undecided(error) => grpc::unavailable(error),
        Fault::Changed => Status::aborted(words),
        Fault::Unwritten(error) => {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "the state of tasks could not be written"
            );
            Status::unavailable(words)
        }
        Fault::Unrecorded(error) => {
            tracing::debug!(%error, "a move of a task was not recorded");
            Status::unavailable(words)
        }
        Fault::Unsigned(_) | Fault::Strange(_) => Status::internal(words),
        Fault::NoTask | Fault::NotRevoked | Fault::NoTarget(_) => Status::not_found(words),
        Fault::TooLong(_) => Status::invalid_argument(words),
        Fault::Otherwise(_) | Fault::NotRetired(_) => Status::failed_precondition(words),
        Fault::KeyUsed => Status::already_exists(words),
        Fault::TooManyStops(_) => Status::resource_exhausted(words),
    }
}

/// It panicked. There is no answer.
fn defect() -> Status {
    Status::internal("this failed; please report it")
}
