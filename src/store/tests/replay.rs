//! Both stores against a third telling of the rules, with commits that chance makes.
//! Never shares code with what it holds them against.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::store::*;

/// What to try next. Revisions of expectations are that of the key, moved by this.
#[derive(Debug, Clone)]
enum Step {
    Commit { expects: Vec<(u8, u8, u8)>, changes: Vec<(u8, Option<Vec<u8>>)> },
    Watch,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let expects = vec((0..6_u8, 0..3_u8, prop_oneof![4 => Just(0_u8), 1 => 1..3_u8]), 0..3);
    let changes = vec((0..6_u8, proptest::option::weighted(0.7, vec(any::<u8>(), 0..5))), 1..4);
    let commit = (expects, changes).prop_map(|(expects, changes)| Step::Commit { expects, changes });
    vec(prop_oneof![12 => commit, 2 => Just(Step::Watch), 1 => Just(Step::Reopen)], 1..40)
}

/// The rules, told again: every commit that happened, and nothing else.
#[derive(Default)]
struct Told {
    commits: Vec<Vec<(String, Option<Vec<u8>>)>>,
}

impl Told {
    fn state(&self) -> BTreeMap<String, (Vec<u8>, u64)> {
        let mut state = BTreeMap::new();
        for (revision, changes) in (1..).zip(&self.commits) {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(state.insert(key.clone(), (value.clone(), revision))),
                    None => drop(state.remove(key)),
                }
            }
        }
        state
    }

    /// The commit in our types, and whether it must happen.
    fn commit(&mut self, expects: &[(u8, u8, u8)], changes: &[(u8, Option<Vec<u8>>)]) -> (Commit, bool) {
        let state = self.state();
        let mut happens = true;
        let mut commit = Commit::default();
        for (key, kind, off) in expects {
            let key = key.to_string();
            let found = state.get(&key).map(|(_, revision)| *revision);
            let expect = match kind {
                0 => (Expect::Absent(key.into()), found.is_none()),
                1 => (Expect::Present(key.into()), found.is_some()),
                _ => {
                    let revision = found.unwrap_or(0) + u64::from(*off);
                    (Expect::Unchanged(key.into(), StateRevision(revision)), found == Some(revision))
                }
            };
            happens &= expect.1;
            commit.expects.push(expect.0);
        }
        let once: BTreeMap<String, Option<Vec<u8>>> =
            changes.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
        for (key, value) in &once {
            commit.changes.push(match value {
                Some(value) => Change::put(key.as_str(), value.as_slice()),
                None => Change::delete(key.as_str()),
            });
        }
        if happens {
            self.commits.push(once.into_iter().collect());
        }
        (commit, happens)
    }

    fn assert_is(&self, snapshot: &Snapshot) {
        assert_eq!(snapshot.revision.0, self.commits.len() as u64);
        let found: BTreeMap<String, (Vec<u8>, u64)> = snapshot
            .entries
            .iter()
            .map(|(key, entry)| (key.to_string(), (entry.value.to_vec(), entry.changed.0)))
            .collect();
        assert_eq!(found, self.state());
    }

    fn assert_follows(&self, watch: &mut Watch) {
        let mut wanted = watch.seen();
        while let Some(committed) = watch.look().unwrap() {
            wanted = wanted.next();
            assert_eq!(committed.revision, wanted);
            let found: Vec<(String, Option<Vec<u8>>)> = committed
                .changes
                .iter()
                .map(|change| (change.key().to_string(), change.value().map(|value| value.to_vec())))
                .collect();
            assert_eq!(found, self.commits[usize::try_from(wanted.0).unwrap() - 1]);
        }
        assert_eq!(wanted.0, self.commits.len() as u64);
    }
}

async fn replay(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let memory = Memory::new(History::default());
    let mut embedded = Embedded::open(directory.path(), History::default()).unwrap();
    let mut told = Told::default();
    let mut watches = Vec::new();
    for step in steps {
        match step {
            Step::Commit { expects, changes } => {
                let (commit, happens) = told.commit(&expects, &changes);
                let wanted = happens.then_some(StateRevision(told.commits.len() as u64));
                let answers = [memory.commit(commit.clone()).await, embedded.commit(commit).await];
                for answer in answers {
                    assert!(matches!(&answer, Ok(_) | Err(StoreError::Conflict { .. })), "{answer:?}");
                    assert_eq!(answer.ok(), wanted);
                }
            }
            Step::Watch => {
                let after = StateRevision(told.commits.len() as u64 / 2);
                watches.push(memory.watch(after).unwrap());
                watches.push(embedded.watch(after).unwrap());
            }
            Step::Reopen => {
                // Watches of a store that is gone still have what it had.
                watches.drain(..).for_each(|mut watch| while watch.look().unwrap().is_some() {});
                drop(embedded);
                embedded = Embedded::open(directory.path(), History::default()).unwrap();
            }
        }
    }
    told.assert_is(&memory.snapshot().unwrap());
    told.assert_is(&embedded.snapshot().unwrap());
    watches.push(memory.watch(StateRevision(0)).unwrap());
    watches.push(embedded.watch(StateRevision(0)).unwrap());
    for watch in &mut watches {
        told.assert_follows(watch);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn chance_finds_no_commit_that_the_stores_see_otherwise(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(replay(steps));
    }
}
