//! A disk without room: commits are refused with the reason, and taken again when there is room.

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::*;

/// Tells the test that it is the child, whose files may be kept small, and where its directory is.
const CHILD: &str = "PALISADE_STATE_SMALL";
const NAME: &str = "store::embedded::tests::room::a_full_disk_refuses_commits_until_there_is_room";

/// Lets the files of this process grow no further than this.
fn limit_files(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

async fn child(directory: &Path) {
    // SIGXFSZ is an error of write(2) then, and not the end of the process.
    let _heard = signal(SignalKind::from_raw(25)).unwrap();
    let store = open(directory);
    let wide =
        |i: usize| Commit { expects: vec![], changes: vec![Change::put(i.to_string(), vec![7; 60_000])] };
    store.commit(wide(0)).await.unwrap();
    limit_files(Some(fs::metadata(store.path()).unwrap().len() + 10_000));
    let mut last = 1;
    let refused = loop {
        match store.commit(wide(last)).await {
            Ok(_) => last += 1,
            Err(error) => break error,
        }
        assert!(last < 500, "the limit is reached");
    };
    let StoreError::Unavailable { place, source } = refused else { panic!("{refused:?}") };
    assert!(place.ends_with("state.redb"), "{place}");
    let cause = std::error::Error::source(&*source).expect("the cause").to_string();
    assert!(cause.contains("File too large"), "{cause}");
    assert!(!store.is_writable());
    assert!(store.commit(wide(last)).await.is_err(), "and nobody else's");
    assert_eq!(store.snapshot().unwrap().entries.len(), last, "reads go on");

    limit_files(None);
    let start = Instant::now();
    while store.commit(wide(last)).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "it heals by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(store.is_writable());
    let state = store.snapshot().unwrap();
    drop(store);
    let reopened = open(directory);
    assert_eq!(reopened.snapshot().unwrap(), state);
    assert_eq!(state.entries.len(), last + 1);
}

#[test]
fn a_full_disk_refuses_commits_until_there_is_room() {
    if let Some(directory) = env::var_os(CHILD) {
        return runtime().block_on(child(Path::new(&directory)));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture"]).env(CHILD, directory.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(directory.path().join("state.redb").exists());
}
