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

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// A map whose keys are the bundle's: no caller chooses them, so that they need no hash that withstands one.
type OwnMap<K, V> = HashMap<K, V, FixedState>;

pub use compile::{Compiled, Compiler, compile};
pub use decide::{Memory, Round, decide};
pub use explain::{Explanation, Truth, explain};
pub use search::Seeking;
pub use snapshot::{PolicyInfo, Snapshot};
pub use token::token_value;

#[cfg(test)]
mod differential;
#[cfg(test)]
mod equality;
#[cfg(test)]
mod tests;
