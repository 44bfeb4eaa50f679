//! The running server's parts: configuration, data directory, journal, reload, telemetry, administration, signals.
//! Never decides, and never changes an answer.

pub mod config;
pub mod admin;
pub mod signals;
pub mod reload;
pub mod outcomes;
pub mod journal;
pub mod callers;
pub mod data;
pub mod tasks;
pub mod listen;
pub mod telemetry;
pub mod metrics;
pub mod clock;
