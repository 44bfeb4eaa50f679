//! `palisade tasks show`: everything that the server knows about one task.
//! Never guesses about one that is over: the audit log has the rest.

use clap::Args;

use super::{Format, client, document, paper};
use crate::api::proto::v1;
use crate::cli::Exit;
use crate::cli::paint::print;
use crate::cli::remote::Server;
use crate::server::clock;
use crate::task::TaskId;

/// Which task.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 it is shown · 2 usage or I/O error, or there is no such task

Example:
  palisade tasks show tsk_0190a4e2f7c87d3b9a51c0de12345678 --format json")]
pub(super) struct Options {
    /// The task's id.
    #[arg(value_name = "ID")]
    task: TaskId,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(options: &Options) -> Result<Exit, String> {
    let Options { task, format, server } = options;
    let server = server.dial("").await?;
    let request = v1::GetRequest { id: task.to_string() };
    let answer = client(&server).get(server.message(request)).await;
    let v1::GetResponse { task } = answer.map_err(|status| server.words(&status))?.into_inner();
    let Some(task) = task else { return Err("the server's answer holds no task".into()) };
    print(&match format {
        Format::Table => paper::task(&task, clock::now().seconds()),
        Format::Json => format!("{:#}\n", document::task(&task)),
    })?;
    Ok(Exit::Ok)
}
