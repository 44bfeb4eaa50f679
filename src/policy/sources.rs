//! Who may say what: the annotation `@source("pdp")` on members of an action's context, and `@source("pep")` on
//! attributes of an entity type.
//! Never passes over an annotation that it does not understand: a member that nobody owns could be forged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use crate::catalog::Tool;
use crate::diagnostic::{Diagnostic, File};
use crate::value::Uid;

/// How long a chain of type names may be.
const ALIASES_MAX: usize = 32;

type Forms = [(File, Json)];

/// The members of each action's context that only this PDP establishes.
pub(super) fn owned(
    forms: &Forms,
    call: Option<&Map<String, Json>>,
    tools: &[&Tool],
) -> BTreeMap<Uid, BTreeSet<String>> {
    let mut owned = BTreeMap::new();
    for (namespace, id, action) in items(forms, "actions") {
        let kind = qualified(namespace, "Action");
        let members = context_of(action).and_then(|context| resolved(forms, namespace, context));
        owned.insert(Uid::new(kind, id), marked(members.as_ref(), "pdp"));
    }
    for tool in tools {
        let mut names = marked(call, "pdp");
        names.extend(["input".to_owned(), "input_unseen".to_owned()]);
        owned.insert(tool.action(), names);
    }
    owned
}

/// The attributes of each entity type that a PEP may override.
pub(super) fn from_pep(forms: &Forms) -> BTreeMap<String, BTreeSet<String>> {
    let attributes = |(namespace, kind, entity): (&str, &str, &Json)| {
        let members = entity.get("shape").and_then(|shape| resolved(forms, namespace, shape));
        (qualified(namespace, kind), marked(members.as_ref(), "pep"))
    };
    items(forms, "entityTypes").into_iter().map(attributes).filter(|(_, names)| !names.is_empty()).collect()
}

/// Annotations where they have no effect: an author who wrote one believes that a member is safe.
pub(super) fn refuse_strays(forms: &Forms, findings: &mut Vec<Diagnostic>) {
    let contexts: BTreeSet<String> = items(forms, "actions")
        .into_iter()
        .filter_map(|(namespace, _, action)| target(forms, namespace, context_of(action)?))
        .chain(std::iter::once("Call".to_owned()))
        .collect();
    let shapes: BTreeSet<String> = items(forms, "entityTypes")
        .into_iter()
        .filter_map(|(namespace, _, entity)| target(forms, namespace, entity.get("shape")?))
        .collect();
    for (file, form) in forms {
        let one = std::slice::from_ref(form);
        let mut strays: Vec<String> = Vec::new();
        for (namespace, name, body) in items_of(one, "commonTypes") {
            let full = qualified(namespace, name);
            let allowed: Vec<&str> = [("pdp", &contexts), ("pep", &shapes)]
                .iter()
                .filter(|(_, uses)| uses.contains(&full))
                .map(|(who, _)| *who)
                .collect();
            strays.extend(stray_in(&full, body, &allowed));
        }
        for (namespace, id, action) in items_of(one, "actions") {
            let context = context_of(action).into_iter();
            strays.extend(context.flat_map(|context| stray_in(&qualified(namespace, id), context, &["pdp"])));
        }
        for (namespace, kind, entity) in items_of(one, "entityTypes") {
            let shape = entity.get("shape").into_iter();
            strays.extend(shape.flat_map(|shape| stray_in(&qualified(namespace, kind), shape, &["pep"])));
        }
        findings.extend(strays.into_iter().map(|member| {
            Diagnostic::error("schema::source", format!("`@source` has no effect on `{member}`"))
                .in_file(file)
                .help(
                    "`@source(\"pdp\")` belongs on a member of an action's context, `@source(\"pep\")` on an attribute of an \
                     entity type; a member inside another cannot have an owner of its own",
                )
        }));
    }
}

