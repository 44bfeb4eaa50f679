//! The one room that touches Cedar's internals: types of a compiled schema, places of policies, values.
//! Never decides. `cedar-policy-core` promises no stability, so both crates are pinned exactly.

use std::collections::BTreeMap;

use cedar_policy::{
    Entity, EntityUid, EvalResult, EvaluationError, Expression, Policy, RestrictedExpression, Schema,
};
use cedar_policy_core::ast;
use cedar_policy_core::validator::ValidatorSchema;
use cedar_policy_core::validator::types::{Attributes, EntityKind, Type};

use crate::value::{Extension, Member, Shape, Uid, Value};

/// What a schema says of one action.
#[derive(Debug, Clone)]
pub(super) struct ActionShape {
    /// Entity types that may be its principal.
    pub(super) principals: Vec<String>,
    /// Entity types that may be its resource.
    pub(super) resources: Vec<String>,
    /// Its context; always a record.
    pub(super) context: Shape,
}

/// Every action of a schema with its types. A type that cannot come from a request (an open record, which strict
/// schemas do not have) is left out, so that a value for it is refused.
pub(super) fn action_shapes(schema: &Schema) -> BTreeMap<Uid, ActionShape> {
    let schema: &ValidatorSchema = schema.as_ref();
    let shape = |action: &cedar_policy_core::validator::ValidatorActionId| ActionShape {
        principals: action.applies_to_principals().map(ToString::to_string).collect(),
        resources: action.applies_to_resources().map(ToString::to_string).collect(),
        context: match action.context() {
            Some(Type::Record { attrs, .. }) => Shape::Record(members_of(attrs)),
            Some(_) | None => Shape::Record(BTreeMap::new()),
        },
    };
    schema.action_ids().map(|action| (uid_of_core(action.name()), shape(action))).collect()
}

/// Every entity type of a schema with its attributes.
pub(super) fn entity_shapes(schema: &Schema) -> BTreeMap<String, BTreeMap<String, Member>> {
    let schema: &ValidatorSchema = schema.as_ref();
    schema.entity_types().map(|kind| (kind.name().to_string(), members_of(kind.attributes()))).collect()
}

fn members_of(attributes: &Attributes) -> BTreeMap<String, Member> {
    attributes
        .iter()
        .filter_map(|(name, attribute)| {
            let shape = shape_of(&attribute.attr_type)?;
            Some((name.to_string(), Member { shape, required: attribute.is_required }))
        })
        .collect()
}

fn shape_of(kind: &Type) -> Option<Shape> {
    match kind {
        Type::Bool(_) => Some(Shape::Bool),
        Type::Long => Some(Shape::Long),
        Type::String => Some(Shape::String),
        Type::Set { element_type } => Some(Shape::Set(Box::new(shape_of(element_type.as_ref()?)?))),
        Type::Record { attrs, .. } => Some(Shape::Record(members_of(attrs))),
        Type::Entity(EntityKind::Entity(kinds)) => {
            Some(Shape::Entity(vec![kinds.get_single_entity()?.to_string()]))
        }
        Type::ExtensionType { name } => match name.to_string().as_str() {
            "decimal" => Some(Shape::Extension(Extension::Decimal)),
            "datetime" => Some(Shape::Extension(Extension::Datetime)),
            "duration" => Some(Shape::Extension(Extension::Duration)),
            "ipaddr" => Some(Shape::Extension(Extension::Ip)),
            _ => None,
        },
        Type::Never | Type::Entity(EntityKind::AnyEntity) => None,
    }
}

/// Where a policy stands in the text it was parsed from.
pub(super) fn span_of(policy: &Policy) -> Option<std::ops::Range<usize>> {
    let policy: &ast::Policy = policy.as_ref();
    policy.loc().map(|loc| loc.start()..loc.end())
}

/// Our uid as Cedar's; none when the type is not a name that Cedar could have.
pub(super) fn entity_uid(uid: &Uid) -> Option<EntityUid> {
    let kind = uid.kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(&uid.id)))
}

/// Cedar's uid as ours.
pub(super) fn uid_of(uid: &EntityUid) -> Uid {
    Uid::new(uid.type_name().to_string(), uid.id().unescaped())
}

fn uid_of_core(uid: &ast::EntityUID) -> Uid {
    let id: &str = uid.eid().as_ref();
    Uid::new(uid.entity_type().to_string(), id)
}

