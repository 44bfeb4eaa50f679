//! Authority that is taken back, and let through again.
//! Never lifts what was revoked from before.

use std::sync::Arc;

use super::book::{Draft, StoredEvent, StoredStop, look, stop_key};
use super::{About, Asking, Closed, Fault, Lifecycle, book, unwritten};
use crate::access::Timestamp;
use crate::audit::{AuditSink, Face, Move};
use crate::identity::{Caller, Role};
use crate::store::{StateRevision, StateStore};
use crate::task::{Head, State, Stop, Target, is_cut, session_of};

/// How many revocations may be in force at once: all of them are in memory, and looked at when a task begins.
const STOPS_MAX: usize = 100_000;

/// How long the end of a session stands in the way of tasks that were on their way to be started in it. Who comes later finds
/// that the session is over.
const SESSION_ENDS_S: i64 = 60;

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
    /// Takes authority back.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn revoke(&self, target: Target, asker: Asker<'_>) -> Result<Closed, Fault> {
        let asking = Asking::from(asker);
        if let Target::Task(id) = target {
            let Some(head) = self.tasks.find(id) else {
                return match self.tasks.gone_as(id) {
                    // What is over can be revoked all the same: nothing is left to be done, but who asked stands on record.
                    Some(before) => {
                        let state = self.tasks.revision();
                        let (task, state_now, tasks) = (Some(id), Some(before), Some(0));
                        let about = About { task, state: state_now, tasks, ..About::default() };
                        self.tell(&asking, Move::Revoked, &about, StateRevision(state))?;
                        Ok(Closed { state, tasks: 0, denied: None })
                    }
                    None => Err(Fault::NoTask),
                };
            };
            let (tasks, state) =
                self.close_whole(&head, State::Revoked, &asking, Move::Revoked, None).await?;
            return Ok(Closed { state: state.0, tasks, denied: None });
        }
        self.check_target(&target, asker.caller)?;
        let until_s = self.forgettable(&target, asker.now);
        self.stop(target, until_s, asker).await
    }

    /// Stops what is no task: for good, or until then.
    async fn stop(&self, target: Target, until_s: Option<i64>, asker: Asker<'_>) -> Result<Closed, Fault> {
        let asking = Asking::from(asker);
        // Some room is left for whoever administrates.
        let stops_max = if asker.caller.may(Role::Admin) { STOPS_MAX } else { STOPS_MAX / 2 };
        let stops = self.tasks.stops().len();
        if stops >= stops_max {
            return Err(Fault::TooManyStops(stops));
        }
        let (now, all) = (asker.now, self.tasks.all());
        // Whatever the clock says, it comes after every task that is open.
        let newest_ms = all.iter().map(|head| head.lent().basis.at_ms).max().unwrap_or(i64::MIN);
        let earlier_ms = self.tasks.stops().of(&target).map_or(i64::MIN, |stop| stop.at_ms);
        let stop = Stop {
            at_ms: now.0.max(newest_ms).max(earlier_ms),
            reason: asker.reason.to_owned(),
            caller: asker.caller.name.to_string(),
            until_s,
            lifted: false,
        };
        let stored = StoredStop::of(&target, &stop);
        let mut draft = Draft::default();
        draft.put(&stop_key(&target), &stored)?;
        draft.put(book::EVENT, &StoredEvent::Revoked { stop: stored })?;
        let state = self.commit(draft).await.map_err(unwritten)?;
        let retired = match &target {
            Target::Key(kid) => (self.retire)(kid).map_err(Fault::NotRetired),
            _ => Ok(()),
        };
        let stops = self.tasks.stops().clone();
        let cut: Vec<Arc<Head>> = self.tasks.all().into_iter().filter(|head| is_cut(&stops, head)).collect();
        let (tasks, name) = (cut.len(), target.to_string());
        let about = About { target: &name, tasks: Some(tasks), ..About::default() };
        self.tell(&asking, Move::Revoked, &about, state)?;
        // They are denied already; now each of them is over, and on record.
        let state = self.close(cut, State::Revoked, &asking, Move::Revoked, None).await?.max(state);
        retired?;
        Ok(Closed { state: state.0, tasks, denied: None })
    }

    /// A name that nothing has would stop nothing, and nobody would notice.
    fn check_target(&self, target: &Target, asker: &Caller) -> Result<(), Fault> {
        let snapshot = self.pdp.snapshot();
        let catalog = snapshot.catalog();
        let (is_known, what) = match target {
            Target::Tool(name) => {
                let tool = name.split_once('/').and_then(|(server, tool)| catalog.tool(server, tool));
                (tool.is_some(), "the catalog has no tool")
            }
            Target::Server(name) => (catalog.server(name).is_some(), "the catalog has no server"),
            Target::Class(name) => (snapshot.classes_below(name).is_some(), "there is no data class"),
            Target::Key(kid) => {
                let known = self.tasks.issuer().jwks().contains(&format!(r#""kid":"{kid}""#));
                (known && !kid.contains('"'), "no key of ours is called")
            }
            Target::Session { .. } => {
                let is_known = asker.may(Role::Admin) || self.has_tasks(target);
                (is_known, "no open task was started in the session")
            }
            // Who is only described by tokens is in no bundle.
            Target::Task(_) | Target::Agent(_) | Target::Human(_) => (true, ""),
        };
        if is_known {
            return Ok(());
        }
        let name = match target {
            Target::Session { session, .. } => session.clone(),
            other => other.name(),
        };
        Err(Fault::NoTarget(format!("{what} `{}`, so nothing was revoked", name.escape_debug())))
    }

    /// Takes back the tasks of a session that its caller ends, if there are any. How many there were.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn end_session(&self, session: &str, asker: Asker<'_>) -> Result<usize, Fault> {
        let caller = asker.caller.name.to_string();
        let target = Target::Session { caller, session: session.to_owned() };
        if !self.has_tasks(&target) {
            return Ok(0);
        }
        let until_s = asker.now.seconds().saturating_add(SESSION_ENDS_S);
        self.stop(target, Some(until_s), asker).await.map(|closed| closed.tasks)
    }

    /// Whether a task is open that was started in a session.
    fn has_tasks(&self, session: &Target) -> bool {
        self.tasks.all().iter().any(|head| session_of(&head.lent()).as_ref() == Some(session))
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
}
