//! Work that gives way to answers: threads of a lower priority.
//! Never runs anything that an answer waits for.

use std::io;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::stack::STACK_BYTES;

/// How much less of a processor such a thread gets than answers do, where both want it (nice(1)).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Gives this thread a lower priority than those that answer. Where that is not to be had, it goes on as it is.
pub(super) fn yield_to_answers() {
    // On Linux the priority is the thread's, elsewhere it would be the whole process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread runs at the priority of the others");
    }
}

/// Drives a future on a thread of its own that yields to answers; what it waits for is the runtime's. Dropped, it goes on until
/// it ends by itself.
///
/// # Errors
/// When no thread can be made, or it panicked.
pub async fn drive(name: &str, work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let (done, ended) = oneshot::channel();
    let runtime = Handle::current();
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    thread.spawn(move || {
        yield_to_answers();
        runtime.block_on(work);
        // Nobody waits any more when the server is gone.
        let _gone = done.send(());
    })?;
    ended.await.map_err(|_| io::Error::other("the thread ended in a panic"))
}
