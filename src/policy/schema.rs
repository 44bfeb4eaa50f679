//! The schema of a bundle: its own files, plus one typed action per tool of the catalog, plus tombstones.
//! Never loads a schema with an error in it, and never lets a generated action replace a written one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{Schema, SchemaFragment};
use miette::Diagnostic as _;
use serde_json::{Map, Value as Json, json};
use smol_str::SmolStr;

use super::OwnMap;
use super::bounds::{self, Language};
use super::cedar::{ActionShape, COUNTERPARTS, EntityUID, NOW, Shapes, Types};
use super::sources;
use crate::catalog::{Catalog, Tool};
use crate::diagnostic::{Diagnostic, File, chain};
use crate::value::{Extension, Member, Shape, Uid};

/// The action group that every tool belongs to.
pub(super) const TOOL_GROUP_ACTION: &str = "tools/call";
/// The common type whose members every tool's context has.
const CALL_TYPE: &str = "Call";
/// Who can call a tool, as far as the schema declares these types.
const CALLER_TYPES: [&str; 2] = ["Human", "Agent"];
/// What a catalog needs the schema to declare.
const MODEL_TYPES: [&str; 4] = ["Server", "Tool", "ToolGroup", "DataClass"];

/// A compiled schema with what Cedar's own form of it does not tell.
#[derive(Debug, Clone)]
pub(super) struct CompiledSchema {
    pub(super) schema: Schema,
    /// Every action: who, on what, in which context.
    pub(super) actions: OwnMap<Uid, ActionModel>,
    /// Every entity type's attributes.
    pub(super) kinds: OwnMap<SmolStr, BTreeMap<SmolStr, Member>>,
    /// The entity types whose ids are all declared.
    pub(super) choices: BTreeMap<SmolStr, Arc<BTreeSet<SmolStr>>>,
    /// The names of the types, parsed.
    pub(super) types: Types,
    /// The actions that the catalog adds, each with the form of its arguments' types.
    pub(super) tools: Vec<(EntityUID, String)>,
    /// Attributes that a PEP may override (`@source("pep")`), by entity type.
    pub(super) from_pep: BTreeMap<String, BTreeSet<String>>,
}

/// An action as questions need it.
#[derive(Debug, Clone)]
pub(super) struct ActionModel {
    pub(super) uid: Arc<EntityUID>,
    /// Entity types that may be its principal.
    pub(super) principals: Vec<SmolStr>,
    /// Entity types that may be its resource.
    pub(super) resources: Vec<SmolStr>,
    /// The members of its context that only this PDP establishes (`@source("pdp")`), `input` included.
    pub(super) owned: BTreeSet<String>,
    /// The members of its context, except the counterparts.
    pub(super) common: Vec<ContextMember>,
    /// The members that this PDP fills with the other party of a delegated call.
    pub(super) counterparts: Vec<ContextMember>,
    /// Its place among the actions.
    pub(super) place: usize,
}

/// A member of an action's context.
#[derive(Debug, Clone)]
pub(super) struct ContextMember {
    pub(super) name: SmolStr,
    pub(super) member: Member,
    /// Whether only this PDP establishes it.
    pub(super) ours: bool,
}

impl ActionModel {
    /// Whether its context holds the instant of the decision, by this PDP's clock.
    pub(super) fn has_now(&self) -> bool {
        let is_now = |member: &ContextMember| {
            member.ours && member.name == NOW && member.member.shape == Shape::Extension(Extension::Datetime)
        };
        self.common.iter().any(is_now)
    }

    fn of(uid: EntityUID, place: usize, shape: ActionShape, owned: BTreeSet<String>) -> Self {
        let ActionShape { principals, resources, context } = shape;
        let member = |(name, member): (SmolStr, Member)| {
            let ours = owned.contains(name.as_str());
            ContextMember { name, member, ours }
        };
        let (counterparts, common) = context
            .into_iter()
            .map(member)
            .partition(|member| member.ours && COUNTERPARTS.contains(&member.name.as_str()));
        Self { uid: Arc::new(uid), principals, resources, owned, common, counterparts, place }
    }
}

/// What the files of `schemas/` say, before the catalog's actions are added.
#[derive(Debug)]
pub(super) struct Fragments {
    parsed: Vec<SchemaFragment>,
    forms: Vec<(File, Json)>,
}

