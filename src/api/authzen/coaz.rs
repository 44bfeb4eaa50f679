//! COAZ-MCP: requests that a PEP made from a message of MCP become that message again.
//! Never decides: what the message is about is for `mcp` to say, as for every face.

use super::decode::{Parts, Scope};
use super::extension::Extension;
use super::tuple::{ARGUMENTS, Members};
use crate::api::wire::NAME_BYTES_MAX;
use crate::catalog::Server;
use crate::json;
use crate::mcp::method::{self, Eras, Target, Version};
use crate::mcp::{Message, Params};
use crate::uri;
use crate::value::{SmolStr, Uid, Value, format_smolstr};

/// The types of resources in the binding's default mappings (COAZ-MCP, section "Default mappings").
const KINDS: [&str; 5] = [SERVER, TOOL, RESOURCE, PROMPT, TASK];
pub(super) const SERVER: &str = "mcp_server";
pub(super) const TOOL: &str = "tool";
pub(super) const RESOURCE: &str = "resource";
pub(super) const PROMPT: &str = "prompt";
pub(super) const TASK: &str = "task";

/// Whether a resource of this type stands for a message: the bundle has servers, and no type of its own of that name.
pub(super) fn is_message(kind: &str, scope: &Scope<'_>) -> bool {
    KINDS.contains(&kind) && !scope.names.declares(kind) && scope.names.catalog().servers().next().is_some()
}

/// The message; or words that say what is not clear.
pub(super) fn message(
    parts: &mut Parts<'_>,
    extension: &mut Extension,
    scope: &Scope<'_>,
) -> Result<Message, String> {
    let name = &parts.action.name;
    within("action.name", name)?;
    let method = method::method(name);
    if let Some(method) = method {
        let kinds = kinds(method.target);
        if !kinds.contains(&parts.resource.kind.as_str()) {
            let (method, kinds) = (method.name, kinds.join("` or a `"));
            return Err(format!("`resource.type`: `{method}` is about a `{kinds}`"));
        }
    }
    let method_name = name.to_string();
    let server = server(parts, scope)?;
    let only_new = method.is_some_and(|method| method.eras == Eras::Modern);
    let protocol_version = version(parts)?.or_else(|| only_new.then(|| Version::V20260728.name().to_owned()));
    let params = match (extension.params.take(), method) {
        (Some(text), method) => agreed(text, method.map(|method| method.target), parts, scope)?,
        (None, Some(method)) => params(method.target, parts, scope)?,
        // A method that nobody knows is denied whatever it has.
        (None, None) => Params::default(),
    };
    Ok(Message {
        server,
        method: method_name,
        params,
        protocol_version,
        headers: std::mem::take(&mut extension.headers).into_iter().collect(),
        tool_definition: match extension.tool_definition.take() {
            None => None,
            Some(Value::String(text)) => Some(String::from(text).into_bytes()),
            Some(_) => parts.sent.bytes(&["context", "palisade", "tool_definition"]).map(<[u8]>::to_vec),
        },
        arguments_unseen: false,
    })
}

/// The types of resources that a method may be about.
fn kinds(target: Target) -> &'static [&'static str] {
    match target {
        Target::Server | Target::Nothing | Target::Subscriptions | Target::Client => &[SERVER],
        Target::Tool => &[TOOL],
        Target::Resource => &[RESOURCE],
        Target::Prompt => &[PROMPT],
        Target::Completion => &[PROMPT, RESOURCE],
        Target::Task => &[TASK],
    }
}

fn version(parts: &Parts<'_>) -> Result<Option<String>, String> {
    match parts.context.get("protocol_version") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(version)) => Ok(Some(version.to_string())),
        Some(other) => Err(format!("`context.protocol_version` must be a string, found {}", other.kind())),
    }
}

/// The server: by its id or its audience; unsaid, the one that it can only be.
pub(super) fn server(parts: &Parts<'_>, scope: &Scope<'_>) -> Result<String, String> {
    const PLACE: &str = "resource.properties.server";
    let said = match parts.resource.properties.get("server") {
        None | Some(Value::Null) => None,
        Some(Value::String(said)) => Some(named(PLACE, said, scope)?),
        Some(other) => return Err(format!("`{PLACE}` must be a string, found {}", other.kind())),
    };
    if parts.resource.kind == SERVER {
        let own = named("resource.id", &parts.resource.id, scope)?;
        return match said {
            Some(said) if said != own => {
                Err(format!("`resource.id` and `{PLACE}` name different servers; send one"))
            }
            Some(_) | None => Ok(own),
        };
    }
    if let Some(said) = said {
        return Ok(said);
    }
    let enforced = || scope.names.catalog().servers().filter(|server| scope.caller.enforces(&server.id));
    let mut servers = enforced();
    if let (Some(only), None) = (servers.next(), servers.next()) {
        return Ok(only.id.clone());
    }
    let mut with_tool = enforced().filter(|server| {
        parts.resource.kind == TOOL && server.tools.contains_key(parts.resource.id.as_str())
    });
    match (with_tool.next(), with_tool.next()) {
        (Some(only), None) => Ok(only.id.clone()),
        (Some(_), Some(_)) => {
            Err(format!("several servers have a tool of this name; say which in `{PLACE}`"))
        }
        (None, _) => Err(format!("`{PLACE}` is missing: say which server it is on")),
    }
}

