//! Key documents become trust, and trust comes into force beside the bundle.
//! Never forgets the last good keys of an issuer because of a bad document.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use super::config::Trust as Config;
use super::keys::{self, KeysError};
use super::metrics::Metrics;
use super::tasks::Tasks;
use crate::audit::AuditSink;
use crate::identity::{KeySet, Keys, Trust};
use crate::pdp::Pdp;

/// Takes the keys of all issuers and trust domains into force.
struct Trusted<S> {
    config: Config,
    sets: Mutex<BTreeMap<Arc<str>, KeySet>>,
    pdp: Arc<Pdp<S>>,
    /// Where keys are asked for that a token names and no document has.
    fetching: Arc<OnceLock<keys::Keys>>,
}

/// Fetches the keys of everybody who is trusted, puts them in force, and keeps them fresh as a task. Those that cannot be
/// fetched now are tried again; until then their tokens are denied.
///
/// # Errors
/// [`KeysError`] when the configuration is not usable.
pub async fn start<S: AuditSink + 'static>(
    config: &Config,
    pdp: Arc<Pdp<S>>,
    metrics: Arc<Metrics>,
    tasks: &mut Tasks,
) -> Result<keys::Keys, KeysError> {
    let fetching = Arc::default();
    let trusted = Trusted { config: config.clone(), sets: Mutex::default(), pdp, fetching };
    let trusted = Arc::new(trusted);
    trusted.put_in_force(&BTreeMap::new());
    let keys = keys::start(config.keys.clone(), trusted.clone(), metrics, tasks).await?;
    // There is one start, so nobody was here before.
    let _ = trusted.fetching.set(keys.clone());
    Ok(keys)
}

impl<S: AuditSink + 'static> Trusted<S> {
    fn parse(&self, name: &str, document: &[u8]) -> Result<Keys, String> {
        let (keys_use, algorithms) = self.config.keys_use(name);
        Keys::parse(document, keys_use, algorithms).map_err(|fault| format!("the keys {fault}"))
    }

    fn put_in_force(&self, sets: &BTreeMap<Arc<str>, KeySet>) {
        let fetching = self.fetching.clone();
        let missing = move |name: &str| {
            if let Some(keys) = fetching.get() {
                keys.wanted(name);
            }
        };
        self.pdp.trust(Arc::new(Trust::new(self.config.config.clone(), sets).asking(missing)));
    }
}

impl<S: AuditSink + 'static> keys::Target for Trusted<S> {
    fn publish(&self, name: &str, document: &[u8]) -> Result<(), String> {
        let keys = self.parse(name, document)?;
        for why in keys.passed_over() {
            tracing::debug!(issuer = name, "{why}: it is passed over");
        }
        tracing::info!(issuer = name, keys = keys.len(), "the keys of an issuer are in force");
        let set = KeySet { keys: Arc::new(keys), digest: Sha256::digest(document).into() };
        // Held while they come into force, so that the later of two documents wins.
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.insert(name.into(), set);
        self.put_in_force(&sets);
        Ok(())
    }

    fn withdraw(&self, name: &str) {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.remove(name).is_some() {
            tracing::warn!(issuer = name, "the keys of an issuer were taken back; its tokens are denied");
            self.put_in_force(&sets);
        }
    }
}
