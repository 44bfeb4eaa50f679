//! What a client's message is about: the tool, resource, prompt, task or server, as questions.
//! Never asks about a name that could mean two things, and never about a tool that is not the reviewed one.

use std::collections::BTreeSet;

use crate::access::{DenyReason, Entity, Question};
use crate::catalog::{Admitted, INPUT, INPUT_UNSEEN, Server, Tool};
use crate::uri;
use crate::value::{Members, Uid, Value, format_smolstr};

use super::headers::Headers;
use super::message::{self, Limits, Message, Parameters};
use super::method::{Method, Target};
use super::{Refusal, Step, action, shown};

/// A message from the agent's side to a server of the catalog.
#[derive(Debug)]
pub(super) struct Asked<'a, 'm> {
    pub(super) method: Method,
    pub(super) server: &'a Server,
    pub(super) message: &'m Message,
    pub(super) params: &'a Parameters<'m>,
    pub(super) headers: &'a Headers<'a>,
    pub(super) limits: &'a Limits,
}

/// What a question is about, with the classes of the data behind it.
struct Thing {
    uid: Uid,
    /// None for what holds no data of its own: a server, a task.
    data_classes: Option<BTreeSet<String>>,
}

impl<'m> Asked<'_, 'm> {
    pub(super) fn step(&self) -> Result<Step<'m>, Refusal<'m>> {
        match self.method.target {
            Target::Tool => self.tool_call(),
            Target::Server => Ok(self.ask(self.server_itself())),
            Target::Resource => Ok(self.ask(self.resource()?)),
            Target::Prompt => Ok(self.ask(self.prompt("params", self.params.all())?)),
            Target::Completion => Ok(self.ask(self.completion()?)),
            Target::Task => Ok(self.ask(self.task()?)),
            Target::Subscriptions => self.subscriptions(),
            // These two never get here; if they did, asking nobody would be a permit.
            Target::Nothing | Target::Client => {
                Err(Refusal::invalid(format!("method `{}` is not sent by clients", self.method.name)))
            }
        }
    }

    fn tool_call(&self) -> Result<Step<'m>, Refusal<'m>> {
        let arguments = self.params.arguments()?;
        let bytes = arguments.map(|(_, bytes)| bytes);
        let name = message::text(self.params.all(), "params", "name", self.limits.name_bytes_max)?;
        let Some(tool) = self.server.tools.get(name) else {
            let words =
                format!("tool `{}` of server `{}` is not in the catalog", shown(name), self.server.id);
            return Err(Refusal { arguments: bytes, ..Refusal::new(DenyReason::UnknownTool, words) });
        };
        if self.message.arguments_unseen && arguments.is_none() {
            return Ok(unseen(tool));
        }
        let admitted = self
            .admit(tool, arguments.map_or(&Value::Null, |(value, _)| value))
            .map_err(|refusal| Refusal { arguments: bytes, ..refusal.about(tool.action(), tool.uid()) })?;
        let Admitted { input, unseen } = admitted;
        let unseen = Value::Set(unseen.into_iter().map(|path| Value::String(path.into())).collect());
        let mut question = Question::new(tool.action(), tool.uid());
        question.established = Members::from_iter([(INPUT.into(), input), (INPUT_UNSEEN.into(), unseen)]);
        let data_classes = tool.facts.data_classes.clone();
        Ok(Step { question, also: Vec::new(), data_classes, arguments: bytes, blanks: BTreeSet::new() })
    }

    fn admit(&self, tool: &Tool, arguments: &Value) -> Result<Admitted, Refusal<'static>> {
        if let Some(live) = self.message.live_definition(self.limits)?
            && !tool.is_pinned_by(&live)
        {
            let words = format!("tool `{}` is not the one that was reviewed", shown(&tool.name));
            return Err(Refusal::new(DenyReason::ToolDrift, words));
        }
        self.headers.mirror(tool, arguments)?;
        tool.admit(arguments).map_err(|fault| Refusal::invalid(fault.to_string()))
    }

    fn subscriptions(&self) -> Result<Step<'m>, Refusal<'m>> {
        let mut step = self.ask(self.server_itself());
        let path = "params.notifications";
        let Some(wanted) = message::optional_object(self.params.all(), "params", "notifications")? else {
            return Ok(step);
        };
        let uris = match wanted.get("resourceSubscriptions") {
            None | Some(Value::Null) => return Ok(step),
            Some(Value::Set(uris)) => uris,
            Some(other) => {
                let words =
                    format!("`{path}.resourceSubscriptions` must be an array, found {}", other.kind());
                return Err(Refusal::invalid(words));
            }
        };
        let subscriptions_max = self.limits.subscriptions_max;
        if uris.len() > subscriptions_max {
            let words =
                format!("`{path}.resourceSubscriptions` names more than {subscriptions_max} resources");
            return Err(Refusal::invalid(words));
        }
        let mut asked = BTreeSet::new();
        for (index, sent) in uris.iter().enumerate() {
            let path = format!("{path}.resourceSubscriptions[{index}]");
            let Value::String(sent) = sent else {
                return Err(Refusal::invalid(format!("`{path}` must be a string, found {}", sent.kind())));
            };
            let resource = self.resource_at(&path, sent, uri::canonical)?;
            if asked.insert(resource.uid.id.clone()) {
                step.data_classes.extend(resource.data_classes.iter().flatten().cloned());
                step.also.push(self.question("resources/subscribe", resource));
            }
        }
        Ok(step)
    }

    fn completion(&self) -> Result<Thing, Refusal<'static>> {
        let path = "params.ref";
        let reference = message::optional_object(self.params.all(), "params", "ref")?
            .ok_or_else(|| Refusal::invalid(format!("`{path}` is missing")))?;
        match message::text(reference, path, "type", self.limits.name_bytes_max)? {
            "ref/prompt" => self.prompt(path, reference),
            "ref/resource" => {
                let sent = message::text(reference, path, "uri", self.limits.uri_bytes_max)?;
                self.resource_at(&format!("{path}.uri"), sent, uri::canonical_template)
            }
            _ => Err(Refusal::invalid(format!("`{path}.type` must be `ref/prompt` or `ref/resource`"))),
        }
    }

    fn server_itself(&self) -> Thing {
        Thing { uid: self.server.uid(), data_classes: None }
    }

    fn resource(&self) -> Result<Thing, Refusal<'static>> {
        let sent = message::text(self.params.all(), "params", "uri", self.limits.uri_bytes_max)?;
        self.resource_at("params.uri", sent, uri::canonical)
    }

    /// The resource with the URI `sent`, which stands at `path`.
    fn resource_at(
        &self,
        path: &str,
        sent: &str,
        canonical: fn(&str, usize) -> Result<String, uri::UriFault>,
    ) -> Result<Thing, Refusal<'static>> {
        let uri = canonical(sent, self.limits.uri_bytes_max)
            .map_err(|fault| Refusal::invalid(format!("`{path}` {fault}")))?;
        let data_classes = Some(self.server.resource_classes(&uri));
        Ok(Thing { uid: self.uid("Resource", &uri), data_classes })
    }

    fn prompt(&self, path: &str, members: &Members) -> Result<Thing, Refusal<'static>> {
        let name = message::name(members, path, "name", self.limits.name_bytes_max)?;
        let data_classes = Some(self.server.prompt_classes(name));
        Ok(Thing { uid: self.uid("Prompt", name), data_classes })
    }

    /// A task id is a name and grants nothing: whoever asks is asked about.
    fn task(&self) -> Result<Thing, Refusal<'static>> {
        let id = message::name(self.params.all(), "params", "taskId", self.limits.name_bytes_max)?;
        Ok(Thing { uid: self.uid("McpTask", id), data_classes: None })
    }

    /// A server id has no slash, so the first one ends it.
    fn uid(&self, kind: &str, name: &str) -> Uid {
        Uid::new(kind, format_smolstr!("{}/{name}", self.server.id))
    }

    fn ask(&self, thing: Thing) -> Step<'m> {
        let data_classes = thing.data_classes.clone().unwrap_or_default();
        let question = self.question(self.method.name, thing);
        Step { question, also: Vec::new(), data_classes, arguments: None, blanks: BTreeSet::new() }
    }

    fn question(&self, action_name: &str, thing: Thing) -> Question {
        let Thing { uid, data_classes } = thing;
        let mut question = Question::new(action(action_name), uid.clone());
        // The server itself is an entity of the bundle; everything else that is asked about stands on it.
        if uid != self.server.uid() {
            question.derived.push(entity(self.server, uid, data_classes.as_ref()));
        }
        question
    }
}

/// The call of a tool whose arguments did not come along.
fn unseen<'m>(tool: &Tool) -> Step<'m> {
    let (certain, blanks) = tool.beforehand();
    let mut question = Question::new(tool.action(), tool.uid());
    question.established = certain;
    Step {
        question,
        also: Vec::new(),
        data_classes: tool.facts.data_classes.clone(),
        arguments: None,
        blanks,
    }
}

/// Something on a server, with the classes of the data that it holds, if it holds any of its own.
pub(super) fn entity(server: &Server, uid: Uid, data_classes: Option<&BTreeSet<String>>) -> Entity {
    let classes = data_classes.into_iter().flatten().map(|class| Uid::new("DataClass", class));
    let parents = std::iter::once(server.uid()).chain(classes.clone()).collect();
    let attributes = data_classes
        .is_some()
        .then(|| ("data_classes".into(), Value::Set(classes.map(Value::Entity).collect())));
    Entity { uid, attributes: attributes.into_iter().collect(), parents }
}
