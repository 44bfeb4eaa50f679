//! The tasks of this server: what is open, what was taken back, and whose tokens count.
//! Never writes: it is told what was written, in the order in which that happened.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::{ArcSwap, Guard};
use serde::Deserialize;

use super::basis::Lent;
use super::grant::{Ceiling, Grant, Parties};
use super::head::Head;
use super::known::Known;
use super::state::{End, State};
use super::stops::{Stop, Stops, Target};
use super::token::{Read, TaskTokenFault, read};
use super::{TaskId, digest};
use crate::identity::{OwnIssuer, Seen, Token};
use crate::value::Uid;

/// How many tokens of tasks are remembered, each of a few kilobytes with what it says. One that is not costs a signature.
const KNOWN_MAX: usize = 30_000;
/// How many tasks that are over are remembered, for the sake of better words.
const GONE_MAX: usize = 1_000_000;
/// Into how many parts the open tasks are divided, so that few wait for each other.
const SHARDS: usize = 64;

/// Which steps need a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Required {
    /// None: policies can ask for one.
    #[default]
    Never,
    /// Calls of tools.
    Tools,
    /// Every step.
    Always,
}

/// What the configuration says of tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// What any task may be.
    pub ceiling: Ceiling,
    /// How long a task lasts that does not ask, in seconds.
    pub ttl_default_s: i64,
    /// How many calls one task may have.
    pub calls_max: u64,
    /// How many calls a human's agent may have for one purpose within the window.
    pub calls_window_max: u64,
    /// How long that window is, in seconds.
    pub calls_window_s: i64,
    /// Whether a task may be bound to no key.
    pub bearer: bool,
    /// Whether the word of a caller is enough for who starts a task.
    pub asserted: bool,
    /// Which steps need a task.
    pub required: Required,
    /// How many tasks may be open.
    pub open_max: usize,
}

/// Why a task cannot be used. Safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotInForce {
    /// Its token is not accepted.
    #[error("the task's token {0}")]
    Token(#[from] TaskTokenFault),
    /// Its time is over.
    #[error("the task has expired")]
    Expired,
    /// It was ended.
    #[error("the task was ended ({})", .0.name())]
    Ended(End),
    /// It was taken back, or one of its parties, its session or its key was.
    #[error("the task was revoked")]
    Revoked,
    /// It is not open here.
    #[error("the task is not open here: it is over, or was never started here")]
    Unknown,
    /// Its calls are spent.
    #[error("the task's {calls_max} calls are spent")]
    OverBudget {
        /// How many it had.
        calls_max: u64,
    },
    /// More of its calls are being charged.
    #[error("more calls of the task are being charged; ask again")]
    Uncharged,
}

/// What was spent within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it began, in seconds.
    pub since_s: i64,
    /// How many calls were granted in it.
    pub calls: u64,
}

/// What is told when more calls should be charged, or more was seen.
type Wanted = Box<dyn Fn(TaskId) + Send + Sync>;

/// Tasks that are over, the latest.
#[derive(Debug, Default)]
struct Gone {
    states: HashMap<Name, State>,
    order: VecDeque<Name>,
}

/// The bytes of a task's id: beside a state of one byte they take half the room that a number does.
type Name = [u8; 16];

/// The tasks of this server.
pub struct Tasks {
    rules: Rules,
    issuer: ArcSwap<OwnIssuer>,
    heads: [RwLock<HashMap<TaskId, Arc<Head>>>; SHARDS],
    gone: Mutex<Gone>,
    stops: ArcSwap<Stops>,
    used: Mutex<HashMap<String, i64>>,
    windows: Mutex<HashMap<String, Window>>,
    known: Seen<Known>,
    revision: AtomicU64,
    wanted: Wanted,
}

impl Tasks {
    /// No tasks yet. `wanted` is told of tasks that should be written again: more calls are wanted, or more data was seen.
    pub fn new(
        rules: Rules,
        issuer: Arc<OwnIssuer>,
        wanted: impl Fn(TaskId) + Send + Sync + 'static,
    ) -> Self {
        Self {
            rules,
            issuer: ArcSwap::new(issuer),
            heads: std::array::from_fn(|_| RwLock::default()),
            gone: Mutex::default(),
            stops: ArcSwap::default(),
            used: Mutex::default(),
            windows: Mutex::default(),
            known: Seen::new(KNOWN_MAX),
            revision: AtomicU64::new(0),
            wanted: Box::new(wanted),
        }
    }

