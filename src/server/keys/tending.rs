//! Looks after one source: when it is due, one attempt after the other.
//! Never two at once, and never lets go of the last good document.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::agent::Subscription;
use super::client::{Client, Fetched};
use super::fault::Fault;
use super::file::Reading;
use super::schedule::{self, Chance};
use super::source::{Named, Source};
use super::status::{Board, Change};
use super::wanted::Wanted;
use super::{Config, REFRESH_MIN, Target, discovery};
use crate::audit::digest::hex;
use crate::server::clock;
use crate::server::metrics::Metrics;

pub(super) struct Tending {
    source: Named,
    config: Arc<Config>,
    client: Arc<Client>,
    target: Arc<dyn Target>,
    metrics: Arc<Metrics>,
    wanted: Arc<Wanted>,
    board: Arc<Board>,
    reading: Reading,
    subscription: Subscription,
    /// Of the document in force.
    digest: Option<[u8; 32]>,
    /// In a row.
    failures: u32,
    /// When the last attempt began.
    began: Instant,
    /// When the next one is due.
    due: Instant,
}

impl Tending {
    pub(super) fn new(
        source: Named,
        config: Arc<Config>,
        client: Arc<Client>,
        target: Arc<dyn Target>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let board = Arc::new(Board::new(&source));
        let now = Instant::now();
        Self {
            source,
            config,
            client,
            target,
            metrics,
            wanted: Arc::default(),
            board,
            reading: Reading::default(),
            subscription: Subscription::default(),
            digest: None,
            failures: 0,
            began: now,
            due: now,
        }
    }

    pub(super) fn name(&self) -> Arc<str> {
        self.source.name.clone()
    }

    pub(super) fn wanted(&self) -> Arc<Wanted> {
        self.wanted.clone()
    }

    pub(super) fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// Attempts whenever one is due, until the server stops.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let attempts = async {
            loop {
                self.due().await;
                self.attempt().await;
            }
        };
        stop.run_until_cancelled(attempts).await.unwrap_or(());
    }

    /// Waits for the next attempt: as planned, or sooner when somebody misses a key, but not too soon after the last. While
    /// an agent is listened to, it says when.
    async fn due(&mut self) {
        if self.subscription.is_open() {
            return self.subscription.news().await;
        }
        let soonest = self.began + self.config.unknown_key_pause;
        let wanted = async {
            self.wanted.called().await;
            sleep_until(soonest).await;
        };
        tokio::select! {
            () = sleep_until(self.due) => {}
            () = wanted => {}
        }
    }

    /// Fetches the document, puts it in force if it is another, and plans the next attempt.
    pub(super) async fn attempt(&mut self) {
        self.began = Instant::now();
        let limit = self.config.timeout;
        let fetched = timeout(limit, self.fetch()).await.unwrap_or(Err(Fault::Timeout(limit)));
        let pause = match fetched.and_then(|fetched| self.take(fetched)) {
            Ok(pause) => {
                self.failures = 0;
                pause
            }
            Err(fault) => {
                self.failures = self.failures.saturating_add(1);
                if fault.takes_back() && self.digest.take().is_some() {
                    self.target.withdraw(&self.source.name);
                }
                self.tell_failure(&fault);
                self.pause_after_failure()
            }
        };
        // Who asked meanwhile asked for this.
        self.wanted.clear();
        self.due = Instant::now() + pause;
    }

    async fn fetch(&mut self) -> Result<Fetched, Fault> {
        let usual = self.config.document_bytes_max;
        let bytes_max = self.source.bytes_max.unwrap_or(usual);
        match &self.source.source {
            Source::Url(address) => self.client.fetch(address, bytes_max).await,
            Source::Discovery(issuer) => {
                let metadata = self.client.fetch(issuer.metadata(), usual).await;
                let metadata = metadata.map_err(|fault| Fault::Metadata(Box::new(fault)))?;
                let address = discovery::keys_address(issuer, &metadata.document)?;
                self.client.fetch(&address, bytes_max).await
            }
            Source::File(path) => {
                let document = self.reading.read(path, bytes_max).await?;
                Ok(Fetched { document, max_age: None })
            }
            Source::WorkloadApi(agent) => {
                let document = self.subscription.bundle(agent, self.config.document_bytes_max).await?;
                Ok(Fetched { document, max_age: None })
            }
        }
    }

    /// Puts a document in force, unless it is already. Returns how long it is good for.
    fn take(&mut self, fetched: Fetched) -> Result<Duration, Fault> {
        let Fetched { document, max_age } = fetched;
        let digest: [u8; 32] = Sha256::digest(&document).into();
        let fresh = self.digest != Some(digest);
        if fresh {
            self.target.publish(&self.source.name, &document).map_err(Fault::Unusable)?;
            self.digest = Some(digest);
        }
        self.tell_success(fresh.then(|| format!("sha256:{}", hex(&digest))));
        Ok(match self.source.source {
            Source::File(_) => schedule::FILE_POLL,
            Source::Url(_) | Source::Discovery(_) | Source::WorkloadApi(_) => {
                schedule::after_success(self.config.refresh, max_age, chance())
            }
        })
    }

    fn pause_after_failure(&self) -> Duration {
        match self.source.source {
            Source::File(_) => schedule::FILE_POLL,
            Source::Url(_) | Source::Discovery(_) => {
                schedule::after_failure(self.failures, self.config.refresh, chance())
            }
            // An agent that starts again is soon back.
            Source::WorkloadApi(_) => schedule::after_failure(self.failures, REFRESH_MIN, chance()),
        }
    }

    fn tell_success(&self, fresh: Option<String>) {
        let name = &*self.source.name;
        if let Some(document) = &fresh {
            tracing::info!(source = name, from = %self.source.source, document, "keys came into force");
        }
        let now = clock::now();
        let change = self.board.succeeded(now, fresh);
        self.metrics.keys_fetched(&self.source.name, now);
        match change {
            Change::Recovered => {
                tracing::info!(source = name, from = %self.source.source, "keys can be fetched again");
            }
            Change::Fails | Change::None => {}
        }
    }

    fn tell_failure(&self, fault: &Fault) {
        let (name, error, kept) = (&*self.source.name, fault.words(), self.digest.is_some());
        let change = self.board.failed(clock::now(), error.clone(), kept);
        self.metrics.keys_failed(&self.source.name);
        match change {
            Change::Fails => {
                tracing::warn!(source = name, from = %self.source.source, error, kept, "keys cannot be fetched");
            }
            Change::Recovered | Change::None => {
                tracing::debug!(source = name, from = %self.source.source, error, kept, "keys still cannot be fetched");
            }
        }
    }
}

/// Where there is no randomness, servers may ask at once.
fn chance() -> Chance {
    Chance(getrandom::u32().unwrap_or(0))
}
