//! Behaviour of the whole: one binary, the real server on a free port.

mod asks;
mod bounds;
mod cases;
mod conformance;
mod grpc;
mod matrix;
mod outcome;
mod pdp;
mod raw;
mod roles;
mod secrets;
mod shipped;
mod sink;
mod swap;
mod wire;
