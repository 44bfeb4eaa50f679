//! The pages of the state's file, and who has the processor between two of them.
//! Never keeps a page, and never writes another than it was given.

use std::cell::Cell;
use std::io;
use std::ops::Bound;
use std::thread::yield_now;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

thread_local! {
    /// Whether what this thread writes is long.
    static IS_LONG: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, this thread lets others have its processor between two pages: a transaction of many changes writes a
/// hundred of them in a row, and who waits for the processor may be an answer.
pub(super) struct Long;

impl Long {
    pub(super) fn begin() -> Self {
        IS_LONG.set(true);
        Self
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        IS_LONG.set(false);
    }
}

/// Lets others have the processor, where what this thread writes is long.
pub(super) fn give_way() {
    if IS_LONG.get() {
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
        assert!(!IS_LONG.get());
        let failed = std::panic::catch_unwind(|| {
            let _long = Long::begin();
            assert!(IS_LONG.get());
            panic!("on purpose");
        });
        assert!(failed.is_err());
        assert!(!IS_LONG.get(), "a start after it is written without pauses");
    }
}
