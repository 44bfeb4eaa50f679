//! What was committed becomes what decisions know: the state's order is the registry's.
//! Never skips a commit, and never shows one before the next.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Fault;
use super::book::{
    ASKED, AskedBefore, EVENT, STOP, Stored, StoredEvent, StoredStop, StoredWindow, TASK, USED, Used, WINDOW,
};
use super::ready::Ready;
use crate::store::{Change, Committed, StateRevision, StateStore, StoreError, Watch};
use crate::task::{Calls, Head, Lent, State, Stop, Target, TaskId, Tasks, Window, kept};

/// How many commits become known before those who wait are woken.
const TOGETHER_MAX: usize = 256;

/// How many changes of a commit become known before whoever waits for this processor has it.
const AT_ONCE: usize = 8;

/// When tasks are over, and when other keys can be forgotten, by the second.
#[derive(Debug, Default)]
pub(super) struct Due(Mutex<Dates>);

/// Each once, however often it is written. What is over before its time has none here, so that a million revoked tasks are not
/// kept until they would have expired.
#[derive(Debug, Default)]
struct Dates {
    tasks: BTreeSet<(i64, TaskId)>,
    keys: BTreeSet<(i64, Arc<str>)>,
}

/// What is due.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Tasks whose time may be over.
    pub(super) tasks: Vec<TaskId>,
    /// Keys that may be forgotten.
    pub(super) keys: Vec<Arc<str>>,
}

impl Taken {
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.keys.is_empty()
    }
}

impl Due {
    fn dates(&self) -> MutexGuard<'_, Dates> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, at_s: i64, key: &Arc<str>) {
        self.dates().keys.insert((at_s, key.clone()));
    }

    fn task_at(&self, at_s: i64, id: TaskId) {
        self.dates().tasks.insert((at_s, id));
    }

    fn task_is_over(&self, at_s: i64, id: TaskId) {
        self.dates().tasks.remove(&(at_s, id));
    }

    /// What is due by now, a bounded number of each.
    pub(super) fn take(&self, now_s: i64, count_max: usize) -> Taken {
        let mut dates = self.dates();
        let Dates { tasks, keys } = &mut *dates;
        Taken { tasks: first(tasks, now_s, count_max), keys: first(keys, now_s, count_max) }
    }

    /// Puts back what could not be forgotten.
    pub(super) fn give_back(&self, at_s: i64, taken: Taken) {
        let mut dates = self.dates();
        dates.tasks.extend(taken.tasks.into_iter().map(|id| (at_s, id)));
        dates.keys.extend(taken.keys.into_iter().map(|key| (at_s, key)));
    }
}

/// Takes what is due, the earliest first.
fn first<K: Ord>(dates: &mut BTreeSet<(i64, K)>, now_s: i64, count_max: usize) -> Vec<K> {
    let mut taken = Vec::new();
    while taken.len() < count_max && dates.first().is_some_and(|(at_s, _)| *at_s <= now_s) {
        taken.extend(dates.pop_first().map(|(_, key)| key));
    }
    taken
}

/// What who commits and who follows have in common.
#[derive(Debug, Clone)]
pub struct Link {
    /// Up to where the registry was told.
    pub(super) told: watch::Receiver<u64>,
    pub(super) ready: Arc<Ready>,
}

/// Follows the state.
#[derive(Debug)]
pub struct Follower {
    tasks: TasksOf,
    watch: Watch,
    told: watch::Sender<u64>,
    ready: Arc<Ready>,
    pub(super) due: Arc<Due>,
    /// What the keys of revocations stand for.
    stops: HashMap<Arc<str>, Target>,
}

/// The registry; it has no debug form of its own.
struct TasksOf(Arc<Tasks>);

impl std::fmt::Debug for TasksOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tasks")
    }
}

impl Follower {
    /// Tells the registry everything that the state holds, and follows it from there.
    ///
    /// # Errors
    /// [`Fault`] when the state cannot be read, or holds what this version does not know.
    pub fn start<T: StateStore>(tasks: Arc<Tasks>, store: &T) -> Result<(Self, Link), Fault> {
        let snapshot = store.snapshot().map_err(Fault::Unwritten)?;
        let watch = store.watch(snapshot.revision).map_err(Fault::Unwritten)?;
        let (told, receiver) = watch::channel(snapshot.revision.0);
        let (ready, stops) = (Arc::<Ready>::default(), HashMap::new());
        let link = Link { told: receiver, ready: ready.clone() };
        let mut follower = Self { tasks: TasksOf(tasks), watch, told, ready, due: Arc::default(), stops };
        // Parents before their parts, and revocations together.
        let (mut open, mut stops) = (Vec::new(), Vec::new());
        for (key, entry) in &snapshot.entries {
            if key.starts_with(TASK) {
                open.push(read_task(key, &entry.value)?);
            } else if key.starts_with(STOP) {
                stops.push(follower.read_stop(key, &entry.value)?);
            } else {
                follower.put(key, &entry.value)?;
            }
        }
        follower.tasks.0.stop(stops);
        open.sort_by_key(|(lent, _)| lent.grant.depth());
        for (lent, stored) in open {
            // What was charged and not spent when the process ended may have been spent.
            follower.open(Arc::new(lent), &stored, stored.charged);
        }
        follower.tasks.0.told(snapshot.revision.0);
        Ok((follower, link))
    }

