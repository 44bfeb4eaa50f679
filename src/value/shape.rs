//! What a schema says a value must look like, and the one place where a sent value is held against it.
//! Never guesses: a value that does not fit is refused with the path of the member, and never with its content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::number::{decimal, exact_integer};
use super::{Extension, Members, SmolStr, Uid, Value};

/// The type of a value, resolved: no names left to look up except entity types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A boolean.
    Bool,
    /// A 64-bit signed integer.
    Long,
    /// Text.
    String,
    /// An extension type.
    Extension(Extension),
    /// An entity of one of these types.
    Entity(Vec<SmolStr>),
    /// An entity of a type whose ids are all declared.
    Choice(SmolStr, Arc<BTreeSet<SmolStr>>),
    /// A set of one shape.
    Set(Box<Shape>),
    /// A record with these members and no others.
    Record(BTreeMap<SmolStr, Member>),
}

/// A member of a record shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The shape of the value.
    pub shape: Shape,
    /// Whether a record without it is refused.
    pub required: bool,
}

/// Why a value does not fit. Safe to show to whoever sent the value: names and types, never content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: expected {expected}, found {found}")]
pub struct Fault {
    /// Where: member names joined by dots, `input.amount`.
    pub path: String,
    /// What the schema wants.
    pub expected: String,
    /// What kind of value came.
    pub found: String,
}

impl Fault {
    /// A fault at `path`.
    pub fn new(path: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { path: path.into(), expected: expected.into(), found: found.into() }
    }

    /// The same fault, seen from the record that has the value as its member `name`.
    #[must_use]
    pub fn within(self, name: &str) -> Self {
        let path = match (name.is_empty(), self.path.is_empty()) {
            (true, _) => self.path,
            (false, true) => name.to_owned(),
            (false, false) => format!("{name}.{}", self.path),
        };
        Self { path, ..self }
    }
}

/// Makes the values of some engine out of what a shape admits.
pub trait Build {
    /// The engine's values.
    type Built;
    /// `true` or `false`.
    fn bool(&self, value: bool) -> Self::Built;
    /// A 64-bit signed integer.
    fn long(&self, value: i64) -> Self::Built;
    /// Text.
    fn string(&self, text: &str) -> Self::Built;
    /// An extension value; none when the text is not one.
    fn extension(&self, kind: Extension, text: &str) -> Option<Self::Built>;
    /// A reference to an entity; none when the type is not a name.
    fn entity(&self, kind: &str, id: &str) -> Option<Self::Built>;
    /// A set.
    fn set(&self, items: Vec<Self::Built>) -> Self::Built;
    /// A record; names come in order, each once.
    fn record(&self, members: Vec<(&str, Self::Built)>) -> Self::Built;
}

/// Builds our own values. Takes any text as an extension value.
struct Plain;

impl Build for Plain {
    type Built = Value;

    fn bool(&self, value: bool) -> Value {
        Value::Bool(value)
    }

    fn long(&self, value: i64) -> Value {
        Value::Long(value)
    }

    fn string(&self, text: &str) -> Value {
        Value::String(text.into())
    }

    fn extension(&self, kind: Extension, text: &str) -> Option<Value> {
        Some(Value::Extension(kind, text.into()))
    }

    fn entity(&self, kind: &str, id: &str) -> Option<Value> {
        Some(Value::Entity(Uid::new(kind, id)))
    }

    fn set(&self, items: Vec<Value>) -> Value {
        Value::Set(items)
    }

    fn record(&self, members: Vec<(&str, Value)>) -> Value {
        Value::record(members)
    }
}

/// Names that Cedar's own JSON form gives a meaning to; a caller has no reason to send one.
const ESCAPES: [&str; 3] = ["__entity", "__extn", "__expr"];

impl Shape {
    /// Holds `value` against this shape and returns it in the schema's own form, as [`Shape::build`] does.
    ///
    /// # Errors
    /// The first member that does not fit, seen from `path`.
    pub fn admit(&self, value: &Value, path: &str) -> Result<Value, Fault> {
        self.build(value, &Plain).map_err(|fault| fault.within(path))
    }

