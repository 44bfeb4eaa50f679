//! Keeps the key documents of trusted issuers (JWK Sets, SPIFFE bundles) at hand: fetches them, and hands them on.
//! Never reads a key or a token, and never asks an address that the configuration, or the metadata it names, does not.

mod address;
mod agent;
mod client;
mod discovery;
mod fault;
mod file;
mod schedule;
mod source;
mod status;
mod tending;
mod wanted;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::metrics::Metrics;
use super::tasks::Tasks;
pub use address::{Address, AddressError, Issuer};
pub use agent::{Agent, AgentError};
use client::Client;
pub use client::ClientError;
pub use source::{Named, Source};
pub use status::{Failing, Status};
use tending::Tending;
use wanted::Wanted;

/// The least time between two regular fetches of a source, whatever its issuer or the configuration says.
pub const REFRESH_MIN: Duration = Duration::from_secs(30);
/// The least time that a fetch must be given.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// The longest time that any setting of keys may have.
pub const TIME_MAX: Duration = Duration::from_hours(24);

/// Where keys come from and how often.
#[derive(Debug, Clone)]
pub struct Config {
    /// The sources, each with a name of its own.
    pub sources: Vec<Named>,
    /// How often a source is fetched when it does not ask for more: from [`REFRESH_MIN`] to [`TIME_MAX`].
    pub refresh: Duration,
    /// How long after a fetch the next one may begin that an unknown key asks for.
    pub unknown_key_pause: Duration,
    /// How long one fetch may take: all requests of it, from the first name lookup to the last byte.
    pub timeout: Duration,
    /// The length of a document.
    pub document_bytes_max: usize,
    /// Certificates (PEM) that may vouch for an https server, beside those of this machine. Read once.
    pub ca_file: Option<PathBuf>,
}

impl Config {
    /// The usual times and limits for these sources.
    pub fn new(sources: Vec<Named>) -> Self {
        Self {
            sources,
            refresh: Duration::from_mins(5),
            unknown_key_pause: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            document_bytes_max: 256 * 1024,
            ca_file: None,
        }
    }

    fn check(&self) -> Result<(), KeysError> {
        let bounded = [
            ("refresh", self.refresh, REFRESH_MIN),
            ("unknown_key_pause", self.unknown_key_pause, Duration::ZERO),
            ("timeout", self.timeout, TIMEOUT_MIN),
        ];
        for (what, value, least) in bounded {
            if value < least || value > TIME_MAX {
                return Err(KeysError::Time { what, value, least });
            }
        }
        let mut names: Vec<&str> = self.sources.iter().map(|source| &*source.name).collect();
        names.sort_unstable();
        match names.windows(2).find_map(|pair| pair.first().filter(|name| pair.last() == Some(name))) {
            Some(twice) => Err(KeysError::Twice((*twice).to_owned())),
            None => Ok(()),
        }
    }
}

/// Takes documents into force.
pub trait Target: Send + Sync + 'static {
    /// Takes a document into force, by one swap. Called on an async worker: a document is short.
    ///
    /// # Errors
    /// Why the document is unusable, in words. Then the one before stays in force.
    fn publish(&self, name: &str, document: &[u8]) -> Result<(), String>;

    /// Puts the document of this source out of force: who issued it took it back.
    fn withdraw(&self, name: &str);
}

/// Why keys cannot be fetched at all. A source that cannot be reached is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A time that is too short or too long.
    #[error("the `{what}` of keys is {value:?}; it must be from {least:?} to {TIME_MAX:?}")]
    Time {
        /// Which.
        what: &'static str,
        /// How long it is.
        value: Duration,
        /// How long it must be at least.
        least: Duration,
    },
    /// A name for two sources.
    #[error("two sources of keys are called `{0}`; give each a name of its own")]
    Twice(String),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Asks for fetches and shows how they stand. Cheap to clone. By default there is no source.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    sources: Arc<HashMap<Arc<str>, Entry>>,
}

#[derive(Debug)]
struct Entry {
    wanted: Arc<Wanted>,
    board: Arc<status::Board>,
}

impl Keys {
    /// A token names a key that this source's document does not have. Never waits, and costs one load of an atomic when
    /// somebody else asked before. However many ask, at most one fetch begins per `unknown_key_pause`. A name that is
    /// no source's changes nothing.
    pub fn wanted(&self, name: &str) {
        if let Some(entry) = self.sources.get(name) {
            entry.wanted.call();
        }
    }

    /// How each source stands, in the order of their names.
    pub fn status(&self) -> Vec<Arc<Status>> {
        let mut all: Vec<_> = self.sources.values().map(|entry| entry.board.now()).collect();
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        all
    }
}

/// Fetches all sources once, at the same time and within the timeout, then keeps fetching as the task `keys`. A source
/// that fails is tried again: its failure is no error here.
///
/// # Errors
/// [`KeysError`] when the configuration is not usable.
pub async fn start(
    config: Config,
    target: Arc<dyn Target>,
    metrics: Arc<Metrics>,
    tasks: &mut Tasks,
) -> Result<Keys, KeysError> {
    config.check()?;
    let client = Arc::new(Client::new(&config)?);
    let config = Arc::new(config);
    let mut all: Vec<_> = config
        .sources
        .iter()
        .map(|source| {
            Tending::new(source.clone(), config.clone(), client.clone(), target.clone(), metrics.clone())
        })
        .collect();
    let entry = |one: &Tending| (one.name(), Entry { wanted: one.wanted(), board: one.board() });
    let keys = Keys { sources: Arc::new(all.iter().map(entry).collect()) };
    join_all(all.iter_mut().map(Tending::attempt)).await;
    if !all.is_empty() {
        tasks.spawn("keys", |stop| async move {
            join_all(all.into_iter().map(|one| one.run(&stop))).await;
            Ok(())
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
