//! A stack that is deep enough for every bundle within the bounds of `policy`: compiling and evaluating recurse.
//! Never a cure for what has no bound: a stack that overflows ends the process.

use std::io;
use std::panic::resume_unwind;
use std::thread::{Builder, scope};

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

#[cfg(test)]
mod tests;
