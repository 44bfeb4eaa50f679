//! The pages of the state's file: where the file grew they are made its own before they are used, and others have the
//! processor between them. Never keeps a page, and never writes over one.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::yield_now;

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

/// Others have the processor next: a part was filled, which takes as long as all that was to be written until then.
fn give_way_next() {
    LEFT.set(LEFT.get().map(|_| 1));
}

/// So much of what the file grew by is made its own at once: sixteen pages.
static FILL: [u8; 64 * 1024] = [0; 64 * 1024];
const FILL_BYTES: u64 = FILL.len() as u64;

/// The file, written with pauses where that takes long, and filled before it is used where it grew.
///
/// A file that grows is as long as it is told at once, and has its blocks only where it is written: an fsync after a first write
/// waits for the file system's journal besides, and one after a second does not. So the first write is of zeros, for
/// some commits together.
#[derive(Debug)]
pub(in super::super) struct Pages<B> {
    file: B,
    /// The parts of `FILL_BYTES`, by number, that the file grew by and nobody wrote to. Of a file that is opened it is not known:
    /// redb takes what is unused off its end when it closes, and what a crash left there is used as it is.
    unfilled: Mutex<BTreeSet<u64>>,
}

impl<B: StorageBackend> Pages<B> {
    pub(in super::super) fn of(file: B) -> Self {
        Self { file, unfilled: Mutex::default() }
    }

    fn unfilled(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.unfilled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills the parts that this many bytes will be in.
    fn fill(&self, offset: u64, length: u64) -> io::Result<()> {
        let mut unfilled = self.unfilled();
        for part in offset / FILL_BYTES..(offset + length).div_ceil(FILL_BYTES) {
            if unfilled.contains(&part) {
                self.file.write(part * FILL_BYTES, &FILL)?;
                unfilled.remove(&part);
                give_way_next();
            }
        }
        Ok(())
    }
}

impl<B: StorageBackend> StorageBackend for Pages<B> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let before = self.file.len()?;
        self.file.set_len(len)?;
        let mut unfilled = self.unfilled();
        unfilled.split_off(&(len / FILL_BYTES));
        unfilled.extend(before.div_ceil(FILL_BYTES)..len / FILL_BYTES);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fill(offset, data.len() as u64)?;
        self.file.write(offset, data)?;
        give_way();
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file in memory, and where it was written to.
    #[derive(Debug, Default)]
    struct Written {
        file: redb::backends::InMemoryBackend,
        at: Mutex<Vec<(u64, usize)>>,
        is_full: std::sync::atomic::AtomicBool,
    }

    impl StorageBackend for Written {
        fn len(&self) -> io::Result<u64> {
            self.file.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.file.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.file.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.file.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            if self.is_full.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.at.lock().unwrap().push((offset, data.len()));
            self.file.write(offset, data)
        }
    }

    #[test]
    fn where_the_file_grew_it_is_filled_once_before_it_is_used() {
        const PART: u64 = FILL_BYTES;
        let pages = Pages::of(Written::default());
        let written = || std::mem::take(&mut *pages.file.at.lock().unwrap());
        pages.set_len(PART + 4096).unwrap();
        pages.set_len(4 * PART + 4096).unwrap();
        pages.write(PART, &[1; 10]).unwrap();
        assert_eq!(written(), [(PART, 10)], "a part that was there in part is not known to be unused");
        pages.write(3 * PART - 4, &[2; 8]).unwrap();
        let parts = [(2 * PART, FILL.len()), (3 * PART, FILL.len())];
        assert_eq!(written(), [parts[0], parts[1], (3 * PART - 4, 8)], "both that it is in");
        pages.write(2 * PART + 7, &[3; 2]).unwrap();
        pages.write(4 * PART, &[4; 9]).unwrap();
        assert_eq!(written(), [(2 * PART + 7, 2), (4 * PART, 9)]);
        let mut read = [9; 16];
        pages.read(3 * PART - 8, &mut read).unwrap();
        assert_eq!(read, [0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0]);

        // What was cut off is as new, and so is what could not be filled.
        pages.set_len(2 * PART).unwrap();
        pages.set_len(4 * PART).unwrap();
        pages.file.is_full.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(pages.write(2 * PART, &[5]).unwrap_err().kind(), io::ErrorKind::StorageFull);
        pages.file.is_full.store(false, std::sync::atomic::Ordering::Relaxed);
        pages.write(2 * PART, &[5]).unwrap();
        assert_eq!(written(), [parts[0], (2 * PART, 1)]);
    }

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
        give_way_next();
        assert_eq!(LEFT.get(), None, "and so is one that fills a part");
        let _long = Long::begin();
        give_way_next();
        give_way();
        assert_eq!(LEFT.get(), Some(AT_ONCE), "it gave way at once");
    }
}
