//! Work that gives way to answers: threads of a lower priority.
//! Never runs anything that an answer waits for.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::thread;

use tokio::runtime::Handle;

use super::stack::deep_beside;

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

/// Drives a future on a thread of its own that yields to answers, whenever the future does; what it waits for is the runtime's.
/// Dropped, it goes on until it ends by itself.
///
/// # Errors
/// When no thread can be made, or it panicked.
pub async fn drive(name: &str, work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = Handle::current();
    deep_beside(name, move || {
        yield_to_answers();
        let mut work = pin!(work);
        // A lower priority alone does not end the turn of a thread that has a processor, for milliseconds.
        runtime.block_on(poll_fn(|turn| {
            let polled = work.as_mut().poll(turn);
            if polled.is_pending() {
                thread::yield_now();
            }
            polled
        }));
    })
    .await
}
