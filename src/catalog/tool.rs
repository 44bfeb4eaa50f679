//! One tool of one server, as it was pinned.
//! Never asks the server: a live definition is held against this one, not the other way round.

use jsonschema::Validator;

use super::arguments::{self, Admitted, ArgumentFault, Pinned};
use super::digest;
use super::facts::ToolFacts;
use super::typing::{Declared, Untyped};
use crate::value::{Shape, Uid, Value};

/// A tool of the catalog.
#[derive(Debug)]
pub struct Tool {
    /// The id of its server.
    pub server: String,
    /// Its name on that server.
    pub name: String,
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
        Uid::new("Tool", format!("{}/{}", self.server, self.name))
    }

    /// `Action::"<server>/<name>"`.
    pub fn action(&self) -> Uid {
        Uid::new("Action", format!("{}/{}", self.server, self.name))
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

    /// Whether a live definition (an item of `tools/list`) is the pinned one.
    pub fn is_pinned_by(&self, definition: &Value) -> bool {
        digest::of(definition) == self.digest
    }
}
