//! A request of the library as a client of a gateway would make it.
//! None where it could not: what only a PEP with code can say.

use palisade::mcp::Message;
use palisade::mcp::method::{Direction, Era, Target, Version, method};
use palisade::pdp::{Ask, Request};
use palisade::policy::Snapshot;
use palisade::value::Value;
use palisade::{identity, json};
use serde_json::json;

use super::ask::{Exchange, ISSUER};
use crate::pdp::NOW;

/// The exchange, if there is one.
pub fn exchange(request: &Request, snapshot: &Snapshot) -> Option<Exchange> {
    let Ask::Mcp(message) = &request.ask else { return None };
    if request.task.is_some() || request.purpose.is_some() || request.intent.is_some() {
        return None;
    }
    if message.tool_definition.is_some() || !request.caller.may(identity::Role::Assert) {
        return None;
    }
    let known = method(&message.method);
    if known.is_some_and(|method| method.direction() == Direction::FromServer) {
        return None;
    }
    let mut exchange = Exchange::post(body(message)).unclaimed().route("server", &message.server);
    exchange.peer.clear();
    exchange = headers(exchange, message)?;
    if let Some(session) = &request.session {
        exchange = exchange.header("mcp-session-id", session);
    }
    parties(exchange, request, snapshot)
}

fn body(message: &Message) -> Vec<u8> {
    let id = if message.method.starts_with("notifications/") { "" } else { r#""id":7,"# };
    let method = json!(message.method);
    let params = match message.params.sent().unwrap() {
        [] => String::new(),
        params => format!(r#","params":{}"#, std::str::from_utf8(params).unwrap()),
    };
    format!(r#"{{"jsonrpc":"2.0",{id}"method":{method}{params}}}"#).into_bytes()
}

fn headers(mut exchange: Exchange, message: &Message) -> Option<Exchange> {
    for (name, value) in &message.headers {
        // A map has each header once.
        if exchange.headers.contains_key(&name.to_ascii_lowercase()) {
            return None;
        }
        exchange = exchange.header(&name.to_ascii_lowercase(), value);
    }
    let Some(version) = &message.protocol_version else { return Some(exchange) };
    if !message.headers.is_empty() {
        let said = exchange.headers.get("mcp-protocol-version");
        return (said == Some(version)).then_some(exchange);
    }
    exchange = exchange.header("mcp-protocol-version", version);
    if Version::named(version).map(Version::era) != Some(Era::Modern) {
        return Some(exchange);
    }
    exchange = exchange.header("mcp-method", &message.method);
    let member = match method(&message.method)?.target {
        Target::Tool | Target::Prompt => "name",
        Target::Resource => "uri",
        Target::Task => "taskId",
        Target::Nothing | Target::Server | Target::Completion | Target::Subscriptions | Target::Client => {
            return Some(exchange);
        }
    };
    match json::parse(message.params.sent()?, json::Limits::default()) {
        Ok(Value::Record(members)) => match members.get(member) {
            Some(Value::String(name)) => Some(exchange.header("mcp-name", name)),
            _ => None,
        },
        _ => None,
    }
}

/// People by the claims that the gateway has verified, agents by their workloads.
fn parties(mut exchange: Exchange, request: &Request, snapshot: &Snapshot) -> Option<Exchange> {
    let Some(claim) = &request.claim else { return Some(exchange) };
    if !claim.earlier_actors.is_empty() {
        return None;
    }
    let agent = match claim.principal.kind.as_str() {
        "Human" => {
            let now_s = NOW.0 / 1000;
            let claims = json!({
                "iss": ISSUER, "sub": claim.principal.id, "aud": "https://pdp.acme.example", "iat": now_s,
                "exp": now_s + 600,
            });
            exchange = exchange.claims(&claims);
            claim.actor.clone()
        }
        "Agent" if claim.actor.is_none() => Some(claim.principal.clone()),
        _ => return None,
    };
    if let Some(agent) = agent {
        let id = format!("spiffe://acme.example/agent/{}", agent.id);
        let name = identity::AgentName::Spiffe(identity::SpiffeId::parse(&id).ok()?);
        if identity::Directory::agent(snapshot, &name) != Some(&agent) {
            return None;
        }
        exchange.peer = id;
    }
    Some(exchange)
}
