//! A server that runs: where it listens, and what it costs.
//! Never more than a process and an address.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::child::Process;
use crate::trouble::Outcome;

/// Where a server is told to listen.
#[derive(Debug, Clone)]
pub enum Listen {
    /// On loopback, on a free port.
    Tcp,
    /// On a socket of the file system.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("127.0.0.1:0"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A server that runs. Killed when it is dropped.
pub struct Running {
    /// The process.
    pub process: Process,
    /// Where it listens, as a client is told: `http://host:port` or `unix:/path`.
    pub uri: String,
    /// How long after its start it said that it answers.
    pub ready_after: Duration,
}

impl Running {
    /// Starts a server that says `grpc listening on …` and then `ready`.
    pub fn start(name: &'static str, command: &mut Command, workers: Option<u32>) -> Outcome<Self> {
        Self::start_at(name, "grpc listening on ", command, workers)
    }

    /// The same at another of its addresses, whose line begins so.
    pub fn start_at(
        name: &'static str,
        address: &str,
        command: &mut Command,
        workers: Option<u32>,
    ) -> Outcome<Self> {
        if let Some(workers) = workers {
            // Both sides leave the number of worker threads to tokio, which looks here.
            command.env("TOKIO_WORKER_THREADS", workers.to_string());
        }
        let mut process = Process::spawn(name, command)?;
        let (address, _) = process.wait_for_line(address)?;
        let (_, ready_after) = process.wait_for_line("ready")?;
        let uri = if address.starts_with("unix:") { address } else { format!("http://{address}") };
        Ok(Self { process, uri, ready_after })
    }
}
