//! Documents become trust: the keys of issuers, and the list of revoked tokens. Trust comes into force beside the bundle.
//! Never forgets the last good document because of a bad one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use super::config::{REVOKED, Trust as Config};
use super::keys::{self, KeysError};
use super::metrics::Metrics;
use super::tasks::Tasks;
use crate::audit::AuditSink;
use crate::identity::{KeySet, Keys, Revoked, Trust};
use crate::pdp::Pdp;

/// Takes the keys of all issuers and trust domains into force, and what was revoked.
struct Trusted<S> {
    config: Config,
    known: Mutex<Known>,
    pdp: Arc<Pdp<S>>,
    /// Where keys are asked for that a token names and no document has.
    fetching: Arc<OnceLock<keys::Keys>>,
}

/// What the documents said last.
struct Known {
    sets: BTreeMap<Arc<str>, KeySet>,
    revoked: Arc<Revoked>,
    trust: Trust,
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
    let is_listed = config.keys.sources.iter().any(|source| *source.name == *REVOKED);
    let revoked = Arc::new(if is_listed { Revoked::unread() } else { Revoked::default() });
    let known = Known { sets: BTreeMap::new(), revoked, trust: Trust::nobody() };
    let trusted = Trusted { config: config.clone(), known: Mutex::new(known), pdp, fetching: Arc::default() };
    let trusted = Arc::new(trusted);
    trusted.change(Trusted::renew);
    let keys = keys::start(config.keys.clone(), trusted.clone(), metrics, tasks).await?;
    // There is one start, so nobody was here before.
    let _ = trusted.fetching.set(keys.clone());
    Ok(keys)
}

impl<S: AuditSink + 'static> Trusted<S> {
    /// Changes what is known and puts it in force. Held meanwhile, so that the later of two documents wins.
    fn change(&self, change: impl FnOnce(&Self, &mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(self, &mut known);
        self.pdp.trust(Arc::new(known.trust.clone()));
    }

    /// Trust under other keys: nothing that was verified before counts.
    fn renew(&self, known: &mut Known) {
        let fetching = self.fetching.clone();
        let missing = move |name: &str| {
            if let Some(keys) = fetching.get() {
                keys.wanted(name);
            }
        };
        let trust = Trust::new(self.config.config.clone(), &known.sets).asking(missing);
        known.trust = trust.without(known.revoked.clone());
    }

    fn keys(&self, name: &str, document: &[u8]) -> Result<(), String> {
        let (keys_use, algorithms) = self.config.keys_use(name);
        let keys =
            Keys::parse(document, keys_use, algorithms).map_err(|fault| format!("the keys {fault}"))?;
        for why in keys.passed_over() {
            tracing::debug!(issuer = name, "{why}: it is passed over");
        }
        tracing::info!(issuer = name, keys = keys.len(), "the keys of an issuer are in force");
        let set = KeySet { keys: Arc::new(keys), digest: Sha256::digest(document).into() };
        self.change(|trusted, known| {
            known.sets.insert(name.into(), set);
            trusted.renew(known);
        });
        Ok(())
    }

    fn revoke(&self, document: &[u8]) -> Result<(), String> {
        let revoked = Revoked::parse(document, |issuer| self.config.config.names(issuer))
            .map_err(|fault| format!("the revoked tokens {fault}"))?;
        tracing::info!(entries = revoked.len(), "the list of revoked tokens is in force");
        self.change(|_, known| {
            known.revoked = Arc::new(revoked);
            known.trust = known.trust.without(known.revoked.clone());
        });
        Ok(())
    }
}

impl<S: AuditSink + 'static> keys::Target for Trusted<S> {
    fn publish(&self, name: &str, document: &[u8]) -> Result<(), String> {
        if name == REVOKED { self.revoke(document) } else { self.keys(name, document) }
    }

    fn withdraw(&self, name: &str) {
        self.change(|trusted, known| {
            if known.sets.remove(name).is_some() {
                tracing::warn!(issuer = name, "the keys of an issuer were taken back; its tokens are denied");
                trusted.renew(known);
            }
        });
    }
}
