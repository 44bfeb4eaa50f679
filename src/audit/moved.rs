//! The record of what became of a task, or of authority at large. Written before anybody hears of it.
//! Never holds a token.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option_ref,
    reason = "serde passes fields by reference"
)]

use serde::{Serialize, Serializer};

use super::party::{optional_uid, uids};
use super::{Face, instant};
use crate::access::{DecisionId, Timestamp};
use crate::identity::Assurance;
use crate::task::{Lent, Scope, TaskId};
use crate::value::Uid;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Move {
    /// A task began.
    Started,
    /// A part of one began.
    Delegated,
    /// It has more time.
    Renewed,
    /// Somebody ended it.
    Ended,
    /// Its time was over.
    Expired,
    /// It would no longer be granted.
    Drifted,
    /// It, or authority at large, was taken back.
    Revoked,
    /// What was taken back is let through again.
    Lifted,
    /// Its token was given once more, to whoever asked for the same start again.
    Reissued,
    /// An access token for an MCP server was given under it.
    Exchanged,
}

impl Move {
    /// As it stands in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Delegated => "delegated",
            Self::Renewed => "renewed",
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::Drifted => "drifted",
            Self::Revoked => "revoked",
            Self::Lifted => "lifted",
            Self::Reissued => "reissued",
            Self::Exchanged => "exchanged",
        }
    }
}

/// What became of a task, or of authority at large. Members without a value are left out of the line.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "task")]
pub struct TaskMoved<'a> {
    /// When.
    #[serde(serialize_with = "instant::serialize")]
    pub time: Timestamp,
    /// What happened.
    #[serde(rename = "move")]
    pub what: Move,
    /// The task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// How it stands from now on.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub state: &'a str,
    /// What was revoked or lifted: `agent/Agent::"bot"`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub target: &'a str,
    /// Where it was asked for; none when nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub face: Option<Face>,
    /// The name of the caller; empty when nobody asked.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub caller: &'a str,
    /// The caller's own id for the request.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub request_id: &'a str,
    /// The decision that permitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<&'a DecisionId>,
    /// Why, in the words of whoever asked.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: &'a str,
    /// The MCP server that a token is for, by its audience.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub audience: &'a str,
    /// What was lent.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub lent: Option<LentTold<'a>>,
    /// The agent's own words.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub intent: &'a str,
    /// Ids of approvals that the caller named.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub approvals: &'a [String],
    /// How many steps were permitted under it, or given to parts of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_spent: Option<u64>,
    /// How many tasks it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<usize>,
    /// The state that has it.
    pub state_revision: u64,
}

/// What was lent, as records tell it.
#[derive(Debug, Clone, Serialize)]
pub struct LentTold<'a> {
    #[serde(serialize_with = "optional_uid")]
    principal: Option<&'a Uid>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    actor: Option<&'a Uid>,
    #[serde(skip_serializing_if = "<[Uid]>::is_empty", serialize_with = "uids")]
    earlier_actors: &'a [Uid],
    assurance: Assurance,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_assurance: Option<Assurance>,
    purpose: &'a str,
    scope: &'a Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_max: Option<u64>,
    #[serde(serialize_with = "seconds")]
    started: i64,
    #[serde(serialize_with = "seconds")]
    expires: i64,
    /// Whom its token is bound to; `none` for a bearer.
    key: &'a str,
    #[serde(skip_serializing_if = "<[TaskId]>::is_empty")]
    ancestors: &'a [TaskId],
    revision: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
}

impl<'a> From<&'a Lent> for LentTold<'a> {
    fn from(lent: &'a Lent) -> Self {
        let Lent { grant, basis } = lent;
        Self {
            principal: Some(&grant.parties.principal),
            actor: grant.parties.actor.as_ref(),
            earlier_actors: &grant.parties.earlier_actors,
            assurance: basis.assurance,
            actor_assurance: basis.actor_assurance,
            purpose: &grant.purpose.id,
            scope: &grant.scope,
            calls_max: grant.calls_max,
            started: grant.started_s,
            expires: grant.expires_s,
            key: grant.key.as_deref().unwrap_or("none"),
            ancestors: &grant.ancestors,
            revision: &basis.revision,
            session: basis.session.as_deref(),
        }
    }
}

fn seconds<S: Serializer>(at_s: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    instant::serialize(&Timestamp(at_s.saturating_mul(1000)), serializer)
}
