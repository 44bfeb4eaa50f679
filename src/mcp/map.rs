//! One message to its questions, on one catalog.
//! Never reads `requestState`, `inputResponses` or `clientInfo` as facts: whoever sends them wrote them.

use std::collections::{BTreeMap, BTreeSet};

use super::method::{Method, Target, Version, method};
use super::{Asked, Asker, Denied, Limits, Mapped, Message, headers, uri};
use crate::access::{DenyReason, Entity, Question};
use crate::catalog::{Catalog, Server, Tool};
use crate::json;
use crate::value::{Uid, Value};

/// How much of a name of the caller's an answer repeats.
const ECHO_CHARS_MAX: usize = 64;

/// What one row of the method table needs to make its questions.
struct Incoming<'a> {
    method: Method,
    server: &'a Server,
    params: &'a BTreeMap<String, Value>,
    message: &'a Message,
    limits: &'a Limits,
}

/// Turns a message into its questions. `client` is who stands behind the connection: what a server asks for, it asks
/// of it.
///
/// # Errors
/// [`Denied`] when the message is malformed, unknown, or about something that the catalog does not have.
pub fn map(message: &Message, catalog: &Catalog, client: &Uid, limits: &Limits) -> Result<Mapped, Denied> {
    let version = version(message)?;
    let method = method(&message.method)
        .ok_or_else(|| Denied::invalid(format!("the method `{}` is not known", echo(&message.method))))?;
    if !method.eras.include(version.era()) {
        return Err(Denied::invalid(format!("the method `{}` is not part of MCP {version}", method.name)));
    }
    let params = params(message, limits)?;
    if method.target == Target::Nothing {
        headers::agree(message, version, &params, None)?;
        return Ok(Mapped::Pass);
    }
    let server = catalog.server(&message.server).ok_or_else(|| {
        Denied::unknown(format!("the server `{}` is not in the catalog", echo(&message.server)))
    })?;
    let tool = match method.target {
        Target::Tool => Some(tool(server, &params, message, limits)?),
        Target::Nothing
        | Target::Server
        | Target::Resource
        | Target::Prompt
        | Target::Completion
        | Target::Task
        | Target::Subscriptions
        | Target::Client => None,
    };
    headers::agree(message, version, &params, tool)?;
    let incoming = Incoming { method, server, params: &params, message, limits };
    incoming.ask(tool, client).map(Mapped::Ask)
}

fn version(message: &Message) -> Result<Version, Denied> {
    match &message.protocol_version {
        None => Ok(Version::ASSUMED),
        Some(name) => Version::named(name)
            .ok_or_else(|| Denied::invalid(format!("the protocol version `{}` is not known", echo(name)))),
    }
}

fn params(message: &Message, limits: &Limits) -> Result<BTreeMap<String, Value>, Denied> {
    if message.params.is_empty() {
        return Ok(BTreeMap::new());
    }
    match json::parse(&message.params, limits.json) {
        Ok(Value::Record(members)) => Ok(members),
        Ok(other) => Err(Denied::invalid(format!("`params` must be an object, found {}", other.kind()))),
        Err(error) => Err(Denied::invalid(format!("`params` cannot be read: {error}"))),
    }
}

/// The pinned tool, if the live one is not another.
fn tool<'a>(
    server: &'a Server,
    params: &BTreeMap<String, Value>,
    message: &Message,
    limits: &Limits,
) -> Result<&'a Tool, Denied> {
    let name = name(params, "name", limits)?;
    let tool = server.tools.get(name).ok_or_else(|| {
        Denied::unknown(format!("the server `{}` has no tool `{}` in the catalog", server.id, echo(name)))
    })?;
    if let Some(live) = &message.tool_definition {
        let live = json::parse(live, limits.json)
            .map_err(|error| Denied::invalid(format!("`tool_definition` cannot be read: {error}")))?;
        if !tool.is_pinned_by(&live) {
            let words = format!(
                "the tool `{}` is not the one that was reviewed: its definition changed",
                tool.action().id
            );
            return Err(Denied { reason: DenyReason::ToolDrift, words });
        }
    }
    Ok(tool)
}

