//! A disk that fails at any one operation: nothing is half done, nothing acknowledged is lost, and it heals.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::super::file::{Pages, builder};
use super::*;

/// When the disk fails. Shared by all openings of a file.
#[derive(Debug, Default)]
struct Plan {
    /// Operations until it fails; below 0 it works.
    left: AtomicI64,
    /// How many fail in a row from then on.
    failures: AtomicI64,
    /// What was written since the last fsync, as it was before.
    unsynced: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl Plan {
    fn arm(&self, after: i64, failures: i64) {
        self.failures.store(failures, Ordering::SeqCst);
        self.left.store(after, Ordering::SeqCst);
    }

    fn fails(&self) -> bool {
        match self.left.load(Ordering::SeqCst) {
            i64::MIN..0 => false,
            0 if self.failures.fetch_sub(1, Ordering::SeqCst) > 0 => true,
            0 => {
                self.left.store(-1, Ordering::SeqCst);
                false
            }
            1.. => {
                self.left.fetch_sub(1, Ordering::SeqCst);
                false
            }
        }
    }
}

/// A file of such a disk.
#[derive(Debug)]
struct Disk {
    inner: FileBackend,
    file: File,
    plan: Arc<Plan>,
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "a full disk")
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        if self.plan.fails() { Err(full()) } else { self.inner.set_len(len) }
    }

    /// As after an fsync that failed: of what was written since the last one, some is on the disk and some is not.
    fn sync_data(&self) -> Result<(), io::Error> {
        let mut unsynced = self.plan.unsynced.lock().unwrap();
        if self.plan.fails() {
            let length = self.inner.len()?;
            for (place, (offset, before)) in
                unsynced.drain(..).enumerate().collect::<Vec<_>>().into_iter().rev()
            {
                if place % 2 == 0 && offset + before.len() as u64 <= length {
                    self.file.write_all_at(&before, offset)?;
                }
            }
            return Err(io::Error::other("an fsync that failed"));
        }
        unsynced.clear();
        self.inner.sync_data()
    }

    /// A write that fails has written half.
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut before = vec![0; data.len()];
        self.inner.read(offset, &mut before)?;
        self.plan.unsynced.lock().unwrap().push((offset, before));
        if self.plan.fails() {
            self.inner.write(offset, &data[..data.len() / 2])?;
            return Err(full());
        }
        self.inner.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

fn open_on(directory: &Path, plan: &Arc<Plan>) -> Embedded {
    let plan = plan.clone();
    let on_disk = move |file: File| {
        let (twin, plan) = (file.try_clone()?, plan.clone());
        builder().create_with_backend(Pages::of(Disk { inner: FileBackend::new(file)?, file: twin, plan }))
    };
    Embedded::open_with(directory, HISTORY, Box::new(on_disk), Duration::from_millis(5)).unwrap()
}

/// Commits until it succeeds again; gives how often it did not.
fn until_it_works(runtime: &Runtime, store: &Embedded, key: &str) -> usize {
    let start = Instant::now();
    for refused in 0.. {
        match runtime.block_on(store.commit(put(key, "again"))) {
            Ok(_) => return refused,
            Err(StoreError::Unavailable { .. }) => assert!(start.elapsed() < Duration::from_secs(20)),
            Err(other) => panic!("{other:?}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    unreachable!()
}

/// Fails so many operations in a row, after so many that did not. Gives whether anybody was refused.
fn fail_at(after: i64, failures: i64) -> bool {
    let (directory, runtime, plan) = (tempfile::tempdir().unwrap(), runtime(), Arc::new(Plan::default()));
    plan.arm(-1, 0);
    let store = open_on(directory.path(), &plan);
    fill(&runtime, &store, 5);
    let mut watch = store.watch(StateRevision(0)).unwrap();
    plan.arm(after, failures);
    let mut acknowledged = Vec::new();
    for i in 0..6 {
        // Two keys, so that half a commit could be seen.
        let keys = [format!("a{i}"), format!("b{i}")];
        let changes = keys.iter().map(|key| Change::put(key.as_str(), vec![i; 3000])).collect();
        match runtime.block_on(store.commit(Commit { expects: vec![], changes })) {
            Ok(revision) => acknowledged.push((i, revision)),
            Err(StoreError::Unavailable { source, .. }) => assert!(!source.to_string().is_empty()),
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(store.barrier().now().unwrap(), store.snapshot().unwrap().revision, "reads go on");
    }
    let refused = until_it_works(&runtime, &store, "end") + 6 - acknowledged.len();
    assert!(store.is_writable());
    let state = store.snapshot().unwrap();
    for i in 0..6_u8 {
        let [a, b] =
            ["a", "b"].map(|side| state.entries.get(&*format!("{side}{i}")).map(|entry| entry.changed));
        assert_eq!(a, b, "half of commit {i}");
        if let Some((_, revision)) = acknowledged.iter().find(|(n, _)| *n == i) {
            assert_eq!(a, Some(*revision), "commit {i} was acknowledged");
        }
    }
    for wanted in 1..=state.revision.0 {
        assert_eq!(watch.look().unwrap().unwrap().revision, StateRevision(wanted));
    }
    assert_eq!(store.counts().failures > 0, refused > 0);
    drop(store);
    assert_eq!(open(directory.path()).snapshot().unwrap(), state, "memory is what the file says");
    refused > 0
}

/// For futures that never wait.
trait Now: Future + Sized {
    fn now(self) -> Self::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(self)
    }
}

impl<F: Future> Now for F {}

#[test]
fn one_failure_at_any_operation_costs_nothing_that_was_acknowledged() {
    let refused = (0..60).filter(|after| fail_at(*after, 1)).count();
    assert!(refused > 20, "{refused}");
}

#[test]
fn an_outage_that_lasts_ends_by_itself() {
    let refused = (0..60).step_by(3).filter(|after| fail_at(*after, 25)).count();
    assert!(refused > 15, "{refused}");
}

#[test]
fn a_store_that_is_idle_heals_too() {
    let (directory, runtime, plan) = (tempfile::tempdir().unwrap(), runtime(), Arc::new(Plan::default()));
    plan.arm(-1, 0);
    let store = open_on(directory.path(), &plan);
    plan.arm(0, 3);
    runtime.block_on(store.commit(put("a", ""))).unwrap_err();
    let start = Instant::now();
    while !store.is_writable() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(2));
    }
}
