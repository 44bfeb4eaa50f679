//! Whose turn it is to write a key that many want to write: they wait here, and not by trying again.
//! Never more than a fixed number of places, whatever the keys are.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many keys can be written at once; some share a place.
const PLACES: u64 = 256;

/// The turns of keys.
#[derive(Debug)]
pub(super) struct Turns(Vec<Arc<Mutex<()>>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Arc::default()).collect())
    }
}

impl Turns {
    /// Waits for the turn of all these keys. In the order of places, so that nobody waits for somebody who waits.
    pub(super) async fn of(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Vec<OwnedMutexGuard<()>> {
        let places: BTreeSet<u64> = keys.into_iter().map(|key| place(key.as_ref())).collect();
        let mut turns = Vec::with_capacity(places.len());
        for (at, turn) in (0..).zip(&self.0) {
            if places.contains(&at) {
                turns.push(turn.clone().lock_owned().await);
            }
        }
        turns
    }
}

fn place(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() % PLACES
}
