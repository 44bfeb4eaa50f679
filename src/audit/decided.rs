//! The record of one answer.
//! Never holds arguments, credentials or entity values: arguments stand as a keyed digest.

#![expect(
    clippy::ref_option_ref,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::instant;
use crate::access::{
    Decision, DecisionId, Determining, Effect, Half, Obligation, ObligationType, Outcome, PolicyError,
    Revision, Timestamp,
};
use crate::identity::{Assurance, TokenFacts, Verified};
use crate::value::Uid;

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Face {
    /// A call of this library.
    Embedded,
    /// `palisade.v1.Authorization`.
    Grpc,
    /// HTTP: the OAuth endpoints of tasks.
    Http,
    /// HTTP: AuthZEN.
    Authzen,
    /// `envoy.service.auth.v3.Authorization`.
    #[serde(rename = "ext_authz")]
    ExtAuthz,
    /// HTTP: PORC, as `ToolHive` asks.
    Porc,
    /// The administration's port.
    Admin,
}

impl Face {
    /// As it stands in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Authzen => "authzen",
            Self::ExtAuthz => "ext_authz",
            Self::Porc => "porc",
            Self::Admin => "admin",
        }
    }
}

/// What an answer is for, when no step follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Somebody only wants to know.
    Preview,
}

/// An answer and all that is known about the question. Members without a value are left out of the line.
#[derive(Debug, Clone, Serialize)]
pub struct Decided<'a> {
    /// When it was decided.
    #[serde(serialize_with = "instant::serialize")]
    pub time: Timestamp,
    /// The decision's id; what the call did is joined to it.
    #[serde(rename = "decision")]
    pub id: &'a DecisionId,
    /// The revision of the bundle that decided.
    pub revision: &'a Revision,
    /// Where the request came in.
    pub face: Face,
    /// The name of the PEP.
    pub caller: &'a str,
    /// The caller's own id for the request.
    #[serde(skip_serializing_if = "absent")]
    pub request_id: Option<&'a str>,
    /// The party whose authority is used. Only a claim unless `assurance` is there too.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    pub principal: Option<&'a Uid>,
    /// The agent that uses it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    pub actor: Option<&'a Uid>,
    /// Earlier actors, the most recent first.
    #[serde(skip_serializing_if = "<[Uid]>::is_empty", serialize_with = "uids")]
    pub earlier_actors: &'a [Uid],
    /// How sure we are of the principal; none when nobody was established.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assurance: Option<Assurance>,
    /// How sure we are of the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_assurance: Option<Assurance>,
    /// The token that showed the principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenSeen<'a>>,
    /// The token of its own that showed the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_token: Option<TokenSeen<'a>>,
    /// The subject's token that its issuer did sign, and that was refused for something else: whose was it?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_token: Option<TokenSeen<'a>>,
    /// The session.
    #[serde(skip_serializing_if = "absent")]
    pub session: Option<&'a str>,
    /// The task.
    #[serde(skip_serializing_if = "absent")]
    pub task: Option<&'a str>,
    /// Whether the task's token was verified here; none when the task is only what the caller says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_assurance: Option<Assurance>,
    /// What the task is for.
    #[serde(skip_serializing_if = "absent")]
    pub purpose: Option<&'a str>,
    /// Whether only the answer was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The agent's own words.
    #[serde(skip_serializing_if = "absent")]
    pub intent: Option<&'a str>,
    /// The MCP server, by catalog id.
    #[serde(skip_serializing_if = "absent")]
    pub server: Option<&'a str>,
    /// The MCP method.
    #[serde(skip_serializing_if = "absent")]
    pub method: Option<&'a str>,
    /// The tool, by its name on the server.
    #[serde(skip_serializing_if = "absent")]
    pub tool: Option<&'a str>,
    /// The Cedar action.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    pub action: Option<&'a Uid>,
    /// The Cedar resource.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    pub resource: Option<&'a Uid>,
    /// Further resources of the same message, decided on as well.
    #[serde(skip_serializing_if = "<[Uid]>::is_empty", serialize_with = "uids")]
    pub also: &'a [Uid],
    /// Cedar's principal, when it is neither `principal` nor `actor`: a server that asks on its own.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_uid")]
    pub authority: Option<&'a Uid>,
    /// The data classes of the resource: ids of `DataClass` entities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data_classes: Vec<&'a str>,
    /// The keyed digest of the arguments, see [`super::digest`].
    #[serde(skip_serializing_if = "absent")]
    pub arguments_digest: Option<&'a str>,
    /// The answer: the members `outcome`, `reason`, `reason_text`, `determining`, `errors`,
    /// `obligations`.
    #[serde(flatten, serialize_with = "answer")]
    pub decision: &'a Decision,
    /// The W3C trace id, 32 hexadecimal digits.
    #[serde(skip_serializing_if = "absent")]
    pub trace_id: Option<&'a str>,
    /// From the request's arrival to this record, in microseconds.
    pub duration_us: u64,
}

