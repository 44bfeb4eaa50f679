//! The reader itself: from a text to values, or to what somebody wants of them.
//! Never goes deeper, and never builds more, than its limits say.

use std::collections::{BTreeMap, BTreeSet};

use jiter::{Jiter, Peek};

use super::{DEPTH_CEILING, JsonError, Limits};
use crate::value::{Members, SmolStr, Value};

/// Reads one JSON text as [`super::parse`] does, and makes of it what `make` does of its value.
///
/// # Errors
/// Those of [`super::parse`], and that of `make`.
pub fn read<'a, T>(
    bytes: &'a [u8],
    limits: Limits,
    make: impl FnOnce(Next<'_, 'a>) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
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
    let all = make(Next { reader: &mut reader, first, depth: 1 })?;
    reader.jiter.finish()?;
    Ok(all)
}

/// The value that comes next in a text.
pub struct Next<'r, 'a> {
    reader: &'r mut Reader<'a>,
    first: Peek,
    depth: usize,
}

impl<'a> Next<'_, 'a> {
    /// Reads it.
    ///
    /// # Errors
    /// Those of [`super::parse`].
    pub fn value(self) -> Result<Value, JsonError> {
        self.reader.value(self.first, self.depth, &[])
    }

    /// The same, with what [`super::bytes_at`] would find in it at a path; none when the path is empty.
    ///
    /// # Errors
    /// Those of [`super::parse`].
    pub fn value_noting(self, path: &[&str]) -> Result<(Value, Option<&'a [u8]>), JsonError> {
        let Self { reader, first, depth } = self;
        let value = reader.value(first, depth, path)?;
        Ok((value, reader.noted.take()))
    }

    /// Reads an object for some of its members: each that `names` has is for `each`, with the place of its name there, and the
    /// others are read for nothing. What is no object is read, too, and given back.
    ///
    /// # Errors
    /// Those of [`super::parse`], and that of `each`.
    pub fn members(
        self,
        names: &[&str],
        each: &mut dyn FnMut(usize, Next<'_, 'a>) -> Result<(), JsonError>,
    ) -> Result<Option<Value>, JsonError> {
        let Self { reader, first, depth } = self;
        if first != Peek::Object {
            return reader.value(first, depth, &[]).map(Some);
        }
        reader.enter(depth)?;
        let known =
            |name: &str| names.iter().position(|known| *known == name).ok_or_else(|| SmolStr::new(name));
        let (mut seen, mut others) = (Vec::with_capacity(names.len()), BTreeSet::new());
        let mut offset = reader.jiter.current_index();
        let mut next = reader.jiter.known_object()?.map(known);
        while let Some(name) = next {
            let first = reader.jiter.peek()?;
            let value = Next { reader: &mut *reader, first, depth: depth + 1 };
            let is_new = match name {
                Ok(place) => {
                    each(place, value)?;
                    let is_new = !seen.contains(&place);
                    seen.push(place);
                    is_new
                }
                Err(other) => {
                    value.value()?;
                    others.insert(other)
                }
            };
            if !is_new {
                return Err(JsonError::DuplicateMember { offset: reader.next_quote(offset) });
            }
            offset = reader.jiter.current_index();
            next = reader.jiter.next_key()?.map(known);
        }
        Ok(None)
    }
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
    /// Counts the value that begins here, at this depth. Where that is.
    fn enter(&mut self, depth: usize) -> Result<usize, JsonError> {
        let offset = self.jiter.current_index();
        if depth > self.depth_max {
            return Err(JsonError::TooDeep { offset, depth_max: self.depth_max });
        }
        self.nodes += 1;
        if self.nodes > self.nodes_max {
            return Err(JsonError::TooManyValues { offset, nodes_max: self.nodes_max });
        }
        Ok(offset)
    }

    /// `path` leads on to what is to be noted; empty where that is not in here.
    fn value(&mut self, first: Peek, depth: usize, path: &[&str]) -> Result<Value, JsonError> {
        let offset = self.enter(depth)?;
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
