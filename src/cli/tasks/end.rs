//! `palisade tasks end`: a task is over, with its parts.
//! Never asks twice: what is ended stays so.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::holder::Holder;
use super::{Format, client};
use crate::api::proto::v1;
use crate::cli::Exit;
use crate::cli::paint::print;
use crate::cli::remote::Server;
use crate::task::TaskId;

/// What goes with a token, not with an id.
const OF_A_TOKEN: [&str; 3] = ["task_token", "dpop_proof", "proven_key"];

/// Which task, and how it ended.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 it is over · 2 usage or I/O error, or there is no such task

Examples:
  palisade tasks end --task-token task.token --dpop-proof proof.txt --dpop-url https://pdp.acme.example/tasks
  palisade tasks end tsk_0190a4e2f7c87d3b9a51c0de12345678 --cancelled --reason 'the customer called it off'")]
pub(super) struct Options {
    /// The task's id, for the caller that started it or an operator; or bring its token.
    #[arg(value_name = "ID", required_unless_present = "task_token", conflicts_with_all = OF_A_TOKEN)]
    task: Option<TaskId>,
    /// It could not be done.
    #[arg(long, conflicts_with = "cancelled")]
    failed: bool,
    /// It is no longer wanted.
    #[arg(long)]
    cancelled: bool,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// A name of your own for this: the same request with the same name is answered in the same way.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    idempotency_key: Option<String>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    server: Server,
    // What has a heading of its own comes last: everything behind it would stand below it.
    #[command(flatten)]
    holder: Holder,
}

impl Options {
    pub(super) fn to_request(&self) -> Result<v1::EndRequest, String> {
        let by_id = |id: TaskId| v1::Handle { task: Some(v1::handle::Task::Id(id.to_string())), proof: None };
        let ending = match (self.failed, self.cancelled) {
            (true, _) => v1::Ending::Failed,
            (false, true) => v1::Ending::Cancelled,
            (false, false) => v1::Ending::Completed,
        };
        Ok(v1::EndRequest {
            task: self.holder.read(None)?.or_else(|| self.task.map(by_id)),
            ending: ending.into(),
            reason: self.reason.clone().unwrap_or_default(),
            idempotency_key: self.idempotency_key.clone().unwrap_or_default(),
            request_id: String::new(),
        })
    }
}

pub(super) async fn run(options: &Options) -> Result<Exit, String> {
    let request = options.to_request()?;
    let server = options.server.dial("").await?;
    let answer = client(&server).end(server.message(request)).await;
    let answer = answer.map_err(|status| server.undone(&status, "end it again"))?;
    let v1::EndResponse { state_revision, was_open } = answer.into_inner();
    print(&match options.format {
        Format::Table if was_open => format!("ended (state {state_revision})\n"),
        Format::Table => format!("it was over already (state {state_revision})\n"),
        Format::Json => {
            format!("{:#}\n", json!({ "was_open": was_open, "state_revision": state_revision }))
        }
    })?;
    Ok(Exit::Ok)
}
