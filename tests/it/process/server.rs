//! A running server and its clients.
//! Never decides what is right: it asks.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorization_client::AuthorizationClient;
use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::child::{DEADLINE, Ended, Output, Process};
use super::http::{self, Answer};

/// A running server.
pub struct Server {
    process: Process,
    data: PathBuf,
    /// Where gRPC listens first over TCP.
    pub grpc: SocketAddr,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where the administration listens.
    pub admin: SocketAddr,
}

impl Server {
    /// Waits until a process says that it answers.
    pub fn started(process: Process, data: &Path) -> Self {
        let address = |prefix: &'static str| {
            process.stdout.wait_for(prefix, |text| {
                text.lines().find_map(|line| line.strip_prefix(prefix)?.parse::<SocketAddr>().ok())
            })
        };
        let grpc = address("grpc listening on ");
        let http = address("http listening on ");
        let admin = address("admin listening on ");
        process.stdout.wait_for("ready", |text| text.lines().any(|line| line == "ready").then_some(()));
        Self { process, data: data.to_owned(), grpc, http, admin }
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What it logged.
    pub fn log(&self) -> &Output {
        &self.process.stderr
    }

    /// A client on a connection of its own, as the local caller.
    pub fn client(&self) -> Client {
        Client::to(self.grpc)
    }

    /// The operator's bearer token.
    pub fn token(&self) -> String {
        let token = std::fs::read_to_string(self.data.join("admin.token")).unwrap();
        format!("Bearer {}", token.trim_end())
    }

    /// Asks the administration, without a token.
    pub fn get(&self, path: &str) -> Answer {
        http::request(self.admin, "GET", path, &[])
    }

    /// Asks the administration as the operator.
    pub fn operate(&self, method: &str, path: &str) -> Answer {
        http::request(self.admin, method, path, &[("Authorization", &self.token())])
    }

    /// `POST /reload`: what came of it.
    pub fn reload(&self) -> Value {
        self.operate("POST", "/reload").json()
    }

    /// `GET /bundle`.
    pub fn bundle(&self) -> Value {
        self.operate("GET", "/bundle").json()
    }

    /// The value of a metric, as it stands at the beginning of its line.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        line.parse().ok()
    }

    /// SIGTERM, and how it ended.
    pub fn stop(self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.end()
    }

    /// SIGKILL.
    pub fn kill(self) -> Ended {
        self.process.signal(Signal::KILL);
        self.process.end()
    }

    /// Waits for the end.
    pub fn end(self) -> Ended {
        self.process.end()
    }
}

/// A channel that connects when it is first used.
pub fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(DEADLINE).connect_lazy()
}

/// A blocking client with a connection of its own.
pub struct Client {
    runtime: Runtime,
    grpc: AuthorizationClient<Channel>,
}

impl Client {
    /// Connects at the first call.
    pub fn to(address: SocketAddr) -> Self {
        Self::of(|| channel(address))
    }

    /// Connects at the first call, over a unix socket.
    pub fn over(socket: &Path) -> Self {
        let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap();
        Self::of(|| endpoint.timeout(DEADLINE).connect_lazy())
    }

    fn of(channel: impl FnOnce() -> Channel) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let grpc = runtime.block_on(async { AuthorizationClient::new(channel()) });
        Self { runtime, grpc }
    }

    /// The runtime of the connection.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The connection, for calls side by side.
    pub fn grpc(&self) -> AuthorizationClient<Channel> {
        self.grpc.clone()
    }

    /// `Authorize`.
    pub fn ask(&self, request: v1::AuthorizeRequest) -> Result<v1::AuthorizeResponse, Status> {
        self.ask_with(request, &[])
    }

    /// `Authorize` with metadata.
    pub fn ask_with(
        &self,
        request: v1::AuthorizeRequest,
        metadata: &[(&'static str, &str)],
    ) -> Result<v1::AuthorizeResponse, Status> {
        let request = with(request, metadata);
        self.runtime.block_on(async { self.grpc().authorize(request).await }).map(tonic::Response::into_inner)
    }

    /// `AuthorizeBatch`.
    pub fn ask_all(&self, requests: Vec<v1::AuthorizeRequest>) -> Result<v1::AuthorizeBatchResponse, Status> {
        let batch = v1::AuthorizeBatchRequest { requests };
        self.runtime
            .block_on(async { self.grpc().authorize_batch(batch).await })
            .map(tonic::Response::into_inner)
    }

    /// `ReportOutcome`: it succeeded.
    pub fn report(&self, decision: &str, token: &str) -> Result<(), Status> {
        let outcome = v1::ReportOutcomeRequest {
            decision_id: decision.to_owned(),
            status: v1::OutcomeStatus::Succeeded.into(),
            ..Default::default()
        };
        let request = with(outcome, &[("authorization", token)]);
        self.runtime.block_on(async { self.grpc().report_outcome(request).await }).map(drop)
    }

    /// Asks the probe: permitted or not.
    pub fn may_read(&self) -> bool {
        is_permit(&self.ask(probe("")).unwrap())
    }
}

fn with<T>(message: T, metadata: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// Whether the answer permits.
pub fn is_permit(answer: &v1::AuthorizeResponse) -> bool {
    answer.decision() == v1::Decision::Permit
}

/// An entity's id.
pub fn uid(kind: &str, id: &str) -> v1::EntityUid {
    v1::EntityUid { r#type: kind.into(), id: id.into() }
}

/// A text as a value.
pub fn text(value: &str) -> v1::Value {
    v1::Value { kind: Some(v1::value::Kind::StringValue(value.into())) }
}

/// The question that the small bundle is about: the bot reads a document.
pub fn probe(request_id: &str) -> v1::AuthorizeRequest {
    let access = v1::Access {
        action: Some(uid("Action", "read")),
        resource: Some(uid("Doc", "a")),
        ..Default::default()
    };
    v1::AuthorizeRequest {
        request_id: request_id.into(),
        subject: Some(v1::Subject { principal: Some(uid("Agent", "bot")), ..Default::default() }),
        question: Some(v1::authorize_request::Question::Access(access)),
        ..Default::default()
    }
}

/// The probe with a context.
pub fn probe_with(context: impl IntoIterator<Item = (String, v1::Value)>) -> v1::AuthorizeRequest {
    let mut request = probe("");
    if let Some(v1::authorize_request::Question::Access(access)) = &mut request.question {
        access.context = context.into_iter().collect();
    }
    request
}

/// The question of the tour: ana's bot calls a tool of the sample customer system, in the shipped bundle.
pub fn tool_call(tool: &str, arguments: &Value) -> v1::AuthorizeRequest {
    let params = serde_json::json!({ "name": tool, "arguments": arguments });
    let message = v1::McpMessage {
        server: "crm".into(),
        method: "tools/call".into(),
        params: params.to_string().into_bytes(),
        protocol_version: "2025-11-25".into(),
        ..Default::default()
    };
    v1::AuthorizeRequest {
        subject: Some(v1::Subject {
            principal: Some(uid("Human", "ana")),
            actor: Some(uid("Agent", "support-bot")),
            ..Default::default()
        }),
        question: Some(v1::authorize_request::Question::Mcp(message)),
        ..Default::default()
    }
}
