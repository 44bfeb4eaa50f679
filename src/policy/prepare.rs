//! A question and its facts become Cedar requests, held against the schema; what does not fit is refused with words.
//! Never lets a caller set what only this PDP establishes, and never hands a caller's JSON to Cedar's own parsers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use cedar_policy::{Context, Entities, Entity as CedarEntity, EntityUid, Request};

use super::cedar::{self, ActionShape};
use super::entities::{DATA_CLASS, FROM_CATALOG, closure};
use super::snapshot::Snapshot;
use crate::access::{DenyReason, Entity, Facts, Half, Question};
use crate::value::{Extension, Fault, Shape, Uid, Value};

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

/// Requests that are ready to be evaluated on `entities`.
pub(super) struct Prepared<'a> {
    pub(super) entities: Cow<'a, Entities>,
    pub(super) halves: Vec<(Half, Request)>,
}

/// Types the question for each party that must be permitted.
pub(super) fn prepare<'a>(
    snapshot: &'a Snapshot,
    question: &Question,
    facts: &Facts,
) -> Result<Prepared<'a>, Refusal> {
    let action = snapshot
        .schema
        .actions
        .get(&question.action)
        .ok_or_else(|| Refusal::invalid(format!("the schema has no action `{}`", question.action)))?;
    let owned = snapshot.schema.owned.get(&question.action);
    if let Some(name) = question.context.keys().find(|name| owned.is_some_and(|owned| owned.contains(*name)))
    {
        return Err(Refusal::invalid(format!("`{name}` is established by the PDP and may not be sent")));
    }
    check_parties(snapshot, action, question, facts)?;
    let extra = extra_entities(snapshot, question)?;

    let mut halves = vec![(Half::Principal, &facts.principal, ("actor", facts.actor.as_ref()))];
    if let Some(actor) = &facts.actor {
        halves.push((Half::Actor, actor, ("requester", Some(&facts.principal))));
    }
    let mut requests = Vec::with_capacity(halves.len());
    for (half, principal, counterpart) in halves {
        check_known(snapshot, &extra, principal, "principal")?;
        let context = context(action, owned, question, facts, counterpart)?;
        requests.push((half, request(snapshot, question, principal, &context)?));
    }
    check_known(snapshot, &extra, &question.resource, "resource")?;
    let entities = if extra.is_empty() {
        Cow::Borrowed(&snapshot.entities)
    } else {
        Cow::Owned(slice(snapshot, extra, &requests)?)
    };
    Ok(Prepared { entities, halves: requests })
}

fn check_parties(
    snapshot: &Snapshot,
    action: &ActionShape,
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
    let foreign =
        question.brought.iter().find(|entity| !snapshot.schema.kinds.contains_key(&entity.uid.kind));
    match foreign {
        Some(entity) => Err(Refusal::invalid(format!("the schema has no entity type `{}`", entity.uid.kind))),
        None => Ok(()),
    }
}

/// An entity that neither the bundle knows nor the request describes is refused: evaluating it would be an error at
/// best and, for a rule that does not look, a permit at worst.
fn check_known(
    snapshot: &Snapshot,
    extra: &BTreeMap<Uid, CedarEntity>,
    uid: &Uid,
    role: &str,
) -> Result<(), Refusal> {
    let stored = || cedar::entity_uid(uid).is_some_and(|uid| snapshot.entities.get(&uid).is_some());
    if extra.contains_key(uid) || stored() {
        return Ok(());
    }
    Err(Refusal::invalid(format!("the {role} is a `{}` that is not known here", uid.kind)))
}

fn context(
    action: &ActionShape,
    owned: Option<&BTreeSet<String>>,
    question: &Question,
    facts: &Facts,
    (counterpart_name, counterpart): (&str, Option<&Uid>),
) -> Result<Context, Refusal> {
    let mut sent = question.context.clone();
    let ours = |name: &str| owned.is_some_and(|owned| owned.contains(name));
    let established = facts.established.iter().chain(&question.established);
    sent.extend(
        established.filter(|(name, _)| ours(name)).map(|(name, value)| (name.clone(), value.clone())),
    );
    let mut establish = |name: &str, value: Value| {
        if ours(name) {
            sent.insert(name.to_owned(), value);
        }
    };
    if let Some(counterpart) = counterpart {
        establish(counterpart_name, Value::Entity(counterpart.clone()));
    }
    if let Some(session) = &facts.session {
        establish("session", Value::String(session.clone()));
    }
    establish("actor_depth", Value::Long(facts.actor_depth));
    establish("now", Value::Extension(Extension::Datetime, facts.now.to_string()));
    let admitted = action.context.admit(&Value::Record(sent), "context")?;
    let Value::Record(members) = admitted else {
        return Err(Refusal::invalid("the context is a record"));
    };
    let mut pairs = Vec::with_capacity(members.len());
    for (name, value) in members {
        let expression = cedar::expression(&value).ok_or_else(|| {
            Refusal::invalid(format!("`context.{name}` holds an entity type that cannot be"))
        })?;
        pairs.push((name, expression));
    }
    // Cedar's own message would quote the value.
    Context::from_pairs(pairs)
        .map_err(|_| Refusal::invalid("the context holds a malformed decimal, datetime, duration or address"))
}

fn request(
    snapshot: &Snapshot,
    question: &Question,
    principal: &Uid,
    context: &Context,
) -> Result<Request, Refusal> {
    let uid = |uid: &Uid| {
        cedar::entity_uid(uid)
            .ok_or_else(|| Refusal::invalid(format!("`{}` is not an entity type", uid.kind)))
    };
    let schema = Some(&snapshot.schema.schema);
    Request::new(uid(principal)?, uid(&question.action)?, uid(&question.resource)?, context.clone(), schema)
        .map_err(|_| Refusal::invalid("the request does not fit the schema"))
}