/// Parses the files of `schemas/`, each on its own, so that every file's error is reported.
pub(super) fn parse(files: &[File], findings: &mut Vec<Diagnostic>) -> Fragments {
    let mut fragments = Fragments { parsed: vec![], forms: vec![] };
    if files.is_empty() {
        findings.push(
            Diagnostic::error("schema::missing", "the bundle has no schema")
                .help("put at least one `schemas/*.cedarschema` file into the bundle; policies are validated against it"),
        );
    }
    for file in files {
        if !bounds::holds(file, Language::Schema, findings) {
            continue;
        }
        let parsed = SchemaFragment::from_cedarschema_str(&file.text).map(|(fragment, _)| fragment);
        match parsed {
            Ok(fragment) => match fragment.clone().to_json_value() {
                Ok(form) => {
                    fragments.parsed.push(fragment);
                    fragments.forms.push(((*file).clone(), form));
                }
                Err(error) => findings.push(finding("schema::parse", &error, file)),
            },
            Err(error) => findings.push(finding("schema::parse", &error, file)),
        }
    }
    fragments
}

/// Adds the catalog's actions and the tombstones, and resolves everything.
pub(super) fn compile(
    fragments: &Fragments,
    catalog: &Catalog,
    tombstones: &BTreeSet<String>,
    findings: &mut Vec<Diagnostic>,
) -> Option<CompiledSchema> {
    let Fragments { parsed, forms } = fragments;
    let mut parsed = parsed.clone();
    let call = sources::record_type(forms, "", CALL_TYPE);
    let tools: Vec<&Tool> = catalog.servers().flat_map(|server| server.tools.values()).collect();
    if catalog.servers().next().is_some() {
        let missing = missing_model(forms, call.is_none());
        if !missing.is_empty() {
            findings.push(model_missing(&missing));
            return None;
        }
    }
    sources::refuse_strays(forms, findings);
    check_written_actions(forms, &tools, findings);
    let generated = generated_actions(forms, call.as_ref(), &tools, tombstones);
    match SchemaFragment::from_json_value(json!({"": {"entityTypes": {}, "actions": generated}})) {
        Ok(fragment) => parsed.push(fragment),
        Err(error) => {
            findings.push(Diagnostic::error(
                "schema::catalog",
                format!("the catalog's actions: {}", chain(&error)),
            ));
            return None;
        }
    }
    let schema = match Schema::from_schema_fragments(parsed) {
        Ok(schema) => schema,
        Err(error) => {
            findings.push(resolve_finding(&error, forms));
            return None;
        }
    };
    let shapes = Shapes::of(&schema);
    let types = Types::of(&shapes);
    let mut owned = sources::owned(forms, call.as_ref(), &tools);
    let model = |((uid, shape), place): ((Uid, ActionShape), usize)| {
        let owned = owned.remove(&uid).unwrap_or_default();
        let model = ActionModel::of(types.uid(&uid.kind, &uid.id)?, place, shape, owned);
        Some((uid, model))
    };
    let tool = |tool: &&Tool| {
        let Uid { kind, id } = tool.action();
        Some((types.uid(&kind, &id)?, type_form(&tool.arguments).to_string()))
    };
    Some(CompiledSchema {
        actions: shapes.actions().into_iter().zip(0..).filter_map(model).collect(),
        tools: tools.iter().filter_map(tool).collect(),
        kinds: shapes.kinds(),
        choices: shapes.choices().clone(),
        types,
        from_pep: sources::from_pep(forms),
        schema,
    })
}

/// The ids of actions that the files of `schemas/` write themselves, without a namespace.
pub(super) fn written_actions(fragments: &Fragments) -> BTreeSet<String> {
    fragments
        .forms
        .iter()
        .filter_map(|(_, form)| form.get("")?.get("actions")?.as_object())
        .flat_map(|actions| actions.keys().cloned())
        .collect()
}

fn missing_model(forms: &[(File, Json)], call_missing: bool) -> Vec<String> {
    let declared =
        |kind: &str| forms.iter().any(|(_, form)| section(form, "", "entityTypes").contains_key(kind));
    let mut missing: Vec<String> =
        MODEL_TYPES.iter().filter(|kind| !declared(kind)).map(|kind| format!("entity {kind}")).collect();
    if !CALLER_TYPES.iter().any(|kind| declared(kind)) {
        missing.push("entity Human or Agent".into());
    }
    if call_missing {
        missing.push(format!("type {CALL_TYPE}"));
    }
    if !forms.iter().any(|(_, form)| section(form, "", "actions").contains_key(TOOL_GROUP_ACTION)) {
        missing.push(format!("action \"{TOOL_GROUP_ACTION}\""));
    }
    missing
}

fn model_missing(missing: &[String]) -> Diagnostic {
    let list = missing.join(", ");
    Diagnostic::error(
        "schema::model",
        format!("the catalog's tools need declarations that the schema lacks: {list}"),
    )
    .help(
        "start from the shipped schemas/agent.cedarschema; or empty tools/ if this bundle has no MCP servers",
    )
}

