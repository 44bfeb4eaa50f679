//! Tasks that end, however that comes about.
//! Never lets a part outlive its whole, and never counts one end twice.

use std::collections::BTreeMap;
use std::slice::Chunks;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;

use super::book::{AskedBefore, Draft, StoredEvent, StoredWindow, WINDOW, look, task_key};
use super::{About, Asking, Fault, Lifecycle, Moment, TRIES, Wish, asked_key, book, unwritten};
use crate::access::{Decision, Timestamp};
use crate::audit::{AuditSink, Move};
use crate::pdp::{Ask, TaskAsk};
use crate::store::{Expect, StateRevision, StateStore, StoreError};
use crate::task::{Event, Head, State, window_name};

/// How many tasks end with one commit. More would cost less, and keep a processor from answers for longer.
const TASKS_OF_COMMIT_MAX: usize = 16;

/// How many windows get something back with one commit.
const WINDOWS_OF_COMMIT_MAX: usize = 50;

/// How many commits that end tasks are under way at a time. More would be faster, and keep every processor from answers.
const AT_A_TIME: usize = 4;

/// What came of a request to end or to revoke.
#[derive(Debug)]
pub struct Closed {
    /// The state that has it.
    pub state: u64,
    /// How many tasks were open under it until now.
    pub tasks: usize,
    /// Why it was denied, if it was.
    pub denied: Option<Decision>,
}

/// How tasks are closed.
#[derive(Clone, Copy)]
struct Closing<'a> {
    state: State,
    asking: &'a Asking<'a>,
    what: Move,
    /// Where it is noted what they did not use, if their own commit does not give it back.
    later: Option<&'a Mutex<Unused>>,
    /// The first thing that could not be put on record. What is closed is closed: it holds up nothing.
    unrecorded: &'a Mutex<Option<Fault>>,
}

/// By window: the calls that ended tasks did not use, with the second in which each began.
#[derive(Debug, Default)]
struct Unused(BTreeMap<String, Vec<(i64, u64)>>);

impl Unused {
    fn of(heads: &[&Arc<Head>]) -> Self {
        let mut unused = Self::default();
        for head in heads.iter().filter(|head| head.parents().is_empty()) {
            let unspent = (head.lent().grant.started_s, head.calls.left());
            unused.0.entry(window(head)).or_default().push(unspent);
        }
        unused
    }

    fn add(&mut self, other: Self) {
        for (key, unspent) in other.0 {
            self.0.entry(key).or_default().extend(unspent);
        }
    }
}

/// The key of the window in which the calls of a task count.
fn window(head: &Head) -> String {
    let lent = head.lent();
    format!("{WINDOW}{}", window_name(&lent.grant.parties, &lent.grant.purpose))
}

type Committed = Result<StateRevision, Fault>;

/// The later of two states, or the first thing that went wrong.
fn later_of(one: Committed, other: Committed) -> Committed {
    one.and_then(|one| other.map(|other| one.max(other)))
}

