//! Says that somebody misses a key.
//! Never waits, on the side of who misses it, and never counts.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct Wanted {
    called: AtomicBool,
    wake: Notify,
}

impl Wanted {
    /// Somebody misses a key. All calls until [`Wanted::clear`] are one.
    pub(super) fn call(&self) {
        // The load first: a storm then shares a line of cache that nobody writes.
        if !self.called.load(Ordering::Acquire) && !self.called.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// Waits for a call since the last [`Wanted::clear`].
    pub(super) async fn called(&self) {
        // What woke us may have been cleared since.
        while !self.called.load(Ordering::Acquire) {
            self.wake.notified().await;
        }
    }

    /// What was missed was looked for.
    pub(super) fn clear(&self) {
        self.called.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_ready(future: impl Future<Output = ()>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn many_calls_are_one_and_what_was_cleared_wakes_nobody() {
        let wanted = Wanted::default();
        assert!(!is_ready(wanted.called()));
        wanted.call();
        wanted.call();
        assert!(is_ready(wanted.called()));
        assert!(is_ready(wanted.called()), "it stays until it is cleared");
        wanted.clear();
        assert!(!is_ready(wanted.called()), "the waking is left over, the call is not");
        wanted.call();
        assert!(is_ready(wanted.called()));
    }
}
