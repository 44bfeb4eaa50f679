//! A strict, bounded JSON reader: what two parsers could read in two ways is refused.
//! Never guesses, never rounds a number, and never puts content into an error.

mod read;
mod text;

use jiter::{JiterError, JiterErrorType, JsonErrorType};

use crate::value::Value;
pub use read::{Next, read};
pub use text::{bytes_at, items_bytes, member_bytes, members_bytes, object_text};

/// How much JSON a reader accepts. Everything beyond is refused before it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, in bytes.
    pub bytes_max: usize,
    /// How deep objects and arrays may nest; a scalar alone is 1. Never more than [`DEPTH_CEILING`].
    pub depth_max: usize,
    /// How many values the text may hold, counting objects and arrays themselves.
    pub nodes_max: usize,
}

/// The deepest nesting that any [`Limits`] can grant: reading and dropping a value recurse.
pub const DEPTH_CEILING: usize = 128;

impl Default for Limits {
    /// One request body: 1 MiB, 32 levels, 65,536 values.
    fn default() -> Self {
        Self { bytes_max: 1 << 20, depth_max: 32, nodes_max: 1 << 16 }
    }
}

/// Why a text was refused. Offsets are bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Longer than [`Limits::bytes_max`].
    #[error("the JSON text is {bytes} bytes long: send at most {bytes_max}")]
    TooLong {
        /// What came.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Nested deeper than [`Limits::depth_max`].
    #[error("at byte {offset}: nest at most {depth_max} levels of objects and arrays")]
    TooDeep {
        /// Where the level too many begins.
        offset: usize,
        /// The limit.
        depth_max: usize,
    },
    /// More values than [`Limits::nodes_max`].
    #[error("at byte {offset}: send at most {nodes_max} values in one text")]
    TooManyValues {
        /// Where the value too many begins.
        offset: usize,
        /// The limit.
        nodes_max: usize,
    },
    /// The text is not UTF-8.
    #[error("at byte {offset}: encode the text as UTF-8")]
    NotUtf8 {
        /// The first byte that is not UTF-8.
        offset: usize,
    },
    /// An object names a member twice (escapes undone).
    #[error("at byte {offset}: name each member of an object once")]
    DuplicateMember {
        /// Where the second of the two begins.
        offset: usize,
    },
    /// A `\u` escape of half a surrogate pair.
    #[error("at byte {offset}: write both halves of a surrogate pair, or the character itself")]
    LoneSurrogate {
        /// Where the escape is.
        offset: usize,
    },
    /// A control character inside a string.
    #[error("at byte {offset}: escape control characters in strings")]
    ControlCharacter {
        /// Where it is.
        offset: usize,
    },
    /// A backslash sequence that JSON does not have.
    #[error("at byte {offset}: use only the escapes that JSON defines")]
    Escape {
        /// Where it is.
        offset: usize,
    },
    /// A number that JSON cannot write: `01`, `1.`, `NaN`, `Infinity`.
    #[error(
        "at byte {offset}: write numbers as JSON does: no NaN, no Infinity, no leading zero, digits after a point"
    )]
    Number {
        /// Where it is.
        offset: usize,
    },
    /// A number with thousands of digits.
    #[error("at byte {offset}: write the number with fewer digits")]
    NumberTooLong {
        /// Where it is.
        offset: usize,
    },
    /// The text stops in the middle of a value.
    #[error("the JSON text ends too early, at byte {offset}: send the whole value")]
    Truncated {
        /// The length of what came.
        offset: usize,
    },
    /// Something stands behind the value.
    #[error("at byte {offset}: send nothing after the value")]
    TrailingText {
        /// Where it begins.
        offset: usize,
    },
    /// A comma before a closing bracket.
    #[error("at byte {offset}: remove the comma after the last item")]
    TrailingComma {
        /// Where the bracket is.
        offset: usize,
    },
    /// Anything else that is not JSON.
    #[error("at byte {offset}: expected {expected}")]
    Syntax {
        /// Where it is.
        offset: usize,
        /// What may stand there.
        expected: &'static str,
    },
}

impl JsonError {
    /// Where it went wrong, in bytes from the start; none when the text as a whole is too long.
    pub fn offset(&self) -> Option<usize> {
        match self {
            Self::TooLong { .. } => None,
            Self::TooDeep { offset, .. }
            | Self::TooManyValues { offset, .. }
            | Self::NotUtf8 { offset }
            | Self::DuplicateMember { offset }
            | Self::LoneSurrogate { offset }
            | Self::ControlCharacter { offset }
            | Self::Escape { offset }
            | Self::Number { offset }
            | Self::NumberTooLong { offset }
            | Self::Truncated { offset }
            | Self::TrailingText { offset }
            | Self::TrailingComma { offset }
            | Self::Syntax { offset, .. } => Some(*offset),
        }
    }
}

