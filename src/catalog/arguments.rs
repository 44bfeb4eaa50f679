//! Holds the arguments of a call against the pinned schema of its tool, and types them.
//! Never names a value: a refusal says which argument and which rule, and nothing of the content.

use std::collections::BTreeSet;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};

use super::typing::Declared;
use crate::json;
use crate::value::{Fault, Members, Shape, Value};

/// How often a pattern of a schema may step back over one text before the arguments are refused.
const BACKTRACK_MAX: usize = 10_000;

/// The largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// How many undeclared arguments a refusal names, and how much of each path.
const NAMED_MAX: usize = 8;
const NAME_CHARS_MAX: usize = 64;

/// Arguments that fit: what policies may read, and what they cannot.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The typed arguments, always a record that fits the tool's shape.
    pub input: Value,
    /// Paths of arguments that were sent and that no policy can read: sorted, each once.
    pub unseen: Vec<String>,
}

/// Why arguments were refused. Safe to show to whoever sent them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentFault {
    /// Not an object.
    #[error("arguments must be an object, found {found}")]
    NotAnObject {
        /// What came instead.
        found: &'static str,
    },
    /// Arguments that the tool does not declare; at most eight of them.
    #[error("the tool declares no argument {}", quoted(paths))]
    Undeclared {
        /// Their paths, long names cut.
        paths: Vec<String>,
    },
    /// The pinned schema refuses them.
    #[error("{} fails `{keyword}` of the tool's inputSchema", named(path))]
    Schema {
        /// Which argument, as far as the schema itself names it; empty for the arguments as a whole.
        path: String,
        /// The keyword that failed: `required`, `maximum`, `pattern`.
        keyword: String,
    },
    /// A pattern of the pinned schema could not be held against the text within bounds.
    #[error("{} could not be held against a pattern of the tool's inputSchema within its limit", named(path))]
    PatternLimit {
        /// Which argument; empty when the validator cannot tell.
        path: String,
    },
    /// The argument does not fit its type: a number that it cannot hold, or an escape of Cedar's JSON form.
    #[error(transparent)]
    Type(#[from] Fault),
}

fn named(path: &str) -> String {
    if path.is_empty() { "the whole of the arguments".to_owned() } else { format!("`{path}`") }
}

fn quoted(paths: &[String]) -> String {
    paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
}

/// Compiles a schema for [`admit`]: offline, with bounded patterns.
///
/// # Errors
/// The schema is not valid, or refers to what is not in it.
pub(super) fn compile(schema: &serde_json::Value) -> Result<Validator, ValidationError<'static>> {
    let patterns = PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_MAX).size_limit(PATTERN_BYTES_MAX);
    jsonschema::options().offline().with_pattern_options(patterns).build(schema)
}

/// What arguments are held against.
#[derive(Debug)]
pub(super) struct Pinned<'a> {
    pub(super) shape: &'a Shape,
    pub(super) declared: &'a Declared,
    pub(super) validator: &'a Validator,
    /// Let undeclared arguments through, unseen.
    pub(super) open: bool,
}

/// First the names, then the schema, then the types.
pub(super) fn admit(pinned: &Pinned<'_>, arguments: &Value) -> Result<Admitted, ArgumentFault> {
    let none = Value::Record(Members::new());
    let arguments = match arguments {
        Value::Null => &none,
        Value::Record(_) => arguments,
        other => return Err(ArgumentFault::NotAnObject { found: other.kind() }),
    };
    let mut survey = Survey::default();
    survey.visit(pinned.declared, arguments);
    if pinned.open {
        survey.unseen.append(&mut survey.undeclared);
    } else if !survey.undeclared.is_empty() {
        let paths = survey.undeclared.iter().take(NAMED_MAX).map(|path| presentable(path)).collect();
        return Err(ArgumentFault::Undeclared { paths });
    }
    let sent = json::to_serde(arguments);
    pinned.validator.validate(&sent).map_err(|error| refusal(pinned.declared, &error))?;
    let input = pinned.shape.admit(arguments, "")?;
    Ok(Admitted { input, unseen: survey.unseen.into_iter().collect() })
}

/// One walk over what was sent, beside what is declared.
#[derive(Default)]
struct Survey<'a> {
    path: Vec<&'a str>,
    undeclared: BTreeSet<String>,
    unseen: BTreeSet<String>,
}

impl<'a> Survey<'a> {
    fn visit(&mut self, declared: &Declared, sent: &'a Value) {
        match (declared, sent) {
            (Declared::Untyped { nullable: true }, Value::Null) => {}
            (Declared::Untyped { .. }, _) => {
                let path = self.path();
                self.unseen.insert(path);
            }
            (Declared::Set(item), Value::Set(items)) if **item != Declared::Scalar => {
                for sent in items {
                    self.visit(item, sent);
                }
            }
            (Declared::Record(members), Value::Record(sent)) => {
                for (name, value) in sent {
                    self.path.push(name);
                    if let Some(declared) = members.get(name.as_str()) {
                        self.visit(declared, value);
                    } else {
                        let path = self.path();
                        self.undeclared.insert(path);
                    }
                    self.path.pop();
                }
            }
            // A scalar, or something of another kind than declared: the schema's to judge.
            (Declared::Scalar | Declared::Set(_) | Declared::Record(_), _) => {}
        }
    }

    fn path(&self) -> String {
        self.path.join(".")
    }
}

/// A path that the caller made up, as it may be shown: without control characters, and not longer than needed to
/// recognise it.
fn presentable(path: &str) -> String {
    let shown: String = path.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    if shown.len() == path.len() { shown } else { shown + "…" }
}

fn refusal(declared: &Declared, error: &ValidationError<'_>) -> ArgumentFault {
    let mut at = Some(declared);
    let mut path: Vec<String> = Vec::new();
    // Names below what the schema declares are the caller's: they stay out of the message.
    for segment in error.instance_path().as_str().split('/').skip(1) {
        at = match at {
            Some(Declared::Record(members)) => {
                let name = segment.replace("~1", "/").replace("~0", "~");
                members.get(name.as_str()).inspect(|_| path.push(name.clone()))
            }
            Some(Declared::Set(item)) => {
                path.push(segment.to_owned());
                Some(item)
            }
            Some(Declared::Scalar | Declared::Untyped { .. }) | None => None,
        };
        if at.is_none() {
            break;
        }
    }
    let kind = error.kind();
    if let (ValidationErrorKind::Required { property: serde_json::Value::String(name) }, Some(_)) = (kind, at)
    {
        path.push(name.clone());
    }
    let path = path.join(".");
    match kind {
        ValidationErrorKind::BacktrackLimitExceeded { .. }
        | ValidationErrorKind::RegexEngineFailure { .. } => ArgumentFault::PatternLimit { path },
        other => ArgumentFault::Schema { path, keyword: other.keyword().to_owned() },
    }
}

#[cfg(test)]
mod tests;
