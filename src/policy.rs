//! From a bundle's files to a [`Snapshot`], and from a question on it to a decision.
//! Never reads a file, a clock or a socket, and never writes a record: deciding has no side effect.

mod agents;
mod bounds;
mod cedar;
mod compile;
mod decide;
mod declared;
mod entities;
mod explain;
mod index;
mod obligations;
mod policies;
mod possible;
mod prepare;
mod rule;
mod schema;
mod search;
mod snapshot;
mod sources;
mod store;
mod token;
mod told;
mod validate;

pub use compile::{Compiled, Compiler, compile};
pub use decide::{Memory, Round, decide};
pub use explain::{Explanation, Truth, explain};
pub use search::Seeking;
pub use snapshot::{PolicyInfo, Snapshot};
pub use token::token_value;

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// A map whose keys are the bundle's. No caller adds one, so that a fast hash will do; with a seed of the process's own, since the
/// names of people in a bundle may be those that they gave themselves.
type OwnMap<K, V> = HashMap<K, V, RandomState>;

#[cfg(test)]
mod differential;
#[cfg(test)]
mod equality;
#[cfg(test)]
mod tests;