/// Holds a name against its limit: it stands in the record.
fn within(place: &str, name: &str) -> Result<(), String> {
    if name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(format!("`{place}` has {} bytes, more than the limit of {NAME_BYTES_MAX}", name.len()))
}

/// The server of this name. One that nobody has keeps it, and is denied under it.
pub(in crate::api) fn named(place: &str, name: &str, scope: &Scope<'_>) -> Result<String, String> {
    within(place, name)?;
    let catalog = scope.names.catalog();
    let mut by_audience = catalog.servers().filter(|server| server.audience.as_deref() == Some(name));
    let found: Vec<&Server> = catalog.server(name).into_iter().chain(by_audience.by_ref().take(2)).collect();
    match found.as_slice() {
        [] => Ok(name.to_owned()),
        [first, rest @ ..] if rest.iter().all(|other| other.id == first.id) => Ok(first.id.clone()),
        _ => Err(format!("`{place}` names several servers; send the id of one")),
    }
}

/// The `params` that the message had, as far as anything is decided on them. What they are made of is taken.
fn params(target: Target, parts: &mut Parts<'_>, scope: &Scope<'_>) -> Result<Params, String> {
    let named = |member: &str, id: &str| (SmolStr::new(member), Value::String(id.into()));
    let id = &parts.resource.id;
    let of_ref = |kind: &str, member: &str| {
        let reference = Members::from_iter([named("type", kind), named(member, id)]);
        (SmolStr::new("ref"), Value::Record(reference))
    };
    let mut members = Members::new();
    let mut text = None;
    match target {
        Target::Server | Target::Nothing | Target::Client => {}
        Target::Tool => {
            members.extend([named("name", id)]);
            if let Some(path) = arguments(parts)? {
                let (value, sent) = taken(path, parts, scope)?;
                members.insert("arguments".into(), value);
                text = Some(sent.to_vec());
            }
        }
        Target::Resource => members.extend([named("uri", id)]),
        Target::Prompt => members.extend([named("name", id)]),
        Target::Completion if parts.resource.kind == PROMPT => members.extend([of_ref("ref/prompt", "name")]),
        Target::Completion => members.extend([of_ref("ref/resource", "uri")]),
        Target::Task => members.extend([named("taskId", id)]),
        Target::Subscriptions if parts.context.contains_key("notifications") => {
            members.insert("notifications".into(), taken(&NOTIFICATIONS, parts, scope)?.0);
        }
        Target::Subscriptions => {}
    }
    Ok(Params::Read { members, arguments: text })
}

/// The other place of a tool call's arguments, and that of what a subscription is about.
const ARGUMENTS_BESIDE: [&str; 2] = ["context", "arguments"];
const NOTIFICATIONS: [&str; 2] = ["context", "notifications"];

/// Where the arguments of a tool call are.
pub(super) fn arguments(parts: &Parts<'_>) -> Result<Option<&'static [&'static str]>, String> {
    fn at(members: &Members) -> Option<&Value> {
        members.get("arguments").filter(|value| **value != Value::Null)
    }
    match (at(&parts.resource.properties), at(&parts.context)) {
        (Some(one), Some(other)) if one != other => {
            let (one, other) = (ARGUMENTS.join("."), ARGUMENTS_BESIDE.join("."));
            Err(format!("`{one}` and `{other}` are different; send one"))
        }
        (Some(_), _) => Ok(Some(&ARGUMENTS)),
        (None, Some(_)) => Ok(Some(&ARGUMENTS_BESIDE)),
        (None, None) => Ok(None),
    }
}

/// Takes from its place what is to stand in `params`, with its text as it was sent.
fn taken<'b>(path: &[&str], parts: &mut Parts<'b>, scope: &Scope<'_>) -> Result<(Value, &'b [u8]), String> {
    let members = match path {
        ["resource", ..] => &mut parts.resource.properties,
        _ => &mut parts.context,
    };
    let found = path.last().and_then(|name| members.remove(*name)).zip(parts.sent.bytes(path));
    let place = || path.join(".");
    let (value, text) = found.ok_or_else(|| format!("`{}` cannot be read", place()))?;
    let json::Limits { bytes_max, depth_max, nodes_max } = scope.names.message_limits().params;
    if text.len() > bytes_max {
        return Err(format!("`{}` is {} bytes long: send at most {bytes_max}", place(), text.len()));
    }
    // `params` are an object around it, with a name beside it.
    if !json::is_within(&value, depth_max.saturating_sub(1), nodes_max.saturating_sub(2)) {
        return Err(format!(
            "`{}` is too much: send at most {depth_max} levels and {nodes_max} values, with `params` around it",
            place()
        ));
    }
    Ok((value, text))
}

