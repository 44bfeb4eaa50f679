//! Sessions, each bound by its first use to who acts and with which key.
//! Never binds again, and never forgets one that is in use.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::{Caller, Principal};

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
    #[error("too many sessions are remembered here, each for an hour; raise `limits.sessions_max`")]
    Full,
    /// One party has begun as many as one may.
    #[error("this party has begun {SESSIONS_OF_ONE_MAX} sessions within an hour, as many as one may")]
    FullOfOne,
}

/// How many sessions one subject may begin through one caller while they are remembered: nobody takes all places.
pub const SESSIONS_OF_ONE_MAX: usize = 1000;

/// A SHA-256: a place takes as much room whatever the names are.
type Name = [u8; 32];

/// What a session is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    /// Caller and subject.
    one: Name,
    /// Subject, who acts, and the key.
    parties: Name,
    used_s: i64,
    ended: bool,
}

/// How long after a look for forgotten sessions the next one may be, in seconds: a look at all of them, while calls wait.
const SWEEP_PAUSE_S: i64 = 10;

/// By caller and session.
type ByName = HashMap<Name, Bound>;

#[derive(Debug, Default)]
struct Table {
    by_name: ByName,
    /// How many are of one subject through one caller.
    of_one: HashMap<Name, usize>,
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
        let subject = principal.subject();
        let session = name([&caller.name, session]);
        let one = name([&caller.name, &subject.kind, &subject.id]);
        let parties = parties(principal);
        let mut table = self.lock();
        if let Some(bound) = table.by_name.get_mut(&session).filter(|bound| bound.is_remembered(now_s)) {
            bound.admits(parties)?;
            bound.used_s = bound.used_s.max(now_s);
            return Ok(());
        }
        table.make_room(one, self.sessions_max, now_s)?;
        if let Some(forgotten) =
            table.by_name.insert(session, Bound { one, parties, used_s: now_s, ended: false })
        {
            table.leave(forgotten.one);
        }
        *table.of_one.entry(one).or_default() += 1;
        Ok(())
    }

    /// Whether a session would let these parties in. Binds nothing: no step follows.
    ///
    /// # Errors
    /// [`SessionFault`].
    pub fn check(
        &self,
        caller: &Caller,
        session: &str,
        principal: &Principal,
        now_s: i64,
    ) -> Result<(), SessionFault> {
        let table = self.lock();
        let bound = table.by_name.get(&name([&caller.name, session]));
        bound.filter(|bound| bound.is_remembered(now_s)).map_or(Ok(()), |b| b.admits(parties(principal)))
    }

    /// Ends a session: whoever uses it afterwards is refused. Whether it was open.
    pub fn end(&self, caller: &Caller, session: &str, now_s: i64) -> bool {
        match self.lock().by_name.get_mut(&name([&caller.name, session])) {
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

impl Table {
    /// Room for one more, of this subject and at all. Forgets what is forgotten, but not at every call.
    fn make_room(&mut self, one: Name, sessions_max: usize, now_s: i64) -> Result<(), SessionFault> {
        let full = |table: &Self| {
            let of_one = table.of_one.get(&one).copied().unwrap_or_default();
            match (table.by_name.len() >= sessions_max, of_one >= SESSIONS_OF_ONE_MAX) {
                (_, true) => Some(SessionFault::FullOfOne),
                (true, false) => Some(SessionFault::Full),
                (false, false) => None,
            }
        };
        let rested =
            self.swept_s.is_none_or(|swept_s| now_s.abs_diff(swept_s) >= SWEEP_PAUSE_S.unsigned_abs());
        if full(self).is_some() && rested {
            self.swept_s = Some(now_s);
            self.by_name.retain(|_, bound| bound.is_remembered(now_s));
            self.of_one.clear();
            for bound in self.by_name.values() {
                *self.of_one.entry(bound.one).or_default() += 1;
            }
        }
        full(self).map_or(Ok(()), Err)
    }

    fn leave(&mut self, one: Name) {
        if let Some(count) = self.of_one.get_mut(&one) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Parts as one name, each with its length so that none runs into the next.
fn name<const PARTS: usize>(parts: [&str; PARTS]) -> Name {
    let mut name = Sha256::new();
    for part in parts {
        name.update(part.len().to_le_bytes());
        name.update(part);
    }
    name.finalize().into()
}

/// Subject, who acts, and the key, as one name.
fn parties(principal: &Principal) -> Name {
    let (subject, acting) = (principal.subject(), principal.acting());
    let [bound_to, key] = principal.key().map_or(["no key", ""], |key| ["key", key]);
    name([&subject.kind, &subject.id, &acting.kind, &acting.id, bound_to, key])
}

impl Bound {
    fn admits(&self, parties: Name) -> Result<(), SessionFault> {
        if self.ended {
            return Err(SessionFault::Ended);
        }
        if self.parties == parties { Ok(()) } else { Err(SessionFault::Another) }
    }

    fn is_remembered(&self, now_s: i64) -> bool {
        now_s.saturating_sub(self.used_s) <= SESSION_IDLE_S
    }
}
