//! What the operating system tells the process: stop, reload, and that a file may not grow.
//! Never acts on a signal itself: it stops a token, or asks for a reload.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::reload::Reloads;
use crate::audit::Cause;

/// SIGXFSZ, on Linux and on the BSDs alike.
const FILE_SIZE: i32 = 25;

/// The signals that this process listens to.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Listened to, so that a full file is an error of write(2) and not the end of the process.
    _file_size: Signal,
}

impl Signals {
    /// Begins to listen: from now on SIGTERM and SIGINT no longer end the process by themselves. Within a runtime.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(FILE_SIZE))?,
        })
    }

    /// Waits for SIGTERM or SIGINT, and says so.
    pub async fn told_to_stop(&mut self) {
        told_to_stop(&mut self.terminate, &mut self.interrupt).await;
    }

    /// Reloads at each SIGHUP; at the first SIGTERM or SIGINT cancels the token. Ends when the token is cancelled.
    pub async fn obey(mut self, reloads: Reloads, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = told_to_stop(&mut self.terminate, &mut self.interrupt) => stop.cancel(),
                _ = self.hangup.recv() => match reloads.reload(Cause::Signal).await {
                    Ok(ended) => tracing::info!(signal = "SIGHUP", ?ended, "looked at the bundle"),
                    Err(error) => tracing::warn!(signal = "SIGHUP", %error, "did not look at the bundle"),
                }
            }
        }
    }
}

async fn told_to_stop(terminate: &mut Signal, interrupt: &mut Signal) {
    let signal = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal, "stopping");
}
