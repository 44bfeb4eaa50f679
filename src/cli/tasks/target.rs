//! What is revoked or lifted: as it is typed, sent and shown.
//! Never more than one thing at a time.

use clap::Args;
use serde_json::{Value as Json, json};

use super::bounds::tool_name;
use crate::api::proto::v1;
use crate::api::proto::v1::target::Target as Wire;
use crate::cli::remote::entity;
use crate::cli::words::{self, plain, uid};
use crate::task::TaskId;

/// What has no caller.
const OTHERS: [&str; 7] = ["task", "agent", "human", "tool", "server_id", "data_class", "key_id"];

/// What is meant.
#[derive(Debug, Args)]
pub(super) struct Target {
    #[command(flatten)]
    one: One,
    /// The caller whose session it is, if that is another one.
    #[arg(long, value_name = "NAME", requires = "session", conflicts_with_all = OTHERS)]
    caller: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct One {
    /// A task, with its parts.
    #[arg(long, value_name = "ID")]
    task: Option<TaskId>,
    /// The tasks that were started in a session.
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// An agent, whoever it acts for and wherever it stands in a chain: its id, or `Agent::"id"`.
    #[arg(long, value_name = "ID", value_parser = |text: &str| entity("Agent", text))]
    agent: Option<v1::EntityUid>,
    /// A person, whoever acts for them: their id, or `Human::"id"`.
    #[arg(long, value_name = "ID", value_parser = |text: &str| entity("Human", text))]
    human: Option<v1::EntityUid>,
    /// A tool.
    #[arg(long, value_name = "SERVER/TOOL", value_parser = tool_name)]
    tool: Option<String>,
    /// A server, by its id in the catalog.
    #[arg(long, value_name = "ID")]
    server_id: Option<String>,
    /// A class of data, with what stands above it.
    #[arg(long, value_name = "ID")]
    data_class: Option<String>,
    /// The tasks whose tokens were signed with a key: its `kid`.
    #[arg(long, value_name = "KID")]
    key_id: Option<String>,
}

impl Target {
    /// As it is sent; none of the kinds is set when nothing was typed.
    pub(super) fn to_wire(&self) -> v1::Target {
        let One { task, session, agent, human, tool, server_id, data_class, key_id } = &self.one;
        let of_session = |session: &String| {
            let (session, caller) = (session.clone(), self.caller.clone().unwrap_or_default());
            Wire::Session(v1::SessionOfCaller { caller, session })
        };
        let target = (task.map(|task| Wire::Task(task.to_string())))
            .or_else(|| session.as_ref().map(of_session))
            .or_else(|| agent.clone().map(Wire::Agent))
            .or_else(|| human.clone().map(Wire::Human))
            .or_else(|| tool.clone().map(Wire::Tool))
            .or_else(|| server_id.clone().map(Wire::Server))
            .or_else(|| data_class.clone().map(Wire::DataClass))
            .or_else(|| key_id.clone().map(Wire::KeyId));
        v1::Target { target }
    }
}

/// Its kind and its name.
pub(super) fn written(target: Option<&v1::Target>) -> (&'static str, String) {
    match target.and_then(|target| target.target.as_ref()) {
        Some(Wire::Task(id)) => ("task", plain(id)),
        Some(Wire::Session(v1::SessionOfCaller { caller, session })) if caller.is_empty() => {
            ("session", plain(session))
        }
        Some(Wire::Session(v1::SessionOfCaller { caller, session })) => {
            ("session", format!("{} of {}", plain(session), plain(caller)))
        }
        Some(Wire::Agent(agent)) => ("agent", uid(Some(agent))),
        Some(Wire::Human(human)) => ("human", uid(Some(human))),
        Some(Wire::Tool(tool)) => ("tool", plain(tool)),
        Some(Wire::Server(server)) => ("server", plain(server)),
        Some(Wire::DataClass(class)) => ("data class", plain(class)),
        Some(Wire::KeyId(kid)) => ("key", plain(kid)),
        None => ("unknown", "-".to_owned()),
    }
}

/// For programs: its kind, and a member that is called so.
pub(super) fn document(target: Option<&v1::Target>) -> Json {
    match target.and_then(|target| target.target.as_ref()) {
        Some(Wire::Task(id)) => json!({ "kind": "task", "task": id }),
        Some(Wire::Session(v1::SessionOfCaller { caller, session })) => {
            json!({ "kind": "session", "session": session, "caller": caller })
        }
        Some(Wire::Agent(agent)) => json!({ "kind": "agent", "agent": words::entity(agent) }),
        Some(Wire::Human(human)) => json!({ "kind": "human", "human": words::entity(human) }),
        Some(Wire::Tool(tool)) => json!({ "kind": "tool", "tool": tool }),
        Some(Wire::Server(server)) => json!({ "kind": "server", "server": server }),
        Some(Wire::DataClass(class)) => json!({ "kind": "data_class", "data_class": class }),
        Some(Wire::KeyId(kid)) => json!({ "kind": "key_id", "key_id": kid }),
        None => Json::Null,
    }
}