impl Incoming<'_> {
    fn ask(&self, tool: Option<&Tool>, client: &Uid) -> Result<Asked, Denied> {
        let mut asked = Asked { questions: vec![], asker: Asker::Client, tool: None, arguments: None };
        match (self.method.target, tool) {
            (Target::Tool, Some(tool)) => {
                asked.questions.push(self.call(tool)?);
                asked.tool = Some(tool.name.clone());
                asked.arguments = json::member_bytes(&self.message.params, "arguments").map(<[u8]>::to_vec);
            }
            (Target::Resource, _) => {
                asked.questions.push(self.resource(self.method.name, self.text("uri")?)?)
            }
            (Target::Prompt, _) => asked.questions.push(self.prompt(self.name("name")?)),
            (Target::Completion, _) => asked.questions.push(self.completion()?),
            (Target::Task, _) => asked.questions.push(self.task()?),
            (Target::Subscriptions, _) => {
                asked.questions.push(self.on_server());
                for uri in self.subscriptions()? {
                    asked.questions.push(self.resource("resources/subscribe", uri)?);
                }
            }
            (Target::Client, _) => {
                asked.questions.push(Question::new(self.action(), client.clone()));
                asked.asker = Asker::Server;
            }
            (Target::Server | Target::Nothing | Target::Tool, _) => asked.questions.push(self.on_server()),
        }
        Ok(asked)
    }

    fn action(&self) -> Uid {
        Uid::new("Action", self.method.name)
    }

    fn on_server(&self) -> Question {
        Question::new(self.action(), self.server.uid())
    }

    fn call(&self, tool: &Tool) -> Result<Question, Denied> {
        let arguments = self.params.get("arguments").unwrap_or(&Value::Null);
        let admitted = tool.admit(arguments).map_err(|fault| Denied::invalid(fault.to_string()))?;
        let unseen = admitted.unseen.into_iter().map(Value::String).collect();
        let mut question = Question::new(tool.action(), tool.uid());
        question.established =
            [("input".to_owned(), admitted.input), ("input_unseen".to_owned(), Value::Set(unseen))].into();
        Ok(question)
    }

    fn resource(&self, action: &str, uri: &str) -> Result<Question, Denied> {
        let canonical = uri::canonical(uri, self.limits.uri_bytes_max)
            .map_err(|fault| Denied::invalid(format!("the URI {fault}")))?;
        let classes = self.server.resource_classes(&canonical);
        Ok(self.about(action, self.owned("Resource", &canonical), &classes))
    }

    fn prompt(&self, name: &str) -> Question {
        let classes = self.server.prompt_classes(name);
        self.about(self.method.name, self.owned("Prompt", name), &classes)
    }

    fn completion(&self) -> Result<Question, Denied> {
        let Some(Value::Record(reference)) = self.params.get("ref") else {
            return Err(Denied::invalid("`params.ref` must be an object"));
        };
        let kind = member(reference, "params.ref.type", "type")?;
        match kind {
            "ref/prompt" => Ok(self.prompt(bounded(
                member(reference, "params.ref.name", "name")?,
                "params.ref.name",
                self.limits,
            )?)),
            "ref/resource" => {
                let uri = member(reference, "params.ref.uri", "uri")?;
                let canonical = uri::canonical_template(uri, self.limits.uri_bytes_max)
                    .map_err(|fault| Denied::invalid(format!("the URI {fault}")))?;
                let classes = self.server.resource_classes(&canonical);
                Ok(self.about(self.method.name, self.owned("Resource", &canonical), &classes))
            }
            _ => Err(Denied::invalid("`params.ref.type` must be `ref/prompt` or `ref/resource`")),
        }
    }

    fn task(&self) -> Result<Question, Denied> {
        let uid = self.owned("McpTask", self.name("taskId")?);
        let mut question = Question::new(self.action(), uid.clone());
        question.derived.push(Entity { uid, attributes: BTreeMap::new(), parents: vec![self.server.uid()] });
        Ok(question)
    }

    /// The URIs that a stream of changes is asked for.
    fn subscriptions(&self) -> Result<Vec<&str>, Denied> {
        let path = "params.notifications.resourceSubscriptions";
        let Some(Value::Record(notifications)) = self.params.get("notifications") else {
            return Err(Denied::invalid("`params.notifications` must be an object"));
        };
        let items = match notifications.get("resourceSubscriptions") {
            None | Some(Value::Null) => return Ok(vec![]),
            Some(Value::Set(items)) => items,
            Some(_) => return Err(Denied::invalid(format!("`{path}` must be an array"))),
        };
        let most = self.limits.subscriptions_max;
        if items.len() > most {
            return Err(Denied::invalid(format!("`{path}` names more than {most} resources")));
        }
        let text = |item: &'_ Value| match item {
            Value::String(_) => Ok(()),
            _ => Err(Denied::invalid(format!("`{path}` must hold strings"))),
        };
        items.iter().try_for_each(text)?;
        Ok(items
            .iter()
            .filter_map(|item| if let Value::String(uri) = item { Some(uri.as_str()) } else { None })
            .collect())
    }

    /// A question about something that belongs to the server and that no file of the bundle has to list.
    fn about(&self, action: &str, uid: Uid, classes: &BTreeSet<String>) -> Question {
        let classes: Vec<Uid> = classes.iter().map(|class| Uid::new("DataClass", class)).collect();
        let attribute = Value::Set(classes.iter().cloned().map(Value::Entity).collect());
        let parents = std::iter::once(self.server.uid()).chain(classes).collect();
        let mut question = Question::new(Uid::new("Action", action), uid.clone());
        question.derived.push(Entity {
            uid,
            attributes: [("data_classes".to_owned(), attribute)].into(),
            parents,
        });
        question
    }

    fn owned(&self, kind: &str, name: &str) -> Uid {
        Uid::new(kind, format!("{}/{name}", self.server.id))
    }

    fn text(&self, name: &str) -> Result<&str, Denied> {
        member(self.params, &format!("params.{name}"), name)
    }

    fn name(&self, member: &str) -> Result<&str, Denied> {
        name(self.params, member, self.limits)
    }
}

fn name<'a>(params: &'a BTreeMap<String, Value>, name: &str, limits: &Limits) -> Result<&'a str, Denied> {
    let path = format!("params.{name}");
    bounded(member(params, &path, name)?, &path, limits)
}

fn bounded<'a>(text: &'a str, path: &str, limits: &Limits) -> Result<&'a str, Denied> {
    if text.is_empty() || text.len() > limits.name_bytes_max || text.chars().any(char::is_control) {
        let most = limits.name_bytes_max;
        return Err(Denied::invalid(format!(
            "`{path}` must have 1 to {most} bytes and no control characters"
        )));
    }
    Ok(text)
}

fn member<'a>(members: &'a BTreeMap<String, Value>, path: &str, name: &str) -> Result<&'a str, Denied> {
    match members.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Denied::invalid(format!("`{path}` must be a string, found {}", other.kind()))),
        None => Err(Denied::invalid(format!("`{path}` is missing"))),
    }
}

/// A caller's own words, short and without what a terminal or a log would obey.
fn echo(text: &str) -> String {
    let short: String = text.chars().take(ECHO_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(ECHO_CHARS_MAX).is_some() { format!("{short}…") } else { short }
}
