//! Cerbos as a peer: as much of its API as one question takes, and a child process with an equivalent policy.
//! Never with less than its own record of each decision.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use crate::call::{self, Call, Judge};
use crate::child::{DEADLINE, Process};
use crate::question::AMOUNT;
use crate::running::Running;
use crate::trouble::{Attempt as _, Outcome, Trouble};

/// `cerbos.request.v1.CheckResourcesRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckResourcesRequest {
    #[prost(message, optional, tag = "3")]
    principal: Option<Principal>,
    #[prost(message, repeated, tag = "4")]
    resources: Vec<ResourceEntry>,
}

/// `cerbos.engine.v1.Principal`
#[derive(Clone, PartialEq, prost::Message)]
struct Principal {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, repeated, tag = "3")]
    roles: Vec<String>,
    #[prost(btree_map = "string, message", tag = "4")]
    attr: BTreeMap<String, Value>,
}

/// `cerbos.request.v1.CheckResourcesRequest.ResourceEntry`
#[derive(Clone, PartialEq, prost::Message)]
struct ResourceEntry {
    #[prost(string, repeated, tag = "1")]
    actions: Vec<String>,
    #[prost(message, optional, tag = "2")]
    resource: Option<Resource>,
}

/// `cerbos.engine.v1.Resource`
#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    id: String,
    #[prost(btree_map = "string, message", tag = "4")]
    attr: BTreeMap<String, Value>,
}

/// `cerbos.response.v1.CheckResourcesResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckResourcesResponse {
    #[prost(message, repeated, tag = "2")]
    results: Vec<ResultEntry>,
    #[prost(string, tag = "3")]
    cerbos_call_id: String,
}

/// `cerbos.response.v1.CheckResourcesResponse.ResultEntry`
#[derive(Clone, PartialEq, prost::Message)]
struct ResultEntry {
    #[prost(btree_map = "string, enumeration(Effect)", tag = "2")]
    actions: BTreeMap<String, i32>,
}

/// `cerbos.effect.v1.Effect`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum Effect {
    Unspecified = 0,
    Allow = 1,
    Deny = 2,
    NoMatch = 3,
}

const CHECK_RESOURCES: &str = "/cerbos.svc.v1.CerbosService/CheckResources";
const ACTION: &str = "call";
/// What "confidential" covers in the sample organisation, written out.
const CLEARANCES: [&str; 5] = ["confidential", "internal", "public", "customer", "payment"];
const POLICY: &str = include_str!("../peers/tool.yaml");

/// A call of Cerbos's `CheckResources`.
pub type Check = Call<CheckResourcesRequest, CheckResourcesResponse>;

/// The question over one connection.
pub fn check(channel: Channel) -> Check {
    let judge: Judge<CheckResourcesResponse> = Arc::new(allowed);
    Call::new(channel, CHECK_RESOURCES, None, request(), judge)
}

fn allowed(answer: &CheckResourcesResponse) -> Result<(), String> {
    let effect = answer.results.first().and_then(|result| result.actions.get(ACTION).copied());
    if effect == Some(Effect::Allow as i32) {
        return Ok(());
    }
    Err(format!("the answer is {effect:?}"))
}

/// The same refund. What Palisade knows of Ana, the bot and the tool, Cerbos is told with each request.
pub fn request() -> CheckResourcesRequest {
    let actor = record([
        ("id", text("support-bot")),
        ("groups", texts(&["support-bots"])),
        ("active", truth(true)),
        ("owner", text("ana")),
        ("owner_active", truth(true)),
        ("clearances", texts(&CLEARANCES)),
    ]);
    let resource = Resource {
        kind: "crm/issue_refund".into(),
        id: "crm/issue_refund".into(),
        attr: members([
            ("server", text("crm")),
            ("data_classes", texts(&["payment"])),
            ("groups", texts(&["destructive", "preapproved"])),
            ("input", record([("order", text("o-1")), ("amount", number(AMOUNT))])),
            ("input_unseen", texts(&[])),
            ("actor", actor),
            ("actor_depth", number(1)),
        ]),
    };
    let principal = Principal {
        id: "ana".into(),
        roles: vec!["support".into()],
        attr: members([("active", truth(true)), ("clearances", texts(&CLEARANCES))]),
    };
    CheckResourcesRequest {
        principal: Some(principal),
        resources: vec![ResourceEntry { actions: vec![ACTION.into()], resource: Some(resource) }],
    }
}