fn check_written_actions(forms: &[(File, Json)], tools: &[&Tool], findings: &mut Vec<Diagnostic>) {
    for (file, form) in forms {
        let written = section(form, "", "actions");
        for tool in tools {
            let id = tool.action().id;
            if written.contains_key(id.as_str()) {
                let start = file.text.find(&format!("\"{id}\"")).unwrap_or(0);
                findings.push(
                    Diagnostic::error(
                        "schema::tool-action",
                        format!("the action `{id}` is generated from the catalog"),
                    )
                    .at(file, start..start + id.len() + 2, "declared here again")
                    .help("remove this declaration; the tool's `inputSchema` gives the action its types"),
                );
            }
        }
    }
}

fn generated_actions(
    forms: &[(File, Json)],
    call: Option<&Map<String, Json>>,
    tools: &[&Tool],
    tombstones: &BTreeSet<String>,
) -> Map<String, Json> {
    let declared =
        |kind: &&str| forms.iter().any(|(_, form)| section(form, "", "entityTypes").contains_key(*kind));
    let principals: Vec<&str> = CALLER_TYPES.into_iter().filter(declared).collect();
    let member_of = json!([{"id": TOOL_GROUP_ACTION}]);
    let mut actions = Map::new();
    for tool in tools {
        let mut context = call.cloned().unwrap_or_default();
        context.insert("input".into(), type_form(&tool.arguments));
        context.insert("input_unseen".into(), json!({"type": "Set", "element": {"type": "String"}}));
        let applies = json!({
            "principalTypes": principals,
            "resourceTypes": ["Tool"],
            "context": {"type": "Record", "attributes": context},
        });
        actions.insert(tool.action().id.into(), json!({"memberOf": member_of, "appliesTo": applies}));
    }
    for id in tombstones {
        actions.insert(id.clone(), json!({"memberOf": member_of}));
    }
    actions
}

/// A shape in the JSON form of Cedar's schema.
fn type_form(shape: &Shape) -> Json {
    match shape {
        Shape::Bool => json!({"type": "Boolean"}),
        Shape::Long => json!({"type": "Long"}),
        Shape::String => json!({"type": "String"}),
        Shape::Extension(kind) => json!({"type": "Extension", "name": kind.name()}),
        Shape::Choice(kind, _) => json!({"type": "Entity", "name": kind}),
        Shape::Entity(kinds) => json!({"type": "Entity", "name": kinds.first()}),
        Shape::Set(item) => json!({"type": "Set", "element": type_form(item)}),
        Shape::Record(members) => {
            let member = |(name, member): (&SmolStr, &Member)| {
                let mut form = type_form(&member.shape);
                if let Some(object) = form.as_object_mut() {
                    object.insert("required".into(), Json::Bool(member.required));
                }
                (name.to_string(), form)
            };
            json!({"type": "Record", "attributes": members.iter().map(member).collect::<Map<_, _>>()})
        }
    }
}

fn section<'a>(form: &'a Json, namespace: &str, name: &str) -> std::borrow::Cow<'a, Map<String, Json>> {
    match form.get(namespace).and_then(|body| body.get(name)).and_then(Json::as_object) {
        Some(found) => std::borrow::Cow::Borrowed(found),
        None => std::borrow::Cow::Owned(Map::new()),
    }
}

/// Cedar names what it could not resolve but not the file; the first word-boundary match shows where to look.
fn resolve_finding(error: &cedar_policy::SchemaError, forms: &[(File, Json)]) -> Diagnostic {
    let text = chain(error);
    let help =
        error.help().map_or_else(|| "declare it in a file of schemas/".to_owned(), |help| help.to_string());
    let span = error.labels().and_then(|mut labels| labels.next()).map(|l| l.offset()..l.offset() + l.len());
    let name = text.rsplit_once(": ").map(|(_, name)| name.trim_matches('`'));
    let at = forms.iter().find_map(|(file, _)| {
        let span = span.clone()?;
        let found = file.text.get(span.clone())?;
        (Some(found) == name).then_some((file, span))
    });
    let at = at.or_else(|| match (&span, forms) {
        (Some(span), [(only, _)]) => Some((only, span.clone())),
        (Some(_) | None, _) => None,
    });
    let finding = Diagnostic::error("schema::resolve", text.clone()).help(help);
    match at {
        Some((file, span)) => finding.at(file, span, "here"),
        None => finding,
    }
}

/// A finding from one of Cedar's errors, with the first label that it carries.
pub(super) fn finding(code: &'static str, error: &dyn miette::Diagnostic, file: &File) -> Diagnostic {
    let mut finding = Diagnostic::error(code, chain(error)).in_file(file);
    if let Some(help) = error.help() {
        finding = finding.help(help.to_string());
    }
    match error.labels().and_then(|mut labels| labels.next()) {
        Some(label) => {
            let text = label.label().unwrap_or("here").to_owned();
            finding.at(file, label.offset()..label.offset() + label.len(), text)
        }
        None => finding,
    }
}
