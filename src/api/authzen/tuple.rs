//! The members of a question as they were sent: subject, action, resource, context, and a batch's defaults for them.
//! Never checks what nobody asks with: a default that every item replaces may be anything.

use std::fmt::Display;

use crate::api::wire::{Malformed, UID_BYTES_MAX, text};
use crate::json::{self, JsonError, Next};
use crate::value::{SmolStr, Value};

/// The members of a JSON object.
pub(in crate::api) use crate::value::Members;

/// What one question may say. A member that is null counts as left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tuple<'b> {
    pub(super) subject: Option<Part<3>>,
    pub(super) action: Option<Part<2>>,
    pub(super) resource: Option<Part<3>>,
    pub(super) context: Option<Value>,
    /// Beside the four: where some profiles name the agent (`client.actor`).
    pub(super) client: Option<Value>,
    pub(super) sent: Sent<'b>,
}

/// The names of a question's members.
const MEMBERS: [&str; 5] = ["subject", "action", "resource", "context", "client"];

impl<'b> Tuple<'b> {
    /// Reads it from its text, `bytes`; or what else that text is. The same as [`Self::take`] of all the members.
    pub(super) fn read(text: Next<'_, 'b>, bytes: &'b [u8]) -> Result<Result<Self, Value>, JsonError> {
        let mut read = Self {
            subject: None,
            action: None,
            resource: None,
            context: None,
            client: None,
            sent: Sent::whole(bytes),
        };
        let other = text.members(&MEMBERS, &mut |place, member| {
            // As they stand in `MEMBERS`.
            match place {
                0 => read.subject = Part::read(member, &Named::MEMBERS)?,
                1 => read.action = Part::read(member, &Action::MEMBERS)?,
                2 => {
                    let (resource, arguments) = Part::read_noting(member, &Named::MEMBERS, ARGUMENTS_IN)?;
                    read.resource = resource;
                    read.sent.arguments = arguments;
                }
                3 => read.context = Some(member.value()?).filter(|value| *value != Value::Null),
                _ => read.client = Some(member.value()?).filter(|value| *value != Value::Null),
            }
            Ok(())
        })?;
        Ok(other.map_or(Ok(read), Err))
    }

    /// Takes them out of the object that `bytes` is the text of.
    pub(super) fn take(members: Members, bytes: &'b [u8]) -> Self {
        let found = picked(members, MEMBERS);
        let [subject, action, resource, context, client] =
            found.map(|member| member.filter(|value| *value != Value::Null));
        Self {
            subject: subject.map(|subject| Part::of(subject, Named::MEMBERS)),
            action: action.map(|action| Part::of(action, Action::MEMBERS)),
            resource: resource.map(|resource| Part::of(resource, Named::MEMBERS)),
            context,
            client,
            sent: Sent::whole(bytes),
        }
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
#[derive(Debug, Clone, Copy, PartialEq)]
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
/// The same within the resource.
const ARGUMENTS_IN: &[&str] = ARGUMENTS.split_at(1).1;

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

/// Something that is said by members of `N` names; or what was sent in its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part<const N: usize> {
    Members([Option<Value>; N]),
    Other(Value),
}

impl<const N: usize> Part<N> {
    fn of(value: Value, names: [&str; N]) -> Self {
        match value {
            Value::Record(members) => Self::Members(picked(members, names)),
            other => Self::Other(other),
        }
    }

    /// Reads it; none when it is null.
    fn read(text: Next<'_, '_>, names: &[&str; N]) -> Result<Option<Self>, JsonError> {
        Self::read_noting(text, names, &[]).map(|(part, _)| part)
    }

    /// The same, with the text at a path in it.
    fn read_noting<'b>(
        text: Next<'_, 'b>,
        names: &[&str; N],
        path: &[&str],
    ) -> Result<(Option<Self>, Option<&'b [u8]>), JsonError> {
        let (mut found, mut noted) = ([const { None }; N], None);
        let other = text.members(names, &mut |place, member| {
            let on = path.split_first().filter(|(first, _)| names.get(place) == Some(first));
            let (value, text) = member.value_noting(on.map(|(_, rest)| rest).unwrap_or_default())?;
            noted = noted.or(text);
            if let Some(place) = found.get_mut(place) {
                *place = Some(value);
            }
            Ok(())
        })?;
        Ok(match other {
            None => (Some(Self::Members(found)), noted),
            Some(Value::Null) => (None, None),
            Some(other) => (Some(Self::Other(other)), None),
        })
    }

