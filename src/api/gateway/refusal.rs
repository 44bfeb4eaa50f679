//! Why a request cannot be read in one way only, with the code that JSON-RPC has for it.
//! Never quotes a value that was sent.

use crate::json::JsonError;

/// The body is no JSON as it is taken here (JSON-RPC 2.0, section 5.1).
const PARSE: i64 = -32700;
/// It is no message.
const REQUEST: i64 = -32600;
/// A message that does not fit what was declared.
pub(in crate::api) const PARAMS: i64 = -32602;
/// What a server answered cannot be understood (JSON-RPC 2.0, section 5.1).
pub(in crate::api) const INTERNAL: i64 = -32603;
/// A header and the body say different things (MCP 2026-07-28, "Standard Headers").
pub(in crate::api) const HEADER: i64 = -32020;

/// What cannot be read: denied, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Unreadable {
    pub(in crate::api) code: i64,
    pub(in crate::api) words: String,
}

impl Unreadable {
    /// It is no message, or came in no way that messages come in.
    pub(in crate::api) fn request(words: impl Into<String>) -> Self {
        Self { code: REQUEST, words: words.into() }
    }

    /// The answer of a server.
    pub(in crate::api) fn result(words: impl Into<String>) -> Self {
        Self { code: INTERNAL, words: words.into() }
    }

    /// A header.
    pub(in crate::api) fn header(words: impl Into<String>) -> Self {
        Self { code: HEADER, words: words.into() }
    }
}

impl From<JsonError> for Unreadable {
    fn from(error: JsonError) -> Self {
        Self { code: PARSE, words: format!("the body: {error}") }
    }
}
