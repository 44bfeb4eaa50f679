//! Tasks over gRPC: lent, used, handed on, ended, taken back.
//! Never a stand-in: the requests of the tests, and the PDP that serves.

mod again;
mod drift;
mod faults;
mod parts;
mod proofs;
mod races;
mod renewals;
mod revocations;
mod schedule;
mod starts;
mod story;
mod table;
mod watches;

use std::sync::Arc;

use palisade::api::proto::v1;
use palisade::api::proto::v1::tasks_client::TasksClient;
use palisade::diagnostic::File;
use palisade::identity::Role;
use palisade::policy::Snapshot;
use palisade::task::Rules;
use serde_json::{Value as Json, json};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::asks::{mcp, uid};
use crate::pdp::{Bearer, Builder, Client, TestPdp, caller, shipped_files, snapshot, task_rules};

pub type Tasks = TasksClient<InterceptedService<Channel, Bearer>>;

/// The reason of an answer that is no deny.
pub const PERMITTED: v1::DenyReason = v1::DenyReason::Unspecified;

/// Thumbprints of keys: those of the gateway's agents, which it attests.
pub const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
pub const PART_KEY: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
pub const THIRD_KEY: &str = "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC";

/// A PDP that serves tasks, and clients of it.
pub struct Desk {
    pub pdp: TestPdp,
    /// Of a gateway that starts tasks and enforces their steps.
    pub tasks: Tasks,
    pub client: Client,
    /// Of another gateway, with the same roles.
    pub other: Tasks,
    /// Of an operator.
    pub operator: Tasks,
}

/// A task that was lent: what its agent has in its hands.
#[derive(Debug, Clone)]
pub struct Held {
    pub id: String,
    pub token: String,
    pub key: String,
    /// The state that has it.
    pub state: u64,
}

impl Desk {
    pub async fn open() -> Self {
        Self::ruled(task_rules()).await
    }

    pub async fn ruled(rules: Rules) -> Self {
        Self::of(TestPdp::builder().tasks(rules)).await
    }

    pub async fn of(builder: Builder) -> Self {
        let roles = [Role::Authorize, Role::Assert, Role::Attest, Role::Outcome, Role::Tasks];
        let builder = builder
            .caller("t-gateway", caller("gateway", &roles))
            .caller("t-other", caller("other", &roles))
            .caller("t-operator", caller("operator", &[Role::Tasks, Role::Admin]));
        let pdp = builder.start().await;
        let [tasks, other, operator] = [
            pdp.tasks_of("t-gateway").await,
            pdp.tasks_of("t-other").await,
            pdp.tasks_of("t-operator").await,
        ];
        let client = pdp.client_of(Some("t-gateway")).await;
        Self { pdp, tasks, client, other, operator }
    }

    pub async fn start(&self, request: v1::StartRequest) -> v1::StartResponse {
        self.tasks.clone().start(request).await.unwrap().into_inner()
    }

    /// Why a start is denied, and the words.
    pub async fn refused(&self, request: v1::StartRequest) -> (v1::DenyReason, String) {
        let answer = self.start(request).await;
        assert!(answer.task.is_none() && answer.token.is_empty(), "{answer:?}");
        let decision = answer.decision.unwrap();
        assert_eq!(decision.decision(), v1::Decision::Deny);
        (decision.reason(), decision.reason_text)
    }

    pub async fn lent(&self, request: v1::StartRequest) -> Held {
        let answer = self.start(request).await;
        held(answer.decision, answer.task, answer.token, answer.state_revision)
    }

    /// A refund task of ana's for the support bot.
    pub async fn refunds(&self) -> Held {
        self.lent(refund_task()).await
    }

    /// The same, a second later: after what was revoked before.
    pub async fn refunds_later(&self) -> Held {
        self.pdp.clock().advance_s(1);
        self.refunds().await
    }

    /// A part of a task for the lead bot.
    pub async fn part(&self, whole: &Held, wanted: v1::Wanted) -> Held {
        let answer = self.tasks.clone().delegate(delegate(whole, wanted)).await.unwrap().into_inner();
        held(answer.decision, answer.task, answer.token, answer.state_revision)
    }

