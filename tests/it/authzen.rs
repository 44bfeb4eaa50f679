//! AuthZEN over HTTP, as a PEP sees it.
//! Never through our own client code: requests are text.

mod ask;
mod evaluation;
