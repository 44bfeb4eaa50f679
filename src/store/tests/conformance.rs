//! What every store must do: one suite, run on each.
//! Never looks behind the trait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::store::*;

/// So little that tests can leave it behind.
const SHORT: History = History { commits_max: 100, bytes_max: 4 * VALUE_BYTES_MAX };

fn commit<const E: usize, const C: usize>(expects: [Expect; E], changes: [Change; C]) -> Commit {
    Commit { expects: expects.into(), changes: changes.into() }
}

fn put(key: &str, value: &str) -> Change {
    Change::put(key, value.as_bytes())
}

fn texts(snapshot: &Snapshot) -> Vec<(String, String, u64)> {
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    snapshot.entries.iter().map(|(key, e)| (key.to_string(), text(&e.value), e.changed.0)).collect()
}

fn row(key: &str, value: &str, changed: u64) -> (String, String, u64) {
    (key.into(), value.into(), changed)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it comes soon")
}

macro_rules! conforms {
    ($($case:ident)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(super::Memory::new(super::SHORT)).await;
            })*
        }
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let directory = tempfile::tempdir().unwrap();
                super::$case(super::Embedded::open(directory.path(), super::SHORT).unwrap()).await;
            })*
        }
    };
}

conforms! {
    an_empty_store_is_at_revision_0
    commits_count_from_1_and_snapshots_show_them
    a_snapshot_under_a_prefix_has_those_keys_alone
    a_commit_whose_expectation_fails_changes_nothing
    expectations_look_at_the_state_before_the_commit
    deleting_what_is_not_there_is_a_commit
    of_many_who_want_the_same_key_one_gets_it
    a_counter_under_contention_loses_no_step
    limits_have_clear_errors
    what_is_just_within_the_limits_is_taken
    a_watch_gives_each_commit_once_and_in_order
    a_watch_begins_anywhere_in_history
    a_watch_that_waits_is_woken
    a_watch_dropped_while_it_waits_loses_nothing
    watches_opened_while_commits_go_on_have_no_gap
    a_snapshot_and_a_watch_from_it_are_the_state
    a_watch_that_falls_behind_history_is_told
    history_is_bounded_in_bytes_too
    a_watch_from_the_future_is_refused
    a_watch_ends_with_its_store_after_the_last_commit
    a_barrier_has_what_was_acknowledged
}

async fn an_empty_store_is_at_revision_0(store: impl StateStore) {
    assert_eq!(store.snapshot().unwrap(), Snapshot::default());
    assert_eq!(store.barrier().await.unwrap(), StateRevision(0));
}

async fn commits_count_from_1_and_snapshots_show_them(store: impl StateStore) {
    assert_eq!(store.commit(commit([], [put("a", "1"), put("b", "1")])).await.unwrap(), StateRevision(1));
    let second = commit([], [put("a", "2"), Change::delete("b"), put("c", "")]);
    assert_eq!(store.commit(second).await.unwrap(), StateRevision(2));
    assert_eq!(store.commit(commit([], [put("d", "3")])).await.unwrap(), StateRevision(3));
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.revision, StateRevision(3));
    assert_eq!(texts(&snapshot), [row("a", "2", 2), row("c", "", 2), row("d", "3", 3)]);
}

async fn a_snapshot_under_a_prefix_has_those_keys_alone(store: impl StateStore) {
    let keys = ["a", "a/", "a/1", "a/ü", "a0", "b/1", "a/\u{10ffff}"];
    store.commit(commit([], keys.map(|key| put(key, "")))).await.unwrap();
    let under = |prefix| store.snapshot_under(prefix).unwrap().entries.keys().cloned().collect::<Vec<_>>();
    assert_eq!(under("a/"), ["a/", "a/1", "a/ü", "a/\u{10ffff}"].map(Arc::from));
    assert_eq!(under("b"), [Arc::from("b/1")]);
    assert_eq!(under("c"), []);
    assert_eq!(under("").len(), keys.len());
    assert_eq!(store.snapshot_under("c").unwrap().revision, StateRevision(1));
}