    /// The members of what must be there, and an object.
    fn required(field: &str, part: Option<Self>) -> Result<[Option<Value>; N], Malformed> {
        match part {
            None => Err(Malformed::new(field, "is required")),
            Some(Self::Members(members)) => Ok(members),
            Some(Self::Other(other)) => Err(wrong(field, "an object", &other)),
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
    const MEMBERS: [&str; 3] = ["type", "id", "properties"];

    /// Reads one that needs its `type` and its `id`.
    pub(super) fn read(field: &str, part: Option<Part<3>>) -> Result<Self, Malformed> {
        let [kind, id, properties] = Part::required(field, part)?;
        Ok(Self {
            kind: required_text(field, "type", kind)?,
            id: required_text(field, "id", id)?,
            properties: object(format_args!("{field}.properties"), properties)?,
        })
    }

    /// The same of a value.
    pub(super) fn of(field: &str, value: Value) -> Result<Self, Malformed> {
        Self::read(field, Some(Part::of(value, Self::MEMBERS)))
    }

    /// One that is looked for: by its `type`, and of its properties only by where it may be.
    pub(super) fn sought(field: &str, part: Option<Part<3>>) -> Result<Self, Malformed> {
        let [kind, _, properties] = Part::required(field, part)?;
        let kind = required_text(field, "type", kind)?;
        let properties = object(format_args!("{field}.properties"), properties)?;
        let properties = properties.into_iter().filter(|(name, _)| name == "server").collect();
        Ok(Self { kind, id: SmolStr::default(), properties })
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
    const MEMBERS: [&str; 2] = ["name", "properties"];

    /// Reads one, which needs its `name`.
    pub(super) fn read(part: Option<Part<2>>) -> Result<Self, Malformed> {
        let [name, properties] = Part::required("action", part)?;
        let name = required_text("action", "name", name)?;
        let properties = properties.filter(|value| *value != Value::Null);
        match &properties {
            None | Some(Value::Record(_)) => Ok(Self { name, properties }),
            Some(other) => Err(wrong("action.properties", "an object", other)),
        }
    }
}

/// The members of these names. What else there is means nothing here.
fn picked<const N: usize>(members: Members, names: [&str; N]) -> [Option<Value>; N] {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that are JSON but for members that are named twice, of the names that mean something and some others.
    fn text() -> impl Strategy<Value = String> {
        let names = MEMBERS.into_iter().chain(Named::MEMBERS).chain(["name", "arguments", "x", "typ\\u0065"]);
        let names = prop::sample::select(names.collect::<Vec<_>>());
        let leaf = prop::sample::select(vec!["null", "true", "1", "\"s\"", "\"\\n\"", "[]", "{}", " \"a\" "]);
        leaf.prop_map(str::to_owned).prop_recursive(4, 40, 6, move |inner| {
            let member = (names.clone(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\": {value}"));
            prop_oneof![
                1 => prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(","))),
                6 => prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    fn agree(bytes: &[u8], limits: json::Limits) -> Result<(), TestCaseError> {
        let read = json::read(bytes, limits, |text| Tuple::read(text, bytes));
        let taken = json::parse(bytes, limits).map(|value| match value {
            Value::Record(members) => Ok(Tuple::take(members, bytes)),
            other => Err(other),
        });
        let read = match (read, &taken) {
            (Ok(Ok(read)), Ok(Ok(taken))) => {
                prop_assert_eq!(read.sent.bytes(&ARGUMENTS), taken.sent.bytes(&ARGUMENTS));
                Ok(Ok(Tuple { sent: taken.sent, ..read }))
            }
            (read, _) => read,
        };
        prop_assert_eq!(read, taken);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever it is, and wherever it breaks off or goes beyond a limit.
        #[test]
        fn a_question_is_read_as_it_would_be_taken(
            text in text(), cut in 0..200_usize, depth_max in 1..6_usize, nodes_max in 1..30_usize,
        ) {
            let bytes = text.as_bytes();
            agree(bytes, json::Limits::default())?;
            agree(bytes, json::Limits { depth_max, nodes_max, ..json::Limits::default() })?;
            agree(&bytes[..cut.min(bytes.len())], json::Limits::default())?;
        }
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_wherever_it_stands() {
        for text in [
            r#"{"subject":{},"subject":{}}"#,
            r#"{"subject":{"id":"a","x":1,"id":"b"}}"#,
            r#"{"resource":{"x":1,"x":1}}"#,
            r#"{"x":1,"action":{},"x":1}"#,
            r#"{"action":null,"action":{"name":"a"}}"#,
            r#"{"context":{},"c\u006fntext":{}}"#,
        ] {
            let read =
                json::read(text.as_bytes(), json::Limits::default(), |all| Tuple::read(all, text.as_bytes()));
            assert!(matches!(read, Err(JsonError::DuplicateMember { .. })), "{text}: {read:?}");
        }
    }
}
