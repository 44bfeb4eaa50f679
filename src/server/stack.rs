//! A stack that is deep enough for every bundle within the bounds of `policy`: compiling and evaluating recurse.
//! Never a cure for what has no bound: a stack that overflows ends the process.

use std::io;
use std::panic::resume_unwind;
use std::thread::{Builder, scope};

use tokio::sync::oneshot;

/// Address space, not memory: pages come as they are touched. A debug build needs less than 32 MiB for the deepest
/// policy that `policy` lets through, a release build far less.
pub const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Runs `work` on a deep stack, and waits for it. A panic goes on in the caller.
///
/// # Errors
/// When no thread can be made.
pub fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    scope(|scope| {
        let thread =
            Builder::new().name("palisade-main".into()).stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        thread.join().map_or_else(|panic| resume_unwind(panic), Ok)
    })
}

/// Runs `work` on a deep stack of its own, without a thread that waits for it. Dropped, it goes on.
///
/// # Errors
/// When no thread can be made, or it panicked.
pub async fn deep_beside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, ended) = oneshot::channel();
    let builder = Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    builder.spawn(move || {
        // Nobody may wait any more.
        let _gone = done.send(work());
    })?;
    ended.await.map_err(|_| io::Error::other(format!("the thread `{name}` ended in a panic")))
}

#[cfg(test)]
mod tests;
