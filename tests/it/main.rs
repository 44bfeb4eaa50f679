//! Behaviour of the whole: one binary, the real server on a free port.

mod cases;
mod conformance;
mod pdp;
mod wire;
