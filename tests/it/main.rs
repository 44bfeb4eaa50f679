//! Behaviour of the whole: one binary, the real server on a free port.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may"
)]

mod asks;
mod authzen;
mod bounds;
mod cases;
mod certificates;
mod cli;
mod conformance;
mod ext_authz;
mod generated;
mod grpc;
mod inspect;
mod matrix;
mod obligations;
mod outcome;
mod pdp;
mod porc;
mod process;
mod raw;
mod roles;
mod search;
mod secrets;
mod sessions;
mod shipped;
mod sink;
mod spiffe;
mod spire;
mod svids;
mod swap;
mod tasks;
mod tls;
mod tokens;
mod wire;
