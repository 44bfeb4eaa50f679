//! `palisade tasks renew`: more time for a task, and a new token.
//! Never ends the old token: it ends when it says.

use clap::Args;

use super::answer::{Answer, Asked, Manner};
use super::holder::Holder;
use super::{client, duration};
use crate::api::proto::v1;
use crate::cli::Exit;
use crate::cli::remote::Server;
use crate::server::clock;

/// Which task, and how long.
#[derive(Debug, Args)]
#[command(
    mut_arg("task_token", |token| token.required(true)),
    after_help = "\
Exit codes: 0 it has more time (with --preview: it would have) · 1 denied · 2 usage or I/O error

Example:
  palisade tasks renew --task-token task.token --proven-key 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I --ttl 10m \\
    --token-out task.token"
)]
pub(super) struct Options {
    /// How long from now on: 90s, 15m, 2h [default: as long as any task lasts]
    #[arg(long, value_name = "LENGTH", value_parser = duration::parse)]
    ttl: Option<u64>,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    server: Server,
    // What has a heading of its own comes last: everything behind it would stand below it.
    #[command(flatten)]
    holder: Holder,
}

pub(super) async fn run(options: &Options) -> Result<Exit, String> {
    let Options { ttl, manner, server, holder } = options;
    let request = v1::RenewRequest {
        task: holder.read(None)?,
        ttl_s: ttl.unwrap_or_default(),
        mode: manner.mode().into(),
        request_id: String::new(),
    };
    let place = manner.place()?;
    let server = server.dial("").await?;
    let again = "renew it again with --token-out FILE";
    let answer = client(&server).renew(server.message(request)).await;
    let answer = answer.map_err(|status| server.undone(&status, again))?.into_inner();
    let now_s = clock::now().seconds();
    Answer::from(answer).show(Asked { manner, place, verb: "renewed", key: "", again, now_s })
}
