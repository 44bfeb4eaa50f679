//! `palisade tasks delegate`: a part of a task for another agent, and its token.
//! Never asks for more than was typed.

use std::path::PathBuf;

use clap::Args;

use super::answer::{Answer, Asked, Manner, Once};
use super::client;
use super::holder::Holder;
use super::wanted::Wanted;
use crate::api::proto::v1;
use crate::cli::remote::{Server, entity};
use crate::cli::{Exit, secret};
use crate::server::clock;

/// What to hand on, and to whom.
#[derive(Debug, Args)]
#[command(
    mut_arg("task_token", |token| token.required(true)),
    after_help = "\
What is not named is as the task has it. The part ends with the task at the latest.

Exit codes: 0 handed on (with --preview: it would be) · 1 denied · 2 usage or I/O error

Examples:
  palisade tasks delegate --task-token task.token --dpop-proof proof.txt --dpop-url https://pdp.acme.example/tasks \\
    --agent lookup-bot --tool crm/lookup_customer --calls 5 --token-out part.token
  palisade tasks delegate --task-token task.token --actor-token bot.txt --ttl 5m --preview"
)]
pub(super) struct Options {
    /// The agent that the part is for: its id, or `Agent::"id"`.
    #[arg(
        long,
        value_name = "ID",
        value_parser = |text: &str| entity("Agent", text),
        required_unless_present = "actor_token"
    )]
    agent: Option<v1::EntityUid>,
    /// The agent's own words about it, for the record.
    #[arg(long, value_name = "TEXT")]
    intent: Option<String>,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    server: Server,
    // What has a heading of its own comes last: everything behind it would stand below it.
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    holder: Holder,
    /// The token of the agent that the part is for. When --agent is there too they must agree.
    #[arg(long, value_name = "FILE")]
    actor_token: Option<PathBuf>,
}

impl Options {
    pub(super) fn to_request(&self, key: &str) -> Result<v1::DelegateRequest, String> {
        let task = self.holder.read(self.actor_token.as_deref())?;
        let actor_token = self.actor_token.as_deref().map(|file| secret::read("the agent's token", file));
        Ok(v1::DelegateRequest {
            task,
            actor_token: actor_token.transpose()?.unwrap_or_default(),
            actor: self.agent.clone(),
            wanted: Some(self.wanted.to_wire()),
            intent: self.intent.clone().unwrap_or_default(),
            mode: self.manner.mode().into(),
            idempotency_key: key.to_owned(),
            request_id: String::new(),
        })
    }
}

pub(super) async fn run(options: &Options) -> Result<Exit, String> {
    let key = options.once.key(&options.manner);
    let request = options.to_request(&key)?;
    let place = options.manner.place()?;
    let server = options.server.dial("").await?;
    let again = Once::again("hand it on", &key);
    let answer = client(&server).delegate(server.message(request)).await;
    let answer = answer.map_err(|status| server.undone(&status, &again))?.into_inner();
    let now_s = clock::now().seconds();
    let asked = Asked { manner: &options.manner, place, verb: "handed on", key: &key, again: &again, now_s };
    Answer::from(answer).show(asked)
}