/// A token as records name it: never the token itself.
#[derive(Debug, Clone, Serialize)]
pub struct TokenSeen<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// What kind of token it is.
    pub kind: &'static str,
    /// Its `jti`.
    #[serde(skip_serializing_if = "absent")]
    pub id: Option<&'a str>,
    /// Who saw the proof of its key: `pdp`, `pep` or `none`. Absent when it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<&'static str>,
}

impl<'a> From<&'a TokenFacts> for TokenSeen<'a> {
    fn from(facts: &'a TokenFacts) -> Self {
        Self { binding: Some(facts.binding.name()), ..Self::refused(&facts.token) }
    }
}

impl<'a> TokenSeen<'a> {
    /// A token that was refused, although its issuer did sign it.
    pub fn refused(token: &'a Verified) -> Self {
        Self { issuer: &token.issuer, kind: token.kind.name(), id: token.id.as_deref(), binding: None }
    }
}

/// An empty text says as little as none.
pub(super) fn absent(text: &Option<&str>) -> bool {
    text.is_none_or(str::is_empty)
}

/// An entity's id as it stands in records: `{"type": "Human", "id": "ana"}`.
#[derive(Serialize)]
struct Party<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
}

impl<'a> From<&'a Uid> for Party<'a> {
    fn from(uid: &'a Uid) -> Self {
        Self { kind: &uid.kind, id: &uid.id }
    }
}

pub(super) fn optional_uid<S: Serializer>(uid: &Option<&Uid>, serializer: S) -> Result<S::Ok, S::Error> {
    uid.map(Party::from).serialize(serializer)
}

pub(super) fn uids<S: Serializer>(uids: &[Uid], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(uids.iter().map(Party::from))
}

fn answer<S: Serializer>(decision: &Decision, serializer: S) -> Result<S::Ok, S::Error> {
    let Decision { outcome, reason, determining, errors, obligations, withheld } = decision;
    let mut line = serializer.serialize_map(None)?;
    match outcome {
        Outcome::Permit => line.serialize_entry("outcome", "permit")?,
        Outcome::Deny(why) => {
            line.serialize_entry("outcome", "deny")?;
            line.serialize_entry("reason", why.name())?;
        }
    }
    if !reason.is_empty() {
        line.serialize_entry("reason_text", reason)?;
    }
    let policies: Vec<Policy> = determining.iter().map(Policy::from).collect();
    line.serialize_entry("determining", &policies)?;
    if !errors.is_empty() {
        let failures: Vec<Failure> = errors.iter().map(Failure::from).collect();
        line.serialize_entry("errors", &failures)?;
    }
    if !(obligations.is_empty() && withheld.is_empty()) {
        let told = obligations.iter().map(|one| Duty::of(one, true));
        let duties: Vec<Duty<'_>> = told.chain(withheld.iter().map(|one| Duty::of(one, false))).collect();
        line.serialize_entry("obligations", &duties)?;
    }
    line.end()
}

#[derive(Serialize)]
struct Policy<'a> {
    id: &'a str,
    effect: Effect,
    half: Half,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    controls: Vec<&'a str>,
}

impl<'a> From<&'a Determining> for Policy<'a> {
    fn from(policy: &'a Determining) -> Self {
        let Determining { id, effect, half, annotations } = policy;
        let controls = annotations.get("control").map_or_else(Vec::new, |list| {
            list.split(|c: char| c == ',' || c.is_whitespace())
                .filter(|control| !control.is_empty())
                .collect()
        });
        Self { id, effect: *effect, half: *half, controls }
    }
}

/// An obligation: what it says is in the policy.
#[derive(Serialize)]
struct Duty<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: ObligationType,
    /// Whether the enforcement point was told.
    sent: bool,
}

impl<'a> Duty<'a> {
    fn of(obligation: &'a Obligation, sent: bool) -> Self {
        Self { id: &obligation.id, kind: obligation.kind, sent }
    }
}

#[derive(Serialize)]
struct Failure<'a> {
    policy: &'a str,
    half: Half,
    /// The kind of failure: the engine's own words may quote arguments.
    #[serde(rename = "failure")]
    kind: &'a str,
}

impl<'a> From<&'a PolicyError> for Failure<'a> {
    fn from(error: &'a PolicyError) -> Self {
        let PolicyError { id, half, kind, message: _ } = error;
        Self { policy: id, half: *half, kind }
    }
}
