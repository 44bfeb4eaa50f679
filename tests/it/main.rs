//! Behaviour of the whole: one binary, the real server on a free port.

mod cases;
mod conformance;
mod matrix;
mod pdp;
mod shipped;
mod swap;
mod wire;
