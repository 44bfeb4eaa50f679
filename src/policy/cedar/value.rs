//! Our ids and values as Cedar's, and back.
//! Never parses what a caller sent as an expression.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cedar_policy::{EntityUid, RestrictedExpression};
use cedar_policy_core::ast::{self, EntityUID, ExtensionFunction, Literal, PartialValue, Value, ValueKind};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use super::schema::Shapes;
use crate::access::Timestamp;
use crate::policy::OwnMap;
use crate::value::{Build, Extension, Uid, Value as OurValue};

/// A record of Cedar's.
pub(in crate::policy) type Record = BTreeMap<SmolStr, Value>;

/// The constructors of the extension types, looked up once.
struct Constructors {
    decimal: Option<&'static ExtensionFunction>,
    datetime: Option<&'static ExtensionFunction>,
    duration: Option<&'static ExtensionFunction>,
    ip: Option<&'static ExtensionFunction>,
    offset: Option<&'static ExtensionFunction>,
    epoch: Option<Value>,
}

static CONSTRUCTORS: LazyLock<Constructors> = LazyLock::new(|| {
    let function = |name: &str| {
        let name = ast::Name::parse_unqualified_name(name).ok()?;
        Extensions::all_available().func(&name).ok()
    };
    let datetime = function("datetime");
    Constructors {
        decimal: function("decimal"),
        datetime,
        duration: function("duration"),
        ip: function("ip"),
        offset: function("offset"),
        epoch: call(datetime, &["1970-01-01".into()]),
    }
});

fn call(function: Option<&'static ExtensionFunction>, arguments: &[Value]) -> Option<Value> {
    match function?.call(arguments).ok()? {
        PartialValue::Value(value) => Some(value),
        PartialValue::Residual(_) => None,
    }
}

/// The entity types of a schema, parsed once. Builds Cedar's values out of what shapes admit.
#[derive(Debug, Clone, Default)]
pub(in crate::policy) struct Types {
    names: OwnMap<String, ast::EntityType>,
}

impl Types {
    /// The types of a schema, actions included.
    pub(in crate::policy) fn of(shapes: &Shapes<'_>) -> Self {
        let named = |name: &ast::EntityType| (name.to_string(), name.with_loc(None));
        Self { names: shapes.type_names().map(named).collect() }
    }

    /// Our uid as Cedar's; none when the type is not a name that Cedar could have.
    pub(in crate::policy) fn uid(&self, kind: &str, id: &str) -> Option<EntityUID> {
        let name = match self.names.get(kind) {
            Some(name) => name.clone(),
            None => kind.parse().ok()?,
        };
        Some(EntityUID::from_components(name, ast::Eid::new(id), None))
    }

    /// An instant as Cedar's `datetime`.
    pub(in crate::policy) fn instant(&self, at: Timestamp) -> Option<Value> {
        let since = self.extension(Extension::Duration, &format!("{}ms", at.0))?;
        call(CONSTRUCTORS.offset, &[CONSTRUCTORS.epoch.clone()?, since])
    }
}

impl Build for Types {
    type Built = Value;

    fn bool(&self, value: bool) -> Value {
        value.into()
    }

    fn long(&self, value: i64) -> Value {
        value.into()
    }

    fn string(&self, text: &str) -> Value {
        text.into()
    }

    fn extension(&self, kind: Extension, text: &str) -> Option<Value> {
        let function = match kind {
            Extension::Decimal => CONSTRUCTORS.decimal,
            Extension::Datetime => CONSTRUCTORS.datetime,
            Extension::Duration => CONSTRUCTORS.duration,
            Extension::Ip => CONSTRUCTORS.ip,
        };
        call(function, &[text.into()])
    }

    fn entity(&self, kind: &str, id: &str) -> Option<Value> {
        Some(self.uid(kind, id)?.into())
    }

    fn set(&self, items: Vec<Value>) -> Value {
        Value::set(items, None)
    }

    fn record(&self, members: Vec<(&str, Value)>) -> Value {
        Value::record(members.into_iter().map(|(name, value)| (SmolStr::new(name), value)), None)
    }
}

/// A name as an entity type; none when Cedar could have no such.
pub(in crate::policy) fn entity_type(name: &str) -> Option<ast::EntityType> {
    name.parse().ok()
}

/// The name of an entity within its type.
pub(in crate::policy) fn id_of(uid: &EntityUID) -> &str {
    uid.eid().as_ref()
}

/// A value that a shape admitted, as an expression of Cedar's; none for what no shape admits.
pub(in crate::policy) fn expression(value: &OurValue) -> Option<RestrictedExpression> {
    Some(match value {
        OurValue::Null | OurValue::Number(_) => return None,
        OurValue::Bool(value) => RestrictedExpression::new_bool(*value),
        OurValue::Long(value) => RestrictedExpression::new_long(*value),
        OurValue::String(text) => RestrictedExpression::new_string(text.to_string()),
        OurValue::Entity(uid) => RestrictedExpression::new_entity_uid(entity_uid(uid)?),
        OurValue::Extension(Extension::Decimal, text) => RestrictedExpression::new_decimal(text),
        OurValue::Extension(Extension::Datetime, text) => RestrictedExpression::new_datetime(text),
        OurValue::Extension(Extension::Duration, text) => RestrictedExpression::new_duration(text),
        OurValue::Extension(Extension::Ip, text) => RestrictedExpression::new_ip(text),
        OurValue::Set(items) => {
            RestrictedExpression::new_set(items.iter().map(expression).collect::<Option<Vec<_>>>()?)
        }
        OurValue::Record(members) => {
            let pair = |(name, value): (&SmolStr, &OurValue)| Some((name.to_string(), expression(value)?));
            let pairs = members.iter().map(pair).collect::<Option<Vec<_>>>()?;
            RestrictedExpression::new_record(pairs).ok()?
        }
    })
}

/// Our uid as Cedar's; none when the type is not a name that Cedar could have.
pub(in crate::policy) fn entity_uid(uid: &Uid) -> Option<EntityUid> {
    let kind = uid.kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(&uid.id)))
}

/// Cedar's uid as ours.
pub(in crate::policy) fn uid_of(uid: &EntityUid) -> Uid {
    Uid::new(uid.type_name().to_string(), uid.id().unescaped())
}

/// Cedar's inner uid as ours.
pub(in crate::policy) fn uid_of_core(uid: &EntityUID) -> Uid {
    let id: &str = uid.eid().as_ref();
    Uid::new(uid.entity_type().to_string(), id)
}

/// Calls `found` with every entity that a value refers to, however deep.
pub(in crate::policy) fn references<'v>(value: &'v Value, found: &mut impl FnMut(&'v Arc<EntityUID>)) {
    match value.value_kind() {
        ValueKind::Lit(Literal::EntityUID(uid)) => found(uid),
        ValueKind::Lit(_) | ValueKind::ExtensionValue(_) => {}
        ValueKind::Set(set) => set.iter().for_each(|item| references(item, found)),
        ValueKind::Record(members) => members.values().for_each(|item| references(item, found)),
    }
}

/// Cedar's uid as the inner one.
pub(in crate::policy) fn core_uid(uid: EntityUid) -> EntityUID {
    uid.into()
}
