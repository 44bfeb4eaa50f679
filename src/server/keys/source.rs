//! Where a key document comes from.
//! Never an address that a token names.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::address::{Address, Issuer};
use super::agent::Agent;

/// A source and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// By which documents, logs and the status name it.
    pub name: Arc<str>,
    /// Where its documents come from.
    pub source: Source,
    /// The length of its documents, where it is not the usual one.
    pub bytes_max: Option<usize>,
}

/// Where a key document comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The document lies here.
    Url(Address),
    /// The metadata of this issuer says where (`OpenID` Connect Discovery 1.0).
    Discovery(Issuer),
    /// A file of this machine, looked at every few seconds.
    File(PathBuf),
    /// The SPIFFE Workload API streams them.
    WorkloadApi(Agent),
}

impl Source {
    pub(super) fn needs_tls(&self) -> bool {
        match self {
            Self::Url(address) => address.is_https(),
            // Metadata on this machine may name keys elsewhere.
            Self::Discovery(_) => true,
            Self::File(_) | Self::WorkloadApi(_) => false,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(address) => address.fmt(f),
            Self::Discovery(issuer) => issuer.metadata().fmt(f),
            Self::File(path) => path.display().fmt(f),
            Self::WorkloadApi(agent) => agent.fmt(f),
        }
    }
}