async fn a_commit_whose_expectation_fails_changes_nothing(store: impl StateStore) {
    store.commit(commit([], [put("a", "1")])).await.unwrap();
    store.commit(commit([], [put("b", "1")])).await.unwrap();
    let before = store.snapshot().unwrap();
    let wrong = [
        Expect::Absent("a".into()),
        Expect::Present("c".into()),
        Expect::Unchanged("a".into(), StateRevision(2)),
        Expect::Unchanged("a".into(), StateRevision(0)),
        Expect::Unchanged("c".into(), StateRevision(0)),
    ];
    for expect in wrong {
        let key = expect.key().clone();
        let holds = Expect::Present("b".into());
        let refused =
            store.commit(commit([holds, expect], [put("a", "x"), put("d", "x")])).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Conflict { key: named } if *named == key), "{refused:?}");
        assert_eq!(store.snapshot().unwrap(), before);
    }
    assert!(store.watch(before.revision).unwrap().look().unwrap().is_none(), "no commit happened");
    assert_eq!(
        store.commit(commit([], [put("a", "2")])).await.unwrap(),
        StateRevision(3),
        "and none is counted"
    );
}

async fn expectations_look_at_the_state_before_the_commit(store: impl StateStore) {
    let first = commit([Expect::Absent("a".into())], [put("a", "1")]);
    assert_eq!(store.commit(first.clone()).await.unwrap(), StateRevision(1));
    store.commit(first.clone()).await.unwrap_err();
    let second = commit([Expect::Unchanged("a".into(), StateRevision(1))], [put("a", "2")]);
    store.commit(second.clone()).await.unwrap();
    store.commit(second).await.unwrap_err();
    let delete = commit([Expect::Present("a".into())], [Change::delete("a")]);
    store.commit(delete.clone()).await.unwrap();
    store.commit(delete).await.unwrap_err();
    assert_eq!(store.commit(first).await.unwrap(), StateRevision(4), "absent again");
}

async fn deleting_what_is_not_there_is_a_commit(store: impl StateStore) {
    assert_eq!(store.commit(commit([], [Change::delete("a")])).await.unwrap(), StateRevision(1));
    let seen = store.watch(StateRevision(0)).unwrap().look().unwrap().unwrap();
    assert_eq!(seen.changes, [Change::delete("a")]);
}

