//! The faces: each decodes its wire, makes one call to the PDP, and encodes the answer.
//! Never sees `policy`: no face can decide.

pub mod authzen;
pub mod ext_authz;
pub mod ext_mcp;
pub mod grpc;
mod administration;
mod callers;
pub mod oauth;
pub mod openapi;
mod finding;
mod gateway;
mod outcome;
mod peer;
pub mod porc;
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
    /// What Envoy and gateways like it ask (`envoy.service.auth.v3`), as far as it is read.
    pub mod envoy {
        pub mod service {
            pub mod auth {
                pub mod v3 {
                    tonic::include_proto!("envoy.service.auth.v3");
                }
            }
        }
        pub mod config {
            pub mod core {
                pub mod v3 {
                    tonic::include_proto!("envoy.config.core.v3");
                }
            }
        }
        pub mod r#type {
            pub mod v3 {
                tonic::include_proto!("envoy.r#type.v3");
            }
        }
    }
    /// What agentgateway asks (`agentgateway.dev.ext_mcp`), as far as it is read.
    pub mod ext_mcp {
        tonic::include_proto!("agentgateway.dev.ext_mcp");
    }
    pub mod google {
        pub mod rpc {
            tonic::include_proto!("google.rpc");
        }
    }
    /// The descriptors of every service, for reflection.
    pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("palisade");
}

pub use administration::Administrator;
pub use authzen::AuthZen;
pub use ext_authz::ExtAuthz;
pub use ext_mcp::ExtMcp;
pub use grpc::Authorization;
use peer::peer_of;
pub use peer::{Peer, peer_at};
pub use porc::Porc;
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
