//! The record of one search: who asked what could be done, and how much was found.
//! Never holds what was found: that is decided again when it is asked.

#![expect(clippy::ref_option_ref, reason = "serde passes fields by reference")]

use serde::Serialize;

use super::party::optional_uid;
use super::{Face, instant};
use crate::access::{DecisionId, DenyReason, Revision, Timestamp};
use crate::identity::Assurance;
use crate::value::Uid;

/// What was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchKind {
    /// Who may do something to something.
    Subjects,
    /// What somebody may do something to.
    Resources,
    /// What somebody may do to something.
    Actions,
    /// The tools of a server that somebody may call.
    Tools,
    /// All that somebody can reach.
    Reach,
}

impl SearchKind {
    /// As it stands in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subjects => "subjects",
            Self::Resources => "resources",
            Self::Actions => "actions",
            Self::Tools => "tools",
            Self::Reach => "reach",
        }
    }
}

/// A search, or one page of it. Members without a value are left out of the line.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "searched")]
pub struct Searched<'a> {
    /// When.
    #[serde(serialize_with = "instant::serialize")]
    pub time: Timestamp,
    /// The id of the search.
    #[serde(rename = "search")]
    pub id: &'a DecisionId,
    /// The revision of the bundle that it was made on.
    pub revision: &'a Revision,
    /// Where it came in.
    pub face: Face,
    /// The name of the PEP.
    pub caller: &'a str,
    /// The caller's own id for the request.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub request_id: &'a str,
    /// What was looked for.
    pub kind: SearchKind,
    /// Whose authority would be used. Only a claim unless `assurance` is there too.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    pub principal: Option<&'a Uid>,
    /// The agent that would use it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    pub actor: Option<&'a Uid>,
    /// How sure we are of the principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assurance: Option<Assurance>,
    /// The session.
    #[serde(skip_serializing_if = "absent")]
    pub session: Option<&'a str>,
    /// The task, when its token was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<&'a str>,
    /// What would be done.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    pub action: Option<&'a Uid>,
    /// What it would be done to.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    pub resource: Option<&'a Uid>,
    /// The type of what was looked for.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub sought: &'a str,
    /// The MCP server whose entities alone were looked at.
    #[serde(skip_serializing_if = "absent")]
    pub server: Option<&'a str>,
    /// How many questions were decided for it.
    pub evaluated: usize,
    /// How many results there are.
    pub found: usize,
    /// Whether there may be further ones.
    pub more: bool,
    /// Why nothing was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DenyReason>,
    /// The W3C trace id.
    #[serde(skip_serializing_if = "absent")]
    pub trace_id: Option<&'a str>,
    /// Microseconds from the arrival of the request to this record.
    pub duration_us: u64,
}

/// An empty text says as little as none.
fn absent(text: &Option<&str>) -> bool {
    text.is_none_or(str::is_empty)
}
