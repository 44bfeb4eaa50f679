//! What a search asks, in terms of the schema; and how its results are to be named.
//! Never guesses: what is not clear finds nothing, with words.

use super::For;
use super::found::Shape;
use crate::access::Question;
use crate::api::authzen::coaz;
use crate::api::authzen::decode::{self, Parts, Scope, Told, action_uid};
use crate::api::authzen::extension::{Extension, Understood};
use crate::api::authzen::tuple::{Action, Members, Named, Tuple, object};
use crate::api::wire::Malformed;
use crate::identity::Claim;
use crate::pdp::{Ask, Sought, Unclear};
use crate::value::{SmolStr, Uid, Value};

/// A decoded search, still without its envelope.
pub(super) struct Asked {
    pub(super) claim: Option<Claim>,
    pub(super) ask: Ask,
    pub(super) told: Told,
    pub(super) sought: Sought,
    pub(super) shape: Shape,
}

/// Decodes a search. What is missing or of the wrong type is malformed; what means nothing finds nothing.
pub(super) fn asked(
    sought: For,
    members: Members,
    bytes: &[u8],
    scope: &Scope<'_>,
) -> Result<Asked, Malformed> {
    let Tuple { subject, action, resource, context, client, sent } = Tuple::take(members, bytes);
    let subject = match sought {
        For::Subject => Named::sought("subject", subject)?,
        For::Resource | For::Action => Named::read("subject", subject)?,
    };
    let action = match sought {
        For::Action => Action { name: SmolStr::default(), properties: None },
        For::Subject | For::Resource => Action::read(action)?,
    };
    let resource = match sought {
        For::Resource => Named::sought("resource", resource)?,
        For::Subject | For::Action => Named::read("resource", resource)?,
    };
    let mut context = object("context", context)?;
    // What obliges is made with a decision, and a search makes none.
    let _understood = Understood::take(&mut context)?;
    let mut extension = Extension::take(&mut context)?;
    let parts = Parts { subject, action, resource, context, client, sent };
    let kind = if sought == For::Subject { &parts.subject.kind } else { &parts.resource.kind }.to_string();
    let is_message = coaz::is_message(&parts.resource.kind, scope);
    let is_read = !is_message && scope.names.takes_somewhere("task");
    let task_fault = decode::name_task(&parts, &mut extension, is_read);
    let (claim, ask, shape) = if is_message {
        let (claim, ask, of_server) = message(sought, parts, &mut extension, scope, task_fault);
        (claim, ask, Shape::of_messages(sought, kind, of_server))
    } else {
        let (claim, ask) = generic(sought, parts, &mut extension, scope);
        (claim, ask, Shape::of(sought, kind))
    };
    let claim = claim.filter(|_| extension.claims || sought == For::Subject);
    let sought = match sought {
        For::Subject => Sought::Subjects {
            kind: claim.as_ref().map_or_else(String::new, |claim| claim.principal.kind.to_string()),
        },
        For::Resource => {
            let kind = match &ask {
                Ask::Access(question) => question.resource.kind.to_string(),
                Ask::Mcp(_) | Ask::Task(_) | Ask::Unclear(_) => String::new(),
            };
            Sought::Resources { kind, server: shape.server.clone() }
        }
        For::Action => Sought::Actions,
    };
    Ok(Asked { claim, ask, told: extension.told, sought, shape })
}

fn generic(
    sought: For,
    mut parts: Parts<'_>,
    extension: &mut Extension,
    scope: &Scope<'_>,
) -> (Option<Claim>, Ask) {
    match sought {
        // Whatever it is, it describes nothing that has no name yet.
        For::Subject => parts.subject.properties.clear(),
        For::Resource => parts.resource.properties.clear(),
        For::Action => {}
    }
    let uid = action_uid(&parts.action.name);
    let names = scope.names;
    let is_any = sought == For::Action;
    let takes = |member: &str| if is_any { names.takes_somewhere(member) } else { names.takes(&uid, member) };
    let owns = |member: &str| if is_any { names.owns_somewhere(member) } else { names.owns(&uid, member) };
    decode::generic_of(parts, &uid, extension, scope, (takes, owns))
}

/// A search about what COAZ names; with the server, where there is only one.
fn message(
    sought: For,
    mut parts: Parts<'_>,
    extension: &mut Extension,
    scope: &Scope<'_>,
    task_fault: Option<String>,
) -> (Option<Claim>, Ask, Option<String>) {
    let claim = match decode::claim(&parts, extension, scope, |_| false) {
        Ok(claim) => claim,
        Err(unclaimed) => {
            let (claim, words) = unclaimed.told();
            return (claim, unclear(words), None);
        }
    };
    if let Some(words) = task_fault {
        return (Some(claim), unclear(words), None);
    }
    let (ask, server) = match sought {
        For::Resource => resources(&parts, scope),
        For::Subject | For::Action => {
            if sought == For::Action {
                parts.action.name = method_of(&parts).into();
            }
            (about(&mut parts, extension, scope), None)
        }
    };
    (Some(claim), ask.unwrap_or_else(unclear), server)
}

/// The resources of a type on one server, or on all.
fn resources(parts: &Parts<'_>, scope: &Scope<'_>) -> (Result<Ask, String>, Option<String>) {
    let kind = match parts.resource.kind.as_str() {
        coaz::SERVER => "Server",
        coaz::TOOL => "Tool",
        coaz::RESOURCE => "Resource",
        coaz::PROMPT => "Prompt",
        _ => "McpTask",
    };
    let place = "resource.properties.server";
    let server = match parts.resource.properties.get("server") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => coaz::named(place, name, scope).map(Some),
        Some(other) => Err(format!("`{place}` must be a string, found {}", other.kind())),
    };
    match server {
        Ok(server) => {
            let question = Question::new(action_uid(&parts.action.name), Uid::new(kind, ""));
            (Ok(Ask::Access(question)), server)
        }
        Err(words) => (Err(words), None),
    }
}

/// A message about something that stands in a search for what may be done to it. Which one does not count.
fn method_of(parts: &Parts<'_>) -> &'static str {
    match parts.resource.kind.as_str() {
        coaz::SERVER => "tools/list",
        coaz::TOOL => "tools/call",
        coaz::RESOURCE => "resources/read",
        coaz::PROMPT => "prompts/get",
        _ => "tasks/get",
    }
}

/// What the message would be about; a tool without its arguments as itself.
fn about(parts: &mut Parts<'_>, extension: &mut Extension, scope: &Scope<'_>) -> Result<Ask, String> {
    let is_open = parts.resource.kind == coaz::TOOL
        && parts.action.name == "tools/call"
        && extension.params.is_none()
        && coaz::arguments(parts)?.is_none();
    if is_open {
        let name = format!("{}/{}", coaz::server(parts, scope)?, parts.resource.id);
        return Ok(Ask::Access(Question::new(Uid::new("Action", &name), Uid::new("Tool", &name))));
    }
    coaz::message(parts, extension, scope).map(Ask::Mcp)
}

fn unclear(words: String) -> Ask {
    Ask::Unclear(Unclear { words, ..Unclear::default() })
}
