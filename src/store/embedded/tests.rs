//! The file: that it outlives the process, and that nothing wrong with it goes unseen.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::super::{Change, Expect};
use super::*;

mod crash;
mod damage;
mod faults;
mod room;

const HISTORY: History = History { commits_max: 100, bytes_max: 1024 * 1024 };

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn open(directory: &Path) -> Embedded {
    Embedded::open(directory, HISTORY).unwrap()
}

fn refused(directory: &Path) -> FileError {
    Embedded::open(directory, HISTORY).expect_err("it must not be opened")
}

fn put(key: &str, value: &str) -> Commit {
    Commit { expects: vec![], changes: vec![Change::put(key, value.as_bytes())] }
}

/// Commits `count` keys, one after the other: `k0`, `k1`, …
fn fill(runtime: &Runtime, store: &Embedded, count: usize) {
    for i in 0..count {
        runtime.block_on(store.commit(put(&format!("k{i}"), &"v".repeat(200)))).unwrap();
    }
}

#[test]
fn state_and_history_outlive_the_store() {
    let (directory, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let store = open(directory.path());
    fill(&runtime, &store, 120);
    let before = store.snapshot().unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.snapshot().unwrap(), before);
    assert!(store.watch(StateRevision(19)).is_err(), "history is cut");
    let mut watch = store.watch(StateRevision(20)).unwrap();
    for wanted in 21..=120 {
        let seen = watch.look().unwrap().unwrap();
        assert_eq!(
            (seen.revision, &**seen.changes[0].key()),
            (StateRevision(wanted), &*format!("k{}", wanted - 1))
        );
    }
    assert_eq!(runtime.block_on(store.commit(put("a", ""))).unwrap(), StateRevision(121));
    assert_eq!(watch.look().unwrap().unwrap().revision, StateRevision(121));
}

#[test]
fn the_file_cuts_its_history_a_dozen_commits_at_once_and_keeps_the_last() {
    use redb::{ReadableDatabase as _, ReadableTable as _};
    type Changed = (&'static str, Option<&'static [u8]>);
    const KEPT: redb::TableDefinition<u64, Vec<Changed>> = redb::TableDefinition::new("palisade.history");
    let (directory, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let kept = || -> Vec<u64> {
        let database = redb::Database::open(directory.path().join("state.redb")).unwrap();
        let history = database.begin_read().unwrap().open_table(KEPT).unwrap();
        history.iter().unwrap().map(|row| row.unwrap().0.value()).collect()
    };
    let few = History { commits_max: 4, ..HISTORY };
    let store = Embedded::open(directory.path(), few).unwrap();
    fill(&runtime, &store, 19);
    drop(store);
    assert_eq!(kept(), (1..=19).collect::<Vec<_>>(), "15 are too many");
    let store = Embedded::open(directory.path(), few).unwrap();
    fill(&runtime, &store, 1);
    assert!(store.watch(StateRevision(15)).is_err(), "what the file still has is no history");
    fill(&runtime, &store, 1);
    drop(store);
    assert_eq!(kept(), [17, 18, 19, 20, 21]);

    let none = History { commits_max: 0, ..HISTORY };
    let store = Embedded::open(directory.path(), none).unwrap();
    fill(&runtime, &store, 20);
    assert!(store.watch(StateRevision(40)).is_err());
    drop(store);
    let last = kept();
    assert_eq!(last.last(), Some(&41), "{last:?}");
    let store = Embedded::open(directory.path(), none).unwrap();
    assert_eq!(runtime.block_on(store.commit(put("a", ""))).unwrap(), StateRevision(42));
}

#[test]
fn its_files_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mode = |name: &str| fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
    drop(open(directory.path()));
    assert_eq!((mode("state.redb"), mode("state.mark")), (0o600, 0o600));
    fs::set_permissions(directory.path().join("state.redb"), fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(directory.path()));
    assert_eq!(mode("state.redb"), 0o600, "a restored one too");
    let names: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_second_store_on_the_same_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let error = refused(directory.path());
    assert!(matches!(error, FileError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("another process uses the state in `"), "{error}");
    drop(first);
    open(directory.path());
}

#[test]
fn commits_that_wait_together_share_a_transaction() {
    let (directory, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let store = Arc::new(open(directory.path()));
    let committers: Vec<_> = (0..32)
        .map(|i| {
            let store = store.clone();
            runtime.spawn(async move {
                for n in 0..10 {
                    store.commit(put(&format!("k{i}"), &n.to_string())).await.unwrap();
                }
            })
        })
        .collect();
    for committer in committers {
        runtime.block_on(committer).unwrap();
    }
    let Counts { commits, groups, failures } = store.counts();
    assert_eq!((commits, failures), (320, 0));
    assert!((10..160).contains(&groups), "{groups} groups");
}

#[test]
fn a_conflict_within_a_group_is_left_out_and_the_others_go_on() {
    let (directory, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let store = Arc::new(open(directory.path()));
    // The first holds the writer for an fsync, so that the others come together.
    let take = |i: usize| Commit {
        expects: vec![Expect::Absent("one".into())],
        changes: vec![Change::put("one", i.to_string().as_bytes()), Change::put(format!("by/{i}"), *b"x")],
    };
    let tries: Vec<_> = (0..64)
        .map(|i| {
            let store = store.clone();
            let wanted = if i % 2 == 0 { take(i) } else { put(&format!("free/{i}"), "") };
            runtime.spawn(async move { store.commit(wanted).await })
        })
        .collect();
    let answers: Vec<_> = tries.into_iter().map(|attempt| runtime.block_on(attempt).unwrap()).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 33);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.entries.len(), 32 + 2);
    assert_eq!(store.snapshot_under("by/").unwrap().entries.len(), 1);
    assert_eq!(store.counts().commits, 33);
    assert!(store.counts().groups < 33);
}
