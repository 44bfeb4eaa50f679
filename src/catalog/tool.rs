//! One tool of one server, as it was pinned.
//! Never asks the server: a live definition is held against this one, not the other way round.

use std::collections::BTreeSet;

use jsonschema::Validator;

use super::arguments::{self, Admitted, ArgumentFault, Pinned};
use super::digest;
use super::facts::ToolFacts;
use super::typing::{Declared, Untyped};
use crate::value::{Members, Shape, SmolStr, Uid, Value};

/// The members of a call's context that come from its arguments: what was typed, and the paths of what could not be.
pub const INPUT: &str = "input";
/// As [`INPUT`].
pub const INPUT_UNSEEN: &str = "input_unseen";

/// A tool of the catalog.
#[derive(Debug)]
pub struct Tool {
    /// The id of its server.
    pub server: String,
    /// Its name on that server.
    pub name: String,
    /// `<server>/<name>`: its id, as an entity and as an action.
    pub(super) id: SmolStr,
    /// What the server calls it for people.
    pub title: Option<String>,
    /// What the server says it does.
    pub description: Option<String>,
    /// `sha256:…` of its definition, see [`digest::of`].
    pub digest: String,
    /// The shape of its arguments, as far as they have one: always a [`Shape::Record`].
    pub arguments: Shape,
    /// The declared parts of its arguments that have none, by path.
    pub untyped: Vec<Untyped>,
    /// What is known about it.
    pub facts: ToolFacts,
    /// Whether arguments that it does not declare are let through, unseen.
    pub open: bool,
    /// The HTTP headers that mirror arguments: the header's whole name (`Mcp-Param-Region`), and the member names
    /// that lead to the argument.
    pub headers: Vec<(String, Vec<String>)>,
    pub(super) declared: Declared,
    pub(super) validator: Validator,
}

impl Tool {
    /// `Tool::"<server>/<name>"`.
    pub fn uid(&self) -> Uid {
        Uid::new("Tool", self.id.clone())
    }

    /// `Action::"<server>/<name>"`.
    pub fn action(&self) -> Uid {
        Uid::new("Action", self.id.clone())
    }

    /// Holds a call's arguments against the pinned `inputSchema`, then types them. [`Value::Null`] stands for a call
    /// without arguments, which is one with none.
    ///
    /// # Errors
    /// The first rule that the arguments break: an undeclared name, the schema, a type.
    pub fn admit(&self, arguments: &Value) -> Result<Admitted, ArgumentFault> {
        let Self { arguments: shape, declared, validator, open, .. } = self;
        arguments::admit(&Pinned { shape, declared, validator, open: *open }, arguments)
    }

    /// What can be said of a call's arguments while they are not known: the members of its context that are certain all the same,
    /// and the names of those that are not.
    pub fn beforehand(&self) -> (Members, BTreeSet<String>) {
        let (mut certain, mut blanks) = (Members::new(), BTreeSet::new());
        let has_no_other = self.untyped.is_empty() && !self.open;
        let takes_none = matches!(&self.arguments, Shape::Record(members) if members.is_empty());
        let admitted = (has_no_other && takes_none).then(|| self.admit(&Value::Null).ok()).flatten();
        if let Some(Admitted { input, unseen: _ }) = admitted {
            certain.insert(INPUT.into(), input);
        } else {
            blanks.insert(INPUT.to_owned());
        }
        if has_no_other {
            certain.insert(INPUT_UNSEEN.into(), Value::Set(Vec::new()));
        } else {
            blanks.insert(INPUT_UNSEEN.to_owned());
        }
        (certain, blanks)
    }

    /// Whether a live definition (an item of `tools/list`) is the pinned one.
    pub fn is_pinned_by(&self, definition: &Value) -> bool {
        digest::of(definition) == self.digest
    }
}
