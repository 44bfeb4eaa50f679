//! A question and its facts, typed by the schema and found in the store; what does not fit is refused with words.
//! Never lets a caller set what only this PDP establishes, and never hands a caller's JSON to Cedar's own parsers.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::cedar::{self, Blanks, Entity as CedarEntity, EntityUID, NOW, Record, TASK, TOKEN};
use super::entities::{CLEARANCES, DATA_CLASS, FROM_CATALOG, closure};
use super::index::{About, Key};
use super::schema::{ActionModel, ContextMember};
use super::snapshot::Snapshot;
use super::token::token_value;
use super::told::TaskTold;
use crate::access::{DenyReason, Entity, Facts, Half, Question, Timestamp};
use crate::identity::TokenFacts;
use crate::value::{Build as _, Extension, Fault, Member, Shape, Uid, Value, refuse_escapes};

/// Attributes that decide who somebody is or what may be touched: never from a PEP.
const NEVER_FROM_PEP: [&str; 3] = ["active", "clearances", "data_classes"];

/// Why there is nothing to evaluate. The words are safe to show.
pub(super) struct Refusal {
    pub(super) reason: DenyReason,
    pub(super) words: String,
}

impl Refusal {
    fn invalid(words: impl Into<String>) -> Self {
        Self { reason: DenyReason::InvalidInput, words: words.into() }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::invalid(fault.to_string())
    }
}

/// A question that fits the schema, about parties that are known.
pub(super) struct Prepared<'a> {
    pub(super) action: Party<'a>,
    pub(super) resource: Party<'a>,
    /// Entities that the request brings, in front of the store.
    pub(super) brought: BTreeMap<Uid, Arc<CedarEntity>>,
    /// The instant of the decision, when the action's context has it. It is not in the contexts yet: making it costs
    /// more than most conditions.
    pub(super) now: Option<Timestamp>,
    /// The token, when the action's context has it and nothing looks at it before conditions do: neither is it in the
    /// contexts yet.
    pub(super) token: Option<(&'a Member, &'a TokenFacts)>,
    /// The task, in the same way.
    pub(super) task: Option<TaskTold<'a>>,
    /// Each party that must be permitted, with the context as it is for that party.
    pub(super) halves: Vec<PreparedHalf<'a>>,
}

/// A party that must be permitted.
pub(super) struct PreparedHalf<'a> {
    pub(super) half: Half,
    pub(super) principal: Party<'a>,
    pub(super) context: Arc<Record>,
}

/// A known entity, with what scopes ask of it.
pub(super) struct Party<'a> {
    pub(super) uid: Arc<EntityUID>,
    /// Where it stands in the store; none when the request describes it.
    pub(super) place: Option<usize>,
    pub(super) keys: Cow<'a, [Key]>,
}

impl Prepared<'_> {
    /// What the index is asked for one half.
    pub(super) fn about<'s>(&'s self, half: &'s PreparedHalf<'_>) -> About<'s> {
        About { principal: &half.principal.keys, action: &self.action.keys, resource: &self.resource.keys }
    }

    /// What conditions are evaluated for, as long as none of them looks at the instant.
    pub(super) fn asked(&self, half: &PreparedHalf<'_>) -> cedar::Asked {
        cedar::Asked {
            principal: half.principal.uid.clone(),
            action: self.action.uid.clone(),
            resource: self.resource.uid.clone(),
            context: half.context.clone(),
        }
    }
}