    /// What is answered to a step under a task.
    pub async fn step(&self, task: &Held, step: v1::AuthorizeRequest) -> v1::DenyReason {
        self.told(under(task, step)).await.0
    }

    /// What is answered to a step, with the words.
    pub async fn told(&self, step: v1::AuthorizeRequest) -> (v1::DenyReason, String) {
        let answer = self.client.clone().authorize(step).await.unwrap().into_inner();
        let is_permit = answer.decision() == v1::Decision::Permit;
        assert_eq!(is_permit, answer.reason() == PERMITTED, "{answer:?}");
        (answer.reason(), answer.reason_text)
    }

    pub async fn end(&self, task: &Held, ending: v1::Ending) -> Result<v1::EndResponse, tonic::Status> {
        let request = v1::EndRequest {
            task: Some(handle(task)),
            ending: ending.into(),
            reason: "done".into(),
            ..v1::EndRequest::default()
        };
        self.tasks.clone().end(request).await.map(tonic::Response::into_inner)
    }

    pub async fn renew(&self, task: &Held, ttl_s: u64) -> v1::RenewResponse {
        let request = v1::RenewRequest { task: Some(handle(task)), ttl_s, ..v1::RenewRequest::default() };
        self.tasks.clone().renew(request).await.unwrap().into_inner()
    }

    pub async fn revoke(&self, target: v1::target::Target) -> v1::RevokeResponse {
        self.operator.clone().revoke(revoke(target)).await.unwrap().into_inner()
    }

    pub async fn lift(&self, target: v1::target::Target) {
        let v1::RevokeRequest { target, reason, request_id } = revoke(target);
        self.operator.clone().lift(v1::LiftRequest { target, reason, request_id }).await.unwrap();
    }

    /// A task as `Get` shows it.
    pub async fn get(&self, id: &str) -> v1::Task {
        let request = v1::GetRequest { id: id.into() };
        self.operator.clone().get(request).await.unwrap().into_inner().task.unwrap()
    }

    /// The records of a kind.
    pub fn records(&self, kind: &str) -> Vec<Json> {
        let mut records = self.pdp.ledger.records();
        records.retain(|record| record["type"] == kind);
        records
    }

    /// The records of what became of tasks: one move after the other.
    pub fn moves(&self) -> Vec<String> {
        self.records("task").iter().map(|record| record["move"].as_str().unwrap().to_owned()).collect()
    }
}

