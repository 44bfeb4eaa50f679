//! A task as memory has it while it is open: how it stands, its calls, the data that it has seen.
//! Never asks the disk: what must last is written elsewhere before it is shown here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::basis::Lent;
use super::state::{End, State};
use super::tasks::NotInForce;
use super::{TaskId, Value};
use crate::value::{Extension, Uid};

/// The calls of a task. They are charged ahead, in pieces that are written before they are spent: a crash can lose calls and
/// never gain any.
#[derive(Debug)]
pub struct Calls {
    max: u64,
    /// What may be spent: durable.
    charged: AtomicU64,
    /// What was spent since the process began, on top of what was charged before.
    spent: AtomicU64,
}

impl Calls {
    /// A task of `max` calls, of which the first `spent` are gone and those up to `charged` may be spent.
    pub fn new(max: u64, charged: u64, spent: u64) -> Self {
        Self { max, charged: AtomicU64::new(charged.min(max)), spent: AtomicU64::new(spent.min(max)) }
    }

    /// How many there are.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many are gone.
    pub fn spent(&self) -> u64 {
        self.spent.load(Ordering::Acquire)
    }

    /// How many may be spent before more must be charged.
    pub fn charged(&self) -> u64 {
        self.charged.load(Ordering::Acquire)
    }

    /// How many are left of all.
    pub fn left(&self) -> u64 {
        self.max.saturating_sub(self.spent())
    }

    /// How many are charged at once: small tasks lose little with a crash, and large ones write seldom.
    pub fn piece(max: u64) -> u64 {
        (max / 4).clamp(16, 4096)
    }

    /// More may be spent from now on.
    pub fn charge(&self, up_to: u64) {
        self.charged.fetch_max(up_to.min(self.max), Ordering::AcqRel);
    }

    /// Spends one. Says whether more should be charged.
    ///
    /// # Errors
    /// [`NotInForce::OverBudget`] when all are gone, [`NotInForce::Uncharged`] when the next piece is not written yet.
    pub fn spend(&self) -> Result<bool, NotInForce> {
        let charged = self.charged();
        let next = |spent: u64| (spent < charged).then_some(spent + 1);
        match self.spent.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) {
            Ok(before) => Ok(self.runs_low(charged, before + 1)),
            Err(spent) if spent >= self.max => Err(NotInForce::OverBudget { calls_max: self.max }),
            Err(_) => Err(NotInForce::Uncharged),
        }
    }

    /// Sets calls aside, all or none.
    #[must_use]
    pub fn take(&self, calls: u64) -> bool {
        let next = |spent: u64| spent.checked_add(calls).filter(|sum| *sum <= self.max);
        self.spent.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    /// Gives back what was set aside and not used.
    pub fn give_back(&self, calls: u64) {
        let next = |spent: u64| Some(spent.saturating_sub(calls));
        // It always says some.
        let _before = self.spent.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
    }

    /// Whether more should be charged.
    pub fn wants_more(&self) -> bool {
        self.runs_low(self.charged(), self.spent())
    }

    fn runs_low(&self, charged: u64, spent: u64) -> bool {
        charged < self.max && charged.saturating_sub(spent) <= Self::piece(self.max) / 2
    }
}

/// An open task.
#[derive(Debug)]
pub struct Head {
    id: TaskId,
    lent: ArcSwap<Lent>,
    /// Nearest first.
    parents: Box<[Arc<Head>]>,
    state: AtomicU8,
    is_parent: AtomicBool,
    /// Its calls.
    pub calls: Calls,
    seen: ArcSwap<BTreeSet<String>>,
    /// What policies see of it.
    value: ArcSwap<Value>,
}

impl Head {
    /// An open task.
    pub fn new(lent: Arc<Lent>, parents: Vec<Arc<Self>>, calls: Calls, seen: BTreeSet<String>) -> Self {
        let value = value_of(&lent, &seen);
        Self {
            id: lent.grant.id,
            lent: ArcSwap::new(lent),
            parents: parents.into(),
            state: AtomicU8::new(code(State::Open)),
            is_parent: AtomicBool::new(false),
            calls,
            seen: ArcSwap::from_pointee(seen),
            value: ArcSwap::from_pointee(value),
        }
    }

