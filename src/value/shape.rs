//! What a schema says a value must look like, and the one place where a sent value is held against it.
//! Never guesses: a value that does not fit is refused with the path of the member, and never with its content.

use std::collections::BTreeMap;
use std::fmt;

use super::{Extension, Uid, Value};

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
    Entity(Vec<String>),
    /// A set of one shape.
    Set(Box<Shape>),
    /// A record with these members and no others.
    Record(BTreeMap<String, Member>),
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
}

/// Names that Cedar's own JSON form gives a meaning to; a caller has no reason to send one.
const ESCAPES: [&str; 3] = ["__entity", "__extn", "__expr"];

/// The largest integer that every IEEE-754 double below it can also name exactly.
const EXACT_INTEGER_MAX: i64 = 1 << 53;

impl Shape {
    /// Holds `value` against this shape and returns it in the schema's own form: text that is declared as an
    /// extension type becomes one, `{"type","id"}` that is declared as an entity becomes a reference, members that
    /// are not declared are dropped (no validated policy can read them), optional members that are null are absent.
    ///
    /// # Errors
    /// The first member that does not fit. Nothing is rounded: a number that the shape cannot hold is a fault.
    pub fn admit(&self, value: &Value, path: &str) -> Result<Value, Fault> {
        let fault = || Fault::new(path, self.to_string(), value.kind());
        match (self, value) {
            (Self::Bool, Value::Bool(_))
            | (Self::Long, Value::Long(_))
            | (Self::String, Value::String(_)) => Ok(value.clone()),
            (Self::Long, Value::Number(text)) => exact_integer(text)
                .map(Value::Long)
                .ok_or_else(|| Fault::new(path, "Long", "a number it cannot hold")),
            (Self::Extension(wanted), Value::Extension(kind, _)) if wanted == kind => Ok(value.clone()),
            (Self::Extension(Extension::Decimal), Value::Long(n)) => admit_decimal(&n.to_string(), path),
            (Self::Extension(Extension::Decimal), Value::Number(text) | Value::String(text)) => {
                admit_decimal(text, path)
            }
            (Self::Extension(wanted), Value::String(text)) => Ok(Value::Extension(*wanted, text.clone())),
            (Self::Entity(kinds), Value::Entity(uid)) if kinds.contains(&uid.kind) => Ok(value.clone()),
            (Self::Entity(kinds), Value::Record(members)) => {
                let uid = entity_of(members).filter(|uid| kinds.contains(&uid.kind)).ok_or_else(fault)?;
                Ok(Value::Entity(uid))
            }
            (Self::Set(item), Value::Set(items)) => {
                let admitted = items.iter().map(|v| item.admit(v, path)).collect::<Result<_, _>>()?;
                Ok(Value::Set(admitted))
            }
            (Self::Record(wanted), Value::Record(members)) => admit_record(wanted, members, path),
            (
                Self::Bool
                | Self::Long
                | Self::String
                | Self::Extension(_)
                | Self::Entity(_)
                | Self::Set(_)
                | Self::Record(_),
                _,
            ) => Err(fault()),
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
            Self::Set(item) => write!(f, "Set<{item}>"),
            Self::Record(_) => f.write_str("a record"),
        }
    }
}

fn admit_record(
    wanted: &BTreeMap<String, Member>,
    members: &BTreeMap<String, Value>,
    path: &str,
) -> Result<Value, Fault> {
    if let Some(escape) = ESCAPES.iter().find(|name| members.contains_key(**name)) {
        return Err(Fault::new(join(path, escape), "a plain member", "an escape of Cedar's JSON form"));
    }
    let mut admitted = BTreeMap::new();
    for (name, member) in wanted {
        match members.get(name) {
            Some(Value::Null) if !member.required => {}
            Some(value) => {
                let value = member.shape.admit(value, &join(path, name))?;
                admitted.insert(name.clone(), value);
            }
            None if member.required => {
                return Err(Fault::new(join(path, name), member.shape.to_string(), "nothing"));
            }
            None => {}
        }
    }
    Ok(Value::Record(admitted))
}

fn entity_of(members: &BTreeMap<String, Value>) -> Option<Uid> {
    match (members.len(), members.get("type"), members.get("id")) {
        (2, Some(Value::String(kind)), Some(Value::String(id))) => Some(Uid::new(kind, id)),
        _ => None,
    }
}

/// The integer that a JSON number names, if it names one exactly: `100.0` and `1e2` do, `1.5` and `1e300` do not.
fn exact_integer(text: &str) -> Option<i64> {
    if !text.contains(['.', 'e', 'E']) {
        return text.parse().ok();
    }
    let number: f64 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "the range check below admits only exact integers")]
    let integer = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "integers up to 2^53 are exact in a double")]
    let exact = (integer as f64).to_bits() == (number + 0.0).to_bits();
    let exact = exact && integer.unsigned_abs() <= EXACT_INTEGER_MAX.unsigned_abs();
    // What is too small for a double becomes zero without having been written as zero.
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    if integer == 0 && digits.contains(|c: char| c.is_ascii_digit() && c != '0') {
        return None;
    }
    // A literal with more digits than a double holds could round onto an integer that was not written.
    (exact && text.len() <= 17).then_some(integer)
}

/// Cedar's decimal: at most four digits after the point, and an `i64` of ten-thousandths.
fn admit_decimal(text: &str, path: &str) -> Result<Value, Fault> {
    let fault = || Fault::new(path, "decimal (at most 4 digits after the point)", "a number it cannot hold");
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().map_err(|_| fault())?),
        None => (text, 0),
    };
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || exponent.abs() > 40 || digits.len() > 64 {
        return Err(fault());
    }
    let all: String = whole.chars().chain(fraction.chars()).collect();
    if !all.bytes().all(|b| b.is_ascii_digit()) {
        return Err(fault());
    }
    let scale = i32::try_from(fraction.len()).map_err(|_| fault())? - exponent;
    let shift = usize::try_from((4 - scale).max(0)).map_err(|_| fault())?;
    let excess = usize::try_from((scale - 4).max(0)).map_err(|_| fault())?;
    let (kept, dropped) = all.split_at(all.len().saturating_sub(excess));
    if dropped.bytes().any(|b| b != b'0') {
        return Err(fault());
    }
    let units: i64 = format!("{sign}{kept}{}", "0".repeat(shift))
        .parse()
        .or_else(|e| if kept.is_empty() && shift == 0 { Ok(0) } else { Err(e) })
        .map_err(|_| fault())?;
    let magnitude = units.unsigned_abs();
    let sign = if units < 0 { "-" } else { "" };
    Ok(Value::Extension(
        Extension::Decimal,
        format!("{sign}{}.{:04}", magnitude / 10_000, magnitude % 10_000),
    ))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Option<String> {
        match Shape::Extension(Extension::Decimal).admit(&Value::Number(text.into()), "x") {
            Ok(Value::Extension(Extension::Decimal, text)) => Some(text),
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
