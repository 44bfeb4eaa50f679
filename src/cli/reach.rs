//! `palisade reach`: all that a party can reach, of a running server or of a bundle.
//! Never decides on its own: a bundle is asked through the same service that a server runs.

mod print;

use std::path::{Path, PathBuf};

use clap::Args;
use tonic::Request;

use super::authorize::OF_A_SERVER;
use super::{Exit, Format, bundle, remote, trouble};
use crate::api::Peer;
use crate::api::proto::v1;
use crate::api::proto::v1::search_client::SearchClient;
use crate::api::proto::v1::search_server::Search as _;

/// Whose reach, and whom to ask.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  palisade reach --human ana --agent support-bot
  palisade reach --agent night-watch --format json
  palisade reach --task task.token --proven-key THUMBPRINT
  palisade reach --bundle . --principal 'Human::\"ana\"' --actor 'Agent::\"support-bot\"'")]
pub(super) struct Options {
    #[command(flatten)]
    parties: remote::Parties,
    /// Ask the bundle in this directory instead of a server; nothing is recorded.
    #[arg(long, value_name = "DIR", conflicts_with_all = OF_A_SERVER)]
    bundle: Option<PathBuf>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    // What has a heading of its own comes last: everything behind it would stand below it.
    #[command(flatten)]
    server: remote::Server,
    #[command(flatten)]
    credentials: remote::Credentials,
    /// The token of a task: what can be reached under it. Parties come from it.
    #[arg(id = "task_token", long = "task", value_name = "FILE", group = "shown", conflicts_with_all = ["subject_token", "actor_token"])]
    task: Option<PathBuf>,
    /// The thumbprint of the key that the task's token is bound to, when this caller has seen the proof itself (role
    /// `attest`).
    #[arg(long, value_name = "THUMBPRINT", requires = "task_token", conflicts_with = "dpop_proof")]
    proven_key: Option<String>,
}

pub(super) fn run(options: &Options) -> Exit {
    let credentials = options.credentials.read_beside(options.task.as_deref(), options.proven_key.as_deref());
    let asked = credentials.and_then(|credentials| {
        let subject = options.parties.subject(credentials.is_some())?;
        let parties = v1::Parties { subject, credentials, ..v1::Parties::default() };
        Ok(v1::ReachRequest { parties: Some(parties) })
    });
    let request = match asked {
        Ok(request) => request,
        Err(words) => return trouble(words),
    };
    let answer = match &options.bundle {
        Some(directory) => match offline(directory, request) {
            Ok(answer) => answer,
            Err(exit) => return exit,
        },
        None => match remote::wait(online(&options.server, request)) {
            Ok(answer) => answer,
            Err(words) => return trouble(words),
        },
    };
    print::reach(options.format, &answer);
    let is_refused = answer.info.as_ref().is_some_and(|info| info.reason() != v1::DenyReason::Unspecified);
    if is_refused { Exit::Findings } else { Exit::Ok }
}

async fn online(server: &remote::Server, request: v1::ReachRequest) -> Result<v1::ReachResponse, String> {
    let server = server.dial(", or ask a bundle with --bundle DIR").await?;
    let answer = SearchClient::new(server.channel.clone()).reach(server.message(request)).await;
    answer.map(tonic::Response::into_inner).map_err(|status| {
        let said = || format!("no answer ({:?}): {}", status.code(), status.message());
        server.broken(&status).unwrap_or_else(said)
    })
}

fn offline(directory: &Path, request: v1::ReachRequest) -> Result<v1::ReachResponse, Exit> {
    let service = bundle::service(directory, "palisade reach")?;
    let mut request = Request::new(request);
    request.extensions_mut().insert(Peer::here());
    let answer = async { service.reach(request).await.map_err(|status| status.message().to_owned()) };
    remote::wait(answer).map(tonic::Response::into_inner).map_err(trouble)
}
