//! A PORC (principal, operation, resource, context) as the message of MCP that it was made from.
//! Never fills in what did not come along, and never takes what was rewritten for what was sent.

use crate::api::authzen::{Members, Scope, actor, coaz, object, required_object, wrong};
use crate::api::wire::{Malformed, UID_BYTES_MAX, text};
use crate::identity::Claim;
use crate::json;
use crate::mcp::Message;
use crate::pdp::{Ask, Unclear};
use crate::value::{SmolStr, Uid, Value};

/// What `sub` may name: a person, or an agent on its own, as AuthZEN's `identity` does.
const SUBJECT_KIND: &str = "identity";
/// The member of the principal's annotations that names the agent. An annotation is the one claim that is passed on as the issuer wrote
/// it.
const AGENT: &str = "agent";
/// How the name of something of an MCP server begins.
const OF_MCP: &str = "mrn:mcp:";
/// From here on whole numbers were rounded on the way: 2^53.
const ROUNDED_FROM: f64 = 9_007_199_254_740_992.0;
/// What stands where a text could not be read.
const UNREADABLE: char = char::REPLACEMENT_CHARACTER;

/// A decoded question.
#[derive(Debug)]
pub(super) struct Decoded {
    /// Nobody where the principal says nobody.
    pub(super) claim: Option<Claim>,
    pub(super) ask: Ask,
}

/// What the operations are about, by the feature that stands in the resource too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Server,
    Tool,
    Prompt,
    Resource,
}

/// An operation.
#[derive(Debug, Clone, Copy)]
struct Operation {
    feature: &'static str,
    verb: &'static str,
    method: &'static str,
    about: About,
}

const fn operation(
    feature: &'static str,
    verb: &'static str,
    method: &'static str,
    about: About,
) -> Operation {
    Operation { feature, verb, method, about }
}

/// Every operation, `mcp:<feature>:<verb>`.
const OPERATIONS: [Operation; 6] = [
    operation("tool", "call", "tools/call", About::Tool),
    operation("tool", "list", "tools/list", About::Server),
    operation("prompt", "get", "prompts/get", About::Prompt),
    operation("prompt", "list", "prompts/list", About::Server),
    operation("resource", "read", "resources/read", About::Resource),
    operation("resource", "list", "resources/list", About::Server),
];

/// What the context says of the message, each as far as the client was told to send it.
#[derive(Debug, Default)]
struct Told {
    feature: Option<String>,
    verb: Option<String>,
    id: Option<String>,
    arguments: Option<Members>,
}

/// Decodes the members of the object that `bytes` is the text of. What is missing or of the wrong type is malformed; what can be
/// read and means nothing, or two things, becomes [`Ask::Unclear`].
pub(super) fn decode(mut members: Members, bytes: &[u8], scope: &Scope<'_>) -> Result<Decoded, Malformed> {
    let mut principal = required_object("principal", members.remove("principal"))?;
    let subject = match principal.remove("sub") {
        None | Some(Value::Null) => None,
        Some(Value::String(subject)) => Some(text("principal.sub", subject.into(), UID_BYTES_MAX)?),
        Some(other) => return Err(wrong("principal.sub", "a string", &other)),
    };
    let mut annotations = object("principal.mannotations", principal.remove("mannotations"))?;
    let agent = annotations.remove(AGENT).filter(|agent| *agent != Value::Null);
    let operation = needed("operation", &mut members)?;
    let resource = needed("resource", &mut members)?;
    let mut context = object("context", members.remove("context"))?;
    let told = Told::take(&mut context)?;
    let unclear = |words: String| Ask::Unclear(Unclear { words, ..Unclear::default() });
    let (claim, ask) = match claim(subject, agent.as_ref(), scope) {
        Ok(claim) => {
            let asked = message(&operation, &resource, &told, bytes, scope);
            (claim, asked.map_or_else(Ask::Unclear, Ask::Mcp))
        }
        Err(words) => (None, unclear(words)),
    };
    Ok(Decoded { claim, ask })
}

fn needed(name: &str, members: &mut Members) -> Result<String, Malformed> {
    match members.remove(name) {
        Some(Value::String(value)) => text(name, value.into(), UID_BYTES_MAX),
        None | Some(Value::Null) => Err(Malformed::new(name, "is required")),
        Some(other) => Err(wrong(name, "a string", &other)),
    }
}

impl Told {
    fn take(context: &mut Members) -> Result<Self, Malformed> {
        let mut members = object("context.mcp", context.remove("mcp"))?;
        let mut said = |name: &str| match members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(said)) => Ok(Some(said.into())),
            Some(other) => Err(wrong(&format!("context.mcp.{name}"), "a string", &other)),
        };
        let (feature, verb, id) = (said("feature")?, said("operation")?, said("resource_id")?);
        let arguments = match members.remove("args") {
            None | Some(Value::Null) => None,
            Some(Value::Record(arguments)) => Some(arguments),
            Some(other) => return Err(wrong("context.mcp.args", "an object", &other)),
        };
        Ok(Self { feature, verb, id, arguments })
    }
}

