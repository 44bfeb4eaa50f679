//! The entity store: declared entities with the order of data classes worked in, and what the catalog derives.
//! Never lets a file contradict the catalog: tools are derived, not declared.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::{Entities, Entity, EntityUid, EvalResult, RestrictedExpression};

use super::agents::Agents;
use super::cedar;
use super::declared::{Declared, head, warn_of_missing};
use super::schema::CompiledSchema;
use super::store::Store;
use crate::catalog::{Catalog, Server, Tool, UNCLASSIFIED};
use crate::diagnostic::{Diagnostic, chain};
use crate::value::{Uid, Value};

/// The entity type of data classes.
pub(super) const DATA_CLASS: &str = "DataClass";
/// Entity types that come from the catalog alone, where there is one.
pub(super) const FROM_CATALOG: [&str; 5] = ["Server", "Tool", "Resource", "Prompt", "McpTask"];
/// The attribute that is expanded downwards.
pub(super) const CLEARANCES: &str = "clearances";

/// Which classes lie below which: a class is declared *in* the next more sensitive one. Each class is below itself.
fn classes_below(declared: &[Declared]) -> BTreeMap<String, BTreeSet<String>> {
    let mut above: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entity in declared {
        let uid = cedar::uid_of(&entity.entity.uid());
        if uid.kind == DATA_CLASS {
            above.entry(uid.id.into()).or_default().extend(parents_of_kind(&entity.entity, DATA_CLASS));
        }
    }
    above.entry(UNCLASSIFIED.into()).or_default();
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for class in above.keys() {
        let mut waiting = vec![class.clone()];
        let mut seen = BTreeSet::new();
        while let Some(upper) = waiting.pop() {
            if seen.insert(upper.clone()) {
                below.entry(upper.clone()).or_default().insert(class.clone());
                waiting.extend(above.get(&upper).into_iter().flatten().cloned());
            }
        }
    }
    below
}

fn parents_of_kind(entity: &Entity, kind: &str) -> Vec<String> {
    let (_, _, parents) = entity.clone().into_inner();
    parents.iter().map(cedar::uid_of).filter(|uid| uid.kind == kind).map(|uid| uid.id.into()).collect()
}

/// Builds the store: declared entities with expanded clearances, and one entity per server, tool and class.
pub(super) fn build(
    declared: Vec<Declared>,
    catalog: &Catalog,
    compiled: &CompiledSchema,
    findings: &mut Vec<Diagnostic>,
) -> Option<Store> {
    let below = &classes_below(&declared);
    let mut store: BTreeMap<Uid, Entity> = BTreeMap::new();
    let agents = Agents::of(&declared, findings);
    warn_of_missing(&declared, catalog, findings);
    for Declared { entity, file, span } in declared {
        let uid = cedar::uid_of(&entity.uid());
        if FROM_CATALOG.contains(&uid.kind.as_str()) && catalog.servers().next().is_some() {
            findings.push(
                Diagnostic::error("entity::catalog", format!("`{uid}` is derived from the catalog"))
                    .at(&file, head(&span), "declared here")
                    .help(
                        "say what you know of it in tools/<server>.facts.yaml: groups, data classes, flags",
                    ),
            );
            continue;
        }
        match expanded(entity, &uid, below) {
            Some(entity) => store.insert(uid, entity),
            None => continue,
        };
    }
    if compiled.kinds.contains_key(DATA_CLASS) {
        for class in below.keys() {
            let uid = Uid::new(DATA_CLASS, class);
            let Some(cedar_uid) = cedar::entity_uid(&uid) else { continue };
            store.entry(uid).or_insert_with(|| Entity::new_no_attrs(cedar_uid, HashSet::new()));
        }
    }
    for server in catalog.servers() {
        check_classes(server, below, findings);
        store.insert(server.uid(), server_entity(server, compiled)?);
        for tool in server.tools.values() {
            store.insert(tool.uid(), tool_entity(tool, server, compiled, below)?);
        }
    }
    match Entities::from_entities(store.into_values(), Some(&compiled.schema)) {
        Ok(entities) => Store::of(entities.as_ref().clone(), below.clone(), agents),
        Err(error) => {
            findings.push(Diagnostic::error("entity::store", chain(&error)).help(
                "a hierarchy may not contain itself, and every entity must fit its declaration in schemas/",
            ));
            None
        }
    }
}

