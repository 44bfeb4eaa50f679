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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Assurance;
    use crate::task::{Asking, Basis, Grant, Parties, Scope, TaskId};
    use crate::value::Uid;

    const KEY: &str = "task/7";

    fn lent() -> Arc<Lent> {
        let grant = Grant {
            id: TaskId(7),
            ancestors: vec![],
            parties: Parties { principal: Uid::new("Human", "ana"), actor: None, earlier_actors: vec![] },
            purpose: Uid::new("Purpose", "refund"),
            scope: Scope::default(),
            calls_max: None,
            started_s: 0,
            expires_s: 60,
            ceiling_s: 60,
            key: None,
        };
        let basis = Basis {
            revision: "r".into(),
            at_ms: 0,
            asking: Asking::Start,
            ttl_s: 60,
            assurance: Assurance::Asserted,
            actor_assurance: None,
            token: None,
            described: None,
            caller: "gw".into(),
            session: None,
            parent: None,
        };
        Arc::new(Lent { grant, basis })
    }

    fn stored() -> Stored {
        serde_json::from_str(r#"{"lent":{},"charged":3,"kid":"k"}"#).unwrap()
    }

    #[test]
    fn the_bytes_that_were_written_are_known_once_and_no_others() {
        let (ready, lent, change) = (Ready::default(), lent(), Change::put(KEY, *b"{}"));
        let _held = ready.hold(&change, &lent, stored());
        let value = change.value().unwrap();
        assert!(ready.take(KEY, &Arc::from(&value[..])).is_none(), "others that say the same");
        assert!(ready.take("task/8", value).is_none(), "another task's");
        let (known, stored) = ready.take(KEY, value).unwrap();
        assert!(Arc::ptr_eq(&known, &lent));
        assert_eq!(stored.charged, 3);
        assert!(ready.take(KEY, value).is_none(), "a second time");
    }

    #[test]
    fn what_is_no_longer_being_written_is_forgotten() {
        let (ready, change) = (Ready::default(), Change::put(KEY, *b"{}"));
        drop(ready.hold(&change, &lent(), stored()));
        assert!(ready.take(KEY, change.value().unwrap()).is_none());
    }
}
