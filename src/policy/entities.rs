//! The entities of a bundle: what its files declare, what the catalog derives, and the order of data classes.
//! Never lets a file contradict the catalog: tools are derived, not declared.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cedar_policy::{Entities, Entity, EntityUid, EvalResult, RestrictedExpression, Schema};
use serde_json::value::RawValue;

use super::bounds::{self, Language};
use super::cedar;
use super::schema::CompiledSchema;
use crate::catalog::{Catalog, Server, Tool, UNCLASSIFIED};
use crate::diagnostic::{Diagnostic, File, chain};
use crate::json;
use crate::value::{Uid, Value};

/// The entity type of data classes.
pub(super) const DATA_CLASS: &str = "DataClass";
/// How deep the JSON of an entity may nest.
const ENTITY_DEPTH_MAX: usize = 64;
/// Entity types that come from the catalog alone, where there is one.
pub(super) const FROM_CATALOG: [&str; 5] = ["Server", "Tool", "Resource", "Prompt", "McpTask"];
/// The attribute that is expanded downwards.
const CLEARANCES: &str = "clearances";

/// An entity as a file declares it.
pub(super) struct Declared {
    entity: Entity,
    file: File,
    span: std::ops::Range<usize>,
}

/// Parses the files of `entities/`; each entity on its own, so that every one of them is reported.
pub(super) fn parse(files: &[&File], schema: &Schema, findings: &mut Vec<Diagnostic>) -> Vec<Declared> {
    let mut declared = Vec::new();
    for file in files {
        if !bounds::holds(file, Language::Entities, findings) {
            continue;
        }
        if let Some(finding) = ambiguous(file) {
            findings.push(finding);
            continue;
        }
        let items: Vec<&RawValue> = match serde_json::from_str(&file.text) {
            Ok(items) => items,
            Err(error) => {
                findings.push(json_finding(file, &error));
                continue;
            }
        };
        for item in items {
            let start = item.get().as_ptr() as usize - file.text.as_ptr() as usize;
            let span = start..start + item.get().len();
            if let Some(entity) = parse_one(item, schema, file, span.clone(), findings) {
                declared.push(Declared { entity, file: (*file).clone(), span });
            }
        }
    }
    refuse_duplicates(&declared, findings);
    declared
}

/// What two readers could read in two ways, and Cedar's `unknown`, which would switch off the rules that read it.
/// Other faults are told with the entity that has them.
fn ambiguous(file: &File) -> Option<Diagnostic> {
    let limits = json::Limits { bytes_max: usize::MAX, depth_max: ENTITY_DEPTH_MAX, nodes_max: usize::MAX };
    match json::parse(file.text.as_bytes(), limits) {
        Ok(value) if holds_unknown(&value) => Some(
            Diagnostic::error("entity::unknown", "an entity may not hold Cedar's `unknown` value")
                .in_file(file)
                .help("give the attribute a value; a rule that reads an unknown one would be skipped"),
        ),
        Ok(_) => None,
        Err(error) => {
            let spot = error.offset().unwrap_or(0).min(file.text.len());
            Some(
                Diagnostic::error("entity::json", error.to_string())
                    .at(file, spot..(spot + 1).min(file.text.len()), "here")
                    .help("an entities file is a JSON array of {\"uid\": {\"type\", \"id\"}, \"attrs\": {…}, \"parents\": […]}"),
            )
        }
    }
}