async fn of_many_who_want_the_same_key_one_gets_it(store: impl StateStore) {
    let store = Arc::new(store);
    for round in 0..5 {
        let key = format!("k{round}");
        let tries: Vec<_> = (0..16)
            .map(|i| {
                let wanted = commit([Expect::Absent(key.as_str().into())], [put(&key, &i.to_string())]);
                let store = store.clone();
                tokio::spawn(async move { store.commit(wanted).await })
            })
            .collect();
        let mut won = 0;
        for attempt in tries {
            match attempt.await.unwrap() {
                Ok(_) => won += 1,
                Err(StoreError::Conflict { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(won, 1);
    }
}

/// Reads, then writes if nothing came between, until that succeeds.
async fn step(store: &impl StateStore) {
    loop {
        let snapshot = store.snapshot_under("counter").unwrap();
        let (expect, count) = match snapshot.entries.get("counter") {
            None => (Expect::Absent("counter".into()), 0),
            Some(entry) => {
                let text = std::str::from_utf8(&entry.value).unwrap();
                (Expect::Unchanged("counter".into(), entry.changed), text.parse::<u32>().unwrap())
            }
        };
        match store.commit(commit([expect], [put("counter", &(count + 1).to_string())])).await {
            Ok(_) => return,
            Err(StoreError::Conflict { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

async fn a_counter_under_contention_loses_no_step(store: impl StateStore) {
    let store = Arc::new(store);
    let steppers: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    step(&*store).await;
                }
            })
        })
        .collect();
    for stepper in steppers {
        stepper.await.unwrap();
    }
    assert_eq!(texts(&store.snapshot().unwrap()), [row("counter", "40", 40)]);
}

async fn limits_have_clear_errors(store: impl StateStore) {
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    let big = vec![0; VALUE_BYTES_MAX + 1];
    let many: Vec<Change> = (0..=COMMIT_CHANGES_MAX).map(|i| Change::delete(i.to_string())).collect();
    let all: Vec<Change> = (0..17).map(|i| Change::put(i.to_string(), vec![0; VALUE_BYTES_MAX])).collect();
    let broken = [
        (vec![], vec![], "it changes nothing"),
        (vec![], vec![put("", "")], "a key has 0 bytes, not 1 to 512"),
        (vec![], vec![Change::delete(long.as_str())], "a key has 513 bytes, not 1 to 512"),
        (vec![Expect::Absent(long.into())], vec![put("a", "")], "a key has 513 bytes, not 1 to 512"),
        (vec![], vec![Change::put("a", big)], "the value of `a` has 65537 bytes, more than 65536"),
        (vec![], many, "it has 129 changes or expectations, more than 128"),
        (
            vec![Expect::Absent("a".into()); 129],
            vec![put("a", "")],
            "it has 129 changes or expectations, more than 128",
        ),
        (vec![], vec![put("a", "1"), Change::delete("a")], "it changes `a` twice"),
        (vec![], all, "it has 1114136 bytes, more than 1048576"),
    ];
    for (expects, changes, wanted) in broken {
        let refused = store.commit(Commit { expects, changes }).await.unwrap_err();
        assert!(matches!(refused, StoreError::Malformed(_)), "{refused:?}");
        assert_eq!(refused.to_string(), format!("this cannot be committed: {wanted}"));
    }
    assert_eq!(store.snapshot().unwrap(), Snapshot::default());
}

async fn what_is_just_within_the_limits_is_taken(store: impl StateStore) {
    let key = "k".repeat(KEY_BYTES_MAX);
    let widest = commit([], [Change::put(key.as_str(), vec![7; VALUE_BYTES_MAX])]);
    store.commit(widest).await.unwrap();
    let changes = (0..COMMIT_CHANGES_MAX).map(|i| Change::put(i.to_string(), vec![7; 8000])).collect();
    let expects = (0..COMMIT_CHANGES_MAX).map(|i| Expect::Absent(i.to_string().into())).collect();
    store.commit(Commit { expects, changes }).await.unwrap();
    let entries = store.snapshot().unwrap().entries;
    assert_eq!(entries.len(), 1 + COMMIT_CHANGES_MAX);
    assert_eq!(entries[key.as_str()].value.len(), VALUE_BYTES_MAX);
}

async fn a_watch_gives_each_commit_once_and_in_order(store: impl StateStore) {
    let mut watch = store.watch(StateRevision(0)).unwrap();
    for i in 1..=20 {
        store.commit(commit([], [put("a", &i.to_string()), put("b", "")])).await.unwrap();
    }
    for i in 1..=20 {
        let seen = soon(watch.next()).await.unwrap();
        assert_eq!((seen.revision, watch.seen()), (StateRevision(i), StateRevision(i)));
        assert_eq!(seen.changes, [put("a", &i.to_string()), put("b", "")]);
    }
    assert!(watch.look().unwrap().is_none());
}

async fn a_watch_begins_anywhere_in_history(store: impl StateStore) {
    for i in 1..=20 {
        store.commit(commit([], [put("a", &i.to_string())])).await.unwrap();
    }
    for after in 0..20 {
        let seen = soon(store.watch(StateRevision(after)).unwrap().next()).await.unwrap();
        assert_eq!(seen.revision, StateRevision(after + 1));
    }
    assert!(store.watch(StateRevision(20)).unwrap().look().unwrap().is_none());
}

async fn a_watch_that_waits_is_woken(store: impl StateStore) {
    let mut watch = store.watch(StateRevision(0)).unwrap();
    for i in 1..=20 {
        let waiting = tokio::spawn(async move { (soon(watch.next()).await, watch) });
        store.commit(commit([], [put("a", "")])).await.unwrap();
        let (seen, back) = waiting.await.unwrap();
        assert_eq!(seen.unwrap().revision, StateRevision(i));
        watch = back;
    }
}

async fn a_watch_dropped_while_it_waits_loses_nothing(store: impl StateStore) {
    let mut watch = store.watch(StateRevision(0)).unwrap();
    for i in 1..=10 {
        assert!(tokio::time::timeout(Duration::from_millis(1), watch.next()).await.is_err(), "nothing yet");
        store.commit(commit([], [put("a", "")])).await.unwrap();
        assert_eq!(soon(watch.next()).await.unwrap().revision, StateRevision(i));
    }
}

async fn watches_opened_while_commits_go_on_have_no_gap(store: impl StateStore) {
    let store = Arc::new(store);
    let writing = store.clone();
    let writer = tokio::spawn(async move {
        for i in 1..=90 {
            writing.commit(commit([], [put("a", &i.to_string())])).await.unwrap();
        }
    });
    let mut watchers = Vec::new();
    while !writer.is_finished() {
        let mut watch = store.watch(store.barrier().await.unwrap()).unwrap();
        watchers.push(tokio::spawn(async move {
            for wanted in watch.seen().0 + 1..=90 {
                let seen = soon(watch.next()).await.unwrap();
                assert_eq!(seen.revision, StateRevision(wanted));
                assert_eq!(seen.changes, [put("a", &wanted.to_string())]);
            }
        }));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    writer.await.unwrap();
    for watcher in watchers {
        watcher.await.unwrap();
    }
}

async fn a_snapshot_and_a_watch_from_it_are_the_state(store: impl StateStore) {
    let store = Arc::new(store);
    let writing = store.clone();
    let writer = tokio::spawn(async move {
        for i in 0..90_u32 {
            let key = (i % 7).to_string();
            let change = if i % 5 == 0 { Change::delete(key) } else { put(&key, &i.to_string()) };
            writing.commit(commit([], [change])).await.unwrap();
        }
    });
    let mut follower = (store.snapshot().unwrap(), store.watch(StateRevision(0)).unwrap());
    let taken = loop {
        let snapshot = store.snapshot().unwrap();
        if snapshot.revision >= StateRevision(30) {
            break snapshot;
        }
        tokio::task::yield_now().await;
    };
    let from = store.watch(taken.revision).unwrap();
    writer.await.unwrap();
    let wanted = store.snapshot().unwrap();
    follow(&mut follower.0, &mut follower.1);
    assert_eq!(follower.0, wanted);
    let mut late = (taken, from);
    follow(&mut late.0, &mut late.1);
    assert_eq!(late.0, wanted);
}

fn follow(state: &mut Snapshot, watch: &mut Watch) {
    while let Some(committed) = watch.look().unwrap() {
        for change in &committed.changes {
            match change.value() {
                Some(value) => {
                    let entry = Entry { value: value.clone(), changed: committed.revision };
                    state.entries.insert(change.key().clone(), entry);
                }
                None => drop(state.entries.remove(change.key())),
            }
        }
        state.revision = committed.revision;
    }
}

async fn a_watch_that_falls_behind_history_is_told(store: impl StateStore) {
    let mut slow = store.watch(StateRevision(0)).unwrap();
    for _ in 0..105 {
        store.commit(commit([], [put("a", "")])).await.unwrap();
    }
    let told = |error: &StoreError| {
        matches!(error, StoreError::Compacted { after: StateRevision(0), floor: StateRevision(5) })
    };
    let refused = soon(slow.next()).await.unwrap_err();
    assert!(told(&refused), "{refused:?}");
    assert!(told(&store.watch(StateRevision(0)).unwrap_err()));
    assert!(store.watch(StateRevision(4)).is_err());
    assert_eq!(soon(store.watch(StateRevision(5)).unwrap().next()).await.unwrap().revision, StateRevision(6));
    assert_eq!(store.snapshot().unwrap().revision, StateRevision(105), "the way on");
}

async fn history_is_bounded_in_bytes_too(store: impl StateStore) {
    for i in 0..9_u32 {
        store.commit(commit([], [Change::put(i.to_string(), vec![0; VALUE_BYTES_MAX])])).await.unwrap();
    }
    let refused = store.watch(StateRevision(5)).unwrap_err();
    assert!(matches!(refused, StoreError::Compacted { floor: StateRevision(6), .. }), "{refused:?}");
}

async fn a_watch_from_the_future_is_refused(store: impl StateStore) {
    let refused = store.watch(StateRevision(1)).unwrap_err();
    assert!(matches!(refused, StoreError::Compacted { .. }), "{refused:?}");
}

async fn a_watch_ends_with_its_store_after_the_last_commit(store: impl StateStore) {
    let mut watch = store.watch(StateRevision(0)).unwrap();
    store.commit(commit([], [put("a", "")])).await.unwrap();
    drop(store);
    assert_eq!(soon(watch.next()).await.unwrap().revision, StateRevision(1));
    assert!(matches!(soon(watch.next()).await, Err(StoreError::Closed)));
}

async fn a_barrier_has_what_was_acknowledged(store: impl StateStore) {
    for i in 1..=10 {
        let acknowledged = store.commit(commit([], [put("a", &i.to_string())])).await.unwrap();
        assert!(store.barrier().await.unwrap() >= acknowledged);
        assert!(store.snapshot().unwrap().revision >= acknowledged);
    }
}

#[test]
fn a_history_of_nothing_still_lets_snapshots_through() {
    let store = Memory::new(History { commits_max: 0, bytes_max: 0 });
    let commit = commit([], [put("a", "1")]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.commit(commit)).unwrap();
    assert!(store.watch(StateRevision(0)).is_err());
    assert!(store.watch(StateRevision(1)).is_ok());
    let entry = Entry { value: b"1"[..].into(), changed: StateRevision(1) };
    assert_eq!(store.snapshot().unwrap().entries, BTreeMap::from([("a".into(), entry)]));
}
