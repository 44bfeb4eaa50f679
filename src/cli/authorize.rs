//! `palisade authorize`: one question, of a running server or of a bundle, and the answer in words.
//! Never decides on its own: a bundle is asked through the same service that a server runs.

mod ask;
mod credentials;
mod print;
mod server;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tonic::Request;

use super::{Exit, Format, bundle, trouble};
use crate::api::proto::v1;
use crate::api::proto::v1::authorization_server::Authorization as _;
use crate::api::{Authorization, Peer};
use crate::audit::{DigestKey, Memory, OpenDecisions, digest::KEY_BYTES};
use crate::identity::{Caller, Callers, Role, Servers};
use crate::pdp::Pdp;
use crate::server::SystemClock;
use crate::server::config::Limits;

/// The question and whom to ask.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  palisade authorize --human ana --agent support-bot --tool crm/issue_refund --args '{\"order\":\"o-1\",\"amount\":30}'
  palisade authorize --agent night-watch --server git --method tools/list
  palisade authorize --subject-token token.txt --tool crm/lookup_customer --args '{\"customer_id\":\"c-1\"}'
  palisade authorize --subject-token token.txt --dpop-proof proof.txt --dpop-url https://crm.acme.example/mcp --tool ...
  palisade authorize --grpc https://pdp.acme.example:8180 --tls-ca ca.crt --agent night-watch --server git --method tools/list
  palisade authorize --bundle . --principal 'Human::\"ana\"' --actor 'Agent::\"support-bot\"' --action 'Action::\"tools/list\"' --resource 'Server::\"crm\"'")]
pub(super) struct Options {
    #[command(flatten)]
    ask: ask::Ask,
    /// Ask the bundle in this directory instead of a server; nothing is recorded.
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// How to print the answer.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    // What has a heading of its own comes last: everything behind it would stand below it.
    #[command(flatten)]
    server: server::Server,
    #[command(flatten)]
    credentials: credentials::Credentials,
}

pub(super) fn run(options: &Options) -> Exit {
    let asked = options.credentials.read().and_then(|credentials| options.ask.to_request(credentials));
    let request = match asked {
        Ok(request) => request,
        Err(words) => return trouble(words),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return trouble(format!("no runtime: {error}")),
    };
    let answer = match &options.bundle {
        Some(directory) => match offline(directory, &runtime, request.clone()) {
            Ok(answer) => answer,
            Err(exit) => return exit,
        },
        None => match runtime.block_on(options.server.ask(request.clone())) {
            Ok(answer) => answer,
            Err(words) => return trouble(words),
        },
    };
    print::answer(options.format, &request, &answer);
    if answer.decision() == v1::Decision::Permit { Exit::Ok } else { Exit::Findings }
}

fn offline(
    directory: &Path,
    runtime: &tokio::runtime::Runtime,
    mut request: v1::AuthorizeRequest,
) -> Result<v1::AuthorizeResponse, Exit> {
    request.explain = true;
    let compiled = bundle::compile(directory)?;
    // The digest of a question that nobody records is keyed with nothing in particular.
    let key = DigestKey::new(&[0; KEY_BYTES]);
    let open = Arc::new(OpenDecisions::new(0));
    let limits = Limits::default();
    let pdp = Pdp::new(Arc::new(compiled.snapshot), Memory::new(1), open, key, limits.of_messages());
    let oneself = Caller {
        name: "palisade authorize".into(),
        roles: Role::ALL.into(),
        servers: Servers::All,
        agentless: false,
    };
    let callers = Callers::new([], Some(oneself));
    let service = Authorization::new(Arc::new(pdp), callers, Arc::new(SystemClock), limits.of_the_face());
    let mut request = Request::new(request);
    request.extensions_mut().insert(Peer::here());
    runtime
        .block_on(service.authorize(request))
        .map(tonic::Response::into_inner)
        .map_err(|status| trouble(status.message()))
}
