//! `palisade authorize`: one question, of a running server or of a bundle, and the answer in words.
//! Never decides on its own: a bundle is asked through the same service that a server runs.

mod ask;
mod print;

use std::path::{Path, PathBuf};

use clap::Args;
use tonic::Request;

use super::{Exit, Format, bundle, remote, trouble};
use crate::api::Peer;
use crate::api::proto::v1;
use crate::api::proto::v1::authorization_client::AuthorizationClient;
use crate::api::proto::v1::authorization_server::Authorization as _;

/// The question and whom to ask.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  palisade authorize --human ana --agent support-bot --tool crm/issue_refund --args '{\"order\":\"o-1\",\"amount\":30}'
  palisade authorize --agent night-watch --server git --method tools/list
  palisade authorize --subject-token token.txt --tool crm/lookup_customer --args '{\"customer_id\":\"c-1\"}'
  palisade authorize --subject-token token.txt --dpop-proof proof.txt --dpop-url https://crm.acme.example/mcp --tool ...
  palisade authorize --task-token task.token --dpop-proof proof.txt --dpop-url https://crm.acme.example/mcp --tool ...
  palisade authorize --grpc https://pdp.acme.example:8180 --tls-ca ca.crt --agent night-watch --server git --method tools/list
  palisade authorize --bundle . --principal 'Human::\"ana\"' --actor 'Agent::\"support-bot\"' --action 'Action::\"tools/list\"' --resource 'Server::\"crm\"'")]
pub(super) struct Options {
    #[command(flatten)]
    ask: ask::Ask,
    /// Ask the bundle in this directory instead of a server; nothing is recorded.
    #[arg(long, value_name = "DIR", conflicts_with_all = OF_A_SERVER)]
    bundle: Option<PathBuf>,
    /// How to print the answer. A caller without the role `explain` gets it without the explanation.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    // What has a heading of its own comes last: everything behind it would stand below it.
    #[command(flatten)]
    server: remote::Server,
    #[command(flatten)]
    credentials: remote::Credentials,
    /// The token of the task that the step belongs to, in place of the others: parties and purpose come from it.
    #[arg(long, value_name = "FILE", group = "shown", conflicts_with_all = ["subject_token", "actor_token"])]
    task_token: Option<PathBuf>,
    /// The thumbprint of the key that the task's token is bound to, when this caller has seen the proof itself (role
    /// `attest`).
    #[arg(long, value_name = "THUMBPRINT", requires = "task_token", conflicts_with = "dpop_proof")]
    proven_key: Option<String>,
}

/// What a bundle has no use for.
pub(super) const OF_A_SERVER: [&str; 13] = [
    "grpc",
    "token_file",
    "data",
    "tls_ca",
    "tls_certificate",
    "tls_key",
    "tls_name",
    "subject_token",
    "actor_token",
    "dpop_proof",
    "dpop_url",
    "task_token",
    "proven_key",
];

pub(super) fn run(options: &Options) -> Exit {
    let asked = options
        .credentials
        .read_beside(options.task_token.as_deref(), options.proven_key.as_deref())
        .and_then(|credentials| options.ask.to_request(credentials));
    let request = match asked {
        Ok(request) => request,
        Err(words) => return trouble(words),
    };
    let answer = match &options.bundle {
        Some(directory) => match offline(directory, request.clone()) {
            Ok(answer) => answer,
            Err(exit) => return exit,
        },
        None => match remote::wait(online(&options.server, request.clone())) {
            Ok(answer) => answer,
            Err(words) => return trouble(words),
        },
    };
    print::answer(options.format, &request, &answer);
    if answer.decision() == v1::Decision::Permit { Exit::Ok } else { Exit::Findings }
}

async fn online(
    server: &remote::Server,
    mut request: v1::AuthorizeRequest,
) -> Result<v1::AuthorizeResponse, String> {
    let server = server.dial(", or ask a bundle with --bundle DIR").await?;
    request.explain = server.shows_a_token();
    let answer = AuthorizationClient::new(server.channel.clone()).authorize(server.message(request)).await;
    answer.map(tonic::Response::into_inner).map_err(|status| {
        let said = || format!("no answer ({:?}): {}", status.code(), status.message());
        server.broken(&status).unwrap_or_else(said)
    })
}

fn offline(directory: &Path, mut request: v1::AuthorizeRequest) -> Result<v1::AuthorizeResponse, Exit> {
    request.explain = true;
    let service = bundle::service(directory, "palisade authorize")?;
    let mut request = Request::new(request);
    request.extensions_mut().insert(Peer::here());
    let answer = async { service.authorize(request).await.map_err(|status| status.message().to_owned()) };
    remote::wait(answer).map(tonic::Response::into_inner).map_err(trouble)
}