fn holds_unknown(value: &Value) -> bool {
    match value {
        Value::Set(items) => items.iter().any(holds_unknown),
        Value::Record(members) => {
            let call = match members.get("__extn") {
                Some(Value::Record(call)) => call.get("fn"),
                Some(_) | None => None,
            };
            call == Some(&Value::String("unknown".into())) || members.values().any(holds_unknown)
        }
        Value::Null
        | Value::Bool(_)
        | Value::Long(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Entity(_)
        | Value::Extension(..) => false,
    }
}

fn parse_one(
    item: &RawValue,
    schema: &Schema,
    file: &File,
    span: std::ops::Range<usize>,
    findings: &mut Vec<Diagnostic>,
) -> Option<Entity> {
    let value = match serde_json::from_str(item.get()) {
        Ok(value) => value,
        Err(error) => {
            findings.push(
                Diagnostic::error("entity::json", format!("the entity cannot be read: {error}"))
                    .at(file, head(&span), "in this entity")
                    .help("mend the value; line and column count from the beginning of the entity"),
            );
            return None;
        }
    };
    match Entity::from_json_value(value, Some(schema)) {
        Ok(entity) => Some(entity),
        Err(error) => {
            let text = chain(&error);
            let message = text.rsplit_once(": entity").map_or(text.clone(), |(_, rest)| rest.to_owned());
            let at = quoted_spot(&message, item.get())
                .map_or(head(&span), |spot| span.start + spot.start..span.start + spot.end);
            findings.push(
                Diagnostic::error("entity::invalid", text)
                    .at(file, at, "here")
                    .help("compare the entity with its declaration in schemas/: types, required attributes, allowed parents"),
            );
            None
        }
    }
}

/// The first name in backticks of `message` that stands as a JSON string in `text`: the attribute to look at.
fn quoted_spot(message: &str, text: &str) -> Option<std::ops::Range<usize>> {
    message.split('`').skip(1).step_by(2).find_map(|name| {
        let quoted = format!("\"{name}\"");
        let start = text.find(&quoted)?;
        Some(start..start + quoted.len())
    })
}

/// The first bytes of an entity, to mark it without marking all of it.
fn head(span: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    span.start..span.end.min(span.start + 1)
}

fn json_finding(file: &File, error: &serde_json::Error) -> Diagnostic {
    let lines_before: usize =
        file.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let spot = (lines_before + error.column().saturating_sub(1)).min(file.text.len());
    Diagnostic::error("entity::json", error.to_string())
        .at(file, spot..(spot + 1).min(file.text.len()), "here")
        .help("an entities file is a JSON array of {\"uid\": {\"type\", \"id\"}, \"attrs\": {…}, \"parents\": […]}")
}

fn refuse_duplicates(declared: &[Declared], findings: &mut Vec<Diagnostic>) {
    let mut first: HashMap<EntityUid, &Declared> = HashMap::new();
    for entity in declared {
        let uid = entity.entity.uid();
        if let Some(earlier) = first.get(&uid) {
            let (line, _) = earlier.file.position(earlier.span.start);
            findings.push(
                Diagnostic::error(
                    "entity::duplicate",
                    format!("`{}` is declared twice", cedar::uid_of(&uid)),
                )
                .at(&entity.file, head(&entity.span), "the second")
                .help(format!("the first stands in {} line {line}; keep one of them", earlier.file.path)),
            );
        } else {
            first.insert(uid, entity);
        }
    }
}

/// Which classes lie below which: a class is declared *in* the next more sensitive one. Each class is below itself.
pub(super) fn classes_below(declared: &[Declared]) -> BTreeMap<String, BTreeSet<String>> {
    let mut above: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entity in declared {
        let uid = cedar::uid_of(&entity.entity.uid());
        if uid.kind == DATA_CLASS {
            above.entry(uid.id).or_default().extend(parents_of_kind(&entity.entity, DATA_CLASS));
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
    parents.iter().map(cedar::uid_of).filter(|uid| uid.kind == kind).map(|uid| uid.id).collect()
}

/// Builds the store: declared entities with expanded clearances, and one entity per server, tool and class.
pub(super) fn build(
    declared: Vec<Declared>,
    catalog: &Catalog,
    compiled: &CompiledSchema,
    below: &BTreeMap<String, BTreeSet<String>>,
    findings: &mut Vec<Diagnostic>,
) -> Option<Entities> {
    let mut store: BTreeMap<Uid, Entity> = BTreeMap::new();
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
        Ok(entities) => Some(entities),
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
            Some(cedar::uid_of(uid)).filter(|uid| uid.kind == DATA_CLASS).map(|uid| uid.id)
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

/// A misspelt group grants and forbids nothing, and a rule that looks at a missing entity fails.
fn warn_of_missing(declared: &[Declared], catalog: &Catalog, findings: &mut Vec<Diagnostic>) {
    let known: HashSet<EntityUid> = declared.iter().map(|entity| entity.entity.uid()).collect();
    for entity in declared {
        let (_, _, parents) = entity.entity.clone().into_inner();
        let references: Vec<EntityUid> =
            cedar::neighbours(&entity.entity).into_iter().filter(|uid| !parents.contains(uid)).collect();
        let missing = |uid: &EntityUid| {
            let found = cedar::uid_of(uid);
            let from_catalog = found.kind == "Server" && catalog.server(&found.id).is_some();
            let built_in = found.kind == DATA_CLASS && found.id == UNCLASSIFIED;
            !(known.contains(uid) || from_catalog || built_in)
        };
        let parents = parents
            .iter()
            .filter(|uid| missing(uid))
            .map(|uid| ("entity::parent", "parent", cedar::uid_of(uid)));
        let references = references
            .iter()
            .filter(|uid| missing(uid))
            .map(|uid| ("entity::reference", "entity", cedar::uid_of(uid)));
        let all: BTreeSet<_> = parents.chain(references).collect();
        for (code, role, uid) in all {
            findings.push(
                Diagnostic::warning(code, format!("the {role} `{uid}` is declared nowhere"))
                    .at(&entity.file, spot_of(entity, &uid.id), "named here")
                    .help(
                        "declare it in entities/, or fix the name: a misspelt one grants and forbids nothing",
                    ),
            );
        }
    }
}

/// Where an entity's declaration names an id; its beginning when it cannot be found.
fn spot_of(entity: &Declared, id: &str) -> std::ops::Range<usize> {
    let text = entity.file.text.get(entity.span.clone()).unwrap_or_default();
    let quoted = format!("\"{id}\"");
    text.find(&quoted)
        .map_or(head(&entity.span), |spot| entity.span.start + spot..entity.span.start + spot + quoted.len())
}
