//! The faces: each decodes its wire, makes one call to the PDP, and encodes the answer.
//! Never sees `policy`: no face can decide.

pub mod authzen;
pub mod grpc;
mod administration;
mod callers;
pub mod oauth;
pub mod openapi;
mod finding;
mod outcome;
mod peer;
pub mod tasks;
mod together;
mod trace;
mod wire;

/// The code generated from `proto/`.
#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    reason = "generated; the comments are in the .proto file"
)]
pub mod proto {
    /// Package `palisade.v1`.
    pub mod v1 {
        tonic::include_proto!("palisade.v1");
    }
    /// The descriptors of every service, for reflection.
    pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("palisade");
}

pub use administration::Administrator;
pub use authzen::AuthZen;
pub use grpc::Authorization;
pub use peer::{Peer, peer_at};
pub use tasks::TaskService;
pub use trace::REQUEST_ID;

use crate::access::{DecisionId, Timestamp};

/// What a face lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest body of a request over HTTP.
    pub body_bytes_max: usize,
    /// The most requests in one batch.
    pub batch_len_max: usize,
    /// How deep a context value may nest; the context's own members are at depth 1.
    pub context_depth_max: usize,
    /// How many values a request may hold in context and entities together.
    pub context_nodes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes_max: 1 << 20, batch_len_max: 256, context_depth_max: 16, context_nodes_max: 4096 }
    }
}

/// Tells the time and makes ids: the shell's part of a decision.
pub trait Clock: Send + Sync {
    /// The instant.
    fn now(&self) -> Timestamp;
    /// A fresh decision id.
    fn decision_id(&self) -> DecisionId;
}
