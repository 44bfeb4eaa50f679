//! Protobuf to the domain and back.
//! Never believes a size, and never lets a half-understood message through.

use std::collections::{BTreeMap, BTreeSet};

use super::Limits;
use super::proto::v1;
use crate::access::{
    DenyReason, Determining, Effect, Entity, Half, Obligation, ObligationType, Outcome, Question,
};
use crate::identity::{Claim, Credentials, Proof, TOKEN_BYTES_MAX, Token};
use crate::mcp;
use crate::pdp::{Answer, Ask};
use crate::value::{Extension, Members, Uid, Value};

/// A message that cannot be understood. Says which field and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub(super) struct Malformed {
    field: String,
    problem: String,
}

impl Malformed {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// The longest texts that a request may carry, in bytes. Named in the proto file.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 128;
pub(super) const NAME_BYTES_MAX: usize = 256;
pub(super) const INTENT_BYTES_MAX: usize = 1024;
pub(super) const UID_BYTES_MAX: usize = 4096;
pub(super) const URL_BYTES_MAX: usize = 4096;
pub(super) const EARLIER_ACTORS_MAX: usize = 8;
pub(super) const ENTITIES_MAX: usize = 256;
pub(super) const HEADERS_MAX: usize = 64;
const OBLIGATION_TYPES_MAX: usize = 64;

/// A decoded `AuthorizeRequest`, still without caller and instant.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) request_id: String,
    pub(super) claim: Option<Claim>,
    pub(super) ask: Ask,
    pub(super) session: Option<String>,
    pub(super) task: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) intent: Option<String>,
    pub(super) explain: bool,
    pub(super) credentials: Credentials,
    pub(super) preview: bool,
    pub(super) min_state: u64,
    pub(super) understands: BTreeSet<ObligationType>,
}

pub(super) fn decode(request: v1::AuthorizeRequest, limits: &Limits) -> Result<Decoded, Malformed> {
    let v1::AuthorizeRequest {
        request_id,
        subject,
        question,
        session,
        task,
        purpose,
        intent,
        explain,
        credentials,
        mode,
        min_state_revision,
        supported_obligations,
    } = request;
    let preview = preview(mode)?;
    let ask = match question {
        Some(v1::authorize_request::Question::Access(access)) => Ask::Access(decode_access(access, limits)?),
        Some(v1::authorize_request::Question::Mcp(message)) => Ask::Mcp(decode_mcp(message)?),
        None => return Err(Malformed::new("question", "is missing: set `access` or `mcp`")),
    };
    Ok(Decoded {
        request_id: text("request_id", request_id, REQUEST_ID_BYTES_MAX)?,
        claim: subject.map(decode_claim).transpose()?,
        ask,
        session: optional("session", session, NAME_BYTES_MAX)?,
        task: optional("task", task, NAME_BYTES_MAX)?,
        purpose: optional("purpose", purpose, NAME_BYTES_MAX)?,
        intent: optional("intent", intent, INTENT_BYTES_MAX)?,
        explain,
        credentials: credentials.map(decode_credentials).transpose()?.unwrap_or_default(),
        preview,
        min_state: min_state_revision,
        understands: understands(supported_obligations)?,
    })
}

/// The types of obligations that the caller says it fulfils. Those that we do not know are of no use to it.
fn understands(names: Vec<String>) -> Result<BTreeSet<ObligationType>, Malformed> {
    const FIELD: &str = "supported_obligations";
    if names.len() > OBLIGATION_TYPES_MAX {
        let problem = format!("has {} items, more than the limit of {OBLIGATION_TYPES_MAX}", names.len());
        return Err(Malformed::new(FIELD, problem));
    }
    let known = |name| Ok(ObligationType::named(&text(FIELD, name, NAME_BYTES_MAX)?));
    names.into_iter().filter_map(|name| known(name).transpose()).collect()
}

/// Whether an answer is only wanted, and no step follows.
pub(super) fn preview(mode: i32) -> Result<bool, Malformed> {
    match v1::Mode::try_from(mode) {
        Ok(v1::Mode::Unspecified | v1::Mode::Enforce) => Ok(false),
        Ok(v1::Mode::Preview) => Ok(true),
        Err(_) => Err(Malformed::new("mode", format!("is {mode}, which is none of the modes"))),
    }
}

