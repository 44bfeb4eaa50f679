//! AuthZEN's question in terms of the schema, or as a message of MCP.
//! Never drops what a policy could read, and never guesses: what is not clear is denied with words.

use super::actor::{self, Acting, Places};
use super::coaz;
use super::extension::{Extension, Understood};
use super::names::Types;
use super::tuple::{Action, Members, Named, Sent, Tuple, object};
use crate::access::{Entity, Question};
use crate::api::wire::{EARLIER_ACTORS_MAX, Malformed, NAME_BYTES_MAX, optional};
use crate::identity::{Caller, Claim, Credentials};
use crate::pdp::{Ask, Unclear, Vocabulary};
use crate::value::{Uid, Value};

/// The members of the context that a request may carry though the schema keeps them for this PDP: they are read here.
const READ_HERE: [&str; 5] = ["agent", "actor", "act", "client", "task"];

/// What names are held against.
#[derive(Clone, Copy)]
pub(in crate::api) struct Scope<'a> {
    /// Those of the bundle that will decide.
    pub(in crate::api) names: Vocabulary<'a>,
    pub(in crate::api) types: &'a Types,
    pub(in crate::api) caller: &'a Caller,
}

/// A decoded question, still without its envelope.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) claim: Option<Claim>,
    pub(super) ask: Ask,
    pub(super) told: Told,
    /// What the PEP says that it understands.
    pub(super) understood: Understood,
}

/// What a request tells beside the question.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) credentials: Credentials,
    pub(super) session: Option<String>,
    pub(super) task: Option<String>,
    pub(super) purpose: Option<String>,
    pub(super) intent: Option<String>,
    pub(super) preview: bool,
    pub(super) explain: bool,
    pub(super) min_state: u64,
}

impl Decoded {
    /// A question that cannot be read at all, on its way to a deny.
    pub(super) fn unreadable(malformed: &Malformed) -> Self {
        let ask = unclear(malformed.to_string());
        Self { claim: None, ask, told: Told::default(), understood: Understood::default() }
    }
}

/// The members of a question, read.
pub(super) struct Parts<'b> {
    pub(super) subject: Named,
    pub(super) action: Action,
    pub(super) resource: Named,
    pub(super) context: Members,
    /// The member `client` of the request.
    pub(super) client: Option<Value>,
    pub(super) sent: Sent<'b>,
}

/// Decodes a question. What is missing or of the wrong type is malformed; what can be read and means nothing, or two
/// things, becomes [`Ask::Unclear`].
pub(super) fn decode(tuple: Tuple<'_>, scope: &Scope<'_>) -> Result<Decoded, Malformed> {
    let Tuple { subject, action, resource, context, client, sent } = tuple;
    let subject = Named::read("subject", subject)?;
    let action = Action::read(action)?;
    let resource = Named::read("resource", resource)?;
    let mut context = object("context", context)?;
    let understood = Understood::take(&mut context)?;
    let mut extension = Extension::take(&mut context)?;
    let mut parts = Parts { subject, action, resource, context, client, sent };
    let is_message = coaz::is_message(&parts.resource.kind, scope);
    let action = action_uid(&parts.action.name);
    let is_read = !is_message && scope.names.takes(&action, "task");
    let task_fault = name_task(&parts, &mut extension, is_read);
    let (claim, ask) = if is_message {
        message(&mut parts, &mut extension, scope, task_fault)
    } else {
        // Here it need not be a task's name at all, and no policy reads it.
        generic(parts, &action, &mut extension, scope)
    };
    let claim = claim.filter(|_| extension.claims);
    Ok(Decoded { claim, ask, told: extension.told, understood })
}

/// Takes `context.task` for the name of the task, unless policies read it (`is_read`). Words when it is too long for one.
pub(super) fn name_task(parts: &Parts<'_>, extension: &mut Extension, is_read: bool) -> Option<String> {
    let Some(Value::String(task)) = parts.context.get("task") else { return None };
    if is_read || extension.told.task.is_some() {
        return None;
    }
    match optional("context.task", task.to_string(), NAME_BYTES_MAX) {
        Ok(task) => {
            extension.told.task = task;
            None
        }
        Err(malformed) => Some(malformed.to_string()),
    }
}

