//! A request of the library as an AuthZEN request: as a PEP would make it, with our own members only where AuthZEN has
//! no word.
//! Never tidies the bytes of a message.

use palisade::access::Question;
use palisade::json;
use palisade::mcp::Message;
use palisade::mcp::method::{Target, method};
use palisade::pdp::{Ask, Request};
use palisade::value::{Uid, Value};
use serde_json::{Value as Json, json};

/// What a request has that no type of AuthZEN's stands for.
const UNSAID: &str = "-";

/// The text of the body.
pub fn body(request: &Request) -> String {
    let mut ours = serde_json::Map::new();
    for (name, text) in [
        ("session", &request.session),
        ("task", &request.task),
        ("purpose", &request.purpose),
        ("intent", &request.intent),
    ] {
        ours.extend(text.as_ref().map(|text| (name.to_owned(), text.as_str().into())));
    }
    let mut context = serde_json::Map::new();
    let subject = match &request.claim {
        None => {
            ours.insert("claim".into(), false.into());
            json!({"type": "identity", "id": UNSAID})
        }
        Some(claim) => {
            match &claim.actor {
                Some(actor) if actor.kind == "Agent" => {
                    context.insert("agent".into(), actor.id.as_str().into());
                }
                Some(actor) => _ = ours.insert("actor".into(), entity(actor)),
                None => {}
            }
            let earlier: Vec<Json> = claim.earlier_actors.iter().map(entity).collect();
            if !earlier.is_empty() {
                ours.insert("earlier_actors".into(), earlier.into());
            }
            match claim.principal.kind.as_str() {
                "Human" => json!({"type": "identity", "id": claim.principal.id}),
                _ => entity(&claim.principal),
            }
        }
    };
    if !request.understands.is_empty() {
        let types: Vec<String> = request.understands.iter().map(ToString::to_string).collect();
        context.insert("supported_mandatory_extensions".into(), json!(["obligations"]));
        context.insert("supported_obligations".into(), types.into());
    }
    match &request.ask {
        Ask::Access(question) => access(&subject, question, context, ours),
        Ask::Mcp(message) => mcp(&subject, message, context, ours),
        Ask::Task(_) | Ask::Unclear(_) => panic!("no PEP asks this"),
    }
}

fn entity(uid: &Uid) -> Json {
    json!({"type": uid.kind, "id": uid.id})
}

fn access(
    subject: &Json,
    question: &Question,
    mut context: serde_json::Map<String, Json>,
    mut ours: serde_json::Map<String, Json>,
) -> String {
    let action = match question.action.kind.as_str() {
        "Action" => question.action.id.clone(),
        _ => question.action.to_string().into(),
    };
    context.extend(question.context.iter().map(|(name, value)| (name.to_string(), plain(value))));
    let brought = question.brought.iter().map(|described| {
        let properties: serde_json::Map<String, Json> =
            described.attributes.iter().map(|(name, value)| (name.to_string(), plain(value))).collect();
        json!({"type": described.uid.kind, "id": described.uid.id, "properties": properties})
    });
    let brought: Vec<Json> = brought.collect();
    if !brought.is_empty() {
        ours.insert("entities".into(), brought.into());
    }
    if !ours.is_empty() {
        context.insert("palisade".into(), ours.into());
    }
    let resource = entity(&question.resource);
    json!({"subject": subject, "action": {"name": action}, "resource": resource, "context": context})
        .to_string()
}

/// A value in plain JSON: what the schema makes of it is the PDP's business.
pub fn plain(value: &Value) -> Json {
    match value {
        Value::Entity(uid) => entity(uid),
        Value::Set(items) => items.iter().map(plain).collect(),
        Value::Record(members) => {
            members.iter().map(|(name, value)| (name.to_string(), plain(value))).collect()
        }
        other => json::to_serde(other),
    }
}