/// Types the question for each party that must be permitted. Members of the context that are not known yet are left out.
pub(super) fn prepare<'a>(
    snapshot: &'a Snapshot,
    question: &'a Question,
    facts: &'a Facts,
    blanks: &Blanks,
) -> Result<Prepared<'a>, Refusal> {
    let action = snapshot
        .schema
        .actions
        .get(&question.action)
        .ok_or_else(|| Refusal::invalid(format!("the schema has no action `{}`", question.action)))?;
    if let Some(name) = question.context.keys().find(|name| action.owned.contains(name.as_str())) {
        return Err(Refusal::invalid(format!("`{name}` is established by the PDP and may not be sent")));
    }
    check_parties(snapshot, action, question, facts)?;
    let brought = brought_entities(snapshot, question, facts)?;

    let principal = principal(snapshot, &brought, &facts.principal)?;
    let common = common_context(snapshot, action, question, facts, blanks)?;
    let context = |common, counterpart| context(snapshot, action, question, facts, common, counterpart);
    let halves = match &facts.actor {
        None => {
            let context = context(common, ("actor", None))?;
            vec![PreparedHalf { half: Half::Principal, principal, context }]
        }
        Some(actor) => {
            let theirs = context(common.clone(), ("actor", Some(actor)))?;
            let acting = self::principal(snapshot, &brought, actor)?;
            let actors = context(common, ("requester", Some(&facts.principal)))?;
            vec![
                PreparedHalf { half: Half::Principal, principal, context: theirs },
                PreparedHalf { half: Half::Actor, principal: acting, context: actors },
            ]
        }
    };
    let resource = resource(snapshot, &brought, &question.resource)?;
    let now = action.has_now().then_some(facts.now);
    let token = late_token(snapshot, action, facts);
    let task = TaskTold::of(action, question, facts).filter(|_| !snapshot.index.opens_on().task);
    let keys = snapshot.action_keys.get(action.place).map_or(&[][..], Vec::as_slice);
    let action = Party { uid: action.uid.clone(), place: None, keys: Cow::Borrowed(keys) };
    Ok(Prepared { action, resource, brought, now, token, task, halves })
}

fn check_parties(
    snapshot: &Snapshot,
    action: &ActionModel,
    question: &Question,
    facts: &Facts,
) -> Result<(), Refusal> {
    for party in [Some(&facts.principal), facts.actor.as_ref()].into_iter().flatten() {
        if !action.principals.contains(&party.kind) {
            let words =
                format!("`{}` does not apply to a principal of type `{}`", question.action, party.kind);
            return Err(Refusal::invalid(words));
        }
    }
    if !action.resources.contains(&question.resource.kind) {
        let words = format!(
            "`{}` does not apply to a resource of type `{}`",
            question.action, question.resource.kind
        );
        return Err(Refusal::invalid(words));
    }
    for uid in [Some(&facts.principal), facts.actor.as_ref(), Some(&question.resource)].into_iter().flatten()
    {
        if snapshot.schema.choices.get(&uid.kind).is_some_and(|ids| !ids.contains(&uid.id)) {
            return Err(Refusal::invalid(format!("the schema declares no such `{}`", uid.kind)));
        }
    }
    let foreign =
        question.brought.iter().find(|entity| !snapshot.schema.kinds.contains_key(&entity.uid.kind));
    match foreign {
        Some(entity) => Err(Refusal::invalid(format!("the schema has no entity type `{}`", entity.uid.kind))),
        None => Ok(()),
    }
}

/// An entity that neither the bundle knows nor the request describes is refused: evaluating it would be an error at
/// best and, for a rule that does not look, a permit at worst.
fn unknown(uid: &Uid, role: &str) -> Refusal {
    Refusal::invalid(format!("the {role} is a `{}` that is not known here", uid.kind))
}

fn principal<'a>(
    snapshot: &'a Snapshot,
    brought: &BTreeMap<Uid, Arc<CedarEntity>>,
    uid: &Uid,
) -> Result<Party<'a>, Refusal> {
    if let Some(entity) = brought.get(uid) {
        let keys = snapshot.index.principal_keys(entity.uid(), Some(entity));
        return Ok(Party { uid: Arc::new(entity.uid().clone()), place: None, keys: Cow::Owned(keys) });
    }
    let (place, known) = snapshot.store.find(uid).ok_or_else(|| unknown(uid, "principal"))?;
    let keys = Cow::Borrowed(snapshot.keys.as_principal(place));
    Ok(Party { uid: known.uid.clone(), place: Some(place), keys })
}

fn resource<'a>(
    snapshot: &'a Snapshot,
    brought: &BTreeMap<Uid, Arc<CedarEntity>>,
    uid: &Uid,
) -> Result<Party<'a>, Refusal> {
    if let Some(entity) = brought.get(uid) {
        let keys = snapshot.index.resource_keys(entity.uid(), Some(entity));
        return Ok(Party { uid: Arc::new(entity.uid().clone()), place: None, keys: Cow::Owned(keys) });
    }
    let (place, known) = snapshot.store.find(uid).ok_or_else(|| unknown(uid, "resource"))?;
    let keys = Cow::Borrowed(snapshot.keys.as_resource(place));
    Ok(Party { uid: known.uid.clone(), place: Some(place), keys })
}

