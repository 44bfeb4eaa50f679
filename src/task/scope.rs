//! What a task may touch: servers, tools, classes of data, and what arguments may be.
//! Never widens: a part of a scope is within it in every direction.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::grant::Exceeds;
use crate::value::{Extension, Value};

/// All of a kind, or some by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Only {
    /// Any, also those that come later.
    #[default]
    All,
    /// These alone.
    These(BTreeSet<String>),
}

impl Only {
    /// These alone.
    pub fn these<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::These(names.into_iter().map(Into::into).collect())
    }

    /// Whether it has one of that name.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.contains(name),
        }
    }

    /// Those that it names; none when it is all.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::All => None,
            Self::These(names) => Some(names),
        };
        names.into_iter().flatten().map(String::as_str)
    }

    fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// The part that was asked for; all of it when nothing was. None when more was asked for.
    fn part(&self, asked: &Self) -> Option<Self> {
        match (self, asked) {
            (whole, Self::All) => Some(whole.clone()),
            (Self::All, some) => Some(some.clone()),
            (Self::These(whole), Self::These(some)) => some.is_subset(whole).then(|| asked.clone()),
        }
    }
}

/// What an argument of a tool must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The tool: `crm/issue_refund`.
    pub tool: String,
    /// The argument, from the outside in: `["amount"]`, `["order", "total"]`.
    pub argument: Vec<String>,
    /// What it must be.
    pub limit: Limit,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// A number, and not more: in ten-thousandths.
    AtMost(i64),
    /// A number, and not less: in ten-thousandths.
    AtLeast(i64),
    /// One of these texts.
    OneOf(BTreeSet<String>),
}

impl Limit {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::AtMost(most) => value.ten_thousandths().is_some_and(|number| number <= i128::from(*most)),
            Self::AtLeast(least) => {
                value.ten_thousandths().is_some_and(|number| number >= i128::from(*least))
            }
            Self::OneOf(texts) => text(value).is_some_and(|text| texts.contains(text)),
        }
    }

    /// Takes another limit in, if it is one of the same kind.
    fn narrow(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::AtMost(ours), Self::AtMost(theirs)) => *ours = (*ours).min(*theirs),
            (Self::AtLeast(ours), Self::AtLeast(theirs)) => *ours = (*ours).max(*theirs),
            (Self::OneOf(ours), Self::OneOf(theirs)) => ours.retain(|text| theirs.contains(text)),
            _ => return false,
        }
        true
    }

    /// Whether what another limit of the same argument lets through is let through here too. None when they are about
    /// different things, and hold side by side.
    fn allows_all_of(&self, narrower: &Self) -> Option<bool> {
        match (self, narrower) {
            (Self::AtMost(ours), Self::AtMost(theirs)) => Some(theirs <= ours),
            (Self::AtLeast(ours), Self::AtLeast(theirs)) => Some(theirs >= ours),
            (Self::OneOf(ours), Self::OneOf(theirs)) => Some(theirs.is_subset(ours)),
            _ => None,
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Entity(uid) => Some(&uid.id),
        Value::Extension(Extension::Datetime | Extension::Duration | Extension::Ip, text) => Some(text),
        _ => None,
    }
}

/// What a step touches.
#[derive(Debug, Clone, Copy)]
pub struct Touched<'a> {
    /// The server, by its id in the catalog; none when the step is about no server.
    pub server: Option<&'a str>,
    /// The tool: `crm/issue_refund`; none when the step calls none.
    pub tool: Option<&'a str>,
    /// The classes of the data that it handles.
    pub classes: &'a BTreeSet<String>,
    /// The arguments of the call, typed.
    pub input: Option<&'a Value>,
}

/// What a step touches that its task does not cover. Safe to show: it names the task's own words and the catalog's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfScope {
    /// No server, where the task has named some.
    #[error("the task is for named servers, and this step is about none")]
    NoServer,
    /// Another server.
    #[error("the task does not cover the server `{0}`")]
    Server(String),
    /// Another tool.
    #[error("the task does not cover the tool `{0}`")]
    Tool(String),
    /// Another class of data.
    #[error("the task does not cover data of the class `{0}`")]
    Class(String),
    /// An argument that is beyond its bound, or that the bound cannot be held against.
    #[error("the task bounds the argument `{argument}` of `{tool}`, and this call does not keep to it")]
    Argument {
        /// The tool.
        tool: String,
        /// The argument.
        argument: String,
    },
}

