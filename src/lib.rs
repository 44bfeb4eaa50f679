//! Palisade decides each step of an AI agent at the moment of use.
//!
//! This library is the policy decision point that the binary `palisade` serves. The list of modules below is the map
//! of the house: it reads in the order in which a request travels, and a module uses only modules below it.
//! `ARCHITECTURE.md` tells the reasons.
//!
//! # Vocabulary
//! A *policy enforcement point* (PEP) asks; the *policy decision point* (PDP) answers. A question names a *principal*
//! (whose authority is used), an *actor* (the agent that uses it), an *action* and a *resource*, in a *context*. The
//! answer is permit, or deny with a reason, and names the *determining policies*. Everything that decides at one
//! instant is a *snapshot* of a *bundle*, named by its *revision*.

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod api;
#[cfg(feature = "server")]
pub mod source;
// ── below this line: no tokio, no files, no sockets, no clock, no environment ──
pub mod suite;
pub mod pdp;
pub mod mcp;
pub mod audit;
pub mod policy;
pub mod catalog;
pub mod access;
pub mod identity;
pub mod json;
pub mod diagnostic;
pub mod value;