/// Holds `params` that came as they were against all that the PEP says beside them: what differs is denied. They are read
/// as `mcp` would read them, so what cannot be read here is left for it to refuse.
fn agreed(
    text: String,
    target: Option<Target>,
    parts: &Parts<'_>,
    scope: &Scope<'_>,
) -> Result<Params, String> {
    let params = match json::parse(text.as_bytes(), scope.names.message_limits().params) {
        Ok(Value::Record(params)) => params,
        // No text is a message without `params`.
        Err(_) if text.is_empty() => Members::new(),
        Ok(_) | Err(_) => return Ok(text.into_bytes().into()),
    };
    let is = |name: Option<&Value>| matches!(name, Some(Value::String(name)) if *name == parts.resource.id);
    // A name that is missing or no text is for `mcp` to refuse.
    let is_unless_unreadable = |name: Option<&Value>| !matches!(name, Some(Value::String(_))) || is(name);
    let agrees = match target {
        Some(Target::Tool | Target::Prompt) => is_unless_unreadable(params.get("name")),
        Some(Target::Resource) => is_unless_unreadable(params.get("uri")),
        Some(Target::Task) => is_unless_unreadable(params.get("taskId")),
        Some(Target::Completion) => match params.get("ref") {
            Some(Value::Record(of_ref)) => match of_ref.get("type") {
                Some(Value::String(kind)) if kind == "ref/prompt" => {
                    parts.resource.kind == PROMPT && is(of_ref.get("name"))
                }
                Some(Value::String(kind)) if kind == "ref/resource" => {
                    parts.resource.kind == RESOURCE && is(of_ref.get("uri"))
                }
                // Of no type that there is.
                _ => true,
            },
            _ => true,
        },
        Some(Target::Server | Target::Nothing | Target::Subscriptions | Target::Client) | None => true,
    };
    if !agrees {
        return Err("`resource.id` and `context.palisade.params` name different things; send one".to_owned());
    }
    // The two places of arguments agree with one another, or there is an error already.
    arguments(parts)?;
    for (place, sent, member) in [
        ("resource.properties.arguments", parts.resource.properties.get("arguments"), "arguments"),
        ("context.arguments", parts.context.get("arguments"), "arguments"),
        ("context.notifications", parts.context.get("notifications"), "notifications"),
    ] {
        if sent.is_some_and(|sent| *sent != Value::Null && params.get(member) != Some(sent)) {
            return Err(format!("`{place}` and `context.palisade.params` are different; send one"));
        }
    }
    let arguments = json::member_bytes(text.as_bytes(), "arguments").map(<[u8]>::to_vec);
    Ok(Params::Read { members: params, arguments })
}

/// The action and the resource that a message names, as far as the bundle tells: for the record of one that is not clear.
pub(super) fn about(parts: &Parts<'_>, scope: &Scope<'_>) -> (Option<Uid>, Option<Uid>) {
    let method = method::method(&parts.action.name);
    let action = method.map(|method| Uid::new("Action", method.name));
    let named = server(parts, scope).ok();
    let Some(server) = named.and_then(|server| scope.names.catalog().server(&server)) else {
        return (action, None);
    };
    let id = &parts.resource.id;
    let on = |kind: &str, id: &str| Some(Uid::new(kind, format_smolstr!("{}/{id}", server.id)));
    let is_short = within("resource.id", id).is_ok();
    match parts.resource.kind.as_str() {
        SERVER => (action, Some(server.uid())),
        TOOL => match server.tools.get(id.as_str()) {
            Some(tool) => (method.map(|_| tool.action()), Some(tool.uid())),
            None => (action, None),
        },
        RESOURCE => {
            let uri = uri::canonical(id, scope.names.message_limits().uri_bytes_max).ok();
            (action, uri.and_then(|uri| on("Resource", &uri)))
        }
        PROMPT if is_short => (action, on("Prompt", id)),
        TASK if is_short => (action, on("McpTask", id)),
        _ => (action, None),
    }
}
