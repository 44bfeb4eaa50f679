//! Tasks that end, and authority that is taken back.
//! Never lets a part outlive its whole, and never lifts what was revoked from before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::{
    AskedBefore, Draft, StoredEvent, StoredStop, StoredWindow, WINDOW, look, stop_key, task_key,
};
use super::{About, Asking, Fault, Lifecycle, Moment, Wish, asked_key, book, unwritten};
use crate::access::{Decision, Timestamp};
use crate::audit::{AuditSink, Face, Move};
use crate::identity::Caller;
use crate::pdp::{Ask, TaskAsk};
use crate::store::{Expect, StateRevision, StateStore, StoreError};
use crate::task::{Event, Head, State, Stop, Target, window_name};

/// How many tasks end with one commit.
const TASKS_OF_COMMIT_MAX: usize = 100;

/// How often unused calls are given back again, when others come in the way.
const REFUND_TRIES: usize = 4;

/// How many revocations may be in force at once: each new one copies them.
const STOPS_MAX: usize = 100_000;

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

/// Who asks for a revocation, and why.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Where it came in.
    pub face: Face,
    /// Who.
    pub caller: &'a Caller,
    /// The caller's own id for the request.
    pub request_id: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The instant.
    pub now: Timestamp,
}

impl<'a> From<Asker<'a>> for Asking<'a> {
    fn from(asker: Asker<'a>) -> Self {
        let Asker { face, caller, request_id, reason, now } = asker;
        Self { face: Some(face), caller: &caller.name, request_id, ..Self::nobody(reason, now) }
    }
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
        if let Some(key) = &key
            && let Some(before) = look(&*self.store, key).map_err(unwritten)?
        {
            let before: AskedBefore = serde_json::from_slice(&before.value)?;
            let same = before.what == end.name() && id.is_none_or(|id| id == before.task);
            let state = self.tasks.revision();
            return if same { Ok(Closed { state, tasks: 0, denied: None }) } else { Err(Fault::KeyUsed) };
        }
        if let Some(id) = id
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
        let all = self.with_parts(&head);
        let tasks = all.len();
        let state = self.close(all, State::Ended(end), &asking, Move::Ended, asked).await?;
        Ok(Closed { state: state.0, tasks, denied: None })
    }

    /// Takes authority back.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn revoke(&self, target: Target, asker: Asker<'_>) -> Result<Closed, Fault> {
        let asking = Asking::from(asker);
        if let Target::Task(id) = target {
            let Some(head) = self.tasks.find(id) else {
                return match self.tasks.gone_as(id) {
                    // What is over can be revoked all the same; nothing is left to be done.
                    Some(_) => Ok(Closed { state: self.tasks.revision(), tasks: 0, denied: None }),
                    None => Err(Fault::NoTask),
                };
            };
            let all = self.with_parts(&head);
            let tasks = all.len();
            let state = self.close(all, State::Revoked, &asking, Move::Revoked, None).await?;
            return Ok(Closed { state: state.0, tasks, denied: None });
        }
        if self.tasks.stops().len() >= STOPS_MAX {
            return Err(Fault::TooManyStops(STOPS_MAX));
        }
        let now = asker.now;
        let stop = Stop {
            at_ms: now.0,
            reason: asker.reason.to_owned(),
            caller: asker.caller.name.to_string(),
            until_s: self.forgettable(&target, now),
            lifted: false,
        };
        let stored = StoredStop::of(&target, &stop);
        let mut draft = Draft::default();
        draft.put(&stop_key(&target), &stored)?;
        draft.put(book::EVENT, &StoredEvent::Revoked { stop: stored })?;
        let state = self.commit(draft).await.map_err(unwritten)?;
        if let Target::Key(kid) = &target {
            (self.retire)(kid);
        }
        let stops = self.tasks.stops();
        let cut = |head: &Arc<Head>| stops.cuts(&head.lent(), None);
        let tasks = self.tasks.all().iter().filter(|head| cut(head)).count();
        let name = target.to_string();
        let about = About { target: &name, tasks: Some(tasks), ..About::default() };
        self.tell(&asking, Move::Revoked, &about, state)?;
        Ok(Closed { state: state.0, tasks, denied: None })
    }

    /// Lets new tasks and steps of a target through again.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn lift(&self, target: Target, asker: Asker<'_>) -> Result<Closed, Fault> {
        let Some(before) = self.tasks.stops().of(&target).filter(|stop| !stop.lifted).cloned() else {
            return Err(Fault::NotRevoked);
        };
        // For as long as a task from before could last.
        let ceiling_s = self.tasks.rules().ceiling.ttl_max_s;
        let until_s = Some(asker.now.seconds().saturating_add(ceiling_s));
        let stored = StoredStop::of(&target, &Stop { lifted: true, until_s, ..before });
        let key = stop_key(&target);
        let mut draft = Draft::default();
        draft.unchanged(&key, look(&*self.store, &key).map_err(unwritten)?.as_ref());
        draft.put(&key, &stored)?;
        let told =
            StoredStop { reason: asker.reason.to_owned(), caller: asker.caller.name.to_string(), ..stored };
        draft.put(book::EVENT, &StoredEvent::Lifted { stop: told })?;
        let state = self.commit(draft).await.map_err(unwritten)?;
        let name = target.to_string();
        self.tell(&asker.into(), Move::Lifted, &About { target: &name, ..About::default() }, state)?;
        Ok(Closed { state: state.0, tasks: 0, denied: None })
    }

    /// Until when a revocation must be kept; none: until it is lifted. What only tasks from before have is over with them.
    fn forgettable(&self, target: &Target, now: Timestamp) -> Option<i64> {
        let ceiling_s = self.tasks.rules().ceiling.ttl_max_s;
        match target {
            Target::Task(_) | Target::Session { .. } => Some(now.seconds().saturating_add(ceiling_s)),
            Target::Agent(_)
            | Target::Human(_)
            | Target::Tool(_)
            | Target::Server(_)
            | Target::Class(_)
            | Target::Key(_) => None,
        }
    }

    /// A task with everything that was split off from it, the task first.
    pub(super) fn with_parts(&self, head: &Arc<Head>) -> Vec<Arc<Head>> {
        let mut all = vec![head.clone()];
        if head.is_parent() {
            let is_part = |other: &Arc<Head>| other.parents().iter().any(|parent| parent.id() == head.id());
            all.extend(self.tasks.all().into_iter().filter(is_part));
        }
        all
    }

    /// Closes tasks: durable, then on record. The first is what was asked for; what is left of calls goes back to the window
    /// of its human's agent.
    pub(super) async fn close(
        &self,
        all: Vec<Arc<Head>>,
        state: State,
        asking: &Asking<'_>,
        what: Move,
        asked: Option<(String, AskedBefore)>,
    ) -> Result<StateRevision, Fault> {
        let mut asked = asked;
        let mut revision = StateRevision(self.tasks.revision());
        for some in all.chunks(TASKS_OF_COMMIT_MAX) {
            // What others have closed meanwhile is closed.
            let open: Vec<&Arc<Head>> =
                some.iter().filter(|head| self.tasks.find(head.id()).is_some()).collect();
            if open.is_empty() {
                continue;
            }
            let mut draft = Draft::default();
            for head in &open {
                draft.delete(&task_key(head.id()));
            }
            if let [only] = open.as_slice() {
                draft.0.expects.push(Expect::Present(task_key(only.id()).into()));
            }
            if let Some((key, before)) = asked.take() {
                draft.put(&key, &before)?;
            }
            let tasks = open.iter().map(|head| (head.id(), head.lent().grant.expires_s)).collect();
            let event = StoredEvent::Ended { tasks, state: state.into(), reason: asking.reason.to_owned() };
            draft.put(book::EVENT, &event)?;
            revision = self.commit(draft).await.map_err(unwritten)?;
            for head in &open {
                self.tell_closed(head, state, asking, what, revision)?;
            }
            self.refund(&open, asking.now).await;
        }
        Ok(revision)
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

    /// What tasks did not use counts no longer against their humans' agents: one commit for all of them. Best effort: what
    /// fails only costs calls.
    async fn refund(&self, closed: &[&Arc<Head>], now: Timestamp) {
        let mut windows: BTreeMap<String, Vec<(i64, u64)>> = BTreeMap::new();
        for head in closed {
            let lent = head.lent();
            let unused = head.calls.left();
            if unused > 0 && lent.grant.ancestors.is_empty() {
                let key = format!("{WINDOW}{}", window_name(&lent.grant.parties, &lent.grant.purpose));
                windows.entry(key).or_default().push((lent.grant.started_s, unused));
            }
        }
        for _ in 0..REFUND_TRIES {
            let mut draft = Draft::default();
            for (key, unused) in &windows {
                if let Err(error) = self.refund_window(&mut draft, key, unused, now) {
                    tracing::debug!(%error, key, "unused calls were not given back");
                }
            }
            if draft.0.changes.is_empty() {
                return;
            }
            match self.store.commit(draft.0).await {
                Ok(_) => return,
                // A start meanwhile, of one of them.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => {
                    tracing::debug!(%error, windows = windows.len(), "unused calls were not given back");
                    return;
                }
            }
        }
    }

    fn refund_window(
        &self,
        draft: &mut Draft,
        key: &str,
        unused: &[(i64, u64)],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let Some(entry) = look(&*self.store, key).map_err(unwritten)? else { return Ok(()) };
        let window: StoredWindow = serde_json::from_slice(&entry.value)?;
        let counted = unused.iter().filter(|(started_s, _)| window.since_s <= *started_s);
        let unused = counted.fold(0_u64, |sum, (_, calls)| sum.saturating_add(*calls));
        if unused == 0 || window.until_s <= now.seconds() {
            return Ok(());
        }
        let calls = window.calls.saturating_sub(unused);
        draft.unchanged(key, Some(&entry));
        draft.put(key, &StoredWindow { calls, ..window })?;
        Ok(())
    }
}
