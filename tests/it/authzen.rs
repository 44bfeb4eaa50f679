//! AuthZEN over HTTP, as a PEP sees it.
//! Never through our own client code: requests are text.

mod actor;
pub mod ask;
mod batch;
mod certification;
mod coaz;
mod evaluation;
mod malformed;
mod mapping;
pub mod say;
mod transport;
