//! The members of a question as they were sent: subject, action, resource, context, and a batch's defaults for them.
//! Never checks what nobody asks with: a default that every item replaces may be anything.

use std::fmt::Display;

use crate::api::wire::{Malformed, UID_BYTES_MAX, text};
use crate::json;
use crate::value::{SmolStr, Value};

/// The members of a JSON object.
pub(in crate::api) use crate::value::Members;

/// What one question may say. A member that is null counts as left out.
#[derive(Debug, Clone)]
pub(super) struct Tuple<'b> {
    pub(super) subject: Option<Value>,
    pub(super) action: Option<Value>,
    pub(super) resource: Option<Value>,
    pub(super) context: Option<Value>,
    /// Beside the four: where some profiles name the agent (`client.actor`).
    pub(super) client: Option<Value>,
    pub(super) sent: Sent<'b>,
}

impl<'b> Tuple<'b> {
    /// Takes them out of the object that `bytes` is the text of.
    pub(super) fn take(members: Members, bytes: &'b [u8]) -> Self {
        let found = picked(members, ["subject", "action", "resource", "context", "client"]);
        let [subject, action, resource, context, client] =
            found.map(|member| member.filter(|value| *value != Value::Null));
        Self { subject, action, resource, context, client, sent: Sent::whole(bytes) }
    }

    /// The same, where it was found already what text an argument has.
    pub(super) fn noting(self, arguments: Option<&'b [u8]>) -> Self {
        Self { sent: Sent { arguments, ..self.sent }, ..self }
    }

    /// Takes the defaults of a batch out of the object that `bytes` is the text of.
    pub(super) fn take_defaults(members: Members, bytes: &'b [u8]) -> Self {
        let defaults = Self::take(members, bytes);
        // Found once: the text holds every item, too.
        let (resource, context) = (defaults.sent.bytes(&["resource"]), defaults.sent.bytes(&["context"]));
        Self { sent: Sent { resource, context, ..defaults.sent }, ..defaults }
    }

    /// The same with defaults: each member is the item's own as a whole, or the default as a whole (AuthZEN 1.0, batch).
    pub(super) fn or(self, defaults: &Tuple<'b>) -> Self {
        let Self { subject, action, resource, context, client, sent } = self;
        Self {
            subject: subject.or_else(|| defaults.subject.clone()),
            action: action.or_else(|| defaults.action.clone()),
            resource: resource.or_else(|| defaults.resource.clone()),
            context: context.or_else(|| defaults.context.clone()),
            client: client.or_else(|| defaults.client.clone()),
            sent: Sent { own: sent.own, ..defaults.sent },
        }
    }
}

/// The text that a question was sent as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'b> {
    own: &'b [u8],
    /// The text at [`ARGUMENTS`], where it is known already.
    arguments: Option<&'b [u8]>,
    /// The defaults of a batch.
    resource: Option<&'b [u8]>,
    context: Option<&'b [u8]>,
}

/// Where a PEP puts the arguments of a tool call.
pub(super) const ARGUMENTS: [&str; 3] = ["resource", "properties", "arguments"];

impl<'b> Sent<'b> {
    fn whole(own: &'b [u8]) -> Self {
        Self { own, arguments: None, resource: None, context: None }
    }

    /// The exact bytes of the member at a path; none when there is none.
    pub(super) fn bytes(&self, path: &[&str]) -> Option<&'b [u8]> {
        if path == ARGUMENTS && self.arguments.is_some() {
            return self.arguments;
        }
        let (first, rest) = path.split_first()?;
        let default = match *first {
            "resource" => self.resource,
            "context" => self.context,
            _ => None,
        };
        let Some(default) = default else { return json::bytes_at(self.own, path) };
        match json::bytes_at(self.own, &[first]).filter(|bytes| *bytes != b"null") {
            Some(own) => json::bytes_at(own, rest),
            None => json::bytes_at(default, rest),
        }
    }
}

/// A subject or a resource.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) kind: SmolStr,
    pub(super) id: SmolStr,
    pub(super) properties: Members,
}

impl Named {
    /// Reads one that needs its `type` and its `id`.
    pub(super) fn read(field: &str, value: Option<Value>) -> Result<Self, Malformed> {
        let [kind, id, properties] = picked(required_object(field, value)?, ["type", "id", "properties"]);
        Ok(Self {
            kind: required_text(field, "type", kind)?,
            id: required_text(field, "id", id)?,
            properties: object(format_args!("{field}.properties"), properties)?,
        })
    }
}

/// An action.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) name: SmolStr,
    /// None when there are none, which is not the same as none of them.
    pub(super) properties: Option<Value>,
}

impl Action {
    /// Reads one, which needs its `name`.
    pub(super) fn read(value: Option<Value>) -> Result<Self, Malformed> {
        let [name, properties] = picked(required_object("action", value)?, ["name", "properties"]);
        let name = required_text("action", "name", name)?;
        let properties = properties.filter(|value| *value != Value::Null);
        match &properties {
            None | Some(Value::Record(_)) => Ok(Self { name, properties }),
            Some(other) => Err(wrong("action.properties", "an object", other)),
        }
    }
}

/// The members of these names. What else there is means nothing here.
pub(super) fn picked<const N: usize>(members: Members, names: [&str; N]) -> [Option<Value>; N] {
    let mut found = [const { None }; N];
    for (name, value) in members {
        let place = names.iter().position(|wanted| name == *wanted).and_then(|at| found.get_mut(at));
        if let Some(place) = place {
            *place = Some(value);
        }
    }
    found
}

/// An object that may be left out.
pub(in crate::api) fn object(field: impl Display, value: Option<Value>) -> Result<Members, Malformed> {
    match value {
        None | Some(Value::Null) => Ok(Members::new()),
        Some(Value::Record(members)) => Ok(members),
        Some(other) => Err(wrong(&field.to_string(), "an object", &other)),
    }
}

pub(in crate::api) fn required_object(field: &str, value: Option<Value>) -> Result<Members, Malformed> {
    match value {
        None | Some(Value::Null) => Err(Malformed::new(field, "is required")),
        Some(Value::Record(members)) => Ok(members),
        Some(other) => Err(wrong(field, "an object", &other)),
    }
}

pub(super) fn required_text(field: &str, name: &str, value: Option<Value>) -> Result<SmolStr, Malformed> {
    match value {
        Some(Value::String(value)) if value.len() <= UID_BYTES_MAX => Ok(value),
        Some(Value::String(value)) => {
            text(&format!("{field}.{name}"), value.into(), UID_BYTES_MAX).map(SmolStr::from)
        }
        None | Some(Value::Null) => Err(Malformed::new(format!("{field}.{name}"), "is required")),
        Some(other) => Err(wrong(&format!("{field}.{name}"), "a string", &other)),
    }
}

/// A member of the wrong type.
pub(in crate::api) fn wrong(field: &str, expected: &str, found: &Value) -> Malformed {
    Malformed::new(field, format!("must be {expected}, found {}", found.kind()))
}
