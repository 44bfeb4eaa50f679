//! Which agent of a bundle a verified name is of: a SPIFFE ID, or an OAuth client.
//! Never takes one name for two agents.

use std::collections::hash_map::Entry;

use cedar_policy::{Entity, EvalResult};

use super::OwnMap;
use super::cedar;
use super::declared::{Declared, head};
use crate::diagnostic::Diagnostic;
use crate::identity::{AgentName, SpiffeId};
use crate::value::Uid;

#[cfg(test)]
mod tests;

/// The entity type of agents.
const AGENT: &str = "Agent";

/// The agents of a bundle by the names that their credentials give them.
#[derive(Debug, Default)]
pub(super) struct Agents(OwnMap<AgentName, Uid>);

impl Agents {
    /// Those of declared entities: `spiffe_id` and `client_ids` of each `Agent`.
    pub(super) fn of(declared: &[Declared], findings: &mut Vec<Diagnostic>) -> Self {
        let mut agents = Self::default();
        for Declared { entity, file, span } in declared {
            let uid = cedar::uid_of(&entity.uid());
            if uid.kind != AGENT {
                continue;
            }
            let mut refuse = |code, message: String, help: &str| {
                let finding = Diagnostic::error(code, message);
                findings.push(finding.at(file, head(span), "declared here").help(help));
            };
            let mut names = Vec::new();
            for id in texts(entity, "client_ids") {
                // A token's client of such a name is the workload, so this would never match.
                if SpiffeId::parse(&id).is_ok() {
                    let message = format!("a client id of `{uid}` is a SPIFFE ID");
                    refuse("entity::credential", message, "write it as its `spiffe_id`");
                } else {
                    names.push(AgentName::Client(id));
                }
            }
            for text in texts(entity, "spiffe_id") {
                match SpiffeId::parse(&text) {
                    Ok(id) => names.push(AgentName::Spiffe(id)),
                    Err(error) => {
                        let help = "write the ID as the workload's certificate or JWT-SVID has it";
                        refuse("entity::spiffe-id", format!("the `spiffe_id` of `{uid}` {error}"), help);
                    }
                }
            }
            for name in names {
                match agents.0.entry(name) {
                    Entry::Occupied(other) if *other.get() != uid => {
                        let message =
                            format!("`{uid}` and `{}` have one `spiffe_id` or client id", other.get());
                        refuse(
                            "entity::credential",
                            message,
                            "a credential is one agent's: give each its own",
                        );
                    }
                    Entry::Occupied(_) => {}
                    Entry::Vacant(place) => _ = place.insert(uid.clone()),
                }
            }
        }
        agents
    }

    pub(super) fn get(&self, name: &AgentName) -> Option<&Uid> {
        self.0.get(name)
    }
}

/// The texts of an attribute: one, or a set of them.
fn texts(entity: &Entity, attribute: &str) -> Vec<String> {
    let text = |value: &EvalResult| match value {
        EvalResult::String(text) => Some(text.clone()),
        EvalResult::Bool(_)
        | EvalResult::Long(_)
        | EvalResult::EntityUid(_)
        | EvalResult::Set(_)
        | EvalResult::Record(_)
        | EvalResult::ExtensionValue(_) => None,
    };
    match entity.attr(attribute).and_then(Result::ok) {
        Some(EvalResult::Set(items)) => items.iter().filter_map(text).collect(),
        Some(one) => text(&one).into_iter().collect(),
        None => Vec::new(),
    }
}