/// The name of a session that is to end.
pub(super) fn session(session: &str) -> Result<&str, Malformed> {
    match session.len() {
        0 => Err(Malformed::new("session", "is empty")),
        bytes if bytes > NAME_BYTES_MAX => Err(Malformed::new(
            "session",
            format!("has {bytes} bytes, more than the limit of {NAME_BYTES_MAX}"),
        )),
        _ => Ok(session),
    }
}

pub(super) fn text(field: &str, text: String, bytes_max: usize) -> Result<String, Malformed> {
    if text.len() > bytes_max {
        return Err(Malformed::new(
            field,
            format!("has {} bytes, more than the limit of {bytes_max}", text.len()),
        ));
    }
    Ok(text)
}

pub(super) fn optional(field: &str, value: String, bytes_max: usize) -> Result<Option<String>, Malformed> {
    text(field, value, bytes_max).map(|value| (!value.is_empty()).then_some(value))
}

pub(super) fn decode_credentials(credentials: v1::Credentials) -> Result<Credentials, Malformed> {
    let v1::Credentials { subject_token, actor_token, task_token, proof } = credentials;
    let token = |field, value| Ok::<_, Malformed>(optional(field, value, TOKEN_BYTES_MAX)?.map(Token::new));
    let name = |field, value: String| {
        optional(field, value, NAME_BYTES_MAX)?.ok_or_else(|| Malformed::new(field, "is empty"))
    };
    let proof = match proof {
        None => None,
        Some(v1::credentials::Proof::Dpop(v1::DpopProof { proof, method, url })) => Some(Proof::Dpop {
            proof: token("credentials.dpop.proof", proof)?
                .ok_or_else(|| Malformed::new("credentials.dpop.proof", "is empty"))?,
            method: name("credentials.dpop.method", method)?,
            url: text("credentials.dpop.url", url, URL_BYTES_MAX)?,
        }),
        Some(v1::credentials::Proof::CertificateSha256(thumbprint)) => {
            Some(Proof::Certificate(name("credentials.certificate_sha256", thumbprint)?))
        }
        Some(v1::credentials::Proof::KeyThumbprint(thumbprint)) => {
            Some(Proof::Key(name("credentials.key_thumbprint", thumbprint)?))
        }
    };
    Ok(Credentials {
        subject: token("credentials.subject_token", subject_token)?,
        actor: token("credentials.actor_token", actor_token)?,
        task: token("credentials.task_token", task_token)?,
        proof,
        workload: None,
    })
}

pub(super) fn decode_claim(subject: v1::Subject) -> Result<Claim, Malformed> {
    let v1::Subject { principal, actor, earlier_actors } = subject;
    if earlier_actors.len() > EARLIER_ACTORS_MAX {
        let problem =
            format!("has {} items, more than the limit of {EARLIER_ACTORS_MAX}", earlier_actors.len());
        return Err(Malformed::new("subject.earlier_actors", problem));
    }
    Ok(Claim {
        principal: required_uid("subject.principal", principal)?,
        actor: actor.map(|uid| decode_uid("subject.actor", uid)).transpose()?,
        earlier_actors: earlier_actors
            .into_iter()
            .map(|uid| decode_uid("subject.earlier_actors", uid))
            .collect::<Result<_, _>>()?,
    })
}

pub(super) fn required_uid(field: &str, uid: Option<v1::EntityUid>) -> Result<Uid, Malformed> {
    decode_uid(field, uid.ok_or_else(|| Malformed::new(field, "is missing"))?)
}