/// Who is said to ask, and through whom; or words that say what is not clear.
fn claim(subject: Option<String>, agent: Option<&Value>, scope: &Scope<'_>) -> Result<Option<Claim>, String> {
    let Some(subject) = subject else { return Ok(None) };
    let two = |error| format!("`principal.sub`: {error}");
    let principal = scope.types.party(scope.names, SUBJECT_KIND, &subject).map_err(two)?;
    let place = "principal.mannotations.agent";
    let actor = agent.map(|agent| actor::party(place, agent, scope)).transpose()?.map(|party| party.uid);
    // A name that fits nobody else is no proof that an agent asks on its own.
    if scope.types.fell_to_agent(SUBJECT_KIND, &principal) && actor.as_ref() != Some(&principal) {
        return Err(format!(
            "`principal.sub` is no person's but an agent's: name that agent in `{place}`, too"
        ));
    }
    let actor = actor.filter(|actor| *actor != principal);
    Ok(Some(Claim { principal, actor, earlier_actors: Vec::new() }))
}

/// The message; or what is not clear of it.
fn message(
    operation: &str,
    resource: &str,
    told: &Told,
    bytes: &[u8],
    scope: &Scope<'_>,
) -> Result<Message, Unclear> {
    let unclear = |words: &str| Unclear { words: words.to_owned(), ..Unclear::default() };
    let known = |known: &&Operation| {
        let rest = operation.strip_prefix("mcp:").and_then(|rest| rest.split_once(':'));
        rest == Some((known.feature, known.verb))
    };
    let operation = OPERATIONS
        .iter()
        .find(known)
        .ok_or_else(|| unclear("`operation` is none that is known here, such as `mcp:tool:call`"))?;
    let (server, id) = named(resource, operation.feature).ok_or_else(|| {
        unclear("`resource` must be `mrn:mcp:<server>:<feature>:<id>`, with the operation's feature")
    })?;
    let agrees = |said: &Option<String>, wanted: &str| said.as_ref().is_none_or(|said| said == wanted);
    if !agrees(&told.feature, operation.feature)
        || !agrees(&told.verb, operation.verb)
        || !agrees(&told.id, id)
    {
        return Err(unclear("`context.mcp` says another thing than `operation` and `resource`"));
    }
    let server = coaz::named("resource", server, scope).map_err(|words| unclear(&words))?;
    let about = |words: &str| {
        let tool = scope.names.catalog().tool(&server, id).filter(|_| operation.about == About::Tool);
        let (action, resource) = tool.map(|tool| (tool.action(), tool.uid())).unzip();
        Unclear {
            action: action.or_else(|| Some(Uid::new("Action", operation.method))),
            resource,
            ..unclear(words)
        }
    };
    if id.contains(UNREADABLE) {
        return Err(about("`resource` names what could not be read as it was sent"));
    }
    if !told.arguments.as_ref().is_none_or(|arguments| arguments.iter().all(is_exact_member)) {
        return Err(about(
            "`context.mcp.args` holds a number or a text that did not come along as it was sent",
        ));
    }
    let id = serde_json::Value::from(id);
    let sent = told.arguments.as_ref().and_then(|_| {
        ["context", "mcp", "args"].iter().try_fold(bytes, |object, name| json::member_bytes(object, name))
    });
    let params = match (operation.about, sent) {
        (About::Server, _) => Vec::new(),
        (About::Resource, _) => format!(r#"{{"uri":{id}}}"#).into_bytes(),
        (About::Tool, Some(sent)) => {
            [format!(r#"{{"name":{id},"arguments":"#).as_bytes(), sent, b"}"].concat()
        }
        (About::Tool | About::Prompt, _) => format!(r#"{{"name":{id}}}"#).into_bytes(),
    };
    // None come along of a call without any, of one for a list, and where the client does not send them.
    let arguments_unseen = operation.about == About::Tool && sent.is_none();
    let method = operation.method.to_owned();
    Ok(Message { server, method, params: params.into(), arguments_unseen, ..Message::default() })
}

/// The server and the name of what a resource is.
fn named<'r>(resource: &'r str, feature: &str) -> Option<(&'r str, &'r str)> {
    let (server, rest) = resource.strip_prefix(OF_MCP)?.split_once(':')?;
    let (of_feature, id) = rest.split_once(':')?;
    (of_feature == feature && !server.is_empty()).then_some((server, id))
}

fn is_exact_member((name, value): (&SmolStr, &Value)) -> bool {
    !name.contains(UNREADABLE) && is_exact(value)
}

/// Whether a value is what the agent sent: `ToolHive` reads numbers as IEEE doubles, and writes U+FFFD for half a character.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Long(number) => number.unsigned_abs() < (1 << 53),
        Value::Number(text) => text.parse().is_ok_and(|number: f64| number.abs() < ROUNDED_FROM),
        Value::String(text) => !text.contains(UNREADABLE),
        Value::Set(items) => items.iter().all(is_exact),
        Value::Record(members) => members.iter().all(is_exact_member),
        // JSON has neither.
        Value::Entity(_) | Value::Extension(..) => false,
    }
}
