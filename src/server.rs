//! The running server's parts: configuration, data directory, journal, reload, telemetry, administration, signals.
//! Never decides, and never changes an answer.

pub mod config;
pub mod admin;
pub mod signals;
pub mod reload;
pub mod refill;
pub mod publisher;
pub mod metered;
pub mod incoming;
pub mod grpc;
pub mod run;
mod authority;
mod lending;
pub mod journal;
pub mod keys;
pub mod data;
pub mod signing;
pub mod http;
mod hosts;
pub mod tasks;
pub mod listen;
pub mod tls;
mod trust;
pub mod background;
pub mod stack;
pub mod telemetry;
pub mod metrics;
pub mod clock;

pub use clock::SystemClock;
pub use config::{ADMIN as DEFAULT_ADMIN, GRPC as DEFAULT_GRPC};
pub use run::{Announce, ServeError, serve};