    /// What the configuration says.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Who we are as an issuer now.
    pub fn issuer(&self) -> Arc<OwnIssuer> {
        self.issuer.load_full()
    }

    /// Other keys are in force.
    pub fn issue_as(&self, issuer: Arc<OwnIssuer>) {
        self.issuer.store(issuer);
        // What a key signed that is no longer among them counts no more.
        self.known.clear();
    }

    /// The state that is known here.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Everything up to this state was told.
    pub fn told(&self, revision: u64) {
        self.revision.fetch_max(revision, Ordering::AcqRel);
    }

    /// What was revoked.
    pub fn stops(&self) -> Guard<Arc<Stops>> {
        self.stops.load()
    }

    /// These were revoked, or lifted.
    pub fn stop(&self, stops: impl IntoIterator<Item = (Target, Stop)>) {
        self.stops.store(Arc::new(self.stops.load().with(stops)));
    }

    /// A revocation is forgotten.
    pub fn forget_stop(&self, target: &Target) {
        self.stops.store(Arc::new(self.stops.load().without(target)));
    }

    /// A task is open, or is otherwise than before.
    pub fn open(&self, head: Arc<Head>) {
        lock(self.shard(head.id()).write()).insert(head.id(), head);
    }

    /// The open task of that name.
    pub fn find(&self, id: TaskId) -> Option<Arc<Head>> {
        lock(self.shard(id).read()).get(&id).cloned()
    }

    /// A task is over, and is remembered for a while as such.
    pub fn close(&self, id: TaskId, state: State) {
        if let Some(head) = lock(self.shard(id).write()).remove(&id) {
            head.close(state);
        }
        let (mut gone, name) = (self.gone(), id.0.to_ne_bytes());
        if gone.states.insert(name, state).is_none() {
            gone.order.push_back(name);
        }
        while gone.order.len() > GONE_MAX {
            if let Some(oldest) = gone.order.pop_front() {
                gone.states.remove(&oldest);
            }
        }
    }

    /// How a task ended that is remembered.
    pub fn gone_as(&self, id: TaskId) -> Option<State> {
        self.gone().states.get(&id.0.to_ne_bytes()).copied()
    }

    /// The open tasks, in no order.
    pub fn all(&self) -> Vec<Arc<Head>> {
        self.heads.iter().flat_map(|shard| lock(shard.read()).values().cloned().collect::<Vec<_>>()).collect()
    }

    /// How many are open.
    pub fn open_len(&self) -> usize {
        self.heads.iter().map(|shard| lock(shard.read()).len()).sum()
    }

    /// A credential has started a task, and could until then.
    pub fn used(&self, name: String, until_s: Option<i64>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match until_s {
            Some(until_s) => used.insert(name, until_s),
            None => used.remove(&name),
        };
    }

    /// Whether a credential has started a task.
    pub fn was_used(&self, name: &str) -> bool {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// What was granted in a window; none forgets it.
    pub fn granted(&self, name: String, window: Option<Window>) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        match window {
            Some(window) => windows.insert(name, window),
            None => windows.remove(&name),
        };
    }

    /// The window of that name as it is now: a new one when the last one is over.
    pub fn window(&self, name: &str, now_s: i64) -> Window {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let open = windows
            .get(name)
            .filter(|window| now_s.saturating_sub(window.since_s) < self.rules.calls_window_s);
        open.copied().unwrap_or(Window { since_s: now_s, calls: 0 })
    }

    /// A task has seen data of these classes: it is written, if that is new.
    pub fn saw(&self, head: &Head, classes: &BTreeSet<String>) {
        if head.see(classes) {
            self.want(head);
            // What a part has seen, its tasks have seen.
            head.parents().iter().for_each(|parent| self.want(parent));
        }
    }

    /// Says that a task should be written again, once until it is.
    pub fn want(&self, head: &Head) {
        if head.want() {
            (self.wanted)(head.id());
        }
    }

    /// The task of a token, as long as it stands. Who shows it has still to show its key.
    ///
    /// # Errors
    /// [`NotInForce`].
    pub fn present(&self, token: &Token, now_s: i64) -> Result<Arc<Known>, NotInForce> {
        let known = match self.known.get(token) {
            Some(known) => known,
            None => self.learn(token, now_s)?,
        };
        if known.lent.grant.is_over(now_s) {
            return Err(NotInForce::Expired);
        }
        known.head.check(now_s)?;
        let stops = self.stops.load();
        if stops.cuts(&known.lent, &known.kid) || is_cut(&stops, &known.head) {
            return Err(NotInForce::Revoked);
        }
        Ok(known)
    }

