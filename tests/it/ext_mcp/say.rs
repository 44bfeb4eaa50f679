//! A request of the library as agentgateway would pass it on.
//! None where it could not: what only a PEP with code can say.

use std::collections::BTreeMap;

use palisade::mcp::method::{Direction, Target, method};
use palisade::pdp::{Ask, Request};
use palisade::policy::Snapshot;
use serde_json::{Value as Json, json};

use super::ask::{Asked, claims};
use palisade::identity::{AgentName, Directory as _, Role, SpiffeId};

/// The question, if there is one.
pub fn asked(request: &Request, snapshot: &Snapshot) -> Option<Asked> {
    let Ask::Mcp(message) = &request.ask else { return None };
    if request.task.is_some() || request.purpose.is_some() || request.intent.is_some() {
        return None;
    }
    if message.tool_definition.is_some() || !request.caller.may(Role::Assert) {
        return None;
    }
    let known = method(&message.method);
    if known.is_some_and(|known| known.direction() == Direction::FromServer) {
        return None;
    }
    // Parameters that are there and empty are not the same as none.
    let params = message.params.sent().map(<[u8]>::to_vec).filter(|params| !params.is_empty());
    if params.is_none() && known.is_some_and(|known| known.target == Target::Subscriptions) {
        return None;
    }
    let mut headers: Vec<(String, Vec<u8>)> =
        message.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    if let Some(version) = &message.protocol_version {
        let said = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("mcp-protocol-version"));
        match said {
            Some((_, said)) if said.as_slice() != version.as_bytes() => return None,
            Some(_) => {}
            None if headers.is_empty() => headers = repeated(version, message)?,
            None => return None,
        }
    } else if !headers.is_empty() {
        return None;
    }
    headers.extend(request.session.iter().map(|session| ("mcp-session-id".into(), session.clone().into())));
    let metadata = parties(request, snapshot)?;
    Some(Asked {
        targets: vec![message.server.clone()],
        method: message.method.clone(),
        params,
        metadata,
        headers,
    })
}

/// The headers that a client sends with a message of this revision.
fn repeated(version: &str, message: &palisade::mcp::Message) -> Option<Vec<(String, Vec<u8>)>> {
    use palisade::mcp::method::{Era, Version};
    let mut headers = vec![("mcp-protocol-version".to_owned(), version.into())];
    if Version::named(version).map(Version::era) != Some(Era::Modern) {
        return Some(headers);
    }
    headers.push(("mcp-method".to_owned(), message.method.clone().into()));
    let member = match method(&message.method)?.target {
        Target::Tool | Target::Prompt => "name",
        Target::Resource => "uri",
        Target::Task => "taskId",
        Target::Nothing | Target::Server | Target::Completion | Target::Subscriptions | Target::Client => {
            return Some(headers);
        }
    };
    let params: Json = serde_json::from_slice(message.params.sent()?).ok()?;
    headers.push(("mcp-name".to_owned(), params[member].as_str()?.into()));
    Some(headers)
}

/// People by the claims that the gateway has verified, agents by their workloads.
fn parties(request: &Request, snapshot: &Snapshot) -> Option<BTreeMap<String, Json>> {
    let mut said = BTreeMap::new();
    let Some(claim) = &request.claim else { return Some(said) };
    if !claim.earlier_actors.is_empty() {
        return None;
    }
    let agent = match claim.principal.kind.as_str() {
        "Human" => {
            said.insert("jwt".to_owned(), claims(&claim.principal.id));
            claim.actor.clone()
        }
        "Agent" if claim.actor.is_none() => Some(claim.principal.clone()),
        _ => return None,
    };
    if let Some(agent) = agent {
        let id = format!("spiffe://acme.example/agent/{}", agent.id);
        let name = AgentName::Spiffe(SpiffeId::parse(&id).ok()?);
        if snapshot.agent(&name) != Some(&agent) {
            return None;
        }
        said.insert("workload".to_owned(), json!(id));
    }
    Some(said)
}
