//! How tasks stand, and what happens to them, for those who ask.
//! Never a token, and never what a step was about.

use std::sync::Arc;

use super::book::{EVENT, Stored, StoredEvent, look, task_key};
use super::{Fault, Lifecycle, unwritten};
use crate::access::Timestamp;
use crate::audit::AuditSink;
use crate::identity::{Caller, Role};
use crate::store::{Change, StateRevision, StateStore, StoreError, Watch};
use crate::task::{Head, State, Stop, Target, TaskId, is_cut};
use crate::value::Uid;

/// How a task stands.
#[derive(Debug)]
pub struct Shown {
    /// Its name.
    pub id: TaskId,
    /// How it stands.
    pub state: State,
    /// The task, as long as it is open.
    pub head: Option<Arc<Head>>,
    /// The agent's own words.
    pub intent: String,
}

/// A page of tasks.
#[derive(Debug)]
pub struct Page {
    /// The tasks, by their names.
    pub tasks: Vec<Shown>,
    /// The first one of the next page.
    pub next: Option<TaskId>,
    /// What is revoked; on the first page alone.
    pub stops: Vec<(Target, Stop)>,
    /// The state that was looked at.
    pub state: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A task began.
    Started {
        /// Which.
        task: TaskId,
        /// When its tokens end, in seconds.
        expires_s: i64,
    },
    /// A task has more time.
    Renewed {
        /// Which.
        task: TaskId,
        /// When its tokens end, in seconds.
        expires_s: i64,
    },
    /// A task is over.
    Ended {
        /// Which.
        task: TaskId,
        /// When its tokens end, in seconds.
        expires_s: i64,
        /// How it stands.
        state: State,
        /// Why.
        reason: String,
    },
    /// Something was revoked.
    Revoked(Target, Stop),
    /// Something was lifted.
    Lifted(Target, Stop),
    /// Another bundle is in force.
    Published {
        /// Its revision.
        revision: String,
    },
}

/// What happens, in order.
#[derive(Debug)]
pub struct Events(Watch);

impl Events {
    /// Waits for the next commit that tells of something; it may tell of several tasks.
    ///
    /// # Errors
    /// [`StoreError`] when this fell behind, or when the server ends.
    pub async fn next(&mut self) -> Result<(u64, Vec<Event>), StoreError> {
        loop {
            let committed = self.0.next().await?;
            let event =
                committed.changes.iter().find(|change| **change.key() == *EVENT).and_then(Change::value);
            let event = event.and_then(|event| serde_json::from_slice(event).ok());
            if let Some(event) = event {
                return Ok((committed.revision.0, told(event)));
            }
        }
    }

    /// The last commit that was looked at.
    pub fn seen(&self) -> u64 {
        self.0.seen().0
    }
}

fn told(event: StoredEvent) -> Vec<Event> {
    match event {
        StoredEvent::Started { task, expires_s } => vec![Event::Started { task, expires_s }],
        StoredEvent::Renewed { task, expires_s } => vec![Event::Renewed { task, expires_s }],
        StoredEvent::Ended { tasks, state, reason } => {
            let ended = |(task, expires_s)| {
                let reason = reason.clone();
                Event::Ended { task, expires_s, state: state.into(), reason }
            };
            tasks.into_iter().map(ended).collect()
        }
        StoredEvent::Revoked { stop } => {
            stop.read().map(|(target, stop)| Event::Revoked(target, stop)).into_iter().collect()
        }
        StoredEvent::Lifted { stop } => {
            stop.read().map(|(target, stop)| Event::Lifted(target, stop)).into_iter().collect()
        }
        StoredEvent::Published { revision } => vec![Event::Published { revision }],
    }
}

/// Whether a task is any business of a caller's.
fn may_see(caller: &Caller, head: &Head) -> bool {
    caller.may(Role::Admin) || head.lent().basis.caller == caller.name
}

impl<S: AuditSink + 'static, T: StateStore> Lifecycle<S, T> {
    /// How a task stands that was started through this caller; whoever administrates sees all.
    ///
    /// # Errors
    /// [`Fault::NoTask`] for one that nobody knows here any more.
    pub fn get(&self, id: TaskId, caller: &Caller, now: Timestamp) -> Result<Shown, Fault> {
        if let Some(head) = self.tasks.find(id) {
            return if may_see(caller, &head) { self.shown(head, now) } else { Err(Fault::NoTask) };
        }
        let state = self.tasks.gone_as(id).ok_or(Fault::NoTask)?;
        Ok(Shown { id, state, head: None, intent: String::new() })
    }

    /// The open tasks from a name on, by their names, that were started through this caller; whoever administrates sees all.
    ///
    /// # Errors
    /// [`Fault`] when the state cannot be read.
    pub fn list(
        &self,
        from: Option<TaskId>,
        count_max: usize,
        party: Option<&Uid>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Page, Fault> {
        let mut heads = self.tasks.all();
        let has_part = |head: &Arc<Head>, party: &Uid| {
            let parties = &head.lent().grant.parties;
            parties.principal == *party
                || parties.actor.as_ref() == Some(party)
                || parties.earlier_actors.contains(party)
        };
        heads.retain(|head| {
            may_see(caller, head)
                && from.is_none_or(|from| from <= head.id())
                && party.is_none_or(|p| has_part(head, p))
        });
        heads.sort_unstable_by_key(|head| head.id());
        let next = heads.get(count_max).map(|head| head.id());
        heads.truncate(count_max);
        let tasks = heads.into_iter().map(|head| self.shown(head, now)).collect::<Result<_, _>>()?;
        let (stops, sees_all) = (self.tasks.stops(), caller.may(Role::Admin));
        let stops = stops
            .iter()
            .filter(|(_, stop)| from.is_none() && !stop.lifted && (sees_all || *stop.caller == *caller.name));
        let mut stops: Vec<_> = stops.map(|(target, stop)| (target, stop.clone())).collect();
        stops.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Page { tasks, next, stops, state: self.tasks.revision() })
    }

    fn shown(&self, head: Arc<Head>, now: Timestamp) -> Result<Shown, Fault> {
        let stops = self.tasks.stops();
        let is_cut = is_cut(&stops, &head);
        let over = head.parents().iter().map(|parent| parent.state()).find(|state| *state != State::Open);
        let state = match (head.state(), over) {
            (State::Open, _) if is_cut => State::Revoked,
            (State::Open, Some(over)) => over,
            (State::Open, None) if head.check(now.seconds()).is_err() => State::Expired,
            (state, _) => state,
        };
        let stored = look(&*self.store, &task_key(head.id())).map_err(unwritten)?;
        let stored: Option<Stored> = stored.map(|entry| serde_json::from_slice(&entry.value)).transpose()?;
        let intent = stored.map(|stored| stored.intent).unwrap_or_default();
        Ok(Shown { id: head.id(), state, head: Some(head), intent })
    }

    /// What happens after a state, or from now on.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when what happened after it is not known any more.
    pub fn events(&self, after: Option<u64>) -> Result<Events, StoreError> {
        let after = after.unwrap_or_else(|| self.tasks.revision());
        self.store.watch(StateRevision(after)).map(Events)
    }
}
