//! The configuration: read once, checked, and handed to each component as that component uses it.
//! Never read again, and the only place that looks at the environment.

mod authzen;
mod check;
mod ext_authz;
mod listen;
mod proofs;
mod tasks;
mod tls;
mod trust;
mod typed;

use std::fmt;
use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::listen::Address;
use super::{journal, reload, telemetry, tls as server_tls};
use crate::identity::Callers;
use crate::{api, json, mcp, pdp};
pub use authzen::AuthZen;
pub use tasks::Tasks;
pub use trust::{REVOKED, Trust};

/// The file that is read when none is named, if it is there.
pub const FILE: &str = "palisade.yaml";
/// Where gRPC listens unless told otherwise.
pub const GRPC: &str = "127.0.0.1:8180";
/// The permission bits of a unix socket's file unless told otherwise: the server's own user alone.
pub const GRPC_SOCKET_MODE: u32 = 0o600;
/// Where HTTP listens unless told otherwise.
pub const HTTP: &str = "127.0.0.1:8181";
/// Where the administration listens unless told otherwise.
pub const ADMIN: &str = "127.0.0.1:8182";

/// Everything that a server is told, as it is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bundle directory and when to look at it.
    pub reload: reload::Config,
    /// The data directory.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// Who may call; the operator is added when the data directory is open.
    pub callers: Callers,
    /// How the journal is kept.
    pub journal: journal::Config,
    /// Logs and traces.
    pub telemetry: telemetry::Config,
    /// Whose tokens are believed.
    pub trust: Trust,
    /// Tasks: the bounds of their authority, and the tokens that stand for them.
    pub tasks: Tasks,
    /// AuthZEN over HTTP.
    pub authzen: AuthZen,
    /// Gateways that ask as Envoy does.
    pub ext_authz: api::ext_authz::Settings,
    /// What one caller may demand.
    pub limits: Limits,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// For gRPC: at least one address.
    pub grpc: Vec<Address>,
    /// The permission bits of the files of gRPC's unix sockets.
    pub grpc_socket_mode: u32,
    /// TLS on gRPC's TCP addresses; none: in the clear.
    pub grpc_tls: Option<server_tls::Config>,
    /// For AuthZEN, and for the keys and the OAuth endpoints of tasks.
    pub http: Http,
    /// For health, metrics and administration.
    pub admin: SocketAddr,
    /// Names by which the administration may be called, beside those of the loopback.
    pub admin_hosts: Vec<String>,
}

/// Where HTTP listens, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The address.
    pub address: SocketAddr,
    /// TLS on it; none: in the clear.
    pub tls: Option<server_tls::Config>,
    /// Names by which it may be called, beside those of the loopback.
    pub hosts: Vec<String>,
}

impl Http {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        api::peer_at(self.address.ip()).is_here()
    }

    /// How its URLs begin.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// What one caller may demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The length of a gRPC message, and of the body of an AuthZEN request.
    pub message_bytes_max: usize,
    /// The requests in a batch.
    pub batch_len_max: usize,
    /// How deep context and arguments may nest.
    pub context_depth_max: usize,
    /// How many values context and arguments may hold, at any depth.
    pub context_nodes_max: usize,
    /// The length of a message's parameters.
    pub context_bytes_max: usize,
    /// HTTP/2 streams of one connection at once.
    pub concurrent_streams_max: u32,
    /// The headers of one gRPC call.
    pub header_list_bytes_max: u32,
    /// Connections at once.
    pub connections_max: usize,
    /// Permitted calls whose outcome can still be reported.
    pub open_decisions_max: usize,
    /// Sessions at once.
    pub sessions_max: usize,
}

impl Limits {
    /// Those that the faces hold requests against.
    pub fn of_the_face(&self) -> api::Limits {
        api::Limits {
            body_bytes_max: self.message_bytes_max,
            batch_len_max: self.batch_len_max,
            context_depth_max: self.context_depth_max,
            context_nodes_max: self.context_nodes_max,
        }
    }

    /// Those that messages of MCP are held against.
    pub fn of_messages(&self) -> mcp::Limits {
        let json = json::Limits {
            bytes_max: self.context_bytes_max,
            depth_max: self.context_depth_max,
            nodes_max: self.context_nodes_max,
        };
        mcp::Limits { params: json, tool_definition: json, ..mcp::Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 4 * 1024 * 1024,
            batch_len_max: 256,
            context_depth_max: 32,
            context_nodes_max: 10_000,
            context_bytes_max: 1024 * 1024,
            concurrent_streams_max: 256,
            header_list_bytes_max: 16 * 1024,
            connections_max: 4096,
            open_decisions_max: 100_000,
            sessions_max: pdp::SESSIONS_MAX,
        }
    }
}

/// What the command line says; it wins over the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--bundle`
    pub bundle: Option<PathBuf>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--grpc`, however often it is given; all of them replace all of the file's.
    pub grpc: Vec<Address>,
    /// `--http`
    pub http: Option<SocketAddr>,
    /// `--admin`
    pub admin: Option<SocketAddr>,
}

/// What the environment says about logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `RUST_LOG`: which logs to write.
    pub log: Option<String>,
    /// Whether logs go to a terminal.
    pub terminal: bool,
    /// Whether colours are wanted: not with `NO_COLOR`.
    pub colours: bool,
}

impl Environment {
    /// Looks at the environment.
    pub fn read() -> Self {
        let given = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let terminal = std::io::stderr().is_terminal();
        Self { log: given("RUST_LOG"), terminal, colours: terminal && given("NO_COLOR").is_none() }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file was named and is not there.
    #[error("there is no configuration file `{path}`; create it, or leave `--config` out for the defaults")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration `{path}`; check who may read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is not YAML, or has a key or a type that we do not know.
    #[error("`{place}`: {problem}")]
    Typed {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// A value does not fit.
    #[error("`{key}`{}: {problem}", .place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default())]
    Invalid {
        /// The key, with dots between the parts.
        key: String,
        /// Where, if it stands in a file.
        place: Option<Place>,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// A place in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line in it, from 1; 0 when it is not known.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.path.display()),
            line => write!(f, "{}:{line}", self.path.display()),
        }
    }
}

/// Reads the configuration: the named file, else [`FILE`] if it is there, else the defaults.
///
/// # Errors
/// [`ConfigError`], naming the key, the line and what to do.
pub fn load(
    named: Option<&Path>,
    overrides: Overrides,
    environment: Environment,
) -> Result<Settings, ConfigError> {
    let path = named.unwrap_or(Path::new(FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => String::new(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(ConfigError::Missing { path: path.to_owned() });
        }
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    parse(path, &text, overrides, environment)
}

/// The configuration that a text says.
///
/// # Errors
/// [`ConfigError`], naming the key, the line and what to do.
pub fn parse(
    path: &Path,
    text: &str,
    overrides: Overrides,
    environment: Environment,
) -> Result<Settings, ConfigError> {
    check::settings(path, typed::parse(path, text)?, overrides, environment)
}

#[cfg(test)]
mod tests;