/// A message of MCP: its policies read nothing that a PEP sends.
fn message(
    parts: &mut Parts<'_>,
    extension: &mut Extension,
    scope: &Scope<'_>,
    task_fault: Option<String>,
) -> (Option<Claim>, Ask) {
    let about = |parts: &Parts<'_>, words| {
        let (action, resource) = coaz::about(parts, scope);
        Ask::Unclear(Unclear { words, action, resource })
    };
    let claim = match claim(parts, extension, scope, |_| false) {
        Ok(claim) => claim,
        Err(unclaimed) => {
            let (claim, words) = unclaimed.told();
            return (claim, about(parts, words));
        }
    };
    let ask = match task_fault {
        None => match coaz::message(parts, extension, scope) {
            Ok(message) => Ask::Mcp(message),
            Err(words) => about(parts, words),
        },
        Some(words) => about(parts, words),
    };
    (Some(claim), ask)
}

/// A question in terms of the schema.
fn generic(
    parts: Parts<'_>,
    uid: &Uid,
    extension: &mut Extension,
    scope: &Scope<'_>,
) -> (Option<Claim>, Ask) {
    let takes = |member: &str| scope.names.takes(uid, member);
    let owns = |member: &str| scope.names.owns(uid, member);
    generic_of(parts, uid, extension, scope, (takes, owns))
}

/// The same where `takes` says which members of the context policies may read, and `owns` which this PDP keeps for itself.
pub(super) fn generic_of(
    mut parts: Parts<'_>,
    uid: &Uid,
    extension: &mut Extension,
    scope: &Scope<'_>,
    (takes, owns): (impl Fn(&str) -> bool, impl Fn(&str) -> bool),
) -> (Option<Claim>, Ask) {
    let found = claim(&parts, extension, scope, &takes);
    let Named { kind, id, .. } = &parts.resource;
    let resource = scope.types.party(scope.names, kind, id);
    let about = |words, resource| Ask::Unclear(Unclear { words, action: Some(uid.clone()), resource });
    let claim = match found {
        Ok(claim) => claim,
        Err(unclaimed) => {
            let (claim, words) = unclaimed.told();
            return (claim, about(words, resource.ok()));
        }
    };
    let resource = match resource {
        Ok(resource) => resource,
        Err(two) => return (Some(claim), about(format!("`resource.id`: {two}"), None)),
    };
    for member in READ_HERE.into_iter().filter(|member| owns(member)) {
        // A task that is more than a name is nothing that a request may say.
        if member != "task" || matches!(parts.context.get(member), Some(Value::String(_))) {
            parts.context.remove(member);
        }
    }
    let asked = question(parts, uid.clone(), (&claim, resource.clone()), extension, scope);
    let ask = asked.map_or_else(|words| about(words, Some(resource)), Ask::Access);
    (Some(claim), ask)
}

fn question(
    parts: Parts<'_>,
    action_uid: Uid,
    (claim, resource_uid): (&Claim, Uid),
    extension: &mut Extension,
    scope: &Scope<'_>,
) -> Result<Question, String> {
    let Parts { subject, action, resource, mut context, .. } = parts;
    let mut described = Vec::new();
    describe(&mut described, &claim.principal, subject.properties, scope)?;
    describe(&mut described, &resource_uid, resource.properties, scope)?;
    for Named { kind, id, properties } in std::mem::take(&mut extension.entities) {
        let two = |error| format!("`context.palisade.entities`: {error}");
        let uid = scope.types.party(scope.names, &kind, &id).map_err(two)?;
        described.push(Entity { uid, attributes: properties, parents: vec![] });
    }
    if let Some(properties) = action.properties
        && context.insert("action".into(), properties).is_some()
    {
        return Err("`action.properties` and `context.action` are both there; send one".to_owned());
    }
    let mut question = Question::new(action_uid, resource_uid);
    question.context = context;
    question.brought = described;
    Ok(question)
}

