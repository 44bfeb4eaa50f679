//! The HTTP headers that repeat what the body says (MCP 2026-07-28, "Standard headers"): they must agree, or somebody
//! on the way routed the message by other words than the server reads.
//! Never looks at them when the PEP gave none: then the message did not come over HTTP, or the PEP checked it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::method::{Era, Version};
use super::{Denied, Message};
use crate::catalog::Tool;
use crate::value::Value;

const VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// Holds the headers and `_meta` against the body.
pub(super) fn agree(
    message: &Message,
    version: Version,
    params: &BTreeMap<String, Value>,
    tool: Option<&Tool>,
) -> Result<(), Denied> {
    if version.era() == Era::Modern
        && let Some(Value::Record(meta)) = params.get("_meta")
        && let Some(named) = meta.get(META_VERSION)
        && *named != Value::String(version.name().to_owned())
    {
        return Err(Denied::invalid("`_meta` names another protocol version than the message"));
    }
    if message.headers.is_empty() {
        return Ok(());
    }
    let headers = lower(message)?;
    match (headers.get(VERSION), version.era()) {
        (Some(value), _) if value != version.name() => return Err(differs("MCP-Protocol-Version")),
        (None, Era::Modern) => return Err(missing("MCP-Protocol-Version")),
        (Some(_), _) | (None, Era::Legacy) => {}
    }
    if version.era() == Era::Legacy {
        return Ok(());
    }
    require(&headers, METHOD, "Mcp-Method", &message.method)?;
    if let Some(named) = named_member(&message.method).and_then(|member| params.get(member)) {
        let Value::String(named) = named else { return Err(differs("Mcp-Name")) };
        require(&headers, NAME, "Mcp-Name", named)?;
    }
    tool.map_or(Ok(()), |tool| mirrored(&headers, tool, params))
}

/// The member of `params` that `Mcp-Name` repeats.
fn named_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

fn require(headers: &BTreeMap<String, String>, key: &str, name: &str, wanted: &str) -> Result<(), Denied> {
    match headers.get(key) {
        Some(value) if value == wanted => Ok(()),
        Some(_) => Err(differs(name)),
        None => Err(missing(name)),
    }
}

/// Arguments that the tool's schema mirrors into headers. An argument that is absent or null has no header.
fn mirrored(
    headers: &BTreeMap<String, String>,
    tool: &Tool,
    params: &BTreeMap<String, Value>,
) -> Result<(), Denied> {
    for (name, path) in &tool.headers {
        let mut argument = params.get("arguments");
        for step in path {
            argument = match argument {
                Some(Value::Record(members)) => members.get(step),
                Some(_) | None => None,
            };
        }
        let wanted = match argument {
            None | Some(Value::Null) => None,
            Some(Value::String(text) | Value::Number(text)) => Some(text.clone()),
            Some(Value::Long(value)) => Some(value.to_string()),
            Some(Value::Bool(value)) => Some(value.to_string()),
            Some(Value::Entity(_) | Value::Extension(..) | Value::Set(_) | Value::Record(_)) => {
                return Err(differs(name));
            }
        };
        match (headers.get(&name.to_ascii_lowercase()), wanted) {
            (None, None) => {}
            (Some(value), Some(wanted)) if *value == wanted => {}
            (None, Some(_)) => return Err(missing(name)),
            (Some(_), _) => return Err(differs(name)),
        }
    }
    Ok(())
}

/// Header names in lower case with decoded values; a name that stands twice in different cases is refused.
fn lower(message: &Message) -> Result<BTreeMap<String, String>, Denied> {
    let mut headers = BTreeMap::new();
    for (name, value) in &message.headers {
        let name = name.to_ascii_lowercase();
        let value =
            decoded(value).ok_or_else(|| Denied::invalid("a header's base64 value cannot be read"))?;
        if headers.insert(name, value).is_some() {
            return Err(Denied::invalid("a header stands twice"));
        }
    }
    Ok(headers)
}

/// A value, or the text inside `=?base64?…?=`.
fn decoded(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

fn differs(name: &str) -> Denied {
    Denied::invalid(format!("the header `{name}` does not agree with the body"))
}

fn missing(name: &str) -> Denied {
    Denied::invalid(format!("the header `{name}` is missing"))
}