/// The members of the context that are the same for every party.
fn common_context(
    snapshot: &Snapshot,
    action: &ActionModel,
    question: &Question,
    facts: &Facts,
    blanks: &Blanks,
) -> Result<Record, Refusal> {
    let in_context = |fault: Fault| fault.within("context");
    refuse_escapes(&question.context).map_err(in_context)?;
    let types = &snapshot.schema.types;
    let late_token = late_token(snapshot, action, facts).is_some();
    let task = TaskTold::of(action, question, facts);
    let mut context = Record::new();
    for ContextMember { name, member, ours } in &action.common {
        if blanks.contains(name.as_str()) {
            continue;
        }
        let built = if *ours {
            match (name.as_str(), &member.shape) {
                (NOW, Shape::Extension(Extension::Datetime)) => None,
                (TOKEN, _) if late_token => None,
                (TASK, _) if let Some(task) = task => {
                    let early = Some(task).filter(|_| snapshot.index.opens_on().task);
                    early.map(|task| task.build(snapshot)).transpose().map_err(in_context)?.flatten()
                }
                (TOKEN, _) if facts.token.is_some() => {
                    let value = facts.token.as_ref().map(token_value);
                    member.build(name, value.as_ref(), types).map_err(in_context)?
                }
                ("actor_depth", Shape::Long) => Some(types.long(facts.actor_depth)),
                ("session", Shape::String) if facts.session.is_some() => {
                    facts.session.as_deref().map(|session| types.string(session))
                }
                _ => member.build(name, established(question, facts, name), types).map_err(in_context)?,
            }
        } else {
            member.build(name, question.context.get(name.as_str()), types).map_err(in_context)?
        };
        if let Some(value) = built {
            context.insert(name.clone(), value);
        }
    }
    Ok(context)
}

/// The token with the member that it becomes, when it can wait until a condition looks at it.
fn late_token<'a>(
    snapshot: &Snapshot,
    action: &'a ActionModel,
    facts: &'a Facts,
) -> Option<(&'a Member, &'a TokenFacts)> {
    let facts = facts.token.as_ref().filter(|_| !snapshot.index.opens_on().token)?;
    let member = action.common.iter().find(|member| member.ours && member.name == TOKEN)?;
    Some((&member.member, facts))
}

/// What this PDP made of a message wins over what it verified beside it.
fn established<'q>(question: &'q Question, facts: &'q Facts, name: &str) -> Option<&'q Value> {
    question.established.get(name).or_else(|| facts.established.get(name))
}

/// The context as it is for one party: with the other one in it.
fn context(
    snapshot: &Snapshot,
    action: &ActionModel,
    question: &Question,
    facts: &Facts,
    common: Record,
    (counterpart, other): (&str, Option<&Uid>),
) -> Result<Arc<Record>, Refusal> {
    let mut context = common;
    for ContextMember { name, member, ours: _ } in &action.counterparts {
        let named = other.filter(|_| name == counterpart).map(|uid| Value::Entity(uid.clone()));
        let value = named.as_ref().or_else(|| established(question, facts, name));
        let built =
            member.build(name, value, &snapshot.schema.types).map_err(|fault| fault.within("context"))?;
        if let Some(value) = built {
            context.insert(name.clone(), value);
        }
    }
    Ok(Arc::new(context))
}

/// The entities of the question, typed: derived ones as they are, brought ones within what a PEP may say.
fn brought_entities(
    snapshot: &Snapshot,
    question: &Question,
    facts: &Facts,
) -> Result<BTreeMap<Uid, Arc<CedarEntity>>, Refusal> {
    let mut all = BTreeMap::new();
    for entity in &question.brought {
        if all.contains_key(&entity.uid) {
            return Err(Refusal::invalid(format!("the entity `{}` stands twice in the request", entity.uid)));
        }
        if let Some(typed) = brought(snapshot, entity)? {
            all.insert(entity.uid.clone(), Arc::new(typed));
        }
    }
    for entity in question.derived.iter().chain(&facts.described) {
        if snapshot.store.find(&entity.uid).is_none() {
            all.insert(entity.uid.clone(), Arc::new(derived(snapshot, entity)?));
        }
    }
    Ok(all)
}

