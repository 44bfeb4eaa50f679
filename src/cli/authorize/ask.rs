//! The question as it is typed, and as it is sent.
//! Never fills a gap with a guess: what is missing is said.

use clap::Args;

use crate::api::proto::v1;
use crate::cli::remote::{Parties, wire_uid};
use crate::json;
use crate::value::{Uid, Value};

/// Who asks, and what.
#[derive(Debug, Args)]
pub(super) struct Ask {
    #[command(flatten)]
    parties: Parties,
    /// Ask for a tool call: <server>/<tool>.
    #[arg(long, value_name = "SERVER/TOOL", conflicts_with_all = ["method", "action"])]
    tool: Option<String>,
    /// The tool's arguments, a JSON object.
    #[arg(long, value_name = "JSON", requires = "tool", default_value = "{}")]
    args: String,
    /// Ask for another MCP method: its server.
    #[arg(long, value_name = "ID", requires = "method")]
    server: Option<String>,
    /// The MCP method.
    #[arg(long, value_name = "METHOD", requires = "server", conflicts_with = "action")]
    method: Option<String>,
    /// Its `params`, a JSON object.
    #[arg(long, value_name = "JSON", requires = "method")]
    params: Option<String>,
    /// The MCP revision, such as 2025-11-25.
    #[arg(long, value_name = "DATE")]
    protocol_version: Option<String>,
    /// Ask in terms of the schema: the action.
    #[arg(long, value_name = "UID", requires = "resource")]
    action: Option<Uid>,
    /// The resource.
    #[arg(long, value_name = "UID", requires = "action")]
    resource: Option<Uid>,
    /// The context, a JSON object.
    #[arg(long, value_name = "JSON", requires = "action")]
    context: Option<String>,
    /// Only ask what would be answered: nothing of a task's budget is spent.
    #[arg(long)]
    preview: bool,
    /// Say that the enforcement point fulfils obligations of these types: step-up, notification, …
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    obligations: Vec<String>,
    /// The session's id, for the record.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The agent's own words, for the record.
    #[arg(long, value_name = "TEXT")]
    intent: Option<String>,
}

impl Ask {
    /// The question as it is sent, with what proves who asks.
    pub(super) fn to_request(
        &self,
        credentials: Option<v1::Credentials>,
    ) -> Result<v1::AuthorizeRequest, String> {
        Ok(v1::AuthorizeRequest {
            request_id: String::new(),
            subject: self.parties.subject(credentials.is_some())?,
            credentials,
            question: Some(self.question()?),
            session: self.session.clone().unwrap_or_default(),
            task: String::new(),
            purpose: String::new(),
            intent: self.intent.clone().unwrap_or_default(),
            explain: false,
            mode: if self.preview { v1::Mode::Preview } else { v1::Mode::Enforce }.into(),
            min_state_revision: 0,
            supported_obligations: self.obligations.clone(),
        })
    }

    fn question(&self) -> Result<v1::authorize_request::Question, String> {
        let message = |server: &str, method: &str, params: Vec<u8>| {
            v1::authorize_request::Question::Mcp(v1::McpMessage {
                server: server.to_owned(),
                method: method.to_owned(),
                params,
                protocol_version: self.protocol_version.clone().unwrap_or_default(),
                headers: std::collections::BTreeMap::new(),
                tool_definition: vec![],
            })
        };
        match (&self.tool, &self.server, &self.method, &self.action, &self.resource) {
            (Some(tool), None, None, None, None) => {
                let (server, name) = tool
                    .split_once('/')
                    .ok_or_else(|| format!("`{tool}` names no tool; write --tool <server>/<tool>"))?;
                let arguments = object("--args", &self.args)?;
                let name = serde_json::Value::String(name.to_owned());
                Ok(message(server, "tools/call", format!("{{\"name\":{name},\"arguments\":{arguments}}}").into_bytes()))
            }
            (None, Some(server), Some(method), None, None) => {
                let params = self.params.as_deref().map(|params| object("--params", params)).transpose()?;
                Ok(message(server, method, params.unwrap_or_default().as_bytes().to_vec()))
            }
            (None, None, None, Some(action), Some(resource)) => {
                let context = object("--context", self.context.as_deref().unwrap_or("{}"))?;
                let context = json::parse(context.as_bytes(), json::Limits::default());
                let Ok(Value::Record(members)) = context else {
                    return Err("--context must be a JSON object".into());
                };
                let context = members.iter().map(|(name, value)| Some((name.to_string(), wire_value(value)?)));
                Ok(v1::authorize_request::Question::Access(v1::Access {
                    action: Some(wire_uid(action)),
                    resource: Some(wire_uid(resource)),
                    context: context.collect::<Option<_>>().ok_or("--context may not hold null")?,
                    entities: vec![],
                }))
            }
            (Some(_) | None, _, _, _, _) => Err(
                "say what is asked: --tool SERVER/TOOL [--args JSON], --server ID --method METHOD [--params JSON], \
                 or --action UID --resource UID [--context JSON]"
                    .into(),
            ),
        }
    }
}

/// The text, if it is a JSON object; the server holds it against the schema.
fn object<'a>(option: &str, text: &'a str) -> Result<&'a str, String> {
    match json::parse(text.as_bytes(), json::Limits::default()) {
        Ok(Value::Record(_)) => Ok(text),
        Ok(other) => Err(format!("{option} must be a JSON object, not {}", other.kind())),
        Err(error) => Err(format!("{option} is no JSON object: {error}")),
    }
}

fn wire_value(value: &Value) -> Option<v1::Value> {
    use v1::value::Kind;
    let kind = match value {
        Value::Null => return None,
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Long(value) => Kind::LongValue(*value),
        Value::Number(text) | Value::Extension(_, text) => Kind::DecimalValue(text.to_string()),
        Value::String(text) => Kind::StringValue(text.to_string()),
        Value::Entity(uid) => Kind::EntityValue(wire_uid(uid)),
        Value::Set(items) => {
            Kind::SetValue(v1::ValueSet { items: items.iter().map(wire_value).collect::<Option<_>>()? })
        }
        Value::Record(members) => {
            let members = members.iter().map(|(name, value)| Some((name.to_string(), wire_value(value)?)));
            Kind::RecordValue(v1::ValueRecord { members: members.collect::<Option<_>>()? })
        }
    };
    Some(v1::Value { kind: Some(kind) })
}
