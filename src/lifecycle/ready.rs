//! Tasks that are being written here, with what their text says: who follows the state need not read it again.
//! Never believed but for the very bytes that were written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::book::Stored;
use crate::store::Change;
use crate::task::Lent;

/// By key. Whoever writes one holds it until that is over.
#[derive(Debug, Default)]
pub(super) struct Ready(Mutex<HashMap<Arc<str>, Known>>);

#[derive(Debug)]
struct Known {
    value: Arc<[u8]>,
    lent: Arc<Lent>,
    stored: Stored,
}

/// While it lives, a task is ready for who follows.
#[derive(Debug)]
#[must_use]
pub(super) struct Held<'r> {
    ready: &'r Ready,
    key: Arc<str>,
}

impl Ready {
    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has what `change` puts ready.
    pub(super) fn hold(&self, change: &Change, lent: &Arc<Lent>, stored: Stored) -> Held<'_> {
        let key = change.key().clone();
        if let Some(value) = change.value() {
            let known = Known { value: value.clone(), lent: lent.clone(), stored };
            self.known().insert(key.clone(), known);
        }
        Held { ready: self, key }
    }

    /// What these bytes say, once.
    pub(super) fn take(&self, key: &str, value: &Arc<[u8]>) -> Option<(Arc<Lent>, Stored)> {
        let mut known = self.known();
        if !Arc::ptr_eq(&known.get(key)?.value, value) {
            return None;
        }
        known.remove(key).map(|Known { lent, stored, value: _ }| (lent, stored))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.ready.known().remove(&self.key);
    }
}