/// What a task may touch. The default is anything that policies permit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Servers, by their ids in the catalog.
    #[serde(default, skip_serializing_if = "Only::is_all")]
    pub servers: Only,
    /// Tools: `crm/issue_refund`.
    #[serde(default, skip_serializing_if = "Only::is_all")]
    pub tools: Only,
    /// Classes of data, with all that stand below them.
    #[serde(default, skip_serializing_if = "Only::is_all")]
    pub classes: Only,
    /// What arguments must be: all of them hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<Bound>,
}

impl Scope {
    /// Whether a step is within it.
    ///
    /// # Errors
    /// [`OutOfScope`]: what is not.
    pub fn covers(&self, step: &Touched<'_>) -> Result<(), OutOfScope> {
        self.reaches(step)?;
        let Some(tool) = step.tool else { return Ok(()) };
        let broken = self.bounds_of(tool).find(|bound| {
            // An argument that is not there, or that nobody could type, may stand for anything.
            !found(step.input, &bound.argument).is_some_and(|value| bound.limit.holds(value))
        });
        match broken {
            None => Ok(()),
            Some(bound) => {
                Err(OutOfScope::Argument { tool: tool.to_owned(), argument: bound.argument.join(".") })
            }
        }
    }

    /// The bounds of a tool's arguments.
    pub fn bounds_of(&self, tool: &str) -> impl Iterator<Item = &Bound> {
        self.bounds.iter().filter(move |bound| bound.tool == tool)
    }

    /// Whether a step is within it for some arguments.
    ///
    /// # Errors
    /// [`OutOfScope`]: what is not.
    pub fn reaches(&self, step: &Touched<'_>) -> Result<(), OutOfScope> {
        match step.server {
            Some(server) if !self.servers.has(server) => return Err(OutOfScope::Server(server.to_owned())),
            None if !self.servers.is_all() => return Err(OutOfScope::NoServer),
            Some(_) | None => {}
        }
        if let Some(class) = step.classes.iter().find(|class| !self.classes.has(class)) {
            return Err(OutOfScope::Class(class.clone()));
        }
        let Some(tool) = step.tool else { return Ok(()) };
        if !self.tools.has(tool) {
            return Err(OutOfScope::Tool(tool.to_owned()));
        }
        Ok(())
    }

    /// The part of it that was asked for. What was not named is as it is here; bounds add up.
    ///
    /// # Errors
    /// [`Exceeds`] when more was asked for.
    pub fn part(&self, asked: &Self) -> Result<Self, Exceeds> {
        let servers = self.servers.part(&asked.servers).ok_or(Exceeds::Servers)?;
        let tools = self.tools.part(&asked.tools).ok_or(Exceeds::Tools)?;
        let classes = self.classes.part(&asked.classes).ok_or(Exceeds::Classes)?;
        let wider = asked.bounds.iter().find(|asked| {
            let same =
                self.bounds.iter().filter(|ours| ours.tool == asked.tool && ours.argument == asked.argument);
            same.into_iter().any(|ours| ours.limit.allows_all_of(&asked.limit) == Some(false))
        });
        if let Some(wider) = wider {
            return Err(Exceeds::Bound { tool: wider.tool.clone(), argument: wider.argument.join(".") });
        }
        let bounds = tightest(self.bounds.iter().chain(&asked.bounds));
        Ok(Self { servers, tools, classes, bounds })
    }
}

/// The same bounds, those of one argument and one kind as one.
fn tightest<'b>(bounds: impl Iterator<Item = &'b Bound>) -> Vec<Bound> {
    let mut all: Vec<Bound> = Vec::new();
    for bound in bounds {
        let same =
            all.iter_mut().filter(|other| other.tool == bound.tool && other.argument == bound.argument);
        if !same.into_iter().any(|other| other.limit.narrow(&bound.limit)) {
            all.push(bound.clone());
        }
    }
    all
}

/// The value at a path of members.
fn found<'v>(input: Option<&'v Value>, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(input?, |value, name| match value {
        Value::Record(members) => members.get(name.as_str()),
        _ => None,
    })
}
