//! Behaviour of the whole: one binary, the real server on a free port.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may"
)]

mod cases;
mod cli;
mod conformance;
mod matrix;
mod pdp;
mod process;
mod shipped;
mod swap;
mod wire;