/// `Human::"ana"` as records have it.
pub fn entity(text: &str) -> Json {
    let uid = uid(text);
    json!({ "type": uid.r#type, "id": uid.id })
}

fn held(decision: Option<v1::TaskDecision>, task: Option<v1::Task>, token: String, state: u64) -> Held {
    let decision = decision.unwrap();
    assert_eq!(decision.decision(), v1::Decision::Permit, "{}", decision.reason_text);
    let task = task.unwrap();
    assert!(!token.is_empty());
    Held { id: task.id, token, key: task.key_thumbprint, state }
}

#[expect(clippy::unnecessary_wraps, reason = "as it stands in messages")]
pub fn names<const N: usize>(names: [&str; N]) -> Option<v1::Names> {
    Some(v1::Names { names: names.map(str::to_owned).to_vec() })
}

pub fn bound(tool: &str, argument: &str, limit: v1::bound::Limit) -> v1::Bound {
    v1::Bound { tool: tool.into(), argument: vec![argument.into()], limit: Some(limit) }
}

/// `amount` of a refund, at most.
pub fn at_most(amount: &str) -> v1::Bound {
    bound("crm/issue_refund", "amount", v1::bound::Limit::AtMost(amount.into()))
}

/// Refunds of at most 50, 20 of them, for ten minutes.
pub fn wanted() -> v1::Wanted {
    let scope =
        v1::Scope { tools: names(["crm/issue_refund"]), bounds: vec![at_most("50")], ..v1::Scope::default() };
    v1::Wanted { scope: Some(scope), calls_max: 20, ttl_s: 600, key_thumbprint: KEY.into() }
}

/// Ana starts a refund task for the support bot.
pub fn refund_task() -> v1::StartRequest {
    v1::StartRequest {
        subject: subject("Human::\"ana\"", "Agent::\"support-bot\""),
        purpose: Some(uid("Purpose::\"refund\"")),
        intent: "refund the late orders".into(),
        wanted: Some(wanted()),
        ..v1::StartRequest::default()
    }
}

/// The refund task with another scope.
pub fn scoped(scope: v1::Scope) -> v1::StartRequest {
    v1::StartRequest { wanted: Some(v1::Wanted { scope: Some(scope), ..wanted() }), ..refund_task() }
}

#[expect(clippy::unnecessary_wraps, reason = "as it stands in messages")]
pub fn subject(principal: &str, actor: &str) -> Option<v1::Subject> {
    Some(v1::Subject { principal: Some(uid(principal)), actor: Some(uid(actor)), earlier_actors: vec![] })
}

/// A part of a task, for the lead bot with a key of its own.
pub fn delegate(whole: &Held, wanted: v1::Wanted) -> v1::DelegateRequest {
    v1::DelegateRequest {
        task: Some(handle(whole)),
        actor: Some(uid("Agent::\"lead-bot\"")),
        wanted: Some(wanted),
        intent: "a part of it".into(),
        ..v1::DelegateRequest::default()
    }
}

/// What a part wants that narrows nothing.
pub fn a_part() -> v1::Wanted {
    v1::Wanted { key_thumbprint: PART_KEY.into(), ..v1::Wanted::default() }
}

/// A task by its token, with its key.
pub fn handle(task: &Held) -> v1::Handle {
    v1::Handle {
        task: Some(v1::handle::Task::Token(task.token.clone())),
        proof: (!task.key.is_empty()).then(|| v1::handle::Proof::KeyThumbprint(task.key.clone())),
    }
}

pub fn by_id(id: &str) -> v1::Handle {
    v1::Handle { task: Some(v1::handle::Task::Id(id.into())), proof: None }
}

pub fn revoke(target: v1::target::Target) -> v1::RevokeRequest {
    v1::RevokeRequest {
        target: Some(v1::Target { target: Some(target) }),
        reason: "an incident".into(),
        request_id: String::new(),
    }
}

/// The step under a task, with the proof of its key.
pub fn under(task: &Held, step: v1::AuthorizeRequest) -> v1::AuthorizeRequest {
    let proof = v1::credentials::Proof::KeyThumbprint(task.key.clone());
    let credentials =
        v1::Credentials { task_token: task.token.clone(), proof: Some(proof), ..v1::Credentials::default() };
    v1::AuthorizeRequest { credentials: Some(credentials), ..step }
}

/// A call of a tool, by nobody yet.
pub fn call(tool: &str, arguments: &Json) -> v1::AuthorizeRequest {
    let (server, name) = tool.split_once('/').unwrap();
    mcp(server, "tools/call", &json!({ "name": name, "arguments": arguments }))
}

/// A refund, by nobody yet.
pub fn refund(amount: i64) -> v1::AuthorizeRequest {
    call("crm/issue_refund", &json!({ "order": "o-1", "amount": amount }))
}

/// A look at a customer, by nobody yet.
pub fn lookup() -> v1::AuthorizeRequest {
    call("crm/lookup_customer", &json!({ "customer_id": "c-1" }))
}

pub fn preview(step: v1::AuthorizeRequest) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest { mode: v1::Mode::Preview.into(), ..step }
}

/// What a gateway says of ana's support bot, without a task.
pub fn said(step: v1::AuthorizeRequest) -> v1::AuthorizeRequest {
    crate::asks::by("Human::\"ana\"", Some("Agent::\"support-bot\""), step)
}

/// The shipped bundle under which support lends nothing any more.
pub fn without_support_tasks() -> Arc<Snapshot> {
    let mut files = shipped_files();
    files.push(File::new(
        "policies/frozen.cedar",
        r#"@id("test/frozen") @reason("support lends nothing")
           forbid (principal in Team::"support", action in Action::"lend", resource);"#,
    ));
    snapshot(&files)
}