    /// The token of a task that we have signed, whether the task stands or not: whose was it?
    pub fn signed(&self, token: &Token) -> Option<Grant> {
        if let Some(known) = self.known.get(token) {
            return Some(known.lent.grant.clone());
        }
        read(token, &self.issuer.load()).ok().map(|read| read.grant)
    }

    /// Whether this token is one of ours.
    pub fn is_ours(&self, token: &Token) -> bool {
        self.known.get(token).is_some() || read(token, &self.issuer.load()).is_ok()
    }

    /// The task that a token of ours stands for itself, whether it is over or not. Not one for an MCP server.
    pub fn named(&self, token: &Token) -> Option<TaskId> {
        let read = read(token, &self.issuer.load()).ok().filter(|read| read.audience.is_none())?;
        Some(read.grant.id)
    }

    fn learn(&self, token: &Token, now_s: i64) -> Result<Arc<Known>, NotInForce> {
        let issuer = self.issuer.load();
        let Read { grant, basis, audience, kid } = read(token, &issuer)?;
        if grant.is_over(now_s) {
            return Err(NotInForce::Expired);
        }
        let Some(head) = self.find(grant.id) else {
            return Err(match self.gone_as(grant.id) {
                Some(State::Ended(end)) => NotInForce::Ended(end),
                Some(State::Expired) => NotInForce::Expired,
                Some(State::Revoked) => NotInForce::Revoked,
                Some(State::Open) | None => NotInForce::Unknown,
            });
        };
        // A token says no more than the state does, whoever has our key.
        let ours = head.lent();
        if !is_within(&grant, &ours.grant) {
            return Err(NotInForce::Token(TaskTokenFault::Foreign));
        }
        let basis = basis.unwrap_or_else(|| ours.basis.clone());
        let lent = Lent { grant, basis };
        let known = Arc::new(Known::new(lent, head, audience, kid, issuer.name()));
        self.known.insert(token, known.clone());
        // Other keys may have come meanwhile, and all that was known been forgotten.
        if !Arc::ptr_eq(&issuer, &self.issuer.load()) {
            self.known.remove(token);
        }
        Ok(known)
    }

    fn shard(&self, id: TaskId) -> &RwLock<HashMap<TaskId, Arc<Head>>> {
        let [first, rest @ ..] = &self.heads;
        let place = usize::try_from(id.0 % SHARDS as u128).unwrap_or_default();
        place.checked_sub(1).and_then(|place| rest.get(place)).unwrap_or(first)
    }

    fn gone(&self) -> MutexGuard<'_, Gone> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a task, or one that it is a part of, was revoked with something else.
pub fn is_cut(stops: &Stops, head: &Head) -> bool {
    let cut = |head: &Head| stops.cuts(&head.lent(), head.kid());
    !stops.is_empty() && (cut(head) || head.parents().iter().any(|parent| cut(parent)))
}

/// Whether a token grants what the state has, or a part of it.
fn is_within(grant: &Grant, ours: &Grant) -> bool {
    let Grant { id, ancestors, parties, purpose, scope, calls_max, started_s, expires_s, ceiling_s, key } =
        grant;
    *id == ours.id
        && *ancestors == ours.ancestors
        && *parties == ours.parties
        && *purpose == ours.purpose
        && ours.scope.part(scope).as_ref() == Ok(scope)
        && *calls_max == ours.calls_max
        && *started_s == ours.started_s
        && *expires_s <= ours.expires_s
        && *ceiling_s == ours.ceiling_s
        && *key == ours.key
}

/// Nothing panics while one is held.
fn lock<G>(held: Result<G, PoisonError<G>>) -> G {
    held.unwrap_or_else(PoisonError::into_inner)
}

/// The name of what a human's agent is granted for a purpose.
pub fn window_name(parties: &Parties, purpose: &Uid) -> String {
    let actor = parties.actor.as_ref().unwrap_or(&parties.principal);
    let uids = [&parties.principal, actor, purpose];
    digest(uids.iter().flat_map(|uid| [uid.kind.as_bytes(), uid.id.as_bytes()]))
}
