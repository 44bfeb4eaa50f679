//! A task as memory has it while it is open: how it stands, its calls, the data that it has seen.
//! Never asks the disk: what must last is written elsewhere before it is shown here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use arc_swap::ArcSwap;

use super::TaskId;
use super::basis::Lent;
use super::calls::Calls;
use super::state::{End, State};
use super::tasks::NotInForce;
use crate::value::{Extension, Uid};

/// The classes of the data that the steps of a task, and of all that was split off from it, have handled. One for all of them:
/// what a part has read its task could tell.
#[derive(Debug, Default)]
pub struct Seen(ArcSwap<BTreeSet<String>>);

/// What policies see of a task, with what that was made of.
#[derive(Debug)]
struct Made {
    lent: Arc<Lent>,
    seen: Arc<BTreeSet<String>>,
    value: Arc<super::Value>,
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
    is_wanted: AtomicBool,
    /// Its calls.
    pub calls: Calls,
    /// The key that its first token was signed with.
    kid: String,
    seen: Arc<Seen>,
    value: ArcSwap<Made>,
}

impl Head {
    /// An open task. `kid` is the key of its first token.
    pub fn new(
        lent: Arc<Lent>,
        parents: Vec<Arc<Self>>,
        calls: Calls,
        seen: &BTreeSet<String>,
        kid: String,
    ) -> Self {
        let shared = parents.first().map_or_else(Arc::default, |parent| parent.seen.clone());
        shared.add(seen);
        let value = Made::of(lent.clone(), shared.0.load_full());
        Self {
            id: lent.grant.id,
            lent: ArcSwap::new(lent),
            parents: parents.into(),
            state: AtomicU8::new(code(State::Open)),
            is_parent: AtomicBool::new(false),
            is_wanted: AtomicBool::new(false),
            calls,
            kid,
            seen: shared,
            value: ArcSwap::from_pointee(value),
        }
    }

    /// Its name.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The key that its first token was signed with.
    pub fn kid(&self) -> &str {
        &self.kid
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

    /// It should be written again. Whether nobody has asked for that yet.
    pub(super) fn want(&self) -> bool {
        !self.is_wanted.swap(true, Ordering::AcqRel)
    }

    /// It is being written: whoever wants more from now on asks again.
    pub fn is_written(&self) {
        self.is_wanted.store(false, Ordering::Release);
    }

    /// What policies see of it: `context.task`.
    pub fn value(&self) -> Arc<super::Value> {
        let (lent, seen) = (self.lent.load_full(), self.seen.0.load_full());
        let known = self.value.load();
        if Arc::ptr_eq(&known.lent, &lent) && Arc::ptr_eq(&known.seen, &seen) {
            return known.value.clone();
        }
        let made = Made::of(lent, seen);
        let value = made.value.clone();
        self.value.store(Arc::new(made));
        value
    }

    /// The classes of the data that its steps have handled, and those of all that it shares them with.
    pub fn seen(&self) -> Arc<BTreeSet<String>> {
        self.seen.0.load_full()
    }

    /// It was renewed.
    pub fn change(&self, lent: Arc<Lent>) {
        self.lent.store(lent);
    }

    /// It has seen these too. Whether any of them is new.
    pub fn see(&self, classes: &BTreeSet<String>) -> bool {
        self.seen.add(classes)
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

impl Seen {
    fn add(&self, classes: &BTreeSet<String>) -> bool {
        if classes.is_subset(&self.0.load()) {
            return false;
        }
        self.0.rcu(|seen| seen.union(classes).cloned().collect::<BTreeSet<_>>());
        true
    }
}

impl Made {
    fn of(lent: Arc<Lent>, seen: Arc<BTreeSet<String>>) -> Self {
        let value = Arc::new(value_of(&lent, &seen));
        Self { lent, seen, value }
    }
}

/// A task as policies see it.
fn value_of(lent: &Lent, seen: &BTreeSet<String>) -> super::Value {
    use super::Value;
    let grant = &lent.grant;
    let class = |class: &String| Value::Entity(Uid::new("DataClass", class.clone()));
    let depth = i64::try_from(grant.depth()).unwrap_or(i64::MAX);
    Value::record([
        ("id", Value::String(grant.id.to_string().into())),
        ("purpose", Value::Entity(grant.purpose.clone())),
        ("depth", Value::Long(depth)),
        ("started", instant(grant.started_s)),
        ("expires", instant(grant.expires_s)),
        ("seen", Value::Set(seen.iter().map(class).collect())),
    ])
}

fn instant(at_s: i64) -> super::Value {
    let at = time::OffsetDateTime::from_unix_timestamp(at_s).ok();
    let text = at.and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok());
    // No task begins or ends beyond the year 9999; what could not be told is refused by the schema.
    super::Value::Extension(Extension::Datetime, text.unwrap_or_default().into())
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
