//! How fast commits become durable: one after the other, and many at once.
//! Never asserts a time: it reports medians. `cargo bench --bench state` runs it; the disk decides.

#![expect(clippy::expect_used, reason = "a benchmark without its disk has nothing to measure")]

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use palisade::store::{Change, Commit, Embedded, History, Memory, StateStore};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Commits that are under way at once.
const MANY: usize = 64;

/// Where commits go: the directory of the build, since the usual place for temporary files may be no disk.
fn place() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime")
}

/// As long as a grant may be.
fn commit(n: u64) -> Commit {
    let change = Change::put(format!("task/{:04}", n % 5_000), vec![7; 500]);
    Commit { expects: vec![], changes: vec![change] }
}

/// The time for so many commits by so many who wait for one before the next.
fn time(runtime: &Runtime, store: &Arc<impl StateStore>, committers: usize, commits: u64) -> Duration {
    let each = commits.div_ceil(committers as u64);
    let start = Instant::now();
    let work = |committer: usize| {
        let store = store.clone();
        runtime.spawn(async move {
            for n in 0..each {
                store.commit(commit(committer as u64 * each + n)).await.expect("a commit");
            }
        })
    };
    for committer in (0..committers).map(work).collect::<Vec<_>>() {
        runtime.block_on(committer).expect("a committer");
    }
    start.elapsed()
}

fn durable(criterion: &mut Criterion) {
    let (runtime, directory) = (runtime(), place());
    let mut group = criterion.benchmark_group("state");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(8));
    let bytes = [7; 4096];
    let plain =
        OpenOptions::new().create(true).truncate(false).write(true).open(directory.path().join("plain"));
    let plain: File = plain.expect("a file");
    plain.write_all_at(&bytes, 0).expect("a write");
    group.bench_function("the disk alone: 4 KiB and fdatasync", |b| {
        b.iter(|| {
            plain.write_all_at(black_box(&bytes), 0).expect("a write");
            plain.sync_data().expect("an fsync");
        });
    });
    let store = Arc::new(Embedded::open(directory.path(), History::default()).expect("a store"));
    for committers in [1, MANY] {
        let before = store.counts();
        group.bench_function(format!("embedded, {committers} at once"), |b| {
            b.iter_custom(|commits| time(&runtime, &store, committers, commits));
        });
        let (commits, groups) =
            (store.counts().commits - before.commits, store.counts().groups - before.groups);
        println!("{commits} commits in {groups} groups");
    }
    let memory = Arc::new(Memory::new(History::default()));
    group.bench_function("memory, 1 at once", |b| {
        b.iter_custom(|commits| time(&runtime, &memory, 1, commits));
    });
    group.finish();
}

/// A start: the file is checked and read.
fn opening(criterion: &mut Criterion) {
    let (runtime, directory) = (runtime(), place());
    let store = Embedded::open(directory.path(), History::default()).expect("a store");
    for first in (0..100_000_u32).step_by(100) {
        let changes =
            (first..first + 100).map(|n| Change::put(format!("task/{n:06}"), vec![7; 500])).collect();
        runtime.block_on(store.commit(Commit { expects: vec![], changes })).expect("a commit");
    }
    drop(store);
    let mut group = criterion.benchmark_group("state");
    group.sample_size(10);
    group.bench_function("open, 100,000 keys of 500 bytes", |b| {
        b.iter_custom(|times| {
            let once = |_| {
                let start = Instant::now();
                let store = Embedded::open(directory.path(), History::default()).expect("a store");
                let spent = start.elapsed();
                drop(store);
                spent
            };
            (0..times).map(once).sum()
        });
    });
    let store = Embedded::open(directory.path(), History::default()).expect("a store");
    group.bench_function("snapshot, 100,000 keys", |b| b.iter(|| store.snapshot().expect("a snapshot")));
    group.finish();
}

criterion_group!(benches, durable, opening);
criterion_main!(benches);
