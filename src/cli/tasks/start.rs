//! `palisade tasks start`: a task for an agent, and its token.
//! Never asks for more than was typed.

use clap::Args;

use super::answer::{Answer, Asked, Manner, Once};
use super::client;
use super::wanted::Wanted;
use crate::api::proto::v1;
use crate::cli::Exit;
use crate::cli::remote::{Credentials, Parties, Server, entity};
use crate::server::clock;

/// What to start.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 started (with --preview: it would be) · 1 denied · 2 usage or I/O error

Examples:
  palisade tasks start --purpose refunds --human ana --agent support-bot \\
    --tool crm/lookup_customer --tool crm/issue_refund --bound 'crm/issue_refund:amount<=100' \\
    --calls 20 --ttl 15m --token-out task.token
  palisade tasks start --purpose 'Purpose::\"nightly\"' --subject-token svid.txt --key 0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I
  palisade tasks start --purpose refunds --subject-token ana.txt --token-out - --format json | jq -r .token")]
pub(super) struct Options {
    /// Why the work is done: the id of a `Purpose` of the bundle, or an entity as a policy writes it.
    #[arg(long, value_name = "ID", value_parser = |text: &str| entity("Purpose", text))]
    purpose: v1::EntityUid,
    #[command(flatten)]
    parties: Parties,
    /// The session that it belongs to; it can be revoked by that.
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// The agent's own words about it, for the record.
    #[arg(long, value_name = "TEXT")]
    intent: Option<String>,
    /// The id of an approval that was given, for the record. Again for another.
    #[arg(long, value_name = "ID")]
    approval: Vec<String>,
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
    credentials: Credentials,
}

impl Options {
    pub(super) fn to_request(
        &self,
        credentials: Option<v1::Credentials>,
        key: &str,
    ) -> Result<v1::StartRequest, String> {
        Ok(v1::StartRequest {
            subject: self.parties.subject(credentials.is_some())?,
            credentials,
            purpose: Some(self.purpose.clone()),
            intent: self.intent.clone().unwrap_or_default(),
            wanted: Some(self.wanted.to_wire()),
            approvals: self.approval.clone(),
            session: self.session.clone().unwrap_or_default(),
            mode: self.manner.mode().into(),
            idempotency_key: key.to_owned(),
            request_id: String::new(),
        })
    }
}

pub(super) async fn run(options: &Options) -> Result<Exit, String> {
    let key = options.once.key(&options.manner);
    let request = options.to_request(options.credentials.read()?, &key)?;
    let place = options.manner.place()?;
    let server = options.server.dial("").await?;
    let again = Once::again("start it", &key);
    let answer = client(&server).start(server.message(request)).await;
    let answer = answer.map_err(|status| server.undone(&status, &again))?.into_inner();
    let now_s = clock::now().seconds();
    let asked = Asked { manner: &options.manner, place, verb: "started", key: &key, again: &again, now_s };
    Answer::from(answer).show(asked)
}