/// Takes properties as attributes of an entity. They describe it only when the schema knows one of them: what nobody can
/// read makes nobody known.
fn describe(
    described: &mut Vec<Entity>,
    uid: &Uid,
    properties: Members,
    scope: &Scope<'_>,
) -> Result<(), String> {
    if !properties.keys().any(|name| scope.names.declares_attribute(&uid.kind, name)) {
        return Ok(());
    }
    match described.iter().find(|entity| entity.uid == *uid) {
        Some(same) if same.attributes == properties => Ok(()),
        Some(_) => Err("one entity stands twice in the request, with different properties".to_owned()),
        None => {
            described.push(Entity { uid: uid.clone(), attributes: properties, parents: vec![] });
            Ok(())
        }
    }
}

/// Why it is not clear who asks through whom.
pub(super) struct Unclaimed {
    /// As far as it is clear.
    principal: Option<Uid>,
    words: String,
}

impl Unclaimed {
    /// What the record may say, and the words.
    pub(super) fn told(self) -> (Option<Claim>, String) {
        let Self { principal, words } = self;
        let of = |principal| Claim { principal, actor: None, earlier_actors: Vec::new() };
        (principal.map(of), words)
    }
}

/// Who is said to ask, and through whom; with what is clear of it where not all is. `taken` says which members of the context
/// policies read for themselves.
pub(super) fn claim(
    parts: &Parts<'_>,
    extension: &Extension,
    scope: &Scope<'_>,
    taken: impl Fn(&str) -> bool,
) -> Result<Claim, Unclaimed> {
    let Named { kind, id, .. } = &parts.subject;
    let two = |error| Unclaimed { principal: None, words: format!("`subject.id`: {error}") };
    let principal = scope.types.party(scope.names, kind, id).map_err(two)?;
    match acting(parts, &principal, extension, scope, taken) {
        Ok((actor, earlier_actors)) => Ok(Claim { principal, actor, earlier_actors }),
        Err(words) => Err(Unclaimed { principal: Some(principal), words }),
    }
}

/// The agent that acts for somebody else, and who acted earlier.
fn acting(
    parts: &Parts<'_>,
    principal: &Uid,
    extension: &Extension,
    scope: &Scope<'_>,
    taken: impl Fn(&str) -> bool,
) -> Result<(Option<Uid>, Vec<Uid>), String> {
    let places = Places {
        subject: &parts.subject,
        context: &parts.context,
        client: parts.client.as_ref(),
        own: extension.actor.as_ref(),
    };
    let (actor, mut earlier_actors) = match places.acting(scope, taken)? {
        Some(Acting { actor, earlier }) => (Some(actor.uid), earlier),
        None => (None, Vec::new()),
    };
    // Somebody whom no person's name fits is no agent for that alone: an agent on its own says so (COAZ, `context.agent`).
    let Named { kind, id, .. } = &parts.subject;
    let is_said = !id.is_empty() || scope.names.knows(principal);
    let fell = extension.claims && is_said && scope.types.fell_to_agent(kind, principal);
    if fell && actor.as_ref() != Some(principal) {
        return Err(
            "`subject.id` is no person's but an agent's: name that agent in `context.agent`, too, or send \
                    `subject.type` as `agent`"
                .to_owned(),
        );
    }
    // An agent that names itself acts for nobody else.
    let actor = actor.filter(|actor| actor != principal);
    if !extension.earlier_actors.is_empty() {
        let place = "context.palisade.earlier_actors";
        if extension.earlier_actors.len() > EARLIER_ACTORS_MAX {
            return Err(format!("`{place}` has more than the limit of {EARLIER_ACTORS_MAX} items"));
        }
        let named = extension.earlier_actors.iter().map(|value| actor::party(place, value, scope));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        if !earlier_actors.is_empty() && !actor::agree(&earlier_actors, &named) {
            return Err(format!("`{place}` and a nested `act` name different agents; send one"));
        }
        earlier_actors = named;
    }
    Ok((actor, earlier_actors.into_iter().map(|party| party.uid).collect()))
}

/// The action of this name: `Action::"name"`, unless the name says its type itself.
pub(super) fn action_uid(name: &str) -> Uid {
    name.parse().unwrap_or_else(|_| Uid::new("Action", name))
}

fn unclear(words: String) -> Ask {
    Ask::Unclear(Unclear { words, ..Unclear::default() })
}
