//! What is written without being asked for: calls that are charged ahead, data that was seen, and what time has ended.
//! Never in the way of a decision.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::book::{
    ASKED, AskedBefore, Draft, STOP, Stored, StoredStop, StoredWindow, USED, Used, WINDOW, look, task_key,
};
use super::follow::{Due, Taken};
use super::{Asking, Fault, Follower, Lifecycle, unwritten};
use crate::access::Timestamp;
use crate::audit::{AuditSink, Move};
use crate::store::StateStore;
use crate::task::{Calls, State, TaskId};

/// How often a look is taken at what time has ended.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How many tasks are written again with one commit.
const TOGETHER_MAX: usize = 64;
/// How much is forgotten in one go.
const FORGET_MAX: usize = 100;
/// How long after a failure is tried again, in seconds.
const AGAIN_S: i64 = 5;

/// Keeps the state of tasks: charges their calls ahead and records what time has ended.
pub struct Keeper<S, T> {
    life: Arc<Lifecycle<S, T>>,
    wanting: mpsc::UnboundedReceiver<TaskId>,
    due: Arc<Due>,
    now: fn() -> Timestamp,
}

impl<S: AuditSink + 'static, T: StateStore> Keeper<S, T> {
    /// Keeps the tasks of `life`. `wanting` comes from [`super::wanting`].
    pub fn new(
        life: Arc<Lifecycle<S, T>>,
        follower: &Follower,
        wanting: mpsc::UnboundedReceiver<TaskId>,
        now: fn() -> Timestamp,
    ) -> Self {
        Self { life, wanting, due: follower.due.clone(), now }
    }

    /// Works until `stop`, then gives back the calls that were charged and not spent.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut wanted = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // First, or a steady demand for calls would keep everything open.
                _ = sweep.tick() => self.sweep((self.now)()).await,
                count = self.wanting.recv_many(&mut wanted, TOGETHER_MAX) => {
                    if count == 0 {
                        break;
                    }
                    self.write_again(&wanted, Charge::Ahead).await;
                    wanted.clear();
                }
            }
        }
        let unspent = |head: &Arc<crate::task::Head>| head.calls.spent() < head.calls.charged();
        let open: Vec<TaskId> = self.life.tasks.all().iter().filter(|h| unspent(h)).map(|h| h.id()).collect();
        for some in open.chunks(TOGETHER_MAX) {
            self.write_again(some, Charge::Spent).await;
        }
    }

    /// Writes tasks again: what fails is asked for again by the next step that wants more. Together, if nobody comes in the way, else one by one.
    async fn write_again(&self, ids: &[TaskId], charge: Charge) {
        if self.try_write(ids, charge).await.is_ok() {
            return;
        }
        for id in ids {
            if let Err(error) = self.try_write(&[*id], charge).await {
                tracing::warn!(error = &error as &dyn std::error::Error, task = %id, "a task's calls were not written");
            }
        }
    }

    async fn try_write(&self, ids: &[TaskId], charge: Charge) -> Result<(), Fault> {
        let mut draft = Draft::default();
        for id in ids {
            let Some(head) = self.life.tasks.find(*id) else { continue };
            let key = task_key(*id);
            let Some(entry) = look(&*self.life.store, &key).map_err(unwritten)? else { continue };
            let stored: Stored = serde_json::from_slice(&entry.value)?;
            head.is_written();
            let spent = head.calls.spent();
            let charged = match charge {
                Charge::Ahead if head.calls.wants_more() => {
                    spent.saturating_add(Calls::piece(head.calls.max())).min(head.calls.max())
                }
                Charge::Ahead => head.calls.charged(),
                Charge::Spent => head.calls.settle().1,
            };
            let seen = head.seen().as_ref().clone();
            draft.unchanged(&key, Some(&entry));
            draft.put(&key, &Stored { charged, seen, ..stored })?;
        }
        if draft.0.changes.is_empty() {
            return Ok(());
        }
        self.life.commit(draft).await.map(|_| ()).map_err(unwritten)
    }

    /// Records tasks whose time is over, and forgets what nobody can ask for any more.
    async fn sweep(&self, now: Timestamp) {
        loop {
            let taken = self.due.take(now.seconds(), FORGET_MAX);
            if taken.is_empty() {
                return;
            }
            if let Err(error) = self.forget(&taken, now).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "what time has ended stays for now");
                self.due.give_back(now.seconds().saturating_add(AGAIN_S), taken);
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn forget(&self, taken: &Taken, now: Timestamp) -> Result<(), Fault> {
        let Taken { tasks, keys } = taken;
        let is_over =
            |id: &TaskId| self.life.tasks.find(*id).filter(|head| head.lent().grant.is_over(now.seconds()));
        let expired: Vec<_> = tasks.iter().filter_map(is_over).collect();
        if !expired.is_empty() {
            let asking = Asking::nobody("", now);
            self.life.close(expired, State::Expired, &asking, Move::Expired, None).await?;
        }
        let mut draft = Draft::default();
        // A part that lost its whole in a crash is known to nobody.
        let is_lost = |id: &&TaskId| self.life.tasks.find(**id).is_none();
        for id in tasks.iter().filter(is_lost) {
            let key = task_key(*id);
            let Some(entry) = look(&*self.life.store, &key).map_err(unwritten)? else { continue };
            draft.unchanged(&key, Some(&entry));
            draft.delete(&key);
            tracing::info!(key, "a part of a task that was over is forgotten");
        }
        for key in keys {
            let Some(entry) = look(&*self.life.store, key).map_err(unwritten)? else { continue };
            if until_s(key, &entry.value)?.is_some_and(|until_s| until_s <= now.seconds())
                && !draft.0.changes.iter().any(|change| *change.key() == *key)
            {
                draft.unchanged(key, Some(&entry));
                draft.delete(key);
            }
        }
        if draft.0.changes.is_empty() {
            return Ok(());
        }
        self.life.commit(draft).await.map(|_| ()).map_err(unwritten)
    }
}

/// Up to where calls are charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charge {
    /// A piece more than was spent.
    Ahead,
    /// What was spent and no more: nothing is spent any more.
    Spent,
}

/// Until when a key must be kept; none for one that is kept.
fn until_s(key: &str, value: &[u8]) -> Result<Option<i64>, Fault> {
    Ok(if key.starts_with(USED) {
        Some(serde_json::from_slice::<Used>(value)?.until_s)
    } else if key.starts_with(WINDOW) {
        Some(serde_json::from_slice::<StoredWindow>(value)?.until_s)
    } else if key.starts_with(ASKED) {
        Some(serde_json::from_slice::<AskedBefore>(value)?.until_s)
    } else if key.starts_with(STOP) {
        serde_json::from_slice::<StoredStop>(value)?.until_s
    } else {
        None
    })
}