/// Nothing panics while one of these is held.
fn held<V>(value: &Mutex<V>) -> MutexGuard<'_, V> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AuditSink + 'static, T: StateStore> Lifecycle<S, T> {
    /// Ends a task, with its parts.
    ///
    /// # Errors
    /// [`Fault`]. To end a task that has ended in the same way is none.
    pub async fn end(&self, wish: Wish, reason: &str, moment: Moment) -> Result<Closed, Fault> {
        let Wish { request, idempotency_key, approvals: _ } = wish;
        let Ask::Task(TaskAsk::End { id, end }) = request.ask else { return Err(Fault::NoTask) };
        let now = moment.now;
        let key = (!idempotency_key.is_empty()).then(|| asked_key(&request.caller, &idempotency_key));
        let shown = request.credentials.task.as_ref().and_then(|token| self.tasks.named(token));
        let named = id.or(shown);
        if let Some(key) = &key
            && let Some(before) = look(&*self.store, key).map_err(unwritten)?
        {
            self.until_told(before.changed).await.map_err(unwritten)?;
            let before: AskedBefore = serde_json::from_slice(&before.value)?;
            let same = before.what == end.name() && named == Some(before.task);
            let state = self.tasks.revision();
            return if same { Ok(Closed { state, tasks: 0, denied: None }) } else { Err(Fault::KeyUsed) };
        }
        if let Some(id) = named
            && let Some(before) = self.tasks.gone_as(id)
        {
            before.after(Event::End(end))?;
            return Ok(Closed { state: self.tasks.revision(), tasks: 0, denied: None });
        }
        let mut answer = moment.decide(&self.pdp, &request)?;
        let Some(lent) = answer.lent.take() else {
            return Ok(Closed { state: self.tasks.revision(), tasks: 0, denied: Some(answer.decision) });
        };
        let head = self.tasks.find(lent.grant.id).ok_or(Fault::NoTask)?;
        let asked = key.map(|key| {
            let (decision, revision) = (answer.id.to_string(), answer.revision.to_string());
            let what = end.name().to_owned();
            (key, AskedBefore { task: head.id(), what, decision, revision, until_s: lent.grant.ceiling_s })
        });
        let asking = Asking {
            face: Some(request.face),
            caller: &request.caller.name,
            request_id: &request.request_id,
            decision: Some(&answer.id),
            ..Asking::nobody(reason, now)
        };
        let (tasks, state) = self.close_whole(&head, State::Ended(end), &asking, Move::Ended, asked).await?;
        // Of several who end it at once one does, and the others hear how.
        self.tasks.gone_as(head.id()).unwrap_or(State::Revoked).after(Event::End(end))?;
        Ok(Closed { state: state.0, tasks, denied: None })
    }

    /// Closes a task with its parts: how many there were, and the state that has it.
    pub(super) async fn close_whole(
        &self,
        head: &Arc<Head>,
        state: State,
        asking: &Asking<'_>,
        what: Move,
        asked: Option<(String, AskedBefore)>,
    ) -> Result<(usize, StateRevision), Fault> {
        let all = self.with_parts(head);
        let mut tasks = all.len();
        let mut closed = self.close(all, state, asking, what, asked).await;
        // A part may have been handed on while its whole ended; none can be after that.
        if self.tasks.find(head.id()).is_none() {
            let late = self.with_parts(head).split_off(1);
            tasks += late.len();
            closed = later_of(closed, self.close(late, state, asking, what, None).await);
        }
        closed.map(|revision| (tasks, revision))
    }

    /// A task with everything that was split off from it, the task first.
    fn with_parts(&self, head: &Arc<Head>) -> Vec<Arc<Head>> {
        let mut all = vec![head.clone()];
        if head.is_parent() {
            let is_part = |other: &Arc<Head>| other.parents().iter().any(|parent| parent.id() == head.id());
            all.extend(self.tasks.all().into_iter().filter(is_part));
        }
        all
    }

    /// Closes tasks: durable, then on record. What is left of their calls goes back to the windows of their humans' agents: with
    /// the commit that ends them, and where it takes several, with commits of its own that follow, each window once. Goes on when
    /// a record fails: what is closed is closed.
    pub(super) async fn close(
        &self,
        all: Vec<Arc<Head>>,
        state: State,
        asking: &Asking<'_>,
        what: Move,
        mut asked: Option<(String, AskedBefore)>,
    ) -> Committed {
        let later = (all.len() > TASKS_OF_COMMIT_MAX).then(Mutex::<Unused>::default);
        let unrecorded = Mutex::default();
        let closing = Closing { state, asking, what, later: later.as_ref(), unrecorded: &unrecorded };
        let mut closed = Ok(StateRevision(self.tasks.revision()));
        let mut commits = all.chunks(TASKS_OF_COMMIT_MAX);
        // What was asked stands with the first commit that ends anything.
        while asked.is_some()
            && closed.is_ok()
            && let Some(some) = commits.next()
        {
            closed = later_of(closed, self.close_some(some, &closing, &mut asked).await);
        }
        if closed.is_ok() {
            let commits = Mutex::new(commits);
            // Several at a time share an fsync.
            let done = join_all((0..AT_A_TIME).map(|_| self.close_next(&commits, &closing))).await;
            closed = done.into_iter().fold(closed, later_of);
        }
        if let Some(later) = later {
            let unused = later.into_inner().unwrap_or_else(PoisonError::into_inner);
            self.give_back(unused, asking.now).await;
        }
        match held(&unrecorded).take() {
            Some(fault) => closed.and(Err(fault)),
            None => closed,
        }
    }

    /// Closes one share after the other, until none is left. When one fails no other is begun; those that have begun may be durable,
    /// and then are told.
    async fn close_next(&self, commits: &Mutex<Chunks<'_, Arc<Head>>>, closing: &Closing<'_>) -> Committed {
        let mut closed = Ok(StateRevision(self.tasks.revision()));
        let next = || held(commits).next();
        while let Some(some) = next() {
            closed = later_of(closed, self.close_some(some, closing, &mut None).await);
            if closed.is_err() {
                *held(commits) = [].chunks(1);
            }
        }
        closed
    }

    /// Closes those that others have not closed meanwhile, with one commit.
    async fn close_some(
        &self,
        some: &[Arc<Head>],
        closing: &Closing<'_>,
        asked: &mut Option<(String, AskedBefore)>,
    ) -> Committed {
        let Closing { state, asking, what, later, unrecorded } = *closing;
        for _ in 0..TRIES {
            let open: Vec<_> = some.iter().filter(|head| self.tasks.find(head.id()).is_some()).collect();
            if open.is_empty() {
                return Ok(StateRevision(self.tasks.revision()));
            }
            // Whoever writes their windows too waits, before it is settled what goes back to them.
            let is_whole = |head: &&&Arc<Head>| later.is_none() && head.parents().is_empty();
            let _turns = self.turns.of(open.iter().filter(is_whole).map(|head| window(head))).await;
            let mut draft = Draft::default();
            // Nothing is spent meanwhile that is given back, and everything again if that fails.
            let settled: Vec<_> = open.iter().map(|head| (*head, head.calls.settle().0)).collect();
            let unsettle = || settled.iter().for_each(|(head, charged)| head.calls.charge(*charged));
            if let Err(fault) = self.draft_end(&mut draft, &open, closing, asked.as_ref()) {
                unsettle();
                return Err(fault);
            }
            match self.commit(draft).await {
                Ok(revision) => {
                    *asked = None;
                    if let Some(later) = later {
                        // Now nothing of them is spent any more.
                        held(later).add(Unused::of(&open));
                    }
                    for head in open {
                        // One of many, of which there may be a hundred thousand.
                        if later.is_some() {
                            tokio::task::yield_now().await;
                        }
                        if let Err(fault) = self.tell_closed(head, state, asking, what, revision) {
                            held(unrecorded).get_or_insert(fault);
                        }
                    }
                    return Ok(revision);
                }
                // Closed by another, or their window was written: what is known here is looked at again.
                Err(StoreError::Conflict { .. }) => {
                    unsettle();
                    let known = self.store.barrier().await.map_err(unwritten)?;
                    self.until_told(known).await.map_err(unwritten)?;
                }
                Err(error) => {
                    unsettle();
                    return Err(unwritten(error));
                }
            }
        }
        Err(Fault::Changed)
    }

    /// The commit that ends these tasks.
    fn draft_end(
        &self,
        draft: &mut Draft,
        open: &[&Arc<Head>],
        closing: &Closing<'_>,
        asked: Option<&(String, AskedBefore)>,
    ) -> Result<(), Fault> {
        for head in open {
            let key = task_key(head.id());
            draft.0.expects.push(Expect::Present(key.as_str().into()));
            draft.delete(&key);
        }
        if closing.later.is_none() {
            self.refund(draft, &Unused::of(open), closing.asking.now)?;
        }
        if let Some((key, before)) = asked {
            draft.put(key, before)?;
        }
        let tasks = open.iter().map(|head| (head.id(), head.lent().grant.expires_s)).collect();
        let reason = closing.asking.reason.to_owned();
        draft.put(book::EVENT, &StoredEvent::Ended { tasks, state: closing.state.into(), reason })?;
        Ok(())
    }

    /// What ended tasks did not use counts no longer against their humans' agents. What cannot be given back counts until its window
    /// is over.
    async fn give_back(&self, unused: Unused, now: Timestamp) {
        let mut windows = unused.0.into_iter().peekable();
        while windows.peek().is_some() {
            let some = Unused(windows.by_ref().take(WINDOWS_OF_COMMIT_MAX).collect());
            if let Err(error) = self.give_back_some(&some, now).await {
                tracing::warn!(%error, "the unused calls of tasks that ended stay spent");
            }
        }
    }

    async fn give_back_some(&self, unused: &Unused, now: Timestamp) -> Result<(), Fault> {
        let _turns = self.turns.of(unused.0.keys()).await;
        for _ in 0..TRIES {
            let mut draft = Draft::default();
            self.refund(&mut draft, unused, now)?;
            if draft.0.changes.is_empty() {
                return Ok(());
            }
            match self.commit(draft).await {
                // A window that is over was forgotten meanwhile.
                Err(StoreError::Conflict { .. }) => {}
                done => return done.map(|_| ()).map_err(unwritten),
            }
        }
        Err(Fault::Changed)
    }

    /// What tasks did not use counts no longer against their human's agent, if it began in the window that is open now. For who has
    /// the turn of these windows.
    fn refund(&self, draft: &mut Draft, unused: &Unused, now: Timestamp) -> Result<(), Fault> {
        for (key, unspent) in &unused.0 {
            let Some(entry) = look(&*self.store, key).map_err(unwritten)? else { continue };
            let window: StoredWindow = serde_json::from_slice(&entry.value)?;
            let counted = unspent.iter().filter(|(started_s, _)| *started_s >= window.since_s);
            let left = counted.fold(0_u64, |sum, (_, left)| sum.saturating_add(*left));
            if left == 0 || window.until_s <= now.seconds() {
                continue;
            }
            draft.unchanged(key, Some(&entry));
            draft.put(key, &StoredWindow { calls: window.calls.saturating_sub(left), ..window })?;
        }
        Ok(())
    }

    fn tell_closed(
        &self,
        head: &Head,
        state: State,
        asking: &Asking<'_>,
        what: Move,
        revision: StateRevision,
    ) -> Result<(), Fault> {
        let lent = head.lent();
        let about = About {
            task: Some(head.id()),
            state: Some(state),
            lent: Some(&lent),
            head: Some(head),
            ..About::default()
        };
        self.tell(asking, what, &about, revision)
    }

    /// Takes back what began and could not be put on record, with what it left beside (`beside`), so that it can be asked for
    /// again. What stays for all that expires, and nobody has its token.
    pub(super) async fn undo(&self, head: &Arc<Head>, beside: &[String], now: Timestamp) {
        let mut draft = Draft::default();
        draft.delete(&task_key(head.id()));
        for key in beside {
            draft.delete(key);
        }
        let unused = Unused::of(&[head]);
        let _turns = self.turns.of(unused.0.keys()).await;
        if self.refund(&mut draft, &unused, now).is_err() {
            tracing::warn!(task = %head.id(), "the calls of a task that was not recorded stay spent");
        }
        let (tasks, reason) = (vec![(head.id(), 0)], "it could not be recorded".into());
        let event = StoredEvent::Ended { tasks, state: State::Revoked.into(), reason };
        let undone = match draft.put(book::EVENT, &event) {
            Ok(()) => self.commit(draft).await.map(|_| ()).map_err(unwritten),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = undone {
            tracing::warn!(%error, task = %head.id(), "a task that was not recorded stays until it expires");
            return;
        }
        if let Some(parent) = head.parents().first() {
            parent.calls.give_back(head.calls.max());
        }
    }
}