/// Reads one JSON text (RFC 8259, and I-JSON's rule of unique names).
///
/// Integers that an `i64` holds become [`Value::Long`], every other number keeps its text.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Value, JsonError> {
    read(bytes, limits, |all| all.value_noting(&[])).map(|(value, _)| value)
}

/// Whether a value nests at most `depth_max` levels and holds at most `nodes_max` values, as [`parse`] counts them.
pub fn is_within(value: &Value, depth_max: usize, nodes_max: usize) -> bool {
    fn left(value: &Value, depth: usize, nodes: usize) -> Option<usize> {
        let (depth, nodes) = (depth.checked_sub(1)?, nodes.checked_sub(1)?);
        match value {
            Value::Set(items) => items.iter().try_fold(nodes, |nodes, item| left(item, depth, nodes)),
            Value::Record(members) => {
                members.values().try_fold(nodes, |nodes, member| left(member, depth, nodes))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Long(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Entity(_)
            | Value::Extension(..) => Some(nodes),
        }
    }
    left(value, depth_max, nodes_max).is_some()
}

/// The value as `serde_json` holds it, for JSON Schema. Numbers beyond an `f64` stop at its ends; entity references
/// and extension values, which JSON text never holds, take their plain JSON form.
pub fn to_serde(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Long(n) => (*n).into(),
        Value::Number(text) => serde_number(text),
        Value::String(text) | Value::Extension(_, text) => text.as_str().into(),
        Value::Entity(uid) => serde_json::json!({ "type": uid.kind, "id": uid.id }),
        Value::Set(items) => items.iter().map(to_serde).collect(),
        Value::Record(members) => serde_json::Value::Object(
            members.iter().map(|(name, v)| (name.to_string(), to_serde(v))).collect(),
        ),
    }
}

fn serde_number(text: &str) -> serde_json::Value {
    if let Ok(n) = text.parse::<u64>() {
        return n.into();
    }
    // `Value::Number` holds JSON number text, which always parses; NaN would become null.
    let number = text.parse::<f64>().unwrap_or(f64::NAN).clamp(f64::MIN, f64::MAX);
    number.into()
}

impl From<JiterError> for JsonError {
    fn from(error: JiterError) -> Self {
        let offset = error.index;
        match error.error_type {
            JiterErrorType::JsonError(kind) => Self::of(&kind, offset),
            JiterErrorType::WrongType { .. } => Self::Syntax { offset, expected: "a JSON value" },
        }
    }
}

impl JsonError {
    fn of(kind: &JsonErrorType, offset: usize) -> Self {
        match kind {
            JsonErrorType::EofWhileParsingList
            | JsonErrorType::EofWhileParsingObject
            | JsonErrorType::EofWhileParsingString
            | JsonErrorType::EofWhileParsingValue => Self::Truncated { offset },
            JsonErrorType::ExpectedColon => Self::Syntax { offset, expected: "`:` after a member's name" },
            JsonErrorType::ExpectedListCommaOrEnd => Self::Syntax { offset, expected: "`,` or `]`" },
            JsonErrorType::ExpectedObjectCommaOrEnd => Self::Syntax { offset, expected: "`,` or `}`" },
            JsonErrorType::KeyMustBeAString => Self::Syntax { offset, expected: "a member's name in quotes" },
            JsonErrorType::InvalidNumber => Self::Number { offset },
            JsonErrorType::NumberOutOfRange => Self::NumberTooLong { offset },
            JsonErrorType::InvalidEscape | JsonErrorType::UnexpectedEndOfHexEscape => Self::Escape { offset },
            JsonErrorType::InvalidUnicodeCodePoint => Self::NotUtf8 { offset },
            JsonErrorType::LoneLeadingSurrogateInHexEscape => Self::LoneSurrogate { offset },
            JsonErrorType::ControlCharacterWhileParsingString => Self::ControlCharacter { offset },
            JsonErrorType::TrailingComma => Self::TrailingComma { offset },
            JsonErrorType::TrailingCharacters => Self::TrailingText { offset },
            JsonErrorType::DuplicateKey(_) => Self::DuplicateMember { offset },
            JsonErrorType::RecursionLimitExceeded => Self::TooDeep { offset, depth_max: DEPTH_CEILING },
            JsonErrorType::ExpectedSomeIdent
            | JsonErrorType::ExpectedSomeValue
            | JsonErrorType::FloatExpectingInt
            | JsonErrorType::InternalError(_) => Self::Syntax { offset, expected: "a JSON value" },
        }
    }
}

#[cfg(test)]
mod tests;
