//! Conformance cases: `tests/cases/*.yaml`, each file with its bundle, and how they become requests.
//! Never guesses: an unknown key fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use palisade::access::{Entity, ObligationType, Question};
use palisade::diagnostic::File;
use palisade::identity::{Caller, Claim, Role, Servers};
use palisade::json;
use palisade::mcp::Message;
use palisade::pdp::{Ask, Request};
use palisade::policy::Snapshot;
use palisade::value::{Extension, Members, Uid, Value};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::pdp::{shipped, shipped_files, snapshot};

/// One file: a bundle, and what is asked of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    #[serde(skip)]
    pub name: String,
    /// The shipped bundle when there is none.
    #[serde(default)]
    bundle: Bundle,
    pub cases: Vec<Case>,
}

/// Where the bundle comes from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    /// Begins with the shipped bundle.
    #[serde(default = "yes")]
    shipped: bool,
    /// Adds or replaces files.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

impl Default for Bundle {
    fn default() -> Self {
        Self { shipped: true, files: BTreeMap::new() }
    }
}

/// One request, the wanted answer and the wanted record.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(default)]
    caller: CallerForm,
    /// `Human::"ana"`; nobody is named when there is none.
    principal: Option<String>,
    actor: Option<String>,
    #[serde(default)]
    earlier_actors: Vec<String>,
    session: Option<String>,
    task: Option<String>,
    purpose: Option<String>,
    intent: Option<String>,
    mcp: Option<McpForm>,
    action: Option<String>,
    resource: Option<String>,
    #[serde(default)]
    context: BTreeMap<String, Json>,
    #[serde(default)]
    entities: Vec<EntityForm>,
    /// The types of obligations that the PEP says it fulfils.
    #[serde(default)]
    supported_obligations: Vec<String>,
    pub expect: Expect,
    /// The name of the reason for a deny. A deny without one is a bad case.
    pub reason: Option<String>,
    /// What the words must contain.
    pub words: Option<String>,
    /// The ids of the determining policies, exactly.
    pub determining: Option<BTreeSet<String>>,
    /// The ids of the policies that failed, exactly; none unless given.
    #[serde(default)]
    pub errors: BTreeSet<String>,
    /// The ids of the obligations that the PEP is told, exactly; none unless given.
    #[serde(default)]
    pub obligations: BTreeSet<String>,
    /// Members of the record and their values; null for a member that must not be there.
    #[serde(default)]
    pub record: BTreeMap<String, Json>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields, default)]
struct CallerForm {
    roles: BTreeSet<Role>,
    agentless: bool,
    authenticated: bool,
}

impl Default for CallerForm {
    fn default() -> Self {
        Self { roles: BTreeSet::from([Role::Authorize, Role::Assert]), agentless: false, authenticated: true }
    }
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct McpForm {
    server: String,
    method: String,
    params: Option<Json>,
    /// The bytes themselves, where YAML would tidy them.
    params_text: Option<String>,
    protocol_version: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    tool_definition: Option<Json>,
    /// The pinned definition of this tool, with these members changed.
    live_tool: Option<LiveTool>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct LiveTool {
    name: String,
    #[serde(default)]
    changed: BTreeMap<String, Json>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct EntityForm {
    uid: String,
    #[serde(default)]
    attributes: BTreeMap<String, Json>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    Permit,
    Deny,
}

/// Every case file, by name.
pub fn all() -> Vec<CaseFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<CaseFile> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut file: CaseFile =
                serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            path.file_stem().unwrap().to_str().unwrap().clone_into(&mut file.name);
            file
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

impl CaseFile {
    /// The bundle, compiled.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        if self.bundle.shipped && self.bundle.files.is_empty() {
            return shipped();
        }
        let mut files = if self.bundle.shipped { shipped_files() } else { Vec::new() };
        files.retain(|file| !self.bundle.files.contains_key(&*file.path));
        files.extend(self.bundle.files.iter().map(|(path, text)| File::new(path.as_str(), text.as_str())));
        snapshot(&files)
    }
}

impl Case {
    /// The PEP that asks; it has a name of its own, so that its token is its own.
    pub fn caller(&self) -> Caller {
        let CallerForm { roles, agentless, authenticated } = self.caller.clone();
        Caller { name: self.name.as_str().into(), roles, servers: Servers::All, agentless, authenticated }
    }