/// Data classes lose their parents, which have done their duty, and clearances gain everything below them.
fn expanded(entity: Entity, uid: &Uid, below: &BTreeMap<String, BTreeSet<String>>) -> Option<Entity> {
    let clearances = entity.attr(CLEARANCES).and_then(Result::ok).and_then(|value| class_names(&value));
    if uid.kind != DATA_CLASS && clearances.is_none() {
        return Some(entity);
    }
    let (_, mut attributes, mut parents) = entity.clone().into_inner();
    if uid.kind == DATA_CLASS {
        parents.retain(|parent| cedar::uid_of(parent).kind != DATA_CLASS);
    }
    if let Some(classes) = clearances {
        let all = closure(classes, below);
        attributes.insert(CLEARANCES.into(), class_set(&all)?);
    }
    cedar::rebuilt(&entity, attributes, parents)
}

/// The ids, when the value is a set of data classes and nothing else.
fn class_names(value: &EvalResult) -> Option<BTreeSet<String>> {
    let EvalResult::Set(items) = value else { return None };
    let name = |item: &EvalResult| match item {
        EvalResult::EntityUid(uid) => {
            Some(cedar::uid_of(uid)).filter(|uid| uid.kind == DATA_CLASS).map(|uid| uid.id.into())
        }
        EvalResult::Bool(_)
        | EvalResult::Long(_)
        | EvalResult::String(_)
        | EvalResult::Set(_)
        | EvalResult::Record(_)
        | EvalResult::ExtensionValue(_) => None,
    };
    items.iter().map(name).collect()
}

/// The classes and everything below them.
pub(super) fn closure(
    classes: impl IntoIterator<Item = String>,
    below: &BTreeMap<String, BTreeSet<String>>,
) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for class in classes {
        all.extend(below.get(&class).into_iter().flatten().cloned());
        all.insert(class);
    }
    all
}

fn class_set(classes: &BTreeSet<String>) -> Option<RestrictedExpression> {
    let items = classes.iter().map(|class| Value::Entity(Uid::new(DATA_CLASS, class))).collect();
    cedar::expression(&Value::Set(items))
}

fn check_classes(
    server: &Server,
    below: &BTreeMap<String, BTreeSet<String>>,
    findings: &mut Vec<Diagnostic>,
) {
    for (what, classes) in server.classified() {
        for class in classes.iter().filter(|class| !below.contains_key(*class)) {
            findings.push(
                Diagnostic::warning("catalog::class", format!("{what} has the data class `{class}`, which no file of entities/ declares"))
                    .help("declare DataClass::\"…\" in entities/, or fix the name in the facts file; nobody can be cleared for it"),
            );
        }
    }
}

fn server_entity(server: &Server, compiled: &CompiledSchema) -> Option<Entity> {
    let declared = compiled.kinds.get("Server");
    let mut attributes = HashMap::new();
    if let Some(audience) = &server.audience
        && declared.is_some_and(|attributes| attributes.contains_key("audience"))
    {
        attributes.insert("audience".to_owned(), RestrictedExpression::new_string(audience.clone()));
    }
    let parents = uids("ServerGroup", server.groups.iter().cloned())?;
    Entity::new(cedar::entity_uid(&server.uid())?, attributes, parents).ok()
}

fn tool_entity(
    tool: &Tool,
    server: &Server,
    compiled: &CompiledSchema,
    below: &BTreeMap<String, BTreeSet<String>>,
) -> Option<Entity> {
    let declared = compiled.kinds.get("Tool")?;
    let known: [(&str, RestrictedExpression); 5] = [
        ("data_classes", class_set(&tool.facts.data_classes)?),
        ("read_only", RestrictedExpression::new_bool(tool.facts.read_only)),
        ("destructive", RestrictedExpression::new_bool(tool.facts.destructive)),
        ("open_world", RestrictedExpression::new_bool(tool.facts.open_world)),
        ("digest", RestrictedExpression::new_string(tool.digest.clone())),
    ];
    let attributes: HashMap<String, RestrictedExpression> = known
        .into_iter()
        .filter(|(name, _)| declared.contains_key(*name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut parents = uids("ToolGroup", tool.facts.groups.iter().cloned())?;
    parents.extend(uids(DATA_CLASS, closure(tool.facts.data_classes.iter().cloned(), below))?);
    parents.insert(cedar::entity_uid(&server.uid())?);
    Entity::new(cedar::entity_uid(&tool.uid())?, attributes, parents).ok()
}

fn uids(kind: &str, ids: impl IntoIterator<Item = String>) -> Option<HashSet<EntityUid>> {
    ids.into_iter().map(|id| cedar::entity_uid(&Uid::new(kind, id))).collect()
}