    /// Holds `value` against this shape and builds it in the schema's own form: text that is declared as an
    /// extension type becomes one, `{"type","id"}` that is declared as an entity becomes a reference, members that
    /// are not declared are dropped (no validated policy can read them), optional members that are null are absent.
    ///
    /// # Errors
    /// The first member that does not fit. Nothing is rounded: a number that the shape cannot hold is a fault.
    pub fn build<B: Build>(&self, value: &Value, engine: &B) -> Result<B::Built, Fault> {
        let fault = || Fault::new("", self.to_string(), value.kind());
        let extension = |kind: Extension, text: &str| {
            engine.extension(kind, text).ok_or_else(|| Fault::new("", kind.name(), "malformed text"))
        };
        match (self, value) {
            (Self::Bool, Value::Bool(value)) => Ok(engine.bool(*value)),
            (Self::Long, Value::Long(value)) => Ok(engine.long(*value)),
            (Self::String, Value::String(text)) => Ok(engine.string(text)),
            (Self::Long, Value::Number(text)) => exact_integer(text)
                .map(|value| engine.long(value))
                .ok_or_else(|| Fault::new("", "Long", "a number it cannot hold")),
            (Self::Extension(wanted), Value::Extension(kind, text)) if wanted == kind => {
                extension(*kind, text)
            }
            (Self::Extension(Extension::Decimal), Value::Long(n)) => {
                extension(Extension::Decimal, &decimal(&n.to_string())?)
            }
            (Self::Extension(Extension::Decimal), Value::Number(text) | Value::String(text)) => {
                extension(Extension::Decimal, &decimal(text)?)
            }
            (Self::Extension(wanted), Value::String(text)) => extension(*wanted, text),
            (Self::Entity(_) | Self::Choice(..), _) => {
                let (kind, id) =
                    reference(value).filter(|(kind, id)| self.names(kind, id)).ok_or_else(fault)?;
                engine.entity(kind, id).ok_or_else(fault)
            }
            (Self::Set(item), Value::Set(items)) => {
                let built = items.iter().map(|value| item.build(value, engine)).collect::<Result<_, _>>()?;
                Ok(engine.set(built))
            }
            (Self::Record(wanted), Value::Record(members)) => {
                Ok(engine.record(build_record(wanted, members, engine)?))
            }
            (
                Self::Bool | Self::Long | Self::String | Self::Extension(_) | Self::Set(_) | Self::Record(_),
                _,
            ) => Err(fault()),
        }
    }

    /// Whether an entity fits.
    fn names(&self, kind: &str, id: &str) -> bool {
        match self {
            Self::Entity(kinds) => kinds.iter().any(|wanted| wanted == kind),
            Self::Choice(wanted, ids) => wanted == kind && ids.contains(id),
            Self::Bool | Self::Long | Self::String | Self::Extension(_) | Self::Set(_) | Self::Record(_) => {
                false
            }
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("Bool"),
            Self::Long => f.write_str("Long"),
            Self::String => f.write_str("String"),
            Self::Extension(kind) => f.write_str(kind.name()),
            Self::Entity(kinds) => f.write_str(&kinds.join(" or ")),
            Self::Choice(kind, _) => write!(f, "a declared {kind}"),
            Self::Set(item) => write!(f, "Set<{item}>"),
            Self::Record(_) => f.write_str("a record"),
        }
    }
}

/// Refuses a record that has a member with a meaning in Cedar's own JSON form.
///
/// # Errors
/// Names the member.
pub fn refuse_escapes(members: &Members) -> Result<(), Fault> {
    match ESCAPES.iter().find(|name| members.contains_key(**name)) {
        Some(escape) => Err(Fault::new(*escape, "a plain member", "an escape of Cedar's JSON form")),
        None => Ok(()),
    }
}

