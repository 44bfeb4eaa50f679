//! A message as the PEP passes it on, and its `params` once they were read.
//! Never understands what the members mean; it only says which are there and of which kind.

use std::collections::BTreeMap;

use crate::json;
use crate::value::{SmolStr, Value};

use super::method::{self, Method, Version};
use super::{Refusal, shown};

/// A message of the Model Context Protocol. Nothing in it is believed yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The catalog id of the server that it goes to or comes from.
    pub server: String,
    /// The JSON-RPC method.
    pub method: String,
    /// The bytes of the JSON-RPC `params` as they were sent; empty when there are none.
    pub params: Vec<u8>,
    /// The protocol revision in force; none means 2025-03-26.
    pub protocol_version: Option<String>,
    /// Its HTTP headers that begin with `Mcp-`, in any case; empty when it did not come over HTTP.
    pub headers: BTreeMap<String, String>,
    /// The definition of the tool as the live server lists it, JSON. Read for `tools/call` only.
    pub tool_definition: Option<Vec<u8>>,
    /// Whether a call of a tool may have arguments although none came along: only what does not depend on them is permitted.
    pub arguments_unseen: bool,
}

/// How much of a message is read. What is over a limit is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size, depth and number of values of `params`.
    pub params: json::Limits,
    /// The same of a tool's definition.
    pub tool_definition: json::Limits,
    /// The length of a method's name.
    pub method_bytes_max: usize,
    /// The length of the name of a tool or a prompt, and of a task id.
    pub name_bytes_max: usize,
    /// The length of a URI, as sent and in canonical form.
    pub uri_bytes_max: usize,
    /// The number of resources that one `subscriptions/listen` names; each is a question of its own.
    pub subscriptions_max: usize,
    /// The number of headers.
    pub headers_max: usize,
    /// The length of a header's name and of its value.
    pub header_bytes_max: usize,
}

impl Default for Limits {
    /// 1 MiB of JSON, methods of 128 bytes, names of 256, URIs of 4,096; 16 subscriptions; 64 headers of 8 KiB.
    fn default() -> Self {
        Self {
            params: json::Limits::default(),
            tool_definition: json::Limits::default(),
            method_bytes_max: 128,
            name_bytes_max: 256,
            uri_bytes_max: 4096,
            subscriptions_max: 16,
            headers_max: 64,
            header_bytes_max: 8192,
        }
    }
}

impl Message {
    pub(super) fn version(&self) -> Result<Version, Refusal<'static>> {
        let Some(name) = &self.protocol_version else { return Ok(Version::ASSUMED) };
        Version::named(name)
            .ok_or_else(|| Refusal::invalid(format!("protocol version `{}` is not known", shown(name))))
    }

    pub(super) fn method(&self, version: Version, limits: &Limits) -> Result<Method, Refusal<'static>> {
        let found = (self.method.len() <= limits.method_bytes_max).then(|| method::method(&self.method));
        let method = found.flatten().ok_or_else(|| {
            Refusal::invalid(format!("method `{}` is not one that the protocol has", shown(&self.method)))
        })?;
        if !method.eras.include(version.era()) {
            return Err(Refusal::invalid(format!("method `{}` does not exist in {version}", method.name)));
        }
        Ok(method)
    }

    /// Whether the live definition that came along, if one did, reads as JSON; its value.
    pub(super) fn live_definition(&self, limits: &Limits) -> Result<Option<Value>, Refusal<'static>> {
        let Some(bytes) = &self.tool_definition else { return Ok(None) };
        json::parse(bytes, limits.tool_definition)
            .map(Some)
            .map_err(|error| Refusal::invalid(format!("`tool_definition`: {error}")))
    }
}

/// The member of `_meta` that repeats the protocol version (MCP 2026-07-28).
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The `params` of a message: their bytes, and their members.
#[derive(Debug)]
pub(super) struct Params<'m> {
    bytes: &'m [u8],
    members: BTreeMap<SmolStr, Value>,
}

impl<'m> Params<'m> {
    /// Reads them: strict JSON, an object, and of the revision that they say themselves.
    pub(super) fn read(
        message: &'m Message,
        version: Version,
        limits: &Limits,
    ) -> Result<Self, Refusal<'static>> {
        let bytes = &message.params;
        if bytes.is_empty() {
            return Ok(Self { bytes, members: BTreeMap::new() });
        }
        let value = json::parse(bytes, limits.params)
            .map_err(|error| Refusal::invalid(format!("`params`: {error}")))?;
        let params = match value {
            Value::Record(members) => Self { bytes, members },
            other => {
                return Err(Refusal::invalid(format!("`params` must be an object, found {}", other.kind())));
            }
        };
        match version.era() {
            method::Era::Legacy => {}
            method::Era::Modern => params.agree_on(version)?,
        }
        Ok(params)
    }

    fn agree_on(&self, version: Version) -> Result<(), Refusal<'static>> {
        let Some(meta) = optional_object(&self.members, "params", "_meta")? else { return Ok(()) };
        match meta.get(META_VERSION) {
            None => Ok(()),
            Some(Value::String(name)) if name == version.name() => Ok(()),
            Some(_) => {
                Err(Refusal::invalid(format!("`params._meta.{META_VERSION}` does not agree with {version}")))
            }
        }
    }

    pub(super) fn members(&self) -> &BTreeMap<SmolStr, Value> {
        &self.members
    }

    /// The value and the bytes of `params.arguments`.
    pub(super) fn arguments(&self) -> Result<Option<(&Value, &'m [u8])>, Refusal<'static>> {
        let Some(value) = self.members.get("arguments") else { return Ok(None) };
        // What is digested must be what was read; a reader that cannot find it again would break that.
        let bytes = json::member_bytes(self.bytes, "arguments")
            .ok_or_else(|| Refusal::invalid("`params.arguments` cannot be read"))?;
        Ok(Some((value, bytes)))
    }
}

/// A member that must be text, and of at most `bytes_max` bytes. `path` is that of `members`, for words.
pub(super) fn text<'v>(
    members: &'v BTreeMap<SmolStr, Value>,
    path: &str,
    member: &str,
    bytes_max: usize,
) -> Result<&'v str, Refusal<'static>> {
    match members.get(member) {
        None => Err(Refusal::invalid(format!("`{path}.{member}` is missing"))),
        Some(Value::String(text)) if text.is_empty() => {
            Err(Refusal::invalid(format!("`{path}.{member}` is empty")))
        }
        Some(Value::String(text)) if text.len() > bytes_max => {
            Err(Refusal::invalid(format!("`{path}.{member}` is longer than {bytes_max} bytes")))
        }
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            Err(Refusal::invalid(format!("`{path}.{member}` must be a string, found {}", other.kind())))
        }
    }
}

/// A member that must be text without control characters.
pub(super) fn name<'v>(
    members: &'v BTreeMap<SmolStr, Value>,
    path: &str,
    member: &str,
    bytes_max: usize,
) -> Result<&'v str, Refusal<'static>> {
    let name = text(members, path, member, bytes_max)?;
    if name.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!("`{path}.{member}` contains a control character")));
    }
    Ok(name)
}

/// A member that must be an object if it is there; null counts as absent.
pub(super) fn optional_object<'v>(
    members: &'v BTreeMap<SmolStr, Value>,
    path: &str,
    member: &str,
) -> Result<Option<&'v BTreeMap<SmolStr, Value>>, Refusal<'static>> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Record(object)) => Ok(Some(object)),
        Some(other) => {
            Err(Refusal::invalid(format!("`{path}.{member}` must be an object, found {}", other.kind())))
        }
    }
}
