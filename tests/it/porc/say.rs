//! A request of the library as `ToolHive` would put it.
//! None where it has no words: most of what a PEP with code can say.

use palisade::identity::Directory as _;
use palisade::mcp::method::{Target, method};
use palisade::pdp::{Ask, Request};
use palisade::policy::Snapshot;
use palisade::value::{SmolStr, Value};
use palisade::{identity, json};
use serde_json::{Value as Json, json};

/// The text of the body, if there is one.
pub fn body(request: &Request, snapshot: &Snapshot) -> Option<String> {
    let Ask::Mcp(message) = &request.ask else { return None };
    let says_more = request.task.is_some()
        || request.purpose.is_some()
        || request.intent.is_some()
        || request.session.is_some()
        || !request.understands.is_empty()
        || message.protocol_version.is_some()
        || !message.headers.is_empty()
        || message.tool_definition.is_some();
    if says_more || !request.caller.may(identity::Role::Assert) {
        return None;
    }
    let principal = principal(request, snapshot)?;
    let params = std::str::from_utf8(message.params.sent()?).ok()?;
    let members = match json::parse(params.as_bytes(), json::Limits::default()) {
        Ok(Value::Record(members)) => members,
        Err(_) if params.is_empty() => palisade::value::Members::new(),
        Ok(_) | Err(_) => return None,
    };
    let named = |member: &str, others: &[&str]| match members.get(member) {
        Some(Value::String(name)) => {
            let known = |other: &SmolStr| other == member || others.contains(&other.as_str());
            members.keys().all(known).then(|| name.clone())
        }
        _ => None,
    };
    let (feature, verb, id) = match (message.method.as_str(), method(&message.method)?.target) {
        (_, Target::Tool) => ("tool", "call", named("name", &["arguments"])?),
        (_, Target::Prompt) => ("prompt", "get", named("name", &["arguments"])?),
        ("resources/read", _) => ("resource", "read", named("uri", &[])?),
        ("tools/list", _) if params.is_empty() => ("tool", "list", SmolStr::default()),
        ("prompts/list", _) if params.is_empty() => ("prompt", "list", SmolStr::default()),
        ("resources/list", _) if params.is_empty() => ("resource", "list", SmolStr::default()),
        _ => return None,
    };
    let arguments = match (feature, members.get("arguments")) {
        ("tool", Some(Value::Record(_))) => {
            let sent = json::member_bytes(params.as_bytes(), "arguments")?;
            format!(r#","args":{}"#, std::str::from_utf8(sent).ok()?)
        }
        // Without arguments it would be another question.
        ("tool", _) if verb == "call" => return None,
        _ => String::new(),
    };
    let (operation, resource) =
        (json!(format!("mcp:{feature}:{verb}")), json!(format!("mrn:mcp:{}:{feature}:{id}", message.server)));
    let id = json!(id);
    let context =
        format!(r#"{{"mcp":{{"feature":"{feature}","operation":"{verb}","resource_id":{id}{arguments}}}}}"#);
    Some(format!(
        r#"{{"principal":{principal},"operation":{operation},"resource":{resource},"context":{context}}}"#
    ))
}

fn principal(request: &Request, snapshot: &Snapshot) -> Option<Json> {
    let Some(claim) = &request.claim else { return Some(json!({})) };
    if !claim.earlier_actors.is_empty() {
        return None;
    }
    let agent = match (claim.principal.kind.as_str(), &claim.actor) {
        ("Human", None) => return Some(json!({"sub": claim.principal.id, "mannotations": {}})),
        ("Human", Some(actor)) if actor.kind == "Agent" => &actor.id,
        ("Agent", None) if snapshot.knows(&claim.principal) => &claim.principal.id,
        _ => return None,
    };
    Some(json!({"sub": claim.principal.id, "mannotations": {"agent": agent}}))
}
