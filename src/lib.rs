//! Palisade decides each step of an AI agent at the moment of use.

#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod source;
pub mod catalog;
pub mod audit;
pub mod access;
pub mod identity;
pub mod json;
pub mod diagnostic;
pub mod value;
