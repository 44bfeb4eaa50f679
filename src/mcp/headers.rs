//! The HTTP headers that repeat the body of a message (MCP 2026-07-28, standard headers and headers from parameters).
//! Never decides from a header: one that disagrees with the body is a deny, since somebody on the way may believe it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::catalog::Tool;
use crate::value::Value;

use super::message::{Limits, Parameters};
use super::method::{Direction, Era, Method, Target, Version};
use super::{Refusal, shown};

const VERSION: &str = "MCP-Protocol-Version";
const METHOD: &str = "Mcp-Method";
const NAME: &str = "Mcp-Name";
/// In lower case, as names are kept.
const PARAM_PREFIX: &str = "mcp-param-";

/// The headers of a message by their names in lower case. Without any there is nothing to compare.
#[derive(Debug)]
pub(super) struct Headers<'m> {
    version: Version,
    values: BTreeMap<String, &'m str>,
}

impl<'m> Headers<'m> {
    pub(super) fn read(
        headers: &'m BTreeMap<String, String>,
        version: Version,
        limits: &Limits,
    ) -> Result<Self, Refusal<'static>> {
        if headers.len() > limits.headers_max {
            return Err(Refusal::invalid(format!("`headers` has more than {} entries", limits.headers_max)));
        }
        let mut values = BTreeMap::new();
        for (name, value) in headers {
            if name.len().max(value.len()) > limits.header_bytes_max {
                let words =
                    format!("header `{}` is longer than {} bytes", shown(name), limits.header_bytes_max);
                return Err(Refusal::invalid(words));
            }
            if values.insert(name.to_ascii_lowercase(), value.as_str()).is_some() {
                return Err(Refusal::invalid(format!("header `{}` came twice", shown(name))));
            }
        }
        Ok(Self { version, values })
    }

    /// Holds the standard headers against the body. `method_name` is the name as it was sent: notifications share a row.
    pub(super) fn agree(
        &self,
        method: Method,
        method_name: &str,
        params: &Parameters<'_>,
    ) -> Result<(), Refusal<'static>> {
        if self.values.is_empty() {
            return Ok(());
        }
        let is_request = method.direction() == Direction::FromClient;
        match self.version.era() {
            // Before 2026-07-28 there is one header to compare, and a handshake that comes before it.
            Era::Legacy => return self.same(VERSION, self.version.name(), false),
            Era::Modern => self.same(VERSION, self.version.name(), is_request)?,
        }
        if method.direction() == Direction::FromServer {
            return self.is_no_client(method);
        }
        // A notification may come from either side; only a client's has the header.
        self.same(METHOD, method_name, is_request)?;
        if let Some(member) = name_member(method.target) {
            let Some(Value::String(named)) = params.all().get(member) else {
                return Err(disagrees(NAME));
            };
            if self.decoded(NAME)?.ok_or_else(|| missing(NAME))? != *named {
                return Err(disagrees(NAME));
            }
        }
        match method.target {
            // Held against the tool's schema in `mirror`, once the tool is known.
            Target::Tool => Ok(()),
            Target::Nothing
            | Target::Server
            | Target::Resource
            | Target::Prompt
            | Target::Completion
            | Target::Task
            | Target::Subscriptions
            | Target::Client => self.mirrors_only(&BTreeSet::new()),
        }
    }

    /// Holds the headers that repeat arguments against the arguments of a call.
    pub(super) fn mirror(&self, tool: &Tool, arguments: &Value) -> Result<(), Refusal<'static>> {
        if self.values.is_empty() || self.version.era() == Era::Legacy {
            return Ok(());
        }
        for (header, path) in &tool.headers {
            let argument = path.iter().try_fold(arguments, |value, name| match value {
                Value::Record(members) => members.get(name.as_str()),
                Value::Null
                | Value::Bool(_)
                | Value::Long(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Entity(_)
                | Value::Extension(..)
                | Value::Set(_) => None,
            });
            match (argument.and_then(plain_text), self.decoded(header)?) {
                (None, None) => {}
                (Some(wanted), Some(found)) if wanted == found => {}
                (Some(_), None) => return Err(missing(header)),
                (Some(_) | None, Some(_)) => return Err(disagrees(header)),
            }
        }
        self.mirrors_only(&tool.headers.iter().map(|(header, _)| header.to_ascii_lowercase()).collect())
    }

    fn mirrors_only(&self, known: &BTreeSet<String>) -> Result<(), Refusal<'static>> {
        let unknown =
            self.values.keys().find(|name| name.starts_with(PARAM_PREFIX) && !known.contains(*name));
        match unknown {
            Some(name) => {
                Err(Refusal::invalid(format!("header `{}` repeats nothing in the body", shown(name))))
            }
            None => Ok(()),
        }
    }

    /// A request of a server comes within an answer and has no headers of its own. With a client's headers it was
    /// sent by a client, who must not speak with the server's authority.
    fn is_no_client(&self, method: Method) -> Result<(), Refusal<'static>> {
        let by_client = self.values.keys().find(|name| {
            name.eq_ignore_ascii_case(METHOD)
                || name.eq_ignore_ascii_case(NAME)
                || name.starts_with(PARAM_PREFIX)
        });
        match by_client {
            Some(name) => Err(Refusal::invalid(format!(
                "method `{}` is sent by servers, header `{}` by clients",
                method.name,
                shown(name)
            ))),
            None => Ok(()),
        }
    }

    /// Compares a header that is never encoded.
    fn same(&self, header: &str, wanted: &str, required: bool) -> Result<(), Refusal<'static>> {
        match self.get(header) {
            Some(found) if found == wanted => Ok(()),
            Some(_) => Err(disagrees(header)),
            None if required => Err(missing(header)),
            None => Ok(()),
        }
    }

    fn get(&self, header: &str) -> Option<&'m str> {
        self.values.get(&header.to_ascii_lowercase()).copied()
    }

    /// A header's value; `=?base64?…?=` is decoded.
    fn decoded(&self, header: &str) -> Result<Option<String>, Refusal<'static>> {
        let Some(value) = self.get(header) else { return Ok(None) };
        let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
            return Ok(Some(value.to_owned()));
        };
        let bytes = STANDARD.decode(encoded).ok();
        bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Some)
            .ok_or_else(|| Refusal::invalid(format!("header `{}` is not base64 of UTF-8", shown(header))))
    }
}

/// The member of `params` that `Mcp-Name` repeats.
fn name_member(target: Target) -> Option<&'static str> {
    match target {
        Target::Tool | Target::Prompt => Some("name"),
        Target::Resource => Some("uri"),
        Target::Task => Some("taskId"),
        Target::Nothing | Target::Server | Target::Completion | Target::Subscriptions | Target::Client => {
            None
        }
    }
}

/// An argument as a header writes it; none for what a header cannot repeat.
fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) | Value::Number(text) => Some(text.to_string()),
        Value::Long(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Entity(_) | Value::Extension(..) | Value::Set(_) | Value::Record(_) => None,
    }
}

fn disagrees(header: &str) -> Refusal<'static> {
    Refusal::invalid(format!("header `{}` does not agree with the body", shown(header)))
}

fn missing(header: &str) -> Refusal<'static> {
    Refusal::invalid(format!("header `{}` is missing", shown(header)))
}