    /// The method of the message, if it is one.
    pub fn method(&self) -> Option<&str> {
        self.mcp.as_ref().map(|mcp| mcp.method.as_str())
    }

    /// The request as the library takes it.
    pub fn request(&self) -> Request {
        let claim = self.principal.as_deref().map(|principal| Claim {
            principal: uid(principal),
            actor: self.actor.as_deref().map(uid),
            earlier_actors: self.earlier_actors.iter().map(|text| uid(text)).collect(),
        });
        Request {
            request_id: "r-1".into(),
            claim,
            session: self.session.clone(),
            task: self.task.clone(),
            purpose: self.purpose.clone(),
            intent: self.intent.clone(),
            understands: self.understands(),
            ..Request::new(Arc::new(self.caller()), self.ask())
        }
    }

    fn understands(&self) -> BTreeSet<ObligationType> {
        self.supported_obligations.iter().filter_map(|name| ObligationType::named(name)).collect()
    }

    fn ask(&self) -> Ask {
        match (&self.mcp, &self.action, &self.resource) {
            (Some(form), None, None) if self.context.is_empty() && self.entities.is_empty() => {
                Ask::Mcp(form.message())
            }
            (None, Some(action), Some(resource)) => {
                let mut question = Question::new(uid(action), uid(resource));
                question.context = values(&self.context);
                question.brought = self
                    .entities
                    .iter()
                    .map(|form| Entity {
                        uid: uid(&form.uid),
                        attributes: values(&form.attributes),
                        parents: vec![],
                    })
                    .collect();
                Ask::Access(question)
            }
            _ => panic!("case `{}`: give either `mcp`, or `action` and `resource`", self.name),
        }
    }
}

impl McpForm {
    fn message(&self) -> Message {
        let params = match (&self.params, &self.params_text) {
            (Some(params), None) => params.to_string(),
            (None, text) => text.clone().unwrap_or_default(),
            (Some(_), Some(_)) => panic!("give either `params` or `params_text`"),
        };
        let live = self.live_tool.as_ref().map(|live| live.definition(&self.server));
        Message {
            server: self.server.clone(),
            method: self.method.clone(),
            params: params.into_bytes().into(),
            protocol_version: self.protocol_version.clone(),
            headers: self.headers.clone(),
            tool_definition: self
                .tool_definition
                .clone()
                .or(live)
                .map(|definition| definition.to_string().into_bytes()),
            arguments_unseen: false,
        }
    }
}

impl LiveTool {
    fn definition(&self, server: &str) -> Json {
        let path = format!("tools/{server}.json");
        let file = shipped_files().into_iter().find(|file| *file.path == *path).expect("a shipped server");
        let listed: Json = serde_json::from_str(&file.text).unwrap();
        let tools = listed["tools"].as_array().unwrap();
        let mut tool = tools.iter().find(|tool| tool["name"] == *self.name).expect("a shipped tool").clone();
        for (name, value) in &self.changed {
            tool[name] = value.clone();
        }
        tool
    }
}

fn uid(text: &str) -> Uid {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no entity"))
}

fn values(members: &BTreeMap<String, Json>) -> Members {
    members.iter().map(|(name, json)| (name.into(), value(json))).collect()
}

/// Plain JSON, and `{$decimal: "1.5"}`, `$datetime`, `$duration`, `$ip`, `$entity` for what JSON has no word for.
fn value(json: &Json) -> Value {
    let tagged =
        json.as_object().filter(|members| members.len() == 1).and_then(|members| members.iter().next());
    match (json, tagged) {
        (_, Some((tag, Json::String(text)))) if tag.starts_with('$') => match tag.as_str() {
            "$decimal" => Value::Extension(Extension::Decimal, text.into()),
            "$datetime" => Value::Extension(Extension::Datetime, text.into()),
            "$duration" => Value::Extension(Extension::Duration, text.into()),
            "$ip" => Value::Extension(Extension::Ip, text.into()),
            "$entity" => Value::Entity(uid(text)),
            other => panic!("`{other}` is no tag"),
        },
        (Json::Array(items), _) => Value::Set(items.iter().map(value).collect()),
        (Json::Object(members), _) => {
            Value::Record(members.iter().map(|(name, json)| (name.into(), value(json))).collect())
        }
        (plain, _) => json::parse(plain.to_string().as_bytes(), json::Limits::default()).unwrap(),
    }
}
