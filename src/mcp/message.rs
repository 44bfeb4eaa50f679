//! A message as the PEP passes it on, and its `params` once they are read.
//! Never understands what the members mean; it only says which are there and of which kind.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::json;
use crate::value::{Members, Value};

use super::method::{self, Method, Version};
use super::{Refusal, shown};

/// A message of the Model Context Protocol. Nothing in it is believed yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The catalog id of the server that it goes to or comes from.
    pub server: String,
    /// The JSON-RPC method.
    pub method: String,
    /// The JSON-RPC `params`.
    pub params: Params,
    /// The protocol revision in force; none means 2025-03-26.
    pub protocol_version: Option<String>,
    /// Its HTTP headers that begin with `Mcp-`, in any case; empty when it did not come over HTTP.
    pub headers: BTreeMap<String, String>,
    /// The definition of the tool as the live server lists it, JSON. Read for `tools/call` only.
    pub tool_definition: Option<Vec<u8>>,
    /// Whether a call of a tool may have arguments although none came along: only what does not depend on them is permitted.
    pub arguments_unseen: bool,
}

/// The JSON-RPC `params` of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Params {
    /// Their text as it was sent; empty when there are none.
    Sent(Vec<u8>),
    /// What a face has read of them already, within [`Limits::params`].
    Read {
        /// Their members.
        members: Members,
        /// The text of the member `arguments` as it was sent: none without it.
        arguments: Option<Vec<u8>>,
    },
}

impl Default for Params {
    fn default() -> Self {
        Self::Sent(Vec::new())
    }
}

impl From<Vec<u8>> for Params {
    fn from(text: Vec<u8>) -> Self {
        Self::Sent(text)
    }
}

impl Params {
    /// Their text as it was sent; none when only what was read of it is there.
    pub fn sent(&self) -> Option<&[u8]> {
        match self {
            Self::Sent(text) => Some(text),
            Self::Read { .. } => None,
        }
    }
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

/// The members of the `params` of a message, with the text of the arguments.
#[derive(Debug)]
pub(super) struct Parameters<'m> {
    all: Cow<'m, Members>,
    arguments: Option<&'m [u8]>,
}

impl<'m> Parameters<'m> {
    /// Reads them: strict JSON, an object, and of the revision that they say themselves.
    pub(super) fn read(
        message: &'m Message,
        version: Version,
        limits: &Limits,
    ) -> Result<Self, Refusal<'static>> {
        let members = match &message.params {
            Params::Read { members, arguments } => {
                Self { all: Cow::Borrowed(members), arguments: arguments.as_deref() }
            }
            Params::Sent(text) if text.is_empty() => {
                Self { all: Cow::Owned(Members::new()), arguments: None }
            }
            Params::Sent(text) => {
                let all = match json::parse(text, limits.params) {
                    Ok(Value::Record(members)) => Cow::Owned(members),
                    Ok(other) => {
                        let found = other.kind();
                        return Err(Refusal::invalid(format!("`params` must be an object, found {found}")));
                    }
                    Err(error) => return Err(Refusal::invalid(format!("`params`: {error}"))),
                };
                Self { all, arguments: json::member_bytes(text, "arguments") }
            }
        };
        match version.era() {
            method::Era::Legacy => {}
            method::Era::Modern => members.agree_on(version)?,
        }
        Ok(members)
    }

    fn agree_on(&self, version: Version) -> Result<(), Refusal<'static>> {
        let Some(meta) = optional_object(&self.all, "params", "_meta")? else { return Ok(()) };
        match meta.get(META_VERSION) {
            None => Ok(()),
            Some(Value::String(name)) if name == version.name() => Ok(()),
            Some(_) => {
                Err(Refusal::invalid(format!("`params._meta.{META_VERSION}` does not agree with {version}")))
            }
        }
    }

    pub(super) fn all(&self) -> &Members {
        &self.all
    }

    /// The value and the text of `params.arguments`.
    pub(super) fn arguments(&self) -> Result<Option<(&Value, &'m [u8])>, Refusal<'static>> {
        let Some(value) = self.all.get("arguments") else { return Ok(None) };
        // What is digested must be what was read; a reader that cannot find it again would break that.
        let text = self.arguments.ok_or_else(|| Refusal::invalid("`params.arguments` cannot be read"))?;
        Ok(Some((value, text)))
    }
}

/// A member that must be text, and of at most `bytes_max` bytes. `path` is that of `members`, for words.
pub(super) fn text<'v>(
    members: &'v Members,
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
    members: &'v Members,
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
    members: &'v Members,
    path: &str,
    member: &str,
) -> Result<Option<&'v Members>, Refusal<'static>> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Record(object)) => Ok(Some(object)),
        Some(other) => {
            Err(Refusal::invalid(format!("`{path}.{member}` must be an object, found {}", other.kind())))
        }
    }
}
