//! A request or notification of MCP, as far as a face reads it.
//! Never takes members that another reader could take for others.

use crate::mcp::method::{self, Target};
use crate::value::{Members, SmolStr, Value};

use super::Unreadable;

/// The members of `params` by which servers find out what is asked of them.
const PARAMS: [&str; 14] = [
    "_meta",
    "arguments",
    "cursor",
    "inputResponses",
    "level",
    "name",
    "notifications",
    "protocolVersion",
    "ref",
    "requestState",
    "task",
    "taskId",
    "uri",
    "argument",
];
/// Members of `params` whose own members say what is asked for.
const INNER: [(&str, &[&str]); 2] = [
    (
        "notifications",
        &["promptsListChanged", "resourceSubscriptions", "resourcesListChanged", "toolsListChanged"],
    ),
    ("ref", &["name", "type", "uri"]),
];
/// The member of `_meta` that names the revision (MCP 2026-07-28).
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// A method and its parameters.
#[derive(Debug)]
pub(in crate::api) struct Call {
    pub(in crate::api) method: String,
    /// As they were sent; empty when there are none.
    pub(in crate::api) params: Vec<u8>,
    /// What `params` call the thing that is asked for: `name`, `uri` or `taskId`.
    pub(in crate::api) named: Option<String>,
    /// The revision that `_meta` names.
    pub(in crate::api) version: Option<String>,
}

impl Call {
    /// A method with its parameters: their value, and their bytes as they were sent.
    pub(in crate::api) fn read(method: String, params: Option<(&Value, &[u8])>) -> Result<Self, Unreadable> {
        let (members, bytes) = match params {
            None => return Ok(Self { method, params: Vec::new(), named: None, version: None }),
            Some((Value::Record(members), bytes)) => (members, bytes),
            Some((other, _)) => {
                let words = format!("`params` must be an object, found {}", other.kind());
                return Err(Unreadable::request(words));
            }
        };
        spelt("params", members, &PARAMS)?;
        for (name, known) in INNER {
            if let Some(Value::Record(members)) = members.get(name) {
                spelt(name, members, known)?;
            }
        }
        let named = naming(&method).and_then(|name| text(members.get(name)));
        let version = match members.get("_meta") {
            Some(Value::Record(meta)) => text(meta.get(META_VERSION)),
            _ => None,
        };
        Ok(Self { method, params: bytes.to_vec(), named, version })
    }
}

/// Refuses members that are written with other letters than they have: some servers take them all the same.
fn spelt(of: &str, members: &Members, known: &[&str]) -> Result<(), Unreadable> {
    let like_a_known_one =
        |name: &SmolStr| known.iter().any(|known| known != name && folded(known) == folded(name));
    if members.keys().any(like_a_known_one) {
        let words = format!("a member of `{of}` is written with other letters than it has");
        return Err(Unreadable::request(words));
    }
    Ok(())
}

/// The member of `params` that `Mcp-Name` repeats.
fn naming(name: &str) -> Option<&'static str> {
    match method::method(name)?.target {
        Target::Tool | Target::Prompt => Some("name"),
        Target::Resource => Some("uri"),
        Target::Task => Some("taskId"),
        Target::Nothing | Target::Server | Target::Completion | Target::Subscriptions | Target::Client => {
            None
        }
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) => Some(text.to_string()),
        _ => None,
    }
}

/// Refuses members of one object that differ in case alone: to some readers they are one member, and the last counts.
pub(in crate::api) fn unambiguous(value: &Value) -> Result<(), Unreadable> {
    match value {
        Value::Record(members) => {
            let names: std::collections::BTreeSet<String> = members.keys().map(|name| folded(name)).collect();
            if names.len() != members.len() {
                return Err(Unreadable::request("two members of one object differ in case alone; send one"));
            }
            members.values().try_for_each(unambiguous)
        }
        Value::Set(items) => items.iter().try_for_each(unambiguous),
        Value::Null
        | Value::Bool(_)
        | Value::Long(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Entity(_)
        | Value::Extension(..) => Ok(()),
    }
}

/// A name without regard to case. To capital letters first: some small letters share one, such as `s` and the long s.
pub(in crate::api) fn folded(name: &str) -> String {
    name.to_uppercase().to_lowercase()
}
