//! A server that answers as it is told, and remembers what it was asked.
//! Never decides: it is here to see what commands send and print.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use palisade::api::proto::v1;
use palisade::api::proto::v1::admin_server::{Admin, AdminServer};
use palisade::api::proto::v1::tasks_server::{Tasks, TasksServer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// What was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    Start(v1::StartRequest),
    Delegate(v1::DelegateRequest),
    Renew(v1::RenewRequest),
    End(v1::EndRequest),
    Revoke(v1::RevokeRequest),
    Lift(v1::LiftRequest),
    Get(v1::GetRequest),
    List(v1::ListRequest),
    Watch(v1::WatchRequest),
    Drift(v1::PreviewDriftRequest),
}

/// One connection of somebody who watches.
pub struct Watched {
    /// What they see.
    pub events: Vec<v1::WatchResponse>,
    /// What then: an error, the end of the stream, or silence.
    pub then: Then,
}

/// How a stream goes on.
pub enum Then {
    Fail(Status),
    End,
    Silence,
}

/// What to answer; what is not told is answered with nothing in particular.
#[derive(Default)]
pub struct Script {
    pub refuse: Option<Status>,
    pub start: v1::StartResponse,
    pub delegate: v1::DelegateResponse,
    pub renew: v1::RenewResponse,
    pub end: v1::EndResponse,
    pub get: v1::GetResponse,
    pub pages: VecDeque<v1::ListResponse>,
    pub watched: VecDeque<Watched>,
    pub drift: v1::PreviewDriftResponse,
}

#[derive(Clone)]
struct Service(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    script: Script,
    asked: Vec<Asked>,
    /// The header `authorization` of each message.
    shown: Vec<Option<String>>,
}

impl Service {
    /// Remembers a message, and tells what to answer, if not with an error.
    fn take<Q, A>(
        &self,
        request: Request<Q>,
        asked: fn(Q) -> Asked,
        answer: impl FnOnce(&mut Script) -> A,
    ) -> Result<Response<A>, Status> {
        let mut state = self.0.lock().unwrap();
        let shown = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        state.shown.push(shown);
        state.asked.push(asked(request.into_inner()));
        match state.script.refuse.clone() {
            Some(status) => Err(status),
            None => Ok(Response::new(answer(&mut state.script))),
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Tasks for Service {
    async fn start(&self, request: Request<v1::StartRequest>) -> Answer<v1::StartResponse> {
        self.take(request, Asked::Start, |script| script.start.clone())
    }

    async fn delegate(&self, request: Request<v1::DelegateRequest>) -> Answer<v1::DelegateResponse> {
        self.take(request, Asked::Delegate, |script| script.delegate.clone())
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Answer<v1::RenewResponse> {
        self.take(request, Asked::Renew, |script| script.renew.clone())
    }

    async fn end(&self, request: Request<v1::EndRequest>) -> Answer<v1::EndResponse> {
        self.take(request, Asked::End, |script| script.end)
    }

    async fn revoke(&self, request: Request<v1::RevokeRequest>) -> Answer<v1::RevokeResponse> {
        self.take(request, Asked::Revoke, |_| v1::RevokeResponse { state_revision: 7, tasks: 2 })
    }

    async fn lift(&self, request: Request<v1::LiftRequest>) -> Answer<v1::LiftResponse> {
        self.take(request, Asked::Lift, |_| v1::LiftResponse { state_revision: 8 })
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Answer<v1::GetResponse> {
        self.take(request, Asked::Get, |script| script.get.clone())
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Answer<v1::ListResponse> {
        self.take(request, Asked::List, |script| script.pages.pop_front().unwrap_or_default())
    }

    type WatchStream = std::pin::Pin<
        Box<dyn tokio_stream::Stream<Item = Result<v1::WatchResponse, Status>> + Send + 'static>,
    >;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        let watched = self.take(request, Asked::Watch, |script| script.watched.pop_front())?;
        let Some(Watched { events, then }) = watched.into_inner() else {
            return Err(Status::unavailable("nobody is at home"));
        };
        let events = tokio_stream::iter(events.into_iter().map(Ok));
        Ok(Response::new(match then {
            Then::Fail(status) => Box::pin(events.chain(tokio_stream::once(Err(status)))),
            Then::End => Box::pin(events),
            Then::Silence => Box::pin(events.chain(tokio_stream::pending())),
        }))
    }
}

#[tonic::async_trait]
impl Admin for Service {
    async fn preview_drift(
        &self,
        request: Request<v1::PreviewDriftRequest>,
    ) -> Answer<v1::PreviewDriftResponse> {
        self.take(request, Asked::Drift, |script| script.drift.clone())
    }
}

/// The server, until it is dropped.
pub struct StandIn {
    state: Arc<Mutex<State>>,
    /// Where it listens.
    pub address: SocketAddr,
    runtime: Option<Runtime>,
}

impl StandIn {
    /// Serves tasks and administration.
    pub fn new(script: Script) -> Self {
        Self::serve(script, true)
    }

    /// Serves nothing that a command asks for.
    pub fn older() -> Self {
        Self::serve(Script::default(), false)
    }

    fn serve(script: Script, with_tasks: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { script, ..State::default() }));
        let service = Service(Arc::clone(&state));
        let tasks = with_tasks.then(|| TasksServer::new(service.clone()));
        let router = Server::builder().add_optional_service(tasks).add_service(AdminServer::new(service));
        runtime.spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { state, address, runtime: Some(runtime) }
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// What it was shown, in order.
    pub fn shown(&self) -> Vec<Option<String>> {
        self.state.lock().unwrap().shown.clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
