//! Why a request cannot be read in one way only, with the code that JSON-RPC has for it.
//! Never quotes a value that was sent.

use crate::json::JsonError;

/// The body is no JSON as it is taken here (JSON-RPC 2.0, section 5.1).
const PARSE: i64 = -32700;
/// It is no message.
const REQUEST: i64 = -32600;
/// A message that does not fit what was declared.
pub(super) const PARAMS: i64 = -32602;
/// A header and the body say different things (MCP 2026-07-28, "Standard Headers").
pub(super) const HEADER: i64 = -32020;

/// What cannot be read: denied, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) code: i64,
    pub(super) words: String,
}

impl Unreadable {
    /// It is no message, or came in no way that messages come in.
    pub(super) fn request(words: impl Into<String>) -> Self {
        Self { code: REQUEST, words: words.into() }
    }

    /// A header.
    pub(super) fn header(words: impl Into<String>) -> Self {
        Self { code: HEADER, words: words.into() }
    }
}

impl From<JsonError> for Unreadable {
    fn from(error: JsonError) -> Self {
        Self { code: PARSE, words: format!("the body: {error}") }
    }
}
