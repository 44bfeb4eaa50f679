//! The running server that a command asks: its address, what it is shown, and why it gave no answer.
//! Never shows this machine's operator token to another machine.

mod credentials;
mod parties;
mod proof;
mod status;
mod tls;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::server::listen::{Address, AddressError};
use crate::server::{DEFAULT_GRPC, data};
pub(super) use credentials::Credentials;
pub(super) use parties::{Parties, entity, wire_uid};
pub(super) use proof::{Proof, on_stdin_once};
use tls::Tls;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// What an address begins with where TLS is spoken.
const HTTPS: &str = "https://";

/// Which server, and who asks it.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// The running server's gRPC address: HOST:PORT, https://HOST:PORT for TLS, or unix:PATH.
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_GRPC)]
    grpc: String,
    /// A file with the bearer token to show. Without it the token of the server's data directory is used if it can
    /// be read.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The server's data directory, where its token lies.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    #[command(flatten)]
    tls: Tls,
}

/// A server that answered the call, and who calls.
pub(super) struct Dialled {
    pub(super) channel: Channel,
    authorization: Option<AsciiMetadataValue>,
    address: String,
}

impl Dialled {
    /// Whether a bearer token is shown.
    pub(super) fn shows_a_token(&self) -> bool {
        self.authorization.is_some()
    }

    /// A message that says who sends it.
    pub(super) fn message<T>(&self, message: T) -> Request<T> {
        let mut message = Request::new(message);
        if let Some(header) = &self.authorization {
            message.metadata_mut().insert("authorization", header.clone());
        }
        message
    }

    /// Why there is no answer, if that is not the server's own word.
    pub(super) fn broken(&self, status: &Status) -> Option<String> {
        let cause = status.source()?;
        let address = &self.address;
        Some(match tls::trouble(cause) {
            Some(words) => format!("no answer from {address}: {words}"),
            // In TLS 1.3 the server looks at the client's certificate when the client is done, and hangs up.
            None if address.starts_with(HTTPS) => format!(
                "no answer from {address}: {}; if it wants to see a certificate that it trusts, show one with \
                 --tls-certificate FILE and --tls-key FILE",
                root(cause)
            ),
            None => format!(
                "no answer from {address}: {}; if it has `listen.grpc_tls`, write --grpc {HTTPS}HOST:PORT",
                root(cause)
            ),
        })
    }
}

/// Runs what waits for a server.
pub(super) fn wait<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(work)
}

impl Server {
    /// Connects to it. What else can be done where nothing answers is for the caller to say (`or`).
    pub(super) async fn dial(&self, or: &str) -> Result<Dialled, String> {
        let token = self.token()?;
        let channel = self.connect(or).await?;
        let authorization = match token {
            Some(token) => {
                let header = format!("Bearer {token}").parse();
                let mut header: AsciiMetadataValue =
                    header.map_err(|_| "the token file holds no token".to_owned())?;
                header.set_sensitive(true);
                Some(header)
            }
            None => None,
        };
        Ok(Dialled { channel, authorization, address: self.grpc.clone() })
    }

    async fn connect(&self, or: &str) -> Result<Channel, String> {
        let endpoint = self.endpoint()?.connect_timeout(CONNECT);
        endpoint.connect().await.map_err(|error| match tls::trouble(&error) {
            Some(words) => format!("no connection to {}: {words}", self.grpc),
            None => format!("no server answers at {}; start one with `palisade serve`{or}", self.grpc),
        })
    }

    fn token(&self) -> Result<Option<String>, String> {
        match &self.token_file {
            Some(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(Some(text.trim().to_owned())),
                Err(error) => Err(format!("{}: {error}", path.display())),
            },
            // A token would decide alone who asks.
            None if self.tls.shows_a_certificate() => Ok(None),
            // The data directory's token is for the server of this machine; another must not learn it.
            None if !is_local(&self.grpc) => Ok(None),
            // The server may belong to somebody else: then we are a caller without a token.
            None => Ok(data::admin_token(&self.data).ok().map(|token| token.expose().to_owned())),
        }
    }

    /// Whom to ask: unlike a listener, a client may name a host.
    fn endpoint(&self) -> Result<Endpoint, String> {
        let address = self.grpc.as_str();
        let endpoint = |uri: String| {
            let words = format!("`{address}` is no address; write host:port, https://host:port or unix:path");
            Endpoint::from_shared(uri).map_err(|_| words)
        };
        if address.starts_with(HTTPS) {
            let config = self.tls.config()?;
            return endpoint(address.to_owned())?
                .tls_config(config)
                .map_err(|error| format!("TLS cannot be used so: {}", root(&error)));
        }
        if let Some(option) = self.tls.given() {
            return Err(format!("{option} is for TLS; write the address as --grpc {HTTPS}HOST:PORT"));
        }
        endpoint(match address.parse() {
            Ok(Address::Unix(path)) => format!("unix:{}", path.display()),
            Ok(Address::Tcp(address)) => format!("http://{address}"),
            Err(AddressError::Unknown(name)) => format!("http://{name}"),
            Err(error @ (AddressError::NoPath(_) | AddressError::LongPath { .. })) => {
                return Err(error.to_string());
            }
        })
    }
}

fn is_local(address: &str) -> bool {
    let address = address.strip_prefix(HTTPS).unwrap_or(address);
    address.parse::<Address>().map_or_else(
        |_| address.rsplit_once(':').is_some_and(|(host, _)| host.eq_ignore_ascii_case("localhost")),
        |address| address.is_local(),
    )
}

/// The cause of all causes.
fn root<'e>(mut error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}