fn brought(snapshot: &Snapshot, entity: &Entity) -> Result<Option<CedarEntity>, Refusal> {
    let path = entity.uid.kind.as_str();
    // What the schema does not have is nobody's, and is ignored as everything else that nobody can read.
    let sent = |name: &str| entity.attributes.contains_key(name) && snapshot.declares_attribute(path, name);
    if let Some(name) = NEVER_FROM_PEP.iter().find(|name| sent(name)) {
        return Err(Refusal::invalid(format!("`{path}.{name}` may not come from a PEP")));
    }
    let Some((_, stored)) = snapshot.store.find(&entity.uid) else {
        if FROM_CATALOG.contains(&path) && snapshot.catalog.servers().next().is_some() {
            return Err(Refusal::invalid(format!(
                "a `{path}` that the catalog does not have may not come from a PEP"
            )));
        }
        return typed(snapshot, entity, HashSet::new()).map(Some);
    };
    let allowed = snapshot.schema.from_pep.get(path);
    let members = snapshot.schema.kinds.get(path);
    let mut replaced = HashMap::new();
    for (name, value) in &entity.attributes {
        let declared = members.and_then(|members| members.get(name));
        let Some(Member { shape, required: _ }) =
            declared.filter(|_| allowed.is_some_and(|a| a.contains(name.as_str())))
        else {
            continue;
        };
        let value = shape.build(value, &snapshot.schema.types).map_err(|f| f.within(name).within(path))?;
        replaced.insert(name.clone(), value);
    }
    Ok((!replaced.is_empty()).then(|| cedar::with_attributes(&stored.entity, replaced)))
}

fn derived(snapshot: &Snapshot, entity: &Entity) -> Result<CedarEntity, Refusal> {
    let types = &snapshot.schema.types;
    let (classes, others): (Vec<&Uid>, Vec<&Uid>) =
        entity.parents.iter().partition(|uid| uid.kind == DATA_CLASS);
    let classes = closure(classes.into_iter().map(|uid| uid.id.to_string()), snapshot.store.classes_below());
    let mut parents: HashSet<EntityUID> =
        others.into_iter().filter_map(|uid| types.uid(&uid.kind, &uid.id)).collect();
    parents.extend(classes.iter().filter_map(|class| types.uid(DATA_CLASS, class)));
    match entity.attributes.get(CLEARANCES) {
        Some(Value::Set(named)) => {
            let mut entity = entity.clone();
            let cleared = Value::Set(cleared(snapshot, named));
            entity.attributes.insert(CLEARANCES.into(), cleared);
            typed(snapshot, &entity, parents)
        }
        Some(_) | None => typed(snapshot, entity, parents),
    }
}

/// The classes that are named and all below them, as entities of the bundle have them. What names no class stays, and is
/// refused where it is typed.
fn cleared(snapshot: &Snapshot, named: &[Value]) -> Vec<Value> {
    let class = |value: &Value| match value {
        Value::Entity(uid) if uid.kind == DATA_CLASS => Some(uid.id.to_string()),
        Value::Record(members) => match (members.get("type"), members.get("id")) {
            (Some(Value::String(kind)), Some(Value::String(id))) if kind == DATA_CLASS => {
                Some(id.to_string())
            }
            _ => None,
        },
        _ => None,
    };
    let classes = closure(named.iter().filter_map(class), snapshot.store.classes_below());
    let classes = classes.into_iter().map(|id| Value::Entity(Uid::new(DATA_CLASS, id)));
    classes.chain(named.iter().filter(|value| class(value).is_none()).cloned()).collect()
}

fn typed(snapshot: &Snapshot, entity: &Entity, parents: HashSet<EntityUID>) -> Result<CedarEntity, Refusal> {
    let Uid { kind, id } = &entity.uid;
    let types = &snapshot.schema.types;
    refuse_escapes(&entity.attributes).map_err(|fault| fault.within(kind))?;
    let mut attributes = Vec::new();
    for (name, member) in snapshot.schema.kinds.get(kind).into_iter().flatten() {
        let built =
            member.build(name, entity.attributes.get(name), types).map_err(|fault| fault.within(kind))?;
        attributes.extend(built.map(|value| (name.clone(), value)));
    }
    let uid = types.uid(kind, id).ok_or_else(|| Refusal::invalid("malformed entity type"))?;
    let further = snapshot.store.ancestors_beyond(&parents);
    Ok(cedar::entity(uid, attributes, parents, further))
}

#[cfg(test)]
mod tests;
