//! Gateways that ask as Envoy does: what a client sends through one, and what becomes of it.
//! Never through our own decoding: requests are protobuf as a gateway writes it.

mod answers;
pub mod ask;
mod malformed;
mod parties;
mod routes;
pub mod say;