fn build_record<'s, B: Build>(
    wanted: &'s BTreeMap<SmolStr, Member>,
    members: &Members,
    engine: &B,
) -> Result<Vec<(&'s str, B::Built)>, Fault> {
    refuse_escapes(members)?;
    let mut built = Vec::with_capacity(wanted.len());
    for (name, member) in wanted {
        if let Some(value) = member.build(name, members.get(name), engine)? {
            built.push((name.as_str(), value));
        }
    }
    Ok(built)
}

impl Member {
    /// Builds what stands under `name`, if anything has to.
    ///
    /// # Errors
    /// As [`Shape::build`], and when a required member is missing.
    pub fn build<B: Build>(
        &self,
        name: &str,
        value: Option<&Value>,
        engine: &B,
    ) -> Result<Option<B::Built>, Fault> {
        match value {
            Some(Value::Null) if !self.required => Ok(None),
            Some(value) => self.shape.build(value, engine).map(Some).map_err(|fault| fault.within(name)),
            None if self.required => Err(Fault::new(name, self.shape.to_string(), "nothing")),
            None => Ok(None),
        }
    }
}

/// The type and the id of a value that stands for an entity.
fn reference(value: &Value) -> Option<(&str, &str)> {
    match value {
        Value::Entity(uid) => Some((&uid.kind, &uid.id)),
        Value::Record(members) => match (members.len(), members.get("type"), members.get("id")) {
            (2, Some(Value::String(kind)), Some(Value::String(id))) => Some((kind, id)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Option<String> {
        match Shape::Extension(Extension::Decimal).admit(&Value::Number(text.into()), "x") {
            Ok(Value::Extension(Extension::Decimal, text)) => Some(text.into()),
            _ => None,
        }
    }

    #[test]
    fn decimals_keep_their_value_or_are_refused() {
        for (text, wanted) in [
            ("1.5", Some("1.5000")),
            ("-0.25", Some("-0.2500")),
            ("1e2", Some("100.0000")),
            ("1.23456", None),
            ("1.23450", Some("1.2345")),
            ("922337203685477.5807", Some("922337203685477.5807")),
            ("922337203685477.5808", None),
            ("1e-9", None),
            ("0e-9", Some("0.0000")),
            ("1e99999999999", None),
        ] {
            assert_eq!(decimal(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn integers_keep_their_value_or_are_refused() {
        let long = |text: &str| Shape::Long.admit(&Value::Number(text.into()), "x").ok();
        assert_eq!(long("100.0"), Some(Value::Long(100)));
        assert_eq!(long("9223372036854775808"), None);
        assert_eq!(long("1.5"), None);
        assert_eq!(long("1e300"), None);
        assert_eq!(long("-1e300"), None);
        assert_eq!(long("-9223372036854775808.0"), None);
        assert_eq!(long("1e-400"), None);
        assert_eq!(long("-0.0e-400"), Some(Value::Long(0)));
        assert_eq!(long("9007199254740992.5"), None);
        assert_eq!(Shape::Long.admit(&Value::Long(i64::MAX), "x"), Ok(Value::Long(i64::MAX)));
    }

    #[test]
    fn cedars_own_json_escapes_are_refused_wherever_they_stand() {
        let shape = Shape::Record(BTreeMap::from([(
            "inner".into(),
            Member { shape: Shape::Record(BTreeMap::new()), required: false },
        )]));
        let unknown = Value::record([("__extn", Value::record([("fn", Value::String("unknown".into()))]))]);
        assert!(shape.admit(&unknown, "").is_err());
        assert!(shape.admit(&Value::record([("inner", unknown)]), "").is_err());
        assert!(shape.admit(&Value::record([("inner", Value::record::<String>([]))]), "").is_ok());
    }

    #[test]
    fn undeclared_members_are_dropped_and_optional_nulls_are_absent() {
        let shape =
            Shape::Record(BTreeMap::from([("a".into(), Member { shape: Shape::Long, required: false })]));
        let sent = Value::record([("a", Value::Null), ("b", Value::Bool(true))]);
        assert_eq!(shape.admit(&sent, ""), Ok(Value::record::<String>([])));
    }
}