/// The same over AuthZEN, with the role where Cerbos looks for it.
pub fn evaluation() -> String {
    serde_json::json!({
        "subject": {"type": "user", "id": "ana", "properties": {
            "cerbos.roles": ["support"], "active": true, "clearances": CLEARANCES,
        }},
        "action": {"name": ACTION},
        "resource": {"type": "crm/issue_refund", "id": "crm/issue_refund", "properties": {
            "server": "crm", "data_classes": ["payment"], "groups": ["destructive", "preapproved"],
            "input": {"order": "o-1", "amount": AMOUNT}, "input_unseen": [],
            "actor": {
                "id": "support-bot", "groups": ["support-bots"], "active": true, "owner": "ana",
                "owner_active": true, "clearances": CLEARANCES,
            },
            "actor_depth": 1,
        }},
    })
    .to_string()
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn text(text: &str) -> Value {
    value(Kind::StringValue(text.to_owned()))
}

fn texts(items: &[&str]) -> Value {
    value(Kind::ListValue(ListValue { values: items.iter().copied().map(text).collect() }))
}

fn truth(holds: bool) -> Value {
    value(Kind::BoolValue(holds))
}

fn number(number: u32) -> Value {
    value(Kind::NumberValue(f64::from(number)))
}

fn members<const N: usize>(members: [(&str, Value); N]) -> BTreeMap<String, Value> {
    members.map(|(name, value)| (name.to_owned(), value)).into()
}

fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    value(Kind::StructValue(Struct { fields: members(fields) }))
}

/// Cerbos, with its decisions recorded in a file.
pub struct Cerbos {
    /// The process and its address.
    pub running: Running,
    /// Where it answers AuthZEN.
    pub http: String,
    directory: TempDir,
}

impl Cerbos {
    /// Starts it, and waits until it answers.
    pub fn start(binary: &Path, runtime: &Runtime) -> Outcome<Self> {
        let binary = fs::canonicalize(binary).to(format!("cannot find {}", binary.display()))?;
        let directory =
            TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).to("cannot make a temporary directory")?;
        let (port, http) = (free_port()?, free_port()?);
        let write = |path: &str, text: &str| fs::write(directory.path().join(path), text);
        fs::create_dir(directory.path().join("policies"))
            .and_then(|()| write("policies/tool.yaml", POLICY))
            .and_then(|()| write("cerbos.yaml", &configuration(port, http)))
            .to("cannot write Cerbos's configuration")?;
        let mut command = Command::new(binary);
        // Its log of requests is off: Palisade has none either.
        command.current_dir(directory.path()).args(["server", "--config=cerbos.yaml", "--log-level=warn"]);
        let began = Instant::now();
        let mut process = Process::spawn("cerbos", &mut command)?;
        let uri = format!("http://127.0.0.1:{port}");
        while let Err(trouble) = ask(runtime, &uri) {
            process.check("an answer")?;
            if began.elapsed() > DEADLINE {
                return Err(trouble);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self {
            running: Running { process, uri, ready_after: began.elapsed() },
            http: format!("http://127.0.0.1:{http}"),
            directory,
        })
    }

    /// Whether decisions are on record.
    pub fn has_recorded(&self) -> bool {
        fs::metadata(self.record()).is_ok_and(|file| file.len() > 0)
    }

    fn record(&self) -> PathBuf {
        self.directory.path().join("decisions.log")
    }
}

/// One question, answered as expected.
fn ask(runtime: &Runtime, uri: &str) -> Outcome<()> {
    runtime.block_on(async { check(call::connect(uri).await?).make().await.map(drop).map_err(Trouble::Call) })
}

/// A port that was free a moment ago: Cerbos does not say which one it took when it is told 0.
fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").to("no port is free")?;
    Ok(listener.local_addr().to("no port is free")?.port())
}

fn configuration(port: u16, http: u16) -> String {
    format!(
        "server: {{ httpListenAddr: \"127.0.0.1:{http}\", grpcListenAddr: \"127.0.0.1:{port}\" }}\n\
         storage: {{ driver: disk, disk: {{ directory: policies, watchForChanges: false }} }}\n\
         audit:\n  enabled: true\n  backend: file\n  accessLogsEnabled: false\n  decisionLogsEnabled: true\n  \
         file: {{ path: decisions.log }}\n\
         telemetry: {{ disabled: true }}\n"
    )
}
