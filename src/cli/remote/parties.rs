//! The parties as they are typed: whose authority is used, and who uses it.
//! Never fills a gap with a guess: what is missing is said.

use clap::Args;

use crate::api::proto::v1;
use crate::value::Uid;

/// Who asks.
#[derive(Debug, Args)]
pub(in crate::cli) struct Parties {
    /// The human whose authority is used: short for --principal with the type `Human`.
    #[arg(long, value_name = "ID", conflicts_with = "principal")]
    human: Option<String>,
    /// The agent that acts: for --human, or on its own.
    #[arg(long, value_name = "ID", conflicts_with = "actor")]
    agent: Option<String>,
    /// The party whose authority is used, as a policy writes it: `Human::"ana"`.
    #[arg(long, value_name = "UID")]
    principal: Option<Uid>,
    /// The agent that acts for the principal: `Agent::"support-bot"`.
    #[arg(long, value_name = "UID")]
    actor: Option<Uid>,
}

impl Parties {
    /// The parties; none when a token alone says who they are.
    pub(in crate::cli) fn subject(&self, is_proven: bool) -> Result<Option<v1::Subject>, String> {
        let human = self.human.as_ref().map(|id| Uid::new("Human", id));
        let agent = self.agent.as_ref().map(|id| Uid::new("Agent", id)).or_else(|| self.actor.clone());
        let (principal, actor) = match (human.or_else(|| self.principal.clone()), agent) {
            (Some(principal), actor) => (principal, actor),
            (None, Some(agent)) => (agent, None),
            (None, None) if is_proven => return Ok(None),
            (None, None) => {
                return Err(
                    "say who asks: --human ID, --agent ID, or both; or --principal UID; or --subject-token FILE".into()
                );
            }
        };
        Ok(Some(v1::Subject {
            principal: Some(wire_uid(&principal)),
            actor: actor.as_ref().map(wire_uid),
            earlier_actors: vec![],
        }))
    }
}

pub(in crate::cli) fn wire_uid(uid: &Uid) -> v1::EntityUid {
    v1::EntityUid { r#type: uid.kind.to_string(), id: uid.id.to_string() }
}

/// An entity by its id alone, of the type that is usual there, or as a policy writes it.
pub(in crate::cli) fn entity(kind: &str, text: &str) -> Result<v1::EntityUid, String> {
    if text.is_empty() {
        return Err("it is empty; write an id".into());
    }
    if !text.contains("::\"") {
        return Ok(v1::EntityUid { r#type: kind.to_owned(), id: text.to_owned() });
    }
    text.parse().map(|uid| wire_uid(&uid)).map_err(|error: crate::value::NotAUid| error.to_string())
}
