//! The faces: each decodes its wire, makes one call to the PDP, and encodes the answer.
//! Never sees `policy`: no face can decide.

pub mod grpc;
mod outcome;
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

pub use grpc::{Authorization, Clock, Limits};
