//! Questions to the shipped bundle, as a client of gRPC asks them.

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_request::Question;
use palisade::value::Uid;
use serde_json::{Value as Json, json};

use crate::wire;

/// A message of MCP from nobody.
pub fn mcp(server: &str, method: &str, params: &Json) -> v1::AuthorizeRequest {
    let params = if params.is_null() { Vec::new() } else { params.to_string().into_bytes() };
    let message =
        v1::McpMessage { server: server.into(), method: method.into(), params, ..v1::McpMessage::default() };
    v1::AuthorizeRequest { question: Some(Question::Mcp(message)), ..v1::AuthorizeRequest::default() }
}

/// A request in terms of the schema, from nobody.
pub fn access(action: &str, resource: &str) -> v1::AuthorizeRequest {
    let uid = |text: &str| Some(uid(text));
    let access = v1::Access { action: uid(action), resource: uid(resource), ..v1::Access::default() };
    v1::AuthorizeRequest { question: Some(Question::Access(access)), ..v1::AuthorizeRequest::default() }
}

/// `Human::"ana"` as a message.
pub fn uid(text: &str) -> v1::EntityUid {
    wire::uid(&text.parse::<Uid>().expect("an entity"))
}

/// The request on behalf of somebody.
pub fn by(principal: &str, actor: Option<&str>, request: v1::AuthorizeRequest) -> v1::AuthorizeRequest {
    let subject =
        v1::Subject { principal: Some(uid(principal)), actor: actor.map(uid), earlier_actors: vec![] };
    v1::AuthorizeRequest { subject: Some(subject), ..request }
}

/// The request under an id.
pub fn named(id: impl std::fmt::Display, request: v1::AuthorizeRequest) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest { request_id: id.to_string(), ..request }
}

/// The message of a request that has one.
pub fn message(request: &mut v1::AuthorizeRequest) -> &mut v1::McpMessage {
    match &mut request.question {
        Some(Question::Mcp(message)) => message,
        Some(Question::Access(_)) | None => panic!("not a message"),
    }
}

/// What a support agent may do for ana.
pub fn lookup() -> v1::AuthorizeRequest {
    crm(&json!({ "name": "lookup_customer", "arguments": { "customer_id": "c-1" } }))
}

/// What a guard forbids.
pub fn delete() -> v1::AuthorizeRequest {
    crm(&json!({ "name": "delete_customer", "arguments": { "customer_id": "c-1" } }))
}

/// A tool call on the customer system, by a support agent for ana.
pub fn crm(params: &Json) -> v1::AuthorizeRequest {
    by("Human::\"ana\"", Some("Agent::\"support-bot\""), mcp("crm", "tools/call", params))
}

/// One item of a stream.
pub fn streamed(request: v1::AuthorizeRequest) -> v1::AuthorizeStreamRequest {
    v1::AuthorizeStreamRequest { request: Some(request) }
}