/// The entities of the question, typed: derived ones as they are, brought ones within what a PEP may say.
fn extra_entities(snapshot: &Snapshot, question: &Question) -> Result<BTreeMap<Uid, CedarEntity>, Refusal> {
    let mut extra = BTreeMap::new();
    for entity in &question.brought {
        if extra.contains_key(&entity.uid) {
            return Err(Refusal::invalid(format!("the entity `{}` stands twice in the request", entity.uid)));
        }
        if let Some(cedar) = brought(snapshot, entity)? {
            extra.insert(entity.uid.clone(), cedar);
        }
    }
    for entity in &question.derived {
        let stored = cedar::entity_uid(&entity.uid).is_some_and(|uid| snapshot.entities.get(&uid).is_some());
        if !stored {
            extra.insert(entity.uid.clone(), derived(snapshot, entity)?);
        }
    }
    Ok(extra)
}

fn brought(snapshot: &Snapshot, entity: &Entity) -> Result<Option<CedarEntity>, Refusal> {
    let path = entity.uid.kind.as_str();
    if let Some(name) = NEVER_FROM_PEP.iter().find(|name| entity.attributes.contains_key(**name)) {
        return Err(Refusal::invalid(format!("`{path}.{name}` may not come from a PEP")));
    }
    let uid = cedar::entity_uid(&entity.uid).ok_or_else(|| Refusal::invalid("malformed entity type"))?;
    let Some(stored) = snapshot.entities.get(&uid) else {
        if FROM_CATALOG.contains(&path) && snapshot.catalog.servers().next().is_some() {
            return Err(Refusal::invalid(format!(
                "a `{path}` that the catalog does not have may not come from a PEP"
            )));
        }
        return typed(snapshot, entity, HashSet::new()).map(Some);
    };
    let allowed = snapshot.schema.from_pep.get(path);
    let sent: BTreeMap<_, _> =
        entity.attributes.iter().filter(|(name, _)| allowed.is_some_and(|a| a.contains(*name))).collect();
    if sent.is_empty() {
        return Ok(None);
    }
    let (_, mut attributes, parents) = stored.clone().into_inner();
    let members = snapshot.schema.kinds.get(path);
    for (name, value) in sent {
        let Some(member) = members.and_then(|members| members.get(name)) else { continue };
        let value = member.shape.admit(value, &format!("{path}.{name}"))?;
        if let Some(expression) = cedar::expression(&value) {
            attributes.insert(name.clone(), expression);
        }
    }
    let merged = cedar::rebuilt(stored, attributes, parents);
    merged.map(Some).ok_or_else(|| Refusal::invalid(format!("an attribute of a `{path}` is malformed")))
}

fn derived(snapshot: &Snapshot, entity: &Entity) -> Result<CedarEntity, Refusal> {
    let (classes, others): (Vec<&Uid>, Vec<&Uid>) =
        entity.parents.iter().partition(|uid| uid.kind == DATA_CLASS);
    let classes = closure(classes.into_iter().map(|uid| uid.id.clone()), &snapshot.classes_below);
    let mut parents: HashSet<EntityUid> = others.into_iter().filter_map(cedar::entity_uid).collect();
    parents.extend(classes.into_iter().filter_map(|class| cedar::entity_uid(&Uid::new(DATA_CLASS, class))));
    typed(snapshot, entity, parents)
}

fn typed(snapshot: &Snapshot, entity: &Entity, parents: HashSet<EntityUid>) -> Result<CedarEntity, Refusal> {
    let kind = &entity.uid.kind;
    let members = snapshot.schema.kinds.get(kind).cloned().unwrap_or_default();
    let admitted = Shape::Record(members).admit(&Value::Record(entity.attributes.clone()), kind)?;
    let Value::Record(attributes) = admitted else { return Err(Refusal::invalid("attributes are a record")) };
    let attributes =
        attributes.iter().filter_map(|(name, value)| Some((name.clone(), cedar::expression(value)?)));
    let uid = cedar::entity_uid(&entity.uid).ok_or_else(|| Refusal::invalid("malformed entity type"))?;
    CedarEntity::new(uid, attributes.collect(), parents)
        .map_err(|_| Refusal::invalid(format!("an attribute of a `{kind}` is malformed")))
}

/// The entities that these requests can reach, with what they bring: never the world.
fn slice(
    snapshot: &Snapshot,
    mut extra: BTreeMap<Uid, CedarEntity>,
    requests: &[(Half, Request)],
) -> Result<Entities, Refusal> {
    // A policy may ask about an entity that it names itself and that the request does not lead to.
    let mut waiting: Vec<EntityUid> = snapshot.literals.clone();
    for (_, request) in requests {
        waiting.extend(
            [request.principal(), request.action(), request.resource()].into_iter().flatten().cloned(),
        );
        for (_, value) in request.context().cloned().into_iter().flatten() {
            if let Some(value) = cedar::evaluated(&value) {
                cedar::references(&value, &mut waiting);
            }
        }
    }
    let mut reached: Vec<CedarEntity> = Vec::new();
    let mut seen: HashSet<EntityUid> = HashSet::new();
    while let Some(uid) = waiting.pop() {
        if !seen.insert(uid.clone()) {
            continue;
        }
        let Some(entity) =
            extra.remove(&cedar::uid_of(&uid)).or_else(|| snapshot.entities.get(&uid).cloned())
        else {
            continue;
        };
        waiting.extend(cedar::neighbours(&entity));
        reached.push(entity);
    }
    Entities::from_entities(reached, None)
        .map_err(|_| Refusal::invalid("the request's entities contain a cycle"))
}
