//! The running server's parts: configuration, data directory, journal, reload, telemetry, administration, signals.
//! Never decides, and never changes an answer.

//CFG
//ADM
pub mod reload;
pub mod outcomes;
pub mod journal;
pub mod data;
//SIG
//TEL
pub mod metrics;
pub mod clock;