pub(super) fn decode_uid(field: &str, uid: v1::EntityUid) -> Result<Uid, Malformed> {
    let v1::EntityUid { r#type, id } = uid;
    if r#type.is_empty() || id.is_empty() {
        return Err(Malformed::new(field, "needs both `type` and `id`"));
    }
    Ok(Uid::new(text(field, r#type, UID_BYTES_MAX)?, text(field, id, UID_BYTES_MAX)?))
}

fn decode_access(access: v1::Access, limits: &Limits) -> Result<Question, Malformed> {
    let v1::Access { action, resource, context, entities } = access;
    let question =
        Question::new(required_uid("access.action", action)?, required_uid("access.resource", resource)?);
    with_circumstances(question, "access.", context, entities, limits)
}

/// The question with what the caller says of its circumstances. The fields have this prefix.
pub(super) fn with_circumstances(
    mut question: Question,
    prefix: &str,
    context: BTreeMap<String, v1::Value>,
    entities: Vec<v1::Entity>,
    limits: &Limits,
) -> Result<Question, Malformed> {
    let field = |name: &str| format!("{prefix}{name}");
    if entities.len() > ENTITIES_MAX {
        let problem = format!("has {} items, more than the limit of {ENTITIES_MAX}", entities.len());
        return Err(Malformed::new(field("entities"), problem));
    }
    let mut budget = Budget { limits, nodes: limits.context_nodes_max };
    question.context = members(&field("context"), context, &mut budget, 1)?;
    for v1::Entity { uid, attributes } in entities {
        let uid = required_uid(&field("entities.uid"), uid)?;
        let attributes = members(&field("entities.attributes"), attributes, &mut budget, 1)?;
        question.brought.push(Entity { uid, attributes, parents: vec![] });
    }
    Ok(question)
}

/// What a request may still spend on values.
struct Budget<'a> {
    limits: &'a Limits,
    nodes: usize,
}

impl Budget<'_> {
    fn spend(&mut self, field: &str, depth: usize) -> Result<(), Malformed> {
        let Limits { context_depth_max, context_nodes_max, .. } = self.limits;
        if depth > *context_depth_max {
            let problem = format!("nests deeper than the limit `context_depth_max` of {context_depth_max}");
            return Err(Malformed::new(field, problem));
        }
        let Some(left) = self.nodes.checked_sub(1) else {
            let problem =
                format!("holds more values than the limit `context_nodes_max` of {context_nodes_max}");
            return Err(Malformed::new(field, problem));
        };
        self.nodes = left;
        Ok(())
    }
}

fn members(
    field: &str,
    members: BTreeMap<String, v1::Value>,
    budget: &mut Budget<'_>,
    depth: usize,
) -> Result<Members, Malformed> {
    members
        .into_iter()
        .map(|(name, value)| {
            Ok((text(field, name, NAME_BYTES_MAX)?.into(), decode_value(field, value, budget, depth)?))
        })
        .collect()
}

fn decode_value(
    field: &str,
    value: v1::Value,
    budget: &mut Budget<'_>,
    depth: usize,
) -> Result<Value, Malformed> {
    use v1::value::Kind;
    budget.spend(field, depth)?;
    Ok(match value.kind.ok_or_else(|| Malformed::new(field, "holds a value without a kind"))? {
        Kind::BoolValue(value) => Value::Bool(value),
        Kind::LongValue(value) => Value::Long(value),
        Kind::StringValue(value) => Value::String(value.into()),
        Kind::EntityValue(uid) => Value::Entity(decode_uid(field, uid)?),
        Kind::SetValue(v1::ValueSet { items }) => Value::Set(
            items
                .into_iter()
                .map(|item| decode_value(field, item, budget, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Kind::RecordValue(v1::ValueRecord { members: inner }) => {
            Value::Record(members(field, inner, budget, depth + 1)?)
        }
        Kind::DecimalValue(value) => Value::Extension(Extension::Decimal, value.into()),
        Kind::DatetimeValue(value) => Value::Extension(Extension::Datetime, value.into()),
        Kind::DurationValue(value) => Value::Extension(Extension::Duration, value.into()),
        Kind::IpValue(value) => Value::Extension(Extension::Ip, value.into()),
    })
}

fn decode_mcp(message: v1::McpMessage) -> Result<mcp::Message, Malformed> {
    let v1::McpMessage { server, method, params, protocol_version, headers, tool_definition } = message;
    if headers.len() > HEADERS_MAX {
        let problem = format!("has {} items, more than the limit of {HEADERS_MAX}", headers.len());
        return Err(Malformed::new("mcp.headers", problem));
    }
    Ok(mcp::Message {
        server: text("mcp.server", server, NAME_BYTES_MAX)?,
        method: text("mcp.method", method, NAME_BYTES_MAX)?,
        params: params.into(),
        protocol_version: optional("mcp.protocol_version", protocol_version, NAME_BYTES_MAX)?,
        headers,
        tool_definition: (!tool_definition.is_empty()).then_some(tool_definition),
        arguments_unseen: false,
    })
}

/// The answer as it goes out. Error texts may name values, so they are for those who may have explanations.
pub(super) fn encode(request_id: String, answer: Answer, explains: bool) -> v1::AuthorizeResponse {
    let Answer { id, revision, decision, arguments_digest, resource, explanation, state, lent: _ } = answer;
    let (word, reason) = match decision.outcome {
        Outcome::Permit => (v1::Decision::Permit, v1::DenyReason::Unspecified),
        Outcome::Deny(reason) => (v1::Decision::Deny, encode_reason(reason)),
    };
    let errors = decision.errors.into_iter().map(|error| v1::PolicyError {
        policy_id: error.id.to_string(),
        message: if explains { error.message } else { String::new() },
    });
    v1::AuthorizeResponse {
        request_id,
        decision: word.into(),
        reason: reason.into(),
        reason_text: decision.reason,
        decision_id: id.to_string(),
        revision: revision.to_string(),
        determining: decision.determining.iter().map(determining).collect(),
        errors: errors.collect(),
        arguments_digest: arguments_digest.unwrap_or_default(),
        resource: resource.map(|uid| v1::EntityUid { r#type: uid.kind.into(), id: uid.id.into() }),
        explanation,
        state_revision: state.unwrap_or_default(),
        obligations: decision.obligations.iter().map(obligation).collect(),
    }
}

fn obligation(obligation: &Obligation) -> v1::Obligation {
    let Obligation { id, kind, properties } = obligation;
    v1::Obligation {
        id: id.to_string(),
        r#type: kind.name().to_owned(),
        properties: serde_json::Value::Object((**properties).clone()).to_string(),
    }
}

pub(super) fn determining(policy: &Determining) -> v1::DeterminingPolicy {
    v1::DeterminingPolicy {
        id: policy.id.to_string(),
        effect: match policy.effect {
            Effect::Permit => v1::Effect::Permit,
            Effect::Forbid => v1::Effect::Forbid,
        }
        .into(),
        annotations: (*policy.annotations).clone(),
        half: match policy.half {
            Half::Principal => v1::Half::Principal,
            Half::Actor => v1::Half::Actor,
        }
        .into(),
    }
}

pub(super) fn encode_uid(uid: &Uid) -> v1::EntityUid {
    v1::EntityUid { r#type: uid.kind.to_string(), id: uid.id.to_string() }
}

pub(super) fn encode_reason(reason: DenyReason) -> v1::DenyReason {
    match reason {
        DenyReason::NoPermit => v1::DenyReason::NoPermit,
        DenyReason::Forbidden => v1::DenyReason::Forbidden,
        DenyReason::PolicyError => v1::DenyReason::PolicyError,
        DenyReason::InvalidInput => v1::DenyReason::InvalidInput,
        DenyReason::Unauthenticated => v1::DenyReason::Unauthenticated,
        DenyReason::ActorMissing => v1::DenyReason::ActorMissing,
        DenyReason::BindingMissing => v1::DenyReason::BindingMissing,
        DenyReason::SessionMismatch => v1::DenyReason::SessionMismatch,
        DenyReason::TaskRequired => v1::DenyReason::TaskRequired,
        DenyReason::TaskExpired => v1::DenyReason::TaskExpired,
        DenyReason::TaskRevoked => v1::DenyReason::TaskRevoked,
        DenyReason::PolicyDrift => v1::DenyReason::PolicyDrift,
        DenyReason::OutOfScope => v1::DenyReason::OutOfScope,
        DenyReason::OverBudget => v1::DenyReason::OverBudget,
        DenyReason::ApprovalRequired => v1::DenyReason::ApprovalRequired,
        DenyReason::UnknownTool => v1::DenyReason::UnknownTool,
        DenyReason::ToolDrift => v1::DenyReason::ToolDrift,
        DenyReason::Stale => v1::DenyReason::Stale,
        DenyReason::ObligationUnsupported => v1::DenyReason::ObligationUnsupported,
    }
}
