//! A strict, bounded JSON reader: what two parsers could read in two ways is refused.
//! Never guesses, never rounds a number, and never puts content into an error.

mod text;

use std::collections::BTreeMap;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};

use crate::value::{Members, SmolStr, Value};
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
    parse_noting(bytes, limits, &[]).map(|(value, _)| value)
}

/// The same, with what [`bytes_at`] would find at a path; none when the path is empty.
pub fn parse_noting<'a>(
    bytes: &'a [u8],
    limits: Limits,
    path: &[&str],
) -> Result<(Value, Option<&'a [u8]>), JsonError> {
    if bytes.len() > limits.bytes_max {
        return Err(JsonError::TooLong { bytes: bytes.len(), bytes_max: limits.bytes_max });
    }
    std::str::from_utf8(bytes).map_err(|e| JsonError::NotUtf8 { offset: e.valid_up_to() })?;
    let mut reader = Reader {
        bytes,
        jiter: Jiter::new(bytes),
        depth_max: limits.depth_max.min(DEPTH_CEILING),
        nodes_max: limits.nodes_max,
        nodes: 0,
        noted: None,
    };
    let first = reader.jiter.peek()?;
    let value = reader.value(first, 1, path)?;
    reader.jiter.finish()?;
    Ok((value, reader.noted))
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

/// A value under construction, with what it may still cost.
struct Reader<'a> {
    bytes: &'a [u8],
    jiter: Jiter<'a>,
    depth_max: usize,
    nodes_max: usize,
    nodes: usize,
    /// The text of the value that was to be noted.
    noted: Option<&'a [u8]>,
}

impl Reader<'_> {
    /// `path` leads on to what is to be noted; empty where that is not in here.
    fn value(&mut self, first: Peek, depth: usize, path: &[&str]) -> Result<Value, JsonError> {
        let offset = self.jiter.current_index();
        if depth > self.depth_max {
            return Err(JsonError::TooDeep { offset, depth_max: self.depth_max });
        }
        self.nodes += 1;
        if self.nodes > self.nodes_max {
            return Err(JsonError::TooManyValues { offset, nodes_max: self.nodes_max });
        }
        match first {
            Peek::Null => {
                self.jiter.known_null()?;
                Ok(Value::Null)
            }
            Peek::True | Peek::False => Ok(Value::Bool(self.jiter.known_bool(first)?)),
            Peek::String => Ok(Value::String(self.jiter.known_str()?.into())),
            Peek::Array => self.array(depth),
            Peek::Object => self.object(depth, path),
            Peek::NaN | Peek::Infinity => Err(JsonError::Number { offset }),
            number if number.is_num() => self.number(number, offset),
            _ => Err(JsonError::Syntax { offset, expected: "a JSON value" }),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        let mut next = self.jiter.known_array()?;
        while let Some(first) = next {
            items.push(self.value(first, depth + 1, &[])?);
            next = self.jiter.array_step()?;
        }
        Ok(Value::Set(items))
    }

    fn object(&mut self, depth: usize, path: &[&str]) -> Result<Value, JsonError> {
        let mut members = Gathered::default();
        let mut offset = self.jiter.current_index();
        let mut next = self.jiter.known_object()?.map(SmolStr::new);
        while let Some(name) = next {
            let first = self.jiter.peek()?;
            let start = self.jiter.current_index();
            let on = path.split_first().filter(|(next, _)| name == **next).map(|(_, rest)| rest);
            let value = self.value(first, depth + 1, on.unwrap_or_default())?;
            if on.is_some_and(<[_]>::is_empty) {
                self.noted = self.bytes.get(start..self.jiter.current_index());
            }
            if !members.add(name, value) {
                return Err(JsonError::DuplicateMember { offset: self.next_quote(offset) });
            }
            offset = self.jiter.current_index();
            next = self.jiter.next_key()?.map(SmolStr::new);
        }
        Ok(Value::Record(members.all()))
    }

    /// Where the string behind `offset` begins, with white space and a comma before it.
    fn next_quote(&self, offset: usize) -> usize {
        let behind = self.bytes.get(offset..).unwrap_or_default();
        offset + behind.iter().position(|byte| *byte == b'"').unwrap_or(0)
    }

    fn number(&mut self, first: Peek, offset: usize) -> Result<Value, JsonError> {
        let digits = self.jiter.known_number_bytes(first)?;
        let text = std::str::from_utf8(digits).map_err(|_| JsonError::Number { offset })?;
        Ok(text.parse().map_or_else(|_| Value::Number(text.into()), Value::Long))
    }
}

/// How many members of an object are kept in order as they come. To put one between many costs time for each of them.
const FEW: usize = 32;

/// The members of an object that is being read.
#[derive(Default)]
struct Gathered {
    few: Members,
    others: BTreeMap<SmolStr, Value>,
}

impl Gathered {
    /// Adds a member, unless one of its name is there.
    fn add(&mut self, name: SmolStr, value: Value) -> bool {
        if self.few.len() < FEW {
            return self.few.try_insert(name, value).is_none();
        }
        !self.few.contains_key(&name) && self.others.insert(name, value).is_none()
    }

    fn all(self) -> Members {
        let Self { mut few, others } = self;
        few.extend(others);
        few
    }
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
