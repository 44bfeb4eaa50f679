//! AuthZEN over HTTP, as a PEP sees it.
//! Never through our own client code: requests are text.

mod actor;
pub mod ask;
mod batch;
pub mod certification;
mod coaz;
mod evaluation;
mod malformed;
mod mapping;
mod obligations;
pub mod say;
mod search;
mod transport;
