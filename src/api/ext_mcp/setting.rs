//! What the operator has the gateway say with each question (`metadata`): which servers its targets are, and who asks.
//! Never guesses what a member that nobody knows may have meant.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{Struct, Value as Plain};

use crate::api::gateway::{Unreadable, session};

use super::names::Names;

/// What is said.
#[derive(Debug, Default)]
pub(super) struct Setting {
    /// The servers of the catalog by the gateway's names for them; none when these are the same.
    servers: Option<BTreeMap<String, String>>,
    /// When the gateway puts the names of targets before those of things.
    names: Names,
    /// The claims of the token that the gateway has verified.
    pub(super) claims: Option<Struct>,
    /// As the header `Authorization` has it.
    pub(super) authorization: Option<String>,
    /// The token of a task.
    pub(super) task: Option<String>,
    /// The SPIFFE ID of the client's certificate.
    pub(super) workload: Option<String>,
    /// The session.
    pub(super) session: Option<String>,
}

/// A target of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// What the gateway calls it.
    pub(super) name: String,
    /// The server in the catalog.
    pub(super) server: String,
}

impl Setting {
    pub(super) fn read(metadata: Option<Struct>) -> Result<Self, Unreadable> {
        let mut setting = Self::default();
        for (name, Plain { kind }) in metadata.unwrap_or_default().fields {
            let odd = || Unreadable::request(format!("`metadata`: `{name}` is not what it must be"));
            match (name.as_str(), kind) {
                // Without it targets would count as the servers of their names.
                ("servers", None | Some(Kind::NullValue(_))) => return Err(odd()),
                // An expression of the operator's that found nothing.
                (_, None | Some(Kind::NullValue(_))) => {}
                ("servers", Some(Kind::StructValue(servers))) => {
                    setting.servers = Some(texts(servers).ok_or_else(odd)?);
                }
                ("prefix_mode", Some(Kind::StringValue(mode))) => {
                    setting.names = Names::named(&mode).ok_or_else(odd)?;
                }
                ("jwt", Some(Kind::StructValue(claims))) => setting.claims = Some(claims),
                ("authorization", Some(Kind::StringValue(text))) => setting.authorization = Some(text),
                ("task", Some(Kind::StringValue(text))) => setting.task = Some(text),
                ("workload", Some(Kind::StringValue(text))) => setting.workload = Some(text),
                ("session", Some(Kind::StringValue(text))) => {
                    setting.session = Some(session(&text)?.to_owned());
                }
                (
                    "servers" | "prefix_mode" | "jwt" | "authorization" | "task" | "workload" | "session",
                    Some(_),
                ) => return Err(odd()),
                (_, Some(_)) => {
                    return Err(Unreadable::request(
                        "`metadata` has a member that means nothing here; it may have `servers`, `prefix_mode`, \
                         `jwt`, `authorization`, `task`, `workload` and `session`",
                    ));
                }
            }
        }
        Ok(setting)
    }

    /// The targets of a question: at least one, and each once.
    pub(super) fn targets(&self, names: &[String], targets_max: usize) -> Result<Vec<Target>, Unreadable> {
        if names.is_empty() || names.len() > targets_max {
            let words = format!("`service_names` must name 1 to {targets_max} targets");
            return Err(Unreadable::request(words));
        }
        let mut targets: Vec<Target> = Vec::with_capacity(names.len());
        for name in names {
            let server = match &self.servers {
                None => Some(name),
                Some(servers) => servers.get(name),
            };
            let Some(server) = server.filter(|server| !server.is_empty()).cloned() else {
                return Err(Unreadable::request("`metadata.servers` does not say which server a target is"));
            };
            if targets.iter().any(|target| target.name == *name || target.server == server) {
                return Err(Unreadable::request("two targets are one server"));
            }
            targets.push(Target { name: name.clone(), server });
        }
        Ok(targets)
    }

    /// Whether the gateway may show its clients names with their target in front.
    pub(super) fn may_prefix(&self) -> bool {
        let several = self.servers.as_ref().is_none_or(|servers| servers.len() > 1);
        match self.names {
            Names::Always => true,
            Names::Conditional | Names::Never => several,
        }
    }

    /// How names of things are to be read that stand on a list of all these targets.
    pub(super) fn names(&self) -> Names {
        self.names
    }
}

fn texts(object: Struct) -> Option<BTreeMap<String, String>> {
    let text = |(name, Plain { kind })| match kind {
        Some(Kind::StringValue(text)) => Some((name, text)),
        _ => None,
    };
    object.fields.into_iter().map(text).collect()
}
