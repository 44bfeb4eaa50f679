//! Entity ids and values as they come off a wire, and the shapes that a schema gives them.
//! Never knows Cedar, a protocol or a file.

mod number;
mod shape;

use std::fmt;

pub use smol_str::{SmolStr, format_smolstr};

pub use shape::{Build, Fault, Member, Shape, refuse_escapes};

/// The id of an entity: its type and its name within that type, `Human::"ana"`. Cheap to clone: names of up to 23 bytes, most of
/// them, lie in it, and longer ones are shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid {
    /// The entity type, with its namespace when it has one: `Human`, `Acme::Human`.
    pub kind: SmolStr,
    /// The name within the type; any text.
    pub id: SmolStr,
}

impl Uid {
    /// The uid `kind::"id"`.
    pub fn new(kind: impl Into<SmolStr>, id: impl Into<SmolStr>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::\"{}\"", self.kind, self.id.escape_debug())
    }
}

/// A text that is not `Type::"id"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an entity: write `Type::\"id\"`")]
pub struct NotAUid;

/// Reads `Type::"id"`; in the id, `\"` and `\\` stand for themselves.
impl std::str::FromStr for Uid {
    type Err = NotAUid;

    fn from_str(text: &str) -> Result<Self, NotAUid> {
        let (kind, rest) = text.trim().split_once("::\"").ok_or(NotAUid)?;
        let id = rest.strip_suffix('"').ok_or(NotAUid)?;
        let mut plain = String::with_capacity(id.len());
        let mut letters = id.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some(escaped @ ('"' | '\\')) => plain.push(escaped),
                    Some(_) | None => return Err(NotAUid),
                },
                '"' => return Err(NotAUid),
                plain_letter => plain.push(plain_letter),
            }
        }
        let valid = |part: &str| {
            part.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if kind.split("::").all(valid) { Ok(Self::new(kind, plain)) } else { Err(NotAUid) }
    }
}

/// The Cedar extension types that a value can hold as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Extension {
    /// A fixed-point number with at most four digits after the point.
    Decimal,
    /// An instant: `2026-11-21T10:00:00Z`.
    Datetime,
    /// A length of time: `1h30m`.
    Duration,
    /// An IPv4 or IPv6 address or network.
    Ip,
}

impl Extension {
    /// The name of the type in a Cedar schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decimal => "decimal",
            Self::Datetime => "datetime",
            Self::Duration => "duration",
            Self::Ip => "ipaddr",
        }
    }
}

/// The members of a record, by name: a sorted list, since most have a handful. To insert many one by one takes quadratic time;
/// collect them.
pub type Members = litemap::LiteMap<SmolStr, Value>;

/// A value as it was sent. JSON faces send `Null`, `Number` and plain strings; [`Shape::admit`] turns them into
/// what the schema declares, or refuses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// JSON `null`. No shape admits it; an optional member that is null counts as absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit signed integer, exact.
    Long(i64),
    /// A JSON number that is not an `i64`, as the text that was sent (so that nothing is rounded).
    Number(SmolStr),
    /// Text.
    String(SmolStr),
    /// A reference to an entity.
    Entity(Uid),
    /// An extension value in its textual form.
    Extension(Extension, SmolStr),
    /// A set; on the wire an array.
    Set(Vec<Value>),
    /// A record; on the wire an object. Names are unique.
    Record(Members),
}

impl Value {
    /// What the value is, in words for an error message; never the value itself.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Long(_) => "an integer",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Entity(_) => "an entity reference",
            Self::Extension(..) => "an extension value",
            Self::Set(_) => "an array",
            Self::Record(_) => "an object",
        }
    }

    /// A number in ten-thousandths, exactly; none for what is no number, or not to be had so.
    pub fn ten_thousandths(&self) -> Option<i128> {
        let text = match self {
            Self::Long(integer) => return i128::from(*integer).checked_mul(10_000),
            Self::Number(text) | Self::Extension(Extension::Decimal, text) => text,
            _ => return None,
        };
        let decimal = number::decimal(text).ok()?;
        decimal.replace('.', "").parse().ok()
    }

    /// A record of the given members.
    pub fn record<N: Into<SmolStr>>(members: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self::Record(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}
