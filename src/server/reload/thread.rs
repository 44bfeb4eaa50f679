//! The thread that waits for a reason to look at the bundle directory, and looks.
//! Never on an async worker: reading and compiling take their time.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::watch::Watches;
use super::{Bundle, Ended, Status, Target};
use crate::audit::Cause;
use crate::server::background::yield_to_answers;
use crate::server::stack::STACK_BYTES;

/// How many requests and events may wait for the thread.
const WAITING_MAX: usize = 64;
/// How often one look may lead to the next, when it finds new directories.
const LOOKS_MAX: usize = 4;

enum Command {
    /// The file system told of a change.
    Changed,
    /// Somebody asked.
    Reload(Cause, oneshot::Sender<Ended>),
    /// The server ends.
    Stop,
}

/// The reload was not attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no reload now: too many are waiting, or the server is stopping")]
pub struct Unavailable;

/// Asks for reloads and shows how they stand. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloads {
    commands: SyncSender<Command>,
    status: Arc<ArcSwap<Status>>,
}

impl Reloads {
    /// Looks at the bundle directory now, and says what came of it.
    ///
    /// # Errors
    /// [`Unavailable`] when too many requests are waiting, or when the server is stopping.
    pub async fn reload(&self, cause: Cause) -> Result<Ended, Unavailable> {
        let (reply, ended) = oneshot::channel();
        self.commands.try_send(Command::Reload(cause, reply)).map_err(|_| Unavailable)?;
        ended.await.map_err(|_| Unavailable)
    }

    /// How reloading stands.
    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }
}

/// The running thread. Stop it, or it runs on.
#[derive(Debug)]
pub struct Reload {
    reloads: Reloads,
    thread: JoinHandle<()>,
}

impl<T: Target> Bundle<T> {
    /// Begins to watch. Returns when the watches stand, so that no later change is missed.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn watch(self) -> io::Result<Reload> {
        let (commands, waiting) = sync_channel(WAITING_MAX);
        let events = commands.clone();
        // When the channel is full, there is a reason to look already.
        let mut watches = Watches::new(move || drop(events.try_send(Command::Changed)));
        watches.follow(&self.config.bundle, &self.directories);
        let reloads = Reloads { commands, status: self.status() };
        let mut looks = Looks { bundle: self, watches };
        let builder = std::thread::Builder::new().name("palisade-reload".into()).stack_size(STACK_BYTES);
        let thread = builder.spawn(move || {
            yield_to_answers();
            // What changed before the watches stood.
            looks.look(Cause::Poll);
            looks.run(&waiting);
        })?;
        Ok(Reload { reloads, thread })
    }
}

impl Reload {
    /// To ask for reloads.
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Ends the thread, and waits until it has ended. Blocks: not for an async worker.
    pub fn stop(self) {
        let _ = self.reloads.commands.send(Command::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the reload thread panicked");
        }
    }
}

struct Looks<T: Target> {
    bundle: Bundle<T>,
    watches: Watches,
}

impl<T: Target> Looks<T> {
    fn run(&mut self, waiting: &Receiver<Command>) {
        loop {
            let config = &self.bundle.config;
            let patience = if self.bundle.awaits_record() { config.retry } else { config.poll };
            let mut command = waiting.recv_timeout(patience);
            if matches!(command, Ok(Command::Changed)) {
                command = settled(waiting, config.debounce, config.debounce_max);
            }
            match command {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Command::Reload(cause, reply)) => {
                    // Whoever asked may have gone meanwhile.
                    let _ = reply.send(self.look(cause));
                }
                Ok(Command::Changed) => drop(self.look(Cause::Event)),
                Err(RecvTimeoutError::Timeout) => drop(self.look(Cause::Poll)),
            }
        }
    }

    /// Attempts until no new directory turns up that could have changed before it was watched.
    fn look(&mut self, cause: Cause) -> Ended {
        let mut ended = self.bundle.attempt(cause);
        for _ in 1..LOOKS_MAX {
            if !self.watches.follow(&self.bundle.config.bundle, &self.bundle.directories) {
                break;
            }
            match self.bundle.attempt(cause) {
                // What the attempt before published stays the news.
                Ended::Unchanged { .. } => {}
                other @ (Ended::Published { .. } | Ended::Failed(_)) => ended = other,
            }
        }
        ended
    }
}

/// Waits until the directory is quiet, or long enough. A command other than an event ends the waiting.
fn settled(
    waiting: &Receiver<Command>,
    quiet: Duration,
    longest: Duration,
) -> Result<Command, RecvTimeoutError> {
    let since = Instant::now();
    while let Some(left) = longest.checked_sub(since.elapsed()) {
        match waiting.recv_timeout(quiet.min(left)) {
            Ok(Command::Changed) => {}
            Ok(other @ (Command::Reload(..) | Command::Stop)) => return Ok(other),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
        }
    }
    Ok(Command::Changed)
}
