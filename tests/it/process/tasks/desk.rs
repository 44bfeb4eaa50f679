//! A place whose server lends authority, and those who ask that server about tasks.
//! Never decides what is right: the tests do.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorization_client::AuthorizationClient;
use palisade::api::proto::v1::tasks_client::TasksClient;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::super::child::{Process, until};
use super::super::place::Place;
use super::super::server::{Server, channel, tool_call, uid};
use crate::tokens::b64;

/// The secret of the gateway.
pub const GATEWAY: &str = "t-gateway-of-the-tasks";

/// The caller that starts tasks and asks about steps.
pub fn callers() -> String {
    let digest = Sha256::digest(GATEWAY).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    format!(
        "callers:\n  - {{ name: gw, token_sha256: {digest}, roles: [authorize, assert, attest, tasks], servers: '*' }}\n"
    )
}

/// A place with the bundle that is shipped, whose server lends authority to parties that are asserted.
pub fn place(tasks: &str) -> Place {
    let place = Place::shipped();
    configure(&place, tasks);
    place
}

/// Writes the configuration of such a server.
pub fn configure(place: &Place, tasks: &str) {
    place.configure(&format!("tasks: {{ asserted: true, {tasks} }}\n{}", callers()));
}

/// Serves, and says how long it took until it answered.
pub fn timed(place: &Place) -> (Server, Duration) {
    let began = Instant::now();
    let server = Server::started(Process::spawn(&mut place.command()), &place.data());
    (server, began.elapsed())
}

/// The RFC 7638 thumbprint of the bot's key, whose proof the gateway has seen.
pub fn key() -> String {
    b64(Sha256::digest("the key of the bot"))
}

/// Support starts a task of its bot: looking up customers, bound to this key.
pub fn wish(key: &str) -> v1::StartRequest {
    let names = |names: &[&str]| v1::Names { names: names.iter().map(|name| (*name).to_owned()).collect() };
    let scope = v1::Scope { tools: Some(names(&["crm/lookup_customer"])), ..Default::default() };
    v1::StartRequest {
        subject: Some(v1::Subject {
            principal: Some(uid("Human", "ana")),
            actor: Some(uid("Agent", "support-bot")),
            ..Default::default()
        }),
        purpose: Some(uid("Purpose", "customer-care")),
        wanted: Some(v1::Wanted {
            scope: Some(scope),
            calls_max: 100,
            ttl_s: 3600,
            key_thumbprint: key.to_owned(),
        }),
        ..Default::default()
    }
}

/// The same with another number of calls.
pub fn wish_of(calls_max: u64) -> v1::StartRequest {
    let mut wish = wish(&key());
    wish.wanted.as_mut().unwrap().calls_max = calls_max;
    wish
}

/// The call of a tool under a task, whose key's proof the gateway has seen.
pub fn step(token: &str, tool: &str, arguments: &Json) -> v1::AuthorizeRequest {
    let credentials = v1::Credentials {
        task_token: token.to_owned(),
        proof: Some(v1::credentials::Proof::KeyThumbprint(key())),
        ..Default::default()
    };
    v1::AuthorizeRequest { subject: None, credentials: Some(credentials), ..tool_call(tool, arguments) }
}

/// A customer is looked up under a task.
pub fn lookup(token: &str) -> v1::AuthorizeRequest {
    step(token, "lookup_customer", &json!({ "customer_id": "c-1" }))
}

/// A message with a caller's token.
pub fn bearing<M>(token: &str, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// A task, by its id.
pub fn by_id(id: &str) -> v1::Handle {
    v1::Handle { task: Some(v1::handle::Task::Id(id.to_owned())), proof: None }
}

/// What is revoked, and why.
pub fn revocation(target: v1::target::Target) -> v1::RevokeRequest {
    let target = Some(v1::Target { target: Some(target) });
    v1::RevokeRequest { target, reason: "it went astray".into(), request_id: String::new() }
}

/// A task that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent {
    pub id: String,
    pub token: String,
}

