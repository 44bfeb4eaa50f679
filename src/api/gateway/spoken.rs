//! The headers of MCP over HTTP: which revision is spoken, in which session, and whether they repeat the body.
//! Never believes a header instead of the body.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::mcp::method::{Era, Version};

use super::{Call, Headers, Unreadable};
use crate::api::wire;

const VERSION: &str = "mcp-protocol-version";
const SESSION: &str = "mcp-session-id";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";

/// The headers that begin with `Mcp-`, and what they say.
#[derive(Debug)]
pub(in crate::api) struct Spoken {
    /// By their names in lower case.
    pub(in crate::api) headers: BTreeMap<String, String>,
    /// The revision as it is named; none means 2025-03-26.
    pub(in crate::api) version: Option<String>,
    /// The session, in the era that has sessions.
    pub(in crate::api) session: Option<String>,
}

impl Spoken {
    pub(in crate::api) fn read(headers: &Headers) -> Result<Self, Unreadable> {
        let headers = headers.beginning("mcp-")?;
        let version = headers.get(VERSION).cloned();
        let mut spoken = Self { headers, version, session: None };
        if let Some(session) = spoken.headers.get(SESSION)
            && spoken.era() == Some(Era::Legacy)
        {
            spoken.session = Some(self::session(session)?.to_owned());
        }
        Ok(spoken)
    }

    /// The era of the revision; none when nobody knows it.
    pub(in crate::api) fn era(&self) -> Option<Era> {
        Some(self.revision()?.era())
    }

    /// The revision; none when nobody knows it.
    pub(in crate::api) fn revision(&self) -> Option<Version> {
        self.version.as_deref().map_or(Some(Version::ASSUMED), Version::named)
    }

    /// Takes the name that a gateway shows its clients for the one that the server has.
    pub(in crate::api) fn rename(&mut self, shown: &str, own: &str) {
        if let Some(name) = self.headers.get_mut(NAME)
            && decoded(name).as_deref() == Some(shown)
        {
            own.clone_into(name);
        }
    }

    /// Holds a message against the headers that repeat it. The era that requires them has more to say, and `mcp` says it.
    pub(in crate::api) fn agree(&self, call: &Call) -> Result<(), Unreadable> {
        // Only the newer era names its revision in `_meta`: with the older one in the header, two servers would differ.
        if call.version.is_some() && call.version != self.version {
            return Err(Unreadable::header("`MCP-Protocol-Version` and `_meta` name different revisions"));
        }
        if self.headers.get(METHOD).is_some_and(|method| *method != call.method) {
            return Err(Unreadable::header("header `Mcp-Method` does not agree with the body"));
        }
        match (self.headers.get(NAME), &call.named) {
            (None, _) => Ok(()),
            (Some(name), Some(named)) if decoded(name).as_ref() == Some(named) => Ok(()),
            (Some(_), _) => Err(Unreadable::header("header `Mcp-Name` does not agree with the body")),
        }
    }
}

/// The name of a session, as servers may make them (MCP 2025-11-25, "Session Management": visible ASCII). A comma is where a gateway
/// joins two headers to one, of which the server would take one.
pub(in crate::api) fn session(sent: &str) -> Result<&str, Unreadable> {
    let unfit = |words: &dyn std::fmt::Display| Unreadable::header(format!("`Mcp-Session-Id`: {words}"));
    let session = wire::session(sent).map_err(|fault| unfit(&fault))?;
    if session.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b',') {
        return Err(unfit(&"it must be one name of visible ASCII characters without a comma"));
    }
    Ok(session)
}

/// A value; `=?base64?…?=` is decoded.
fn decoded(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        None => Some(value.to_owned()),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
    }
}
