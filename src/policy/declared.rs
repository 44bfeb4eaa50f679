//! The files of `entities/`: each entity parsed on its own, so that every one of them is reported.
//! Never takes what can be read in two ways, and never an `unknown` value, which would switch off rules.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{Entity, EntityUid, Schema};
use serde_json::value::RawValue;

use super::bounds::{self, Language};
use super::cedar;
use super::entities::DATA_CLASS;
use crate::catalog::{Catalog, UNCLASSIFIED};
use crate::diagnostic::{Diagnostic, File, chain};
use crate::json;
use crate::value::Value;

/// How deep the JSON of an entity may nest.
const ENTITY_DEPTH_MAX: usize = 128;
/// An entity as a file declares it.
pub(super) struct Declared {
    pub(super) entity: Entity,
    pub(super) file: File,
    pub(super) span: std::ops::Range<usize>,
}

/// Parses the files of `entities/`; each entity on its own, so that every one of them is reported.
pub(super) fn parse(files: &[File], schema: &Schema, findings: &mut Vec<Diagnostic>) -> Vec<Declared> {
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
pub(super) fn head(span: &std::ops::Range<usize>) -> std::ops::Range<usize> {
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

/// A misspelt group grants and forbids nothing, and a rule that looks at a missing entity fails.
pub(super) fn warn_of_missing(declared: &[Declared], catalog: &Catalog, findings: &mut Vec<Diagnostic>) {
    let known: HashSet<EntityUid> = declared.iter().map(|entity| entity.entity.uid()).collect();
    for entity in declared {
        let (_, _, parents) = entity.entity.clone().into_inner();
        let references: Vec<EntityUid> =
            cedar::mentioned(&entity.entity).into_iter().filter(|uid| !parents.contains(uid)).collect();
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
