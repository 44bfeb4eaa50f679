//! The running server's parts: configuration, data directory, journal, reload, telemetry, administration, signals.
//! Never decides, and never changes an answer.

pub mod config;
//ADM
pub mod reload;
pub mod outcomes;
pub mod journal;
pub mod callers;
pub mod data;
//SIG
pub mod telemetry;
pub mod metrics;
pub mod clock;
