//! Keys from real servers on the loopback, with a clock that stands still until a test moves it.

mod agent;
mod bounds;
mod discovery;
mod files;
mod outage;
mod peer;
mod refresh;
mod storm;
mod tls;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Address, Config, Keys, Named, Source, Status, Target, start};
use crate::server::metrics::Metrics;
use crate::server::tasks::Tasks;

const DOCUMENT: &[u8] = br#"{"keys":[]}"#;
const OTHER: &[u8] = br#"{"keys":[{}]}"#;
/// How long a test waits for what must happen, by the clock on the wall.
const PATIENCE: Duration = Duration::from_secs(20);

/// Holds the paused clock: without it, the runtime would move it whenever it waits for a socket.
struct Frozen {
    _held: Sender<()>,
}

fn freeze() -> Frozen {
    let (held, release) = channel::<()>();
    // No clock moves by itself while a thread is at work.
    tokio::task::spawn_blocking(move || release.recv_timeout(PATIENCE * 2));
    Frozen { _held: held }
}

/// Takes every document, but those that say `bad`.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, Vec<u8>)>>, Mutex<Vec<String>>);

impl Recorder {
    fn documents(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().iter().map(|(_, document)| document.clone()).collect()
    }
}

impl Target for Recorder {
    fn publish(&self, name: &str, document: &[u8]) -> Result<(), String> {
        if document.starts_with(b"bad") {
            return Err("it says `bad`".into());
        }
        self.0.lock().unwrap().push((name.to_owned(), document.to_owned()));
        Ok(())
    }

    fn withdraw(&self, name: &str) {
        self.1.lock().unwrap().push(name.to_owned());
    }
}

/// Sources that are tended.
struct Rig {
    keys: Keys,
    target: Arc<Recorder>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    tasks: Tasks,
    _frozen: Frozen,
}

impl Rig {
    async fn start(config: Config) -> Self {
        Self::start_while(config, std::future::ready(())).await
    }

    /// Starts while something else happens, such as that time passes.
    async fn start_while(config: Config, meanwhile: impl Future<Output = ()>) -> Self {
        let frozen = freeze();
        let target = Arc::new(Recorder::default());
        let metrics = Arc::new(Metrics::new());
        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone());
        let (keys, ()) = tokio::join!(start(config, target.clone(), metrics.clone(), &mut tasks), meanwhile);
        Self { keys: keys.unwrap(), target, metrics, stop, tasks, _frozen: frozen }
    }

    /// How the only source stands.
    fn status(&self) -> Arc<Status> {
        let [only] = self.keys.status().try_into().unwrap();
        only
    }

    /// Whether the metrics have this line.
    fn counts(&self, line: &str) -> bool {
        self.metrics.to_text().unwrap().lines().any(|own| own == line)
    }

    fn error(&self) -> String {
        self.status().failing.as_ref().map(|failing| failing.error.clone()).unwrap_or_default()
    }

    /// The only source failed at its start, in these words, and nothing was published.
    fn assert_refused(&self, words: &str) {
        assert!(self.error().contains(words), "{:?}", self.status());
        assert!(self.target.documents().is_empty());
        assert_eq!((&self.status().document, self.status().last_success), (&None, None));
    }
}

fn url(address: &str) -> Config {
    Config::new(vec![named("idp", Source::Url(Address::parse(address).unwrap()))])
}

fn named(name: &str, source: Source) -> Named {
    Named { name: name.into(), source, bytes_max: None }
}

/// Lets so many seconds pass, and what a timer is inexact.
async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds) + Duration::from_millis(5)).await;
    settle().await;
}

/// Lets everything happen that can happen now.
async fn settle() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

/// Waits until it is so, without moving the clock.
async fn eventually(what: impl Fn() -> bool) {
    let since = std::time::Instant::now();
    while !what() {
        assert!(since.elapsed() < PATIENCE, "it never came to be");
        tokio::task::yield_now().await;
    }
}
