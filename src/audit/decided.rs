//! The record of one answer.
//! Never holds arguments, credentials or entity values: arguments stand as a keyed digest.

use serde::Serialize;

use super::line::Object;
use crate::access::{
    Decision, DecisionId, Determining, Obligation, Outcome, PolicyError, Revision, Timestamp,
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
    /// `agentgateway.dev.ext_mcp.ExtMcp`.
    #[serde(rename = "ext_mcp")]
    ExtMcp,
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
            Self::ExtMcp => "ext_mcp",
            Self::Porc => "porc",
            Self::Admin => "admin",
        }
    }
}

/// What an answer is for, when no step follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Somebody only wants to know.
    Preview,
}

impl Mode {
    /// As it stands in records.
    fn name(self) -> &'static str {
        match self {
            Self::Preview => "preview",
        }
    }
}

/// An answer and all that is known about the question. Members without a value are left out of the line, and so are
/// most empty texts and lists; `caller` and `determining` always stand there.
#[derive(Debug, Clone)]
pub struct Decided<'a> {
    /// When it was decided.
    pub time: Timestamp,
    /// The decision's id, in the member `decision`; what the call did is joined to it.
    pub id: &'a DecisionId,
    /// The revision of the bundle that decided.
    pub revision: &'a Revision,
    /// Where the request came in.
    pub face: Face,
    /// The name of the PEP.
    pub caller: &'a str,
    /// The caller's own id for the request.
    pub request_id: Option<&'a str>,
    /// The party whose authority is used. Only a claim unless `assurance` is there too.
    pub principal: Option<&'a Uid>,
    /// The agent that uses it.
    pub actor: Option<&'a Uid>,
    /// Earlier actors, the most recent first.
    pub earlier_actors: &'a [Uid],
    /// How sure we are of the principal; none when nobody was established.
    pub assurance: Option<Assurance>,
    /// How sure we are of the actor.
    pub actor_assurance: Option<Assurance>,
    /// The token that showed the principal.
    pub token: Option<TokenSeen<'a>>,
    /// The token of its own that showed the actor.
    pub actor_token: Option<TokenSeen<'a>>,
    /// The subject's token that its issuer did sign, and that was refused for something else: whose was it?
    pub refused_token: Option<TokenSeen<'a>>,
    /// The session.
    pub session: Option<&'a str>,
    /// The task.
    pub task: Option<&'a str>,
    /// Whether the task's token was verified here; none when the task is only what the caller says.
    pub task_assurance: Option<Assurance>,
    /// What the task is for.
    pub purpose: Option<&'a str>,
    /// Whether only the answer was wanted.
    pub mode: Option<Mode>,
    /// The agent's own words.
    pub intent: Option<&'a str>,
    /// The MCP server, by catalog id.
    pub server: Option<&'a str>,
    /// The MCP method.
    pub method: Option<&'a str>,
    /// The tool, by its name on the server.
    pub tool: Option<&'a str>,
    /// The Cedar action.
    pub action: Option<&'a Uid>,
    /// The Cedar resource.
    pub resource: Option<&'a Uid>,
    /// Further resources of the same message, decided on as well.
    pub also: &'a [Uid],
    /// Cedar's principal, when it is neither `principal` nor `actor`: a server that asks on its own.
    pub authority: Option<&'a Uid>,
    /// The data classes of the resource: ids of `DataClass` entities.
    pub data_classes: Vec<&'a str>,
    /// The keyed digest of the arguments, see [`super::digest`].
    pub arguments_digest: Option<&'a str>,
    /// The answer: the members `outcome`, `reason`, `reason_text`, `determining`, `errors`,
    /// `obligations`.
    pub decision: &'a Decision,
    /// The W3C trace id, 32 hexadecimal digits.
    pub trace_id: Option<&'a str>,
    /// From the request's arrival to this record, in microseconds.
    pub duration_us: u64,
}

/// A token as records name it: never the token itself.
#[derive(Debug, Clone)]
pub struct TokenSeen<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// What kind of token it is.
    pub kind: &'static str,
    /// Its `jti`.
    pub id: Option<&'a str>,
    /// Who saw the proof of its key: `pdp`, `pep` or `none`. Absent when it was refused.
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