    /// Its name.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// What was lent, as it is now.
    pub fn lent(&self) -> Arc<Lent> {
        self.lent.load_full()
    }

    /// The tasks that it is a part of, the nearest first.
    pub fn parents(&self) -> &[Arc<Self>] {
        &self.parents
    }

    /// A part of it was handed on.
    pub fn has_parts(&self) {
        self.is_parent.store(true, Ordering::Release);
    }

    /// Whether a part of it was ever handed on.
    pub fn is_parent(&self) -> bool {
        self.is_parent.load(Ordering::Acquire)
    }

    /// What policies see of it: `context.task`.
    pub fn value(&self) -> Arc<Value> {
        self.value.load_full()
    }

    /// The classes of the data that its steps have handled.
    pub fn seen(&self) -> Arc<BTreeSet<String>> {
        self.seen.load_full()
    }

    /// It was renewed, or saw more.
    pub fn change(&self, lent: Arc<Lent>) {
        self.value.store(Arc::new(value_of(&lent, &self.seen.load())));
        self.lent.store(lent);
    }

    /// It has seen these too. Whether any of them is new.
    pub fn see(&self, classes: &BTreeSet<String>) -> bool {
        let seen = self.seen.load();
        if classes.is_subset(&seen) {
            return false;
        }
        self.seen.rcu(|seen| {
            let mut more = BTreeSet::clone(seen);
            more.extend(classes.iter().cloned());
            more
        });
        self.value.store(Arc::new(value_of(&self.lent.load(), &self.seen.load())));
        true
    }

    /// It is over. Whether it was open until now.
    pub fn close(&self, state: State) -> bool {
        let open = code(State::Open);
        self.state.compare_exchange(open, code(state), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// How it stands, but for its time.
    pub fn state(&self) -> State {
        decode(self.state.load(Ordering::Acquire))
    }

    /// Whether it stands, with all that it is a part of.
    ///
    /// # Errors
    /// [`NotInForce`]: why not.
    pub fn check(&self, now_s: i64) -> Result<(), NotInForce> {
        for head in std::iter::once(self).chain(self.parents.iter().map(Arc::as_ref)) {
            match head.state() {
                State::Open => {}
                State::Expired => return Err(NotInForce::Expired),
                State::Ended(end) => return Err(NotInForce::Ended(end)),
                State::Revoked => return Err(NotInForce::Revoked),
            }
            if head.lent.load().grant.is_over(now_s) {
                return Err(NotInForce::Expired);
            }
        }
        Ok(())
    }
}

/// A task as policies see it.
pub(super) fn value_of(lent: &Lent, seen: &BTreeSet<String>) -> Value {
    let grant = &lent.grant;
    let class = |class: &String| Value::Entity(Uid::new("DataClass", class.clone()));
    let depth = i64::try_from(grant.depth()).unwrap_or(i64::MAX);
    Value::record([
        ("id", Value::String(grant.id.to_string())),
        ("purpose", Value::Entity(grant.purpose.clone())),
        ("depth", Value::Long(depth)),
        ("started", instant(grant.started_s)),
        ("expires", instant(grant.expires_s)),
        ("seen", Value::Set(seen.iter().map(class).collect())),
    ])
}

fn instant(at_s: i64) -> Value {
    let at = time::OffsetDateTime::from_unix_timestamp(at_s).ok();
    let text = at.and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok());
    // No task begins or ends beyond the year 9999; what could not be told is refused by the schema.
    Value::Extension(Extension::Datetime, text.unwrap_or_default())
}

const ENDINGS: [(u8, State); 6] = [
    (0, State::Open),
    (1, State::Ended(End::Completed)),
    (2, State::Ended(End::Failed)),
    (3, State::Ended(End::Cancelled)),
    (4, State::Expired),
    (5, State::Revoked),
];

fn code(state: State) -> u8 {
    ENDINGS.iter().find(|(_, known)| *known == state).map_or(u8::MAX, |(code, _)| *code)
}

fn decode(found: u8) -> State {
    // What nobody wrote is no open task.
    ENDINGS.iter().find(|(code, _)| *code == found).map_or(State::Revoked, |(_, state)| *state)
}
