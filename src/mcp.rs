//! The Model Context Protocol: a message as it passed the PEP becomes the questions that decide it.
//! Never decides, and never lets through what it does not know: an unknown method is a deny.

mod headers;
mod map;
pub mod method;
pub mod uri;

use std::collections::BTreeMap;

use crate::access::{DenyReason, Question};
use crate::json;

pub use map::map;

/// A message as the PEP saw it. Nothing in it is believed yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The server's id in the catalog.
    pub server: String,
    /// The JSON-RPC method.
    pub method: String,
    /// The bytes of `params`, or none.
    pub params: Vec<u8>,
    /// The protocol revision; none means [`method::Version::ASSUMED`].
    pub protocol_version: Option<String>,
    /// The HTTP headers that begin with `Mcp-`, if it came over HTTP.
    pub headers: BTreeMap<String, String>,
    /// The live definition of the tool, if the PEP has it.
    pub tool_definition: Option<Vec<u8>>,
}

/// What a message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size, depth and number of values of `params` and of a tool's definition.
    pub json: json::Limits,
    /// The longest URI, in bytes.
    pub uri_bytes_max: usize,
    /// The longest name of a tool, a prompt or a task, in bytes.
    pub name_bytes_max: usize,
    /// The most resources that one `subscriptions/listen` may name.
    pub subscriptions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json: json::Limits { bytes_max: 512 * 1024, depth_max: 24, nodes_max: 16 * 1024 },
            uri_bytes_max: 4096,
            name_bytes_max: 512,
            subscriptions_max: 64,
        }
    }
}

/// What a message asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    /// Nothing that a policy governs: `ping` and notifications.
    Pass,
    /// These questions, all of which must be permitted.
    Ask(Asked),
}

/// The questions behind a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// At least one; the first is what the message is about.
    pub questions: Vec<Question>,
    /// Whose authority is used.
    pub asker: Asker,
    /// The tool, by its name on the server.
    pub tool: Option<String>,
    /// The bytes of `params.arguments`, exactly as they were sent.
    pub arguments: Option<Vec<u8>>,
}

/// Whose authority a message uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The party that the request names: the usual case.
    Client,
    /// The server's own: it asks the client for something.
    Server,
}

/// Why a message is denied before any policy is asked. The words are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The reason.
    pub reason: DenyReason,
    /// The words.
    pub words: String,
}

impl Denied {
    fn invalid(words: impl Into<String>) -> Self {
        Self { reason: DenyReason::InvalidInput, words: words.into() }
    }

    fn unknown(words: impl Into<String>) -> Self {
        Self { reason: DenyReason::UnknownTool, words: words.into() }
    }
}

#[cfg(test)]
mod tests;
