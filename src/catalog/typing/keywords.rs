//! Single keywords of a JSON Schema, read.
//! Never judges a schema: one that is not well formed reads as one that says nothing.

use crate::value::{Members, Shape, Value};

/// The members of a schema.
pub(super) type Object = Members;

/// The part of `root` that a reference of the form `#/a/b` names.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.is_empty() {
        return Some(root);
    }
    if pointer.contains('%') {
        return None;
    }
    pointer.strip_prefix('/')?.split('/').try_fold(root, |at, step| match at {
        Value::Record(members) => members.get(step.replace("~1", "/").replace("~0", "~").as_str()),
        Value::Set(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The one schema that is left of an `anyOf`, `oneOf` or `allOf` when `null` is set aside, and nothing beside it
/// says more.
pub(super) fn only_alternative(object: &Object) -> Option<&Value> {
    if ["type", "enum", "const"].into_iter().any(|key| object.contains_key(key)) {
        return None;
    }
    ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| {
        let Some(Value::Set(branches)) = object.get(key) else { return None };
        let mut left = branches.iter().filter(|branch| !is_null(branch));
        match (left.next(), left.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    })
}

/// Whether a schema names null beside something else.
pub(super) fn may_be_null(object: &Object) -> bool {
    let alternatives = ["anyOf", "oneOf"].into_iter().filter_map(|key| object.get(key));
    type_names(object).contains(&"null")
        || matches!(object.get("enum"), Some(Value::Set(values)) if values.contains(&Value::Null))
        || alternatives.into_iter().any(|all| matches!(all, Value::Set(all) if all.iter().any(is_null)))
}

/// Whether null is all that a schema admits.
pub(super) fn is_null(schema: &Value) -> bool {
    let Value::Record(object) = schema else { return false };
    type_names(object) == ["null"] || object.get("const") == Some(&Value::Null)
}

/// Whether the members of an object are known: some are declared, or no others are allowed.
pub(super) fn has_members(object: &Object) -> bool {
    record(object.get("properties")).is_some_and(|properties| !properties.is_empty())
        || object.get("additionalProperties") == Some(&Value::Bool(false))
            && !object.contains_key("patternProperties")
}

/// The shape of a value that a schema spells out.
pub(super) fn scalar_shape(value: &Value) -> Option<Shape> {
    match value {
        Value::String(_) => Some(Shape::String),
        Value::Long(_) => Some(Shape::Long),
        Value::Bool(_) => Some(Shape::Bool),
        Value::Null
        | Value::Number(_)
        | Value::Entity(_)
        | Value::Extension(..)
        | Value::Set(_)
        | Value::Record(_) => None,
    }
}

/// What `type` names, in its order; nothing when it is absent.
pub(super) fn type_names(object: &Object) -> Vec<&str> {
    match object.get("type") {
        Some(Value::String(name)) => vec![name],
        several => strings(several).collect(),
    }
}

/// The texts of a list.
pub(super) fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let items = match value {
        Some(Value::Set(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter().filter_map(|item| match item {
        Value::String(text) => Some(text.as_str()),
        _ => None,
    })
}

/// The members, when it is an object.
pub(super) fn record(value: Option<&Value>) -> Option<&Object> {
    match value {
        Some(Value::Record(members)) => Some(members),
        _ => None,
    }
}
