//! Work that gives way to answers: threads of a lower priority.
//! Never runs anything that an answer waits for.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::stack::deep_beside;

/// How much less of a processor such a thread gets than answers do, where both want it (nice(1)).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// How long one turn may take on a thread that gets only what is left over: a turn takes a tenth of a millisecond.
const STARVED: Duration = Duration::from_millis(250);
/// For how long it has a share of the processors then.
const SHARE: Duration = Duration::from_secs(10);

/// Gives this thread a lower priority than those that answer. Where that is not to be had, it goes on as it is.
pub(super) fn yield_to_answers() {
    // On Linux the priority is the thread's, elsewhere it would be the whole process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread runs at the priority of the others");
    }
}

/// Gives this thread what the others leave (sched(7), `SCHED_IDLE`): one that wakes has its processor at once. A lower priority
/// alone keeps it for the rest of a slice, which is milliseconds. There is no way back.
fn take_what_is_left() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let this = thread_priority::thread_native_id();
        if let Err(error) = thread_priority::set_thread_priority_and_policy(this, ThreadPriority::Min, idle) {
            tracing::debug!(?error, "a thread gets more than the others leave");
            yield_to_answers();
        }
    }
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Drives a future on a thread that gets what answers leave, and gives that up whenever the future pauses; what it waits for is
/// the runtime's. When there is nothing left for long, it goes on at a low priority for a while. Dropped, it goes on until it ends
/// by itself.
///
/// # Errors
/// When no thread can be made, or it panicked.
pub async fn drive(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let mut left: Option<Work> = Some(Box::pin(work));
    let driven = tokio::spawn(async move {
        let mut share = None;
        while let Some(work) = left {
            let runtime = Handle::current();
            left = deep_beside(name, move || turns(&runtime, work, share)).await?;
            share = if share.is_some() { None } else { Some(SHARE) };
        }
        Ok(())
    });
    driven.await?
}

/// Drives it on this thread: with a share of the processors for a time, or with what is left of them until that is nothing.
/// What is to be driven on, if it has not ended.
fn turns(runtime: &Handle, mut work: Work, share: Option<Duration>) -> Option<Work> {
    match share {
        None => take_what_is_left(),
        Some(_) => yield_to_answers(),
    }
    let first = Instant::now();
    let has_ended = runtime.block_on(poll_fn(|context| {
        let began = Instant::now();
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            return Poll::Ready(true);
        }
        // A lower priority alone does not end the turn of a thread that has a processor.
        thread::yield_now();
        let is_over = match share {
            None => began.elapsed() > STARVED,
            Some(share) => first.elapsed() > share,
        };
        if is_over { Poll::Ready(false) } else { Poll::Pending }
    }));
    if has_ended { None } else { Some(work) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[cfg(target_os = "linux")]
    fn is_idle() -> bool {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy};
        thread_schedule_policy().unwrap() == ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle)
    }

    /// Says on which kind of thread each turn was.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn work_gets_what_is_left_and_a_share_when_that_is_nothing() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let work = async move {
            for turn in 0..4 {
                noted.lock().unwrap().push(is_idle());
                if turn == 1 {
                    // As if the others had left nothing.
                    let began = Instant::now();
                    while began.elapsed() <= STARVED {}
                }
                tokio::task::yield_now().await;
            }
        };
        drive("test", work).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), [true, true, false, false]);
        assert!(!is_idle(), "nobody else's");
    }

    #[tokio::test]
    async fn who_is_dropped_goes_on_and_a_panic_is_told() {
        let (done, ended) = tokio::sync::oneshot::channel();
        let work = async move {
            tokio::task::yield_now().await;
            done.send(()).unwrap();
        };
        let mut driving = Box::pin(drive("test", work));
        assert!(futures_util::poll!(&mut driving).is_pending());
        drop(driving);
        ended.await.unwrap();
        assert!(drive("test", async { panic!("on purpose") }).await.is_err());
    }
}