/// The task of an answer that permits.
pub fn lent(answer: v1::StartResponse) -> Lent {
    let decision = answer.decision.clone().unwrap_or_default();
    assert_eq!(decision.decision(), v1::Decision::Permit, "{decision:?}");
    let id = answer.task.expect("a task that began").id;
    assert!(!answer.token.is_empty());
    Lent { id, token: answer.token }
}

/// Somebody who asks, on a connection of their own.
pub struct Desk {
    runtime: Runtime,
    channel: Channel,
    token: String,
}

impl Desk {
    /// The gateway.
    pub fn gateway(server: &Server) -> Self {
        Self::with(server, GATEWAY)
    }

    /// The operator.
    pub fn operator(server: &Server) -> Self {
        Self::with(server, server.token().strip_prefix("Bearer ").unwrap())
    }

    /// Whoever has this token.
    pub fn with(server: &Server, token: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let channel = runtime.block_on(async { channel(server.grpc) });
        Self { runtime, channel, token: token.to_owned() }
    }

    /// The runtime of the connection.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The connection, for calls side by side.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    fn ask<M, R>(
        &self,
        message: M,
        call: impl AsyncFnOnce(TasksClient<Channel>, Request<M>) -> Result<Response<R>, Status>,
    ) -> Result<R, Status> {
        let asked = call(TasksClient::new(self.channel()), bearing(&self.token, message));
        self.runtime.block_on(asked).map(Response::into_inner)
    }

    pub fn start(&self, wish: v1::StartRequest) -> Result<v1::StartResponse, Status> {
        self.ask(wish, async |mut tasks, request| tasks.start(request).await)
    }

    /// Starts what must be permitted.
    pub fn begin(&self, wish: v1::StartRequest) -> Lent {
        lent(self.start(wish).unwrap())
    }

    pub fn end(&self, id: &str, ending: v1::Ending, key: &str) -> Result<v1::EndResponse, Status> {
        let request = v1::EndRequest {
            task: Some(by_id(id)),
            ending: ending.into(),
            idempotency_key: key.to_owned(),
            ..Default::default()
        };
        self.ask(request, async |mut tasks, request| tasks.end(request).await)
    }

    pub fn revoke(&self, target: v1::target::Target) -> Result<v1::RevokeResponse, Status> {
        self.ask(revocation(target), async |mut tasks, request| tasks.revoke(request).await)
    }

    pub fn lift(&self, target: v1::target::Target) -> Result<v1::LiftResponse, Status> {
        let v1::RevokeRequest { target, reason, request_id } = revocation(target);
        let request = v1::LiftRequest { target, reason, request_id };
        self.ask(request, async |mut tasks, request| tasks.lift(request).await)
    }

    pub fn get(&self, id: &str) -> Result<v1::Task, Status> {
        let request = v1::GetRequest { id: id.to_owned() };
        let answer = self.ask(request, async |mut tasks, request| tasks.get(request).await)?;
        Ok(answer.task.expect("a task"))
    }

    pub fn list(&self) -> v1::ListResponse {
        let request = v1::ListRequest { page_size: 1000, ..Default::default() };
        self.ask(request, async |mut tasks, request| tasks.list(request).await).unwrap()
    }

    /// `Authorize`.
    pub fn may(&self, request: v1::AuthorizeRequest) -> Result<v1::AuthorizeResponse, Status> {
        let mut grpc = AuthorizationClient::new(self.channel());
        let asked = grpc.authorize(bearing(&self.token, request));
        self.runtime.block_on(asked).map(Response::into_inner)
    }

    /// Why a step is denied; nothing when it is permitted. Calls that are not charged yet are waited for.
    pub fn denied(&self, request: &v1::AuthorizeRequest) -> Option<v1::DenyReason> {
        until("calls that are charged", || {
            let answer = self.may(request.clone()).unwrap();
            let reason = answer.reason();
            (reason != v1::DenyReason::Stale)
                .then(|| (answer.decision() != v1::Decision::Permit).then_some(reason))
        })
    }
}
