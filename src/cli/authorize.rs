//! `palisade authorize`: one question, of a running server or of a bundle, and the answer in words.
//! Never decides on its own: a bundle is asked through the same service that a server runs.

mod ask;
mod print;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Endpoint;

use super::{Exit, Format, bundle, trouble};
use crate::api::proto::v1;
use crate::api::proto::v1::authorization_client::AuthorizationClient;
use crate::api::proto::v1::authorization_server::Authorization as _;
use crate::api::{Authorization, Peer};
use crate::audit::{DigestKey, Memory, OpenDecisions, digest::KEY_BYTES};
use crate::identity::{Caller, Callers, Role, Servers};
use crate::pdp::Pdp;
use crate::server::config::Limits;
use crate::server::listen::{Address, AddressError};
use crate::server::{DEFAULT_GRPC, SystemClock, data};

/// The question and whom to ask.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  palisade authorize --human ana --agent support-bot --tool crm/issue_refund --args '{\"order\":\"o-1\",\"amount\":30}'
  palisade authorize --agent night-watch --server git --method tools/list
  palisade authorize --bundle . --principal 'Human::\"ana\"' --actor 'Agent::\"support-bot\"' --action 'Action::\"tools/list\"' --resource 'Server::\"crm\"'")]
pub(super) struct Options {
    #[command(flatten)]
    ask: ask::Ask,
    /// The running server's gRPC address: HOST:PORT or unix:PATH.
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_GRPC, conflicts_with = "bundle")]
    grpc: String,
    /// Ask the bundle in this directory instead of a server; nothing is recorded.
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// A file with the bearer token to show. Without it the token of the server's data directory is used if it can
    /// be read; a caller without the role `explain` gets the answer without the explanation.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    token_file: Option<PathBuf>,
    /// The server's data directory, where its token lies.
    #[arg(long, value_name = "DIR", default_value = "data", conflicts_with = "bundle")]
    data: PathBuf,
    /// How to print the answer.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

pub(super) fn run(options: &Options) -> Exit {
    let request = match options.ask.to_request() {
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
        None => match runtime.block_on(online(options, request.clone())) {
            Ok(answer) => answer,
            Err(words) => return trouble(words),
        },
    };
    print::answer(options.format, &request, &answer);
    if answer.decision() == v1::Decision::Permit { Exit::Ok } else { Exit::Findings }
}

async fn online(
    options: &Options,
    mut request: v1::AuthorizeRequest,
) -> Result<v1::AuthorizeResponse, String> {
    let token = token(options)?;
    request.explain = token.is_some();
    let endpoint = endpoint(&options.grpc)?.connect_timeout(std::time::Duration::from_secs(5));
    let channel = endpoint.connect().await.map_err(|_| {
        format!(
            "no server answers at {}; start one with `palisade serve`, or ask a bundle with --bundle DIR",
            options.grpc
        )
    })?;
    let mut message = Request::new(request);
    if let Some(token) = token {
        let header: AsciiMetadataValue =
            format!("Bearer {token}").parse().map_err(|_| "the token file holds no token".to_owned())?;
        message.metadata_mut().insert("authorization", header);
    }
    let answer = AuthorizationClient::new(channel).authorize(message).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| format!("no answer ({:?}): {}", status.code(), status.message()))
}

fn token(options: &Options) -> Result<Option<String>, String> {
    match &options.token_file {
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) => Err(format!("{}: {error}", path.display())),
        },
        // The data directory's token is for the server of this machine; another must not learn it.
        None if !is_local(&options.grpc) => Ok(None),
        // The server may belong to somebody else: then we are a caller without a token.
        None => Ok(data::admin_token(&options.data).ok().map(|token| token.expose().to_owned())),
    }
}

/// Whom to ask: unlike a listener, a client may name a host.
fn endpoint(address: &str) -> Result<Endpoint, String> {
    let uri = match address.parse() {
        Ok(Address::Unix(path)) => format!("unix:{}", path.display()),
        Ok(Address::Tcp(address)) => format!("http://{address}"),
        Err(AddressError::Unknown(name)) => format!("http://{name}"),
        Err(error @ (AddressError::NoPath(_) | AddressError::LongPath { .. })) => {
            return Err(error.to_string());
        }
    };
    Endpoint::from_shared(uri).map_err(|_| format!("`{address}` is no address; write host:port or unix:path"))
}

fn is_local(address: &str) -> bool {
    address.parse::<Address>().map_or_else(
        |_| address.rsplit_once(':').is_some_and(|(host, _)| host.eq_ignore_ascii_case("localhost")),
        |address| address.is_local(),
    )
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
