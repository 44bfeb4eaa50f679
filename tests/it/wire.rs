//! The domain's requests as a client of gRPC writes them. The counterpart of what the face decodes.

use std::collections::BTreeMap;

use palisade::access::{Entity, Question};
use palisade::api::proto::v1;
use palisade::identity::Claim;
use palisade::mcp::Message;
use palisade::pdp::{Ask, Request};
use palisade::value::{Extension, Members, Uid, Value};

/// A request as it goes over the wire.
pub fn request(request: &Request) -> v1::AuthorizeRequest {
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    v1::AuthorizeRequest {
        request_id: request.request_id.clone(),
        subject: request.claim.as_ref().map(subject),
        question: Some(match &request.ask {
            Ask::Access(question) => v1::authorize_request::Question::Access(access(question)),
            Ask::Mcp(message) => v1::authorize_request::Question::Mcp(mcp(message)),
            Ask::Task(_) | Ask::Unclear(_) => panic!("tasks have a service of their own; gRPC is clear"),
        }),
        session: given(&request.session),
        task: given(&request.task),
        purpose: given(&request.purpose),
        intent: given(&request.intent),
        explain: request.explain,
        credentials: None,
        mode: if request.preview { v1::Mode::Preview } else { v1::Mode::Enforce }.into(),
        min_state_revision: request.min_state,
        supported_obligations: request.understands.iter().map(ToString::to_string).collect(),
    }
}

fn subject(claim: &Claim) -> v1::Subject {
    v1::Subject {
        principal: Some(uid(&claim.principal)),
        actor: claim.actor.as_ref().map(uid),
        earlier_actors: claim.earlier_actors.iter().map(uid).collect(),
    }
}

/// `Human::"ana"` as a message.
pub fn uid(uid: &Uid) -> v1::EntityUid {
    v1::EntityUid { r#type: uid.kind.to_string(), id: uid.id.to_string() }
}

fn access(question: &Question) -> v1::Access {
    v1::Access {
        action: Some(uid(&question.action)),
        resource: Some(uid(&question.resource)),
        context: members(&question.context),
        entities: question.brought.iter().map(entity).collect(),
    }
}

fn entity(entity: &Entity) -> v1::Entity {
    v1::Entity { uid: Some(uid(&entity.uid)), attributes: members(&entity.attributes) }
}

fn mcp(message: &Message) -> v1::McpMessage {
    v1::McpMessage {
        server: message.server.clone(),
        method: message.method.clone(),
        params: message.params.sent().unwrap().to_vec(),
        protocol_version: message.protocol_version.clone().unwrap_or_default(),
        headers: message.headers.clone(),
        tool_definition: message.tool_definition.clone().unwrap_or_default(),
    }
}

/// The members of a record as messages.
pub fn members(members: &Members) -> BTreeMap<String, v1::Value> {
    members.iter().map(|(name, member)| (name.to_string(), value(member))).collect()
}

/// A value as a message.
pub fn value(value: &Value) -> v1::Value {
    use v1::value::Kind;
    let kind = match value {
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Long(value) => Kind::LongValue(*value),
        Value::String(text) => Kind::StringValue(text.to_string()),
        Value::Entity(entity) => Kind::EntityValue(uid(entity)),
        Value::Set(items) => Kind::SetValue(v1::ValueSet { items: items.iter().map(self::value).collect() }),
        Value::Record(inner) => Kind::RecordValue(v1::ValueRecord { members: members(inner) }),
        Value::Extension(Extension::Decimal, text) => Kind::DecimalValue(text.to_string()),
        Value::Extension(Extension::Datetime, text) => Kind::DatetimeValue(text.to_string()),
        Value::Extension(Extension::Duration, text) => Kind::DurationValue(text.to_string()),
        Value::Extension(Extension::Ip, text) => Kind::IpValue(text.to_string()),
        Value::Null | Value::Number(_) => panic!("the wire has no {}", value.kind()),
    };
    v1::Value { kind: Some(kind) }
}
