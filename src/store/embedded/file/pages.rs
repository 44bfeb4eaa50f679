//! The pages of the state's file, and who has the processor between two of them.
//! Never keeps a page, and never writes another than it was given.

use std::cell::Cell;
use std::io;
use std::ops::Bound;
use std::thread::yield_now;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// How many pages are written, or changes made, before others have the processor: a twentieth of a millisecond.
const AT_ONCE: u8 = 16;

thread_local! {
    /// How many are left until then, while what this thread writes is long.
    static LEFT: Cell<Option<u8>> = const { Cell::new(None) };
}

/// While it lives, this thread lets others have its processor now and then: a transaction of many changes writes a hundred
/// pages in a row, and who waits for the processor may be an answer. Not after each page, since where others want all of it
/// each time costs a turn of theirs, and a start may wait for this transaction.
pub(super) struct Long;

impl Long {
    pub(super) fn begin() -> Self {
        LEFT.set(Some(AT_ONCE));
        Self
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        LEFT.set(None);
    }
}

/// Counts a page or a change, and lets others have the processor when it is their turn.
pub(super) fn give_way() {
    let Some(left) = LEFT.get() else { return };
    if left > 1 {
        LEFT.set(Some(left - 1));
    } else {
        LEFT.set(Some(AT_ONCE));
        yield_now();
    }
}

/// The file, written with pauses where that takes long.
#[derive(Debug)]
pub(super) struct Pages(FileBackend);

impl Pages {
    pub(super) fn of(file: FileBackend) -> Self {
        Self(file)
    }
}

impl StorageBackend for Pages {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)?;
        give_way();
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_way_as_long_as_what_it_writes_is_long() {
        give_way();
        assert_eq!(LEFT.get(), None);
        let failed = std::panic::catch_unwind(|| {
            let _long = Long::begin();
            let left = std::iter::repeat_with(|| {
                give_way();
                LEFT.get().unwrap()
            });
            let wanted = (1..AT_ONCE).rev().chain([AT_ONCE, AT_ONCE - 1]);
            assert!(left.take(usize::from(AT_ONCE) + 1).eq(wanted));
            panic!("on purpose");
        });
        assert_eq!(failed.unwrap_err().downcast_ref(), Some(&"on purpose"));
        assert_eq!(LEFT.get(), None, "a start after it is written without pauses");
    }
}
