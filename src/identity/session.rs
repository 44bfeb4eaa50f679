//! Sessions, each bound by its first use to who acts and with which key.
//! Never binds again, and never forgets one that is in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Caller, Principal};
use crate::value::Uid;

/// How long a session is remembered after its last use, in seconds.
pub const SESSION_IDLE_S: i64 = 3600;

/// Why a request may not go on in its session. Safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    /// Another party, or another key, began it.
    #[error("the session was begun by another party, or with another key")]
    Another,
    /// It was ended.
    #[error("the session has ended; begin another one")]
    Ended,
    /// No more can be remembered.
    #[error("too many sessions are open here; end some, or raise `sessions_max`")]
    Full,
}

/// What a session is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    subject: Uid,
    acting: Uid,
    key: Option<String>,
    used_s: i64,
    ended: bool,
}

/// How long after a look for forgotten sessions the next one may be, in seconds: a look at all of them, while calls wait.
const SWEEP_PAUSE_S: i64 = 10;

/// By the caller's name and the session's.
type ByName = HashMap<(Arc<str>, Box<str>), Bound>;

#[derive(Debug, Default)]
struct Table {
    by_name: ByName,
    /// When forgotten ones were last looked for.
    swept_s: Option<i64>,
}

/// The sessions of all callers.
#[derive(Debug)]
pub struct Sessions {
    table: Mutex<Table>,
    sessions_max: usize,
}

impl Sessions {
    /// None yet, and at most so many.
    pub fn new(sessions_max: usize) -> Self {
        Self { table: Mutex::default(), sessions_max }
    }

    /// Uses a session: binds it, or holds the parties against those that it is bound to.
    ///
    /// # Errors
    /// [`SessionFault`].
    pub fn enter(
        &self,
        caller: &Caller,
        session: &str,
        principal: &Principal,
        now_s: i64,
    ) -> Result<(), SessionFault> {
        let mut table = self.lock();
        let Table { by_name: sessions, swept_s } = &mut *table;
        let name = (caller.name.clone(), session.into());
        if let Some(bound) = sessions.get_mut(&name).filter(|bound| bound.is_remembered(now_s)) {
            if bound.ended {
                return Err(SessionFault::Ended);
            }
            let same = bound.subject == *principal.subject()
                && bound.acting == *principal.acting()
                && bound.key.as_deref() == principal.key();
            if !same {
                return Err(SessionFault::Another);
            }
            bound.used_s = bound.used_s.max(now_s);
            return Ok(());
        }
        let rested = swept_s.is_none_or(|swept_s| now_s.abs_diff(swept_s) >= SWEEP_PAUSE_S.unsigned_abs());
        if sessions.len() >= self.sessions_max && rested {
            sessions.retain(|_, bound| bound.is_remembered(now_s));
            *swept_s = Some(now_s);
        }
        if sessions.len() >= self.sessions_max {
            return Err(SessionFault::Full);
        }
        sessions.insert(
            name,
            Bound {
                subject: principal.subject().clone(),
                acting: principal.acting().clone(),
                key: principal.key().map(str::to_owned),
                used_s: now_s,
                ended: false,
            },
        );
        Ok(())
    }

    /// Ends a session: whoever uses it afterwards is refused. Whether it was open.
    pub fn end(&self, caller: &Caller, session: &str, now_s: i64) -> bool {
        match self.lock().by_name.get_mut(&(caller.name.clone(), session.into())) {
            Some(bound) if bound.is_remembered(now_s) && !bound.ended => {
                bound.ended = true;
                bound.used_s = now_s;
                true
            }
            Some(_) | None => false,
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.lock().by_name.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bound {
    fn is_remembered(&self, now_s: i64) -> bool {
        now_s.saturating_sub(self.used_s) <= SESSION_IDLE_S
    }
}