/// The members of `body` that carry an annotation which is not honoured there.
fn stray_in(owner: &str, body: &Json, allowed: &[&str]) -> Vec<String> {
    let mut strays = Vec::new();
    let members = body.get("attributes").and_then(Json::as_object).into_iter().flatten();
    for (name, member) in members {
        let source = member.get("annotations").and_then(|annotations| annotations.get("source"));
        let honoured = source.is_none_or(|who| who.as_str().is_some_and(|who| allowed.contains(&who)));
        let inside = member.as_object().into_iter().flatten().filter(|(key, _)| *key != "annotations");
        if !honoured || inside.into_iter().any(|(_, inner)| mentions_source(inner)) {
            strays.push(format!("{owner}.{name}"));
        }
    }
    // A common type may be no record itself: a set of records, for one.
    let rest = body
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "attributes" && *key != "annotations");
    if rest.into_iter().any(|(_, inner)| mentions_source(inner)) {
        strays.push(owner.to_owned());
    }
    strays
}

fn mentions_source(form: &Json) -> bool {
    match form {
        Json::Object(members) => {
            let own = members.get("annotations").and_then(|annotations| annotations.get("source")).is_some();
            own || members.values().any(mentions_source)
        }
        Json::Array(items) => items.iter().any(mentions_source),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// The members of a common record type, seen from a namespace and through any number of other names.
pub(super) fn record_type(forms: &Forms, namespace: &str, name: &str) -> Option<Map<String, Json>> {
    let full = find(forms, namespace, name)?;
    let (namespace, body) = body_of(forms, &full)?;
    resolved(forms, namespace, body)
}

/// The members of a record, written out or by name.
fn resolved(forms: &Forms, namespace: &str, form: &Json) -> Option<Map<String, Json>> {
    match form.get("attributes") {
        Some(attributes) => attributes.as_object().cloned(),
        None => body_of(forms, &target(forms, namespace, form)?)?.1.get("attributes")?.as_object().cloned(),
    }
}

/// The full name of the common record type that a form names, at the end of the chain.
fn target(forms: &Forms, namespace: &str, form: &Json) -> Option<String> {
    let (mut namespace, mut form) = (namespace.to_owned(), form);
    let mut last = None;
    for _ in 0..ALIASES_MAX {
        if form.get("attributes").is_some() {
            return last;
        }
        let name = form.get("name").or_else(|| form.get("type"))?.as_str()?;
        let full = find(forms, &namespace, name)?;
        let (within, body) = body_of(forms, &full)?;
        (namespace, form) = (within.to_owned(), body);
        last = Some(full);
    }
    None
}

/// A name as Cedar resolves it: in its own namespace first, then in the empty one.
fn find(forms: &Forms, namespace: &str, name: &str) -> Option<String> {
    let own = qualified(namespace, name);
    [own, name.to_owned()].into_iter().find(|full| body_of(forms, full).is_some())
}

fn body_of<'f>(forms: &'f Forms, full: &str) -> Option<(&'f str, &'f Json)> {
    let found = items(forms, "commonTypes")
        .into_iter()
        .find(|(namespace, name, _)| qualified(namespace, name) == full);
    found.map(|(namespace, _, body)| (namespace, body))
}

fn context_of(action: &Json) -> Option<&Json> {
    action.get("appliesTo")?.get("context")
}

/// The members of a record that carry `@source(<who>)`.
fn marked(members: Option<&Map<String, Json>>, who: &str) -> BTreeSet<String> {
    let is_marked = |member: &Json| {
        member.get("annotations").and_then(|a| a.get("source")).and_then(Json::as_str) == Some(who)
    };
    let names = members.into_iter().flatten().filter(|(_, member)| is_marked(member));
    names.map(|(name, _)| name.clone()).collect()
}

fn qualified(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}::{name}") }
}

/// Everything of one kind that the schema declares: namespace, name, body.
fn items<'f>(forms: &'f Forms, kind: &str) -> Vec<(&'f str, &'f str, &'f Json)> {
    forms.iter().flat_map(|(_, form)| items_of(std::slice::from_ref(form), kind)).collect()
}

fn items_of<'f>(forms: &'f [Json], kind: &str) -> Vec<(&'f str, &'f str, &'f Json)> {
    let mut found = Vec::new();
    for (namespace, body) in forms.iter().filter_map(Json::as_object).flatten() {
        let declared = body.get(kind).and_then(Json::as_object).into_iter().flatten();
        found.extend(declared.map(|(name, body)| (namespace.as_str(), name.as_str(), body)));
    }
    found
}