/// A value that a shape admitted, as Cedar's; none for what no shape admits.
pub(super) fn expression(value: &Value) -> Option<RestrictedExpression> {
    Some(match value {
        Value::Null | Value::Number(_) => return None,
        Value::Bool(value) => RestrictedExpression::new_bool(*value),
        Value::Long(value) => RestrictedExpression::new_long(*value),
        Value::String(text) => RestrictedExpression::new_string(text.clone()),
        Value::Entity(uid) => RestrictedExpression::new_entity_uid(entity_uid(uid)?),
        Value::Extension(Extension::Decimal, text) => RestrictedExpression::new_decimal(text),
        Value::Extension(Extension::Datetime, text) => RestrictedExpression::new_datetime(text),
        Value::Extension(Extension::Duration, text) => RestrictedExpression::new_duration(text),
        Value::Extension(Extension::Ip, text) => RestrictedExpression::new_ip(text),
        Value::Set(items) => {
            RestrictedExpression::new_set(items.iter().map(expression).collect::<Option<Vec<_>>>()?)
        }
        Value::Record(members) => {
            let pair = |(name, value): (&String, &Value)| Some((name.clone(), expression(value)?));
            let pairs = members.iter().map(pair).collect::<Option<Vec<_>>>()?;
            RestrictedExpression::new_record(pairs).ok()?
        }
    })
}

/// The entities that an evaluated attribute refers to, however deep.
pub(super) fn references(value: &EvalResult, found: &mut Vec<EntityUid>) {
    match value {
        EvalResult::EntityUid(uid) => found.push(uid.clone()),
        EvalResult::Set(items) => items.iter().for_each(|item| references(item, found)),
        EvalResult::Record(members) => members.iter().for_each(|(_, item)| references(item, found)),
        EvalResult::Bool(_) | EvalResult::Long(_) | EvalResult::String(_) | EvalResult::ExtensionValue(_) => {
        }
    }
}

/// A context value, evaluated; none if it cannot be.
pub(super) fn evaluated(value: &RestrictedExpression) -> Option<EvalResult> {
    let value: &ast::RestrictedExpr = value.as_ref();
    let evaluator = cedar_policy_core::evaluator::RestrictedEvaluator::new(
        cedar_policy_core::extensions::Extensions::all_available(),
    );
    let value = evaluator.interpret(value.as_borrowed()).ok()?;
    Some(EvalResult::from(value))
}

/// What failed, without the values that it failed on.
pub(super) fn error_kind(error: &EvaluationError) -> &'static str {
    match error {
        EvaluationError::EntityDoesNotExist(_) => "an entity does not exist",
        EvaluationError::EntityAttrDoesNotExist(_) => "an entity lacks an attribute or tag",
        EvaluationError::RecordAttrDoesNotExist(_) => "a record lacks a member",
        EvaluationError::FailedExtensionFunctionLookup(_) => "an extension function does not exist",
        EvaluationError::TypeError(_) => "a value has the wrong type",
        EvaluationError::WrongNumArguments(_) => "a function was given too few or too many arguments",
        EvaluationError::IntegerOverflow(_) => "integer overflow",
        EvaluationError::UnlinkedSlot(_) => "a slot is not linked",
        EvaluationError::FailedExtensionFunctionExecution(_) => "an extension function failed",
        EvaluationError::NonValue(_) => "a value is unknown",
        EvaluationError::RecursionLimit(_) => "recursion limit",
    }
}

/// An entity with other attributes and parents, and with the tags that it has. None if its values cannot be.
pub(super) fn rebuilt(
    entity: &Entity,
    attributes: std::collections::HashMap<String, RestrictedExpression>,
    parents: std::collections::HashSet<EntityUid>,
) -> Option<Entity> {
    let tag = |(name, value): (&str, Result<EvalResult, _>)| {
        let text = Expression::from(value.ok()?).to_string();
        Some((name.to_owned(), text.parse::<RestrictedExpression>().ok()?))
    };
    let tags = entity.tags().map(tag).collect::<Option<Vec<_>>>()?;
    Entity::new_with_tags(entity.uid(), attributes, parents, tags).ok()
}

/// Every entity that an entity refers to: parents, attributes, tags.
pub(super) fn neighbours(entity: &Entity) -> Vec<EntityUid> {
    let mut found = Vec::new();
    for (_, value) in entity.attrs().chain(entity.tags()) {
        if let Ok(value) = value {
            references(&value, &mut found);
        }
    }
    let (_, _, parents) = entity.clone().into_inner();
    found.extend(parents);
    found
}