    /// Tells the registry of each commit, as it happens, until the store is closed.
    ///
    /// # Errors
    /// [`Fault`] when a commit cannot be understood, or was missed: then nothing more may be acknowledged.
    pub async fn run(mut self) -> Result<(), Fault> {
        loop {
            match self.watch.next().await {
                Ok(committed) => {
                    self.apply(&committed)?;
                    // What is there already, before those who wait are woken.
                    for _ in 1..TOGETHER_MAX {
                        let Some(committed) = self.watch.look().map_err(Fault::Unwritten)? else { break };
                        self.apply(&committed)?;
                        tokio::task::yield_now().await;
                    }
                    self.told.send_replace(self.tasks.0.revision());
                }
                Err(StoreError::Closed) => return Ok(()),
                Err(error) => return Err(Fault::Unwritten(error)),
            }
        }
    }

    fn apply(&mut self, committed: &Committed) -> Result<(), Fault> {
        let Committed { revision: StateRevision(revision), changes } = committed;
        let ended = ended(changes)?;
        for (place, change) in (1..).zip(changes) {
            if place % AT_ONCE == 0 {
                // Tasks that end by the dozen are long to forget.
                std::thread::yield_now();
            }
            match change {
                Change::Put { key, value } if key.starts_with(TASK) => {
                    let (lent, stored) = match self.ready.take(key, value) {
                        Some(known) => known,
                        None => read_task(key, value).map(|(lent, stored)| (Arc::new(lent), stored))?,
                    };
                    debug_assert!(
                        read_task(key, value).is_ok_and(|(read, _)| read == *lent),
                        "as it is read"
                    );
                    self.open(lent, &stored, 0);
                }
                Change::Put { key, value } => self.put(key, value)?,
                Change::Delete { key } => self.delete(key, ended),
            }
        }
        self.tasks.0.told(*revision);
        Ok(())
    }

    fn open(&self, lent: Arc<Lent>, stored: &Stored, spent: u64) {
        let tasks = &self.tasks.0;
        let (id, expires_s) = (lent.grant.id, lent.grant.expires_s);
        if let Some(head) = tasks.find(id) {
            head.calls.charge(stored.charged);
            head.see(&stored.seen);
            if head.lent().grant.expires_s != expires_s || head.lent().basis != lent.basis {
                self.due.task_is_over(head.lent().grant.expires_s, id);
                head.change(lent);
                self.due.task_at(expires_s, id);
            }
            return;
        }
        let parents: Option<Vec<Arc<Head>>> = lent.grant.ancestors.iter().map(|id| tasks.find(*id)).collect();
        self.due.task_at(expires_s, id);
        // Without its parents it is over.
        let Some(parents) = parents else { return tasks.close(id, State::Revoked) };
        for parent in &parents {
            parent.has_parts();
        }
        let calls = Calls::new(lent.grant.calls_max.unwrap_or_default(), stored.charged, spent);
        let wants_more = calls.wants_more();
        let head = Head::new(lent, parents, calls, &stored.seen, stored.kid.clone());
        let head = Arc::new(head);
        tasks.open(head.clone());
        if wants_more {
            tasks.want(&head);
        }
    }

    fn put(&mut self, key: &Arc<str>, value: &[u8]) -> Result<(), Fault> {
        let tasks = &self.tasks.0;
        if let Some(name) = key.strip_prefix(USED) {
            let Used { until_s } = serde_json::from_slice(value)?;
            tasks.used(name.to_owned(), Some(until_s));
            self.due.at(until_s, key);
        } else if let Some(name) = key.strip_prefix(WINDOW) {
            let StoredWindow { since_s, until_s, calls } = serde_json::from_slice(value)?;
            tasks.granted(name.to_owned(), Some(Window { since_s, calls }));
            self.due.at(until_s, key);
        } else if key.starts_with(STOP) {
            let stop = self.read_stop(key, value)?;
            self.tasks.0.stop([stop]);
        } else if key.starts_with(ASKED) {
            let AskedBefore { until_s, .. } = serde_json::from_slice(value)?;
            self.due.at(until_s, key);
        }
        Ok(())
    }

    fn read_stop(&mut self, key: &Arc<str>, value: &[u8]) -> Result<(Target, Stop), Fault> {
        let stored: StoredStop = serde_json::from_slice(value)?;
        if let Some(until_s) = stored.until_s {
            self.due.at(until_s, key);
        }
        let (target, stop) = stored.read().ok_or_else(|| Fault::Strange(key.to_string()))?;
        self.stops.insert(key.clone(), target.clone());
        Ok((target, stop))
    }

    fn delete(&mut self, key: &str, ended: State) {
        let tasks = &self.tasks.0;
        if let Some(id) = task_of(key) {
            if let Some(head) = tasks.find(id) {
                self.due.task_is_over(head.lent().grant.expires_s, id);
            }
            tasks.close(id, ended);
        } else if let Some(name) = key.strip_prefix(USED) {
            tasks.used(name.to_owned(), None);
        } else if let Some(name) = key.strip_prefix(WINDOW) {
            tasks.granted(name.to_owned(), None);
        } else if let Some(target) = self.stops.remove(key) {
            tasks.forget_stop(&target);
        }
    }
}

/// How the tasks ended that a commit takes away.
fn ended(changes: &[Change]) -> Result<State, Fault> {
    let event = changes.iter().find(|change| **change.key() == *EVENT).and_then(Change::value);
    let takes = changes.iter().any(|change| change.value().is_none());
    let event = event.filter(|_| takes).map(|event| serde_json::from_slice(event)).transpose()?;
    Ok(match event {
        Some(StoredEvent::Ended { state, .. }) => state.into(),
        _ => State::Revoked,
    })
}

/// The task of a key.
fn task_of(key: &str) -> Option<TaskId> {
    key.strip_prefix(TASK)?.parse().ok()
}

fn read_task(key: &str, value: &[u8]) -> Result<(Lent, Stored), Fault> {
    let stored: Stored = serde_json::from_slice(value)?;
    let lent = kept(stored.lent.get()).ok_or_else(|| Fault::Strange(key.to_owned()))?;
    Ok((lent, stored))
}