impl Decided<'_> {
    /// The members of its line.
    pub(super) fn write(&self, line: &mut Object<'_>) {
        line.text("type", "decided");
        line.text("time", &self.time.rfc3339());
        line.text("decision", &self.id.0);
        line.text("revision", &self.revision.0);
        line.text("face", self.face.name());
        line.text("caller", self.caller);
        line.optional("request_id", self.request_id);
        self.who(line);
        line.optional("session", self.session);
        line.optional("task", self.task);
        line.optional("task_assurance", self.task_assurance.map(Assurance::name));
        line.optional("purpose", self.purpose);
        line.optional("mode", self.mode.map(Mode::name));
        line.optional("intent", self.intent);
        self.what(line);
        answer(self.decision, line);
        line.optional("trace_id", self.trace_id);
        line.number("duration_us", self.duration_us);
    }

    fn who(&self, line: &mut Object<'_>) {
        party(line, "principal", self.principal);
        party(line, "actor", self.actor);
        parties(line, "earlier_actors", self.earlier_actors);
        line.optional("assurance", self.assurance.map(Assurance::name));
        line.optional("actor_assurance", self.actor_assurance.map(Assurance::name));
        token(line, "token", self.token.as_ref());
        token(line, "actor_token", self.actor_token.as_ref());
        token(line, "refused_token", self.refused_token.as_ref());
    }

    fn what(&self, line: &mut Object<'_>) {
        line.optional("server", self.server);
        line.optional("method", self.method);
        line.optional("tool", self.tool);
        party(line, "action", self.action);
        party(line, "resource", self.resource);
        parties(line, "also", self.also);
        party(line, "authority", self.authority);
        if !self.data_classes.is_empty() {
            line.texts("data_classes", self.data_classes.iter().copied());
        }
        line.optional("arguments_digest", self.arguments_digest);
    }
}

fn party(line: &mut Object<'_>, name: &'static str, uid: Option<&Uid>) {
    if let Some(uid) = uid {
        line.object(name, |party| named(party, uid));
    }
}

fn parties(line: &mut Object<'_>, name: &'static str, uids: &[Uid]) {
    if !uids.is_empty() {
        line.objects(name, uids, named);
    }
}

fn named(party: &mut Object<'_>, uid: &Uid) {
    party.text("type", &uid.kind);
    party.text("id", &uid.id);
}

fn token(line: &mut Object<'_>, name: &'static str, seen: Option<&TokenSeen<'_>>) {
    let Some(TokenSeen { issuer, kind, id, binding }) = seen else { return };
    line.object(name, |token| {
        token.text("issuer", issuer);
        token.text("kind", kind);
        token.optional("id", *id);
        token.optional("binding", *binding);
    });
}

fn answer(decision: &Decision, line: &mut Object<'_>) {
    let Decision { outcome, reason, determining, errors, obligations, withheld } = decision;
    match outcome {
        Outcome::Permit => line.text("outcome", "permit"),
        Outcome::Deny(why) => {
            line.text("outcome", "deny");
            line.text("reason", why.name());
        }
    }
    line.optional("reason_text", Some(reason));
    line.objects("determining", determining, policy);
    if !errors.is_empty() {
        line.objects("errors", errors, failure);
    }
    if !(obligations.is_empty() && withheld.is_empty()) {
        let told = obligations.iter().map(|one| (one, true));
        line.objects("obligations", told.chain(withheld.iter().map(|one| (one, false))), duty);
    }
}

fn policy(line: &mut Object<'_>, policy: &Determining) {
    let Determining { id, effect, half, annotations } = policy;
    line.text("id", id);
    line.text("effect", effect.name());
    line.text("half", half.name());
    let list = annotations.get("control").map(String::as_str).unwrap_or_default();
    let controls = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|control| !control.is_empty());
    if controls.clone().next().is_some() {
        line.texts("controls", controls);
    }
}

/// The kind of failure: the engine's own words may quote arguments.
fn failure(line: &mut Object<'_>, error: &PolicyError) {
    let PolicyError { id, half, kind, message: _ } = error;
    line.text("policy", id);
    line.text("half", half.name());
    line.text("failure", kind);
}

/// What an obligation says is in the policy; here, whether the enforcement point was told.
fn duty(line: &mut Object<'_>, (obligation, sent): (&Obligation, bool)) {
    line.text("id", &obligation.id);
    line.text("type", obligation.kind.name());
    line.flag("sent", sent);
}