fn mcp(
    subject: &Json,
    message: &Message,
    mut context: serde_json::Map<String, Json>,
    mut ours: serde_json::Map<String, Json>,
) -> String {
    let params = std::str::from_utf8(message.params.sent().unwrap()).unwrap();
    let target = method(&message.method).map(|method| method.target);
    let natural = natural(target, params);
    if let Some(version) = &message.protocol_version {
        context.insert("protocol_version".into(), version.as_str().into());
    }
    if !message.headers.is_empty() {
        ours.insert("headers".into(), json!(message.headers));
    }
    if let Some(definition) = &message.tool_definition {
        ours.insert("tool_definition".into(), std::str::from_utf8(definition).unwrap().into());
    }
    let kind = match target {
        Some(Target::Tool) => "tool",
        Some(Target::Resource) => "resource",
        Some(Target::Prompt) => "prompt",
        Some(Target::Completion) if params.contains("ref/prompt") => "prompt",
        Some(Target::Completion) => "resource",
        Some(Target::Task) => "task",
        Some(Target::Server | Target::Nothing | Target::Subscriptions | Target::Client) | None => {
            "mcp_server"
        }
    };
    let mut resource = json!({"type": kind, "properties": {"server": message.server}});
    let mut arguments = String::new();
    let named = named(target, params);
    resource["id"] = if kind == "mcp_server" { message.server.as_str().into() } else { named.into() };
    if natural {
        let bytes = json::member_bytes(params.as_bytes(), "arguments");
        if let Some(bytes) = bytes.filter(|_| target == Some(Target::Tool)) {
            arguments = format!(r#","arguments":{}"#, std::str::from_utf8(bytes).unwrap());
        }
    } else {
        ours.insert("params".into(), params.into());
    }
    if !ours.is_empty() {
        context.insert("palisade".into(), ours.into());
    }
    // The arguments go as they are: their digest is on record.
    let server = Json::from(message.server.as_str());
    let resource = format!(
        r#"{{"type":{},"id":{},"properties":{{"server":{server}{arguments}}}}}"#,
        resource["type"], resource["id"]
    );
    let action = Json::from(message.method.as_str());
    let context = Json::from(context);
    format!(
        r#"{{"subject":{subject},"action":{{"name":{action}}},"resource":{resource},"context":{context}}}"#
    )
}

/// Whether the members of AuthZEN say all of these `params`.
fn natural(target: Option<Target>, params: &str) -> bool {
    if params.is_empty() {
        return target.is_none_or(|target| {
            matches!(target, Target::Server | Target::Nothing | Target::Client | Target::Subscriptions)
        });
    }
    let Ok(Value::Record(members)) = json::parse(params.as_bytes(), json::Limits::default()) else {
        return false;
    };
    let sayable: &[&str] = match target {
        Some(Target::Tool) => &["name", "arguments"],
        Some(Target::Resource) => &["uri"],
        Some(Target::Prompt) => &["name"],
        Some(Target::Task) => &["taskId"],
        _ => &[],
    };
    let named = matches!(sayable.first().map(|name| members.get(*name)), None | Some(Some(Value::String(_))));
    named && members.keys().all(|name| sayable.contains(&name.as_str()))
}

/// What the `params` name, as far as they do.
fn named(target: Option<Target>, params: &str) -> String {
    let deep = json::Limits { depth_max: json::DEPTH_CEILING, ..json::Limits::default() };
    let found = json::parse(params.as_bytes(), deep);
    let found = found.map(|value| json::to_serde(&value)).unwrap_or_default();
    let name = match target {
        Some(Target::Resource) => &found["uri"],
        Some(Target::Task) => &found["taskId"],
        Some(Target::Completion) if found["ref"]["type"] == "ref/prompt" => &found["ref"]["name"],
        Some(Target::Completion) => &found["ref"]["uri"],
        _ => &found["name"],
    };
    name.as_str().unwrap_or(UNSAID).to_owned()
}
