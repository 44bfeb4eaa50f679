//! The tasks of this server: what is open, what was taken back, and whose tokens count.
//! Never writes: it is told what was written, in the order in which that happened.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::basis::Lent;
use super::grant::{Ceiling, Parties};
use super::head::Head;
use super::state::{End, State};
use super::stops::{Stop, Stops, Target, parties};
use super::token::{Read, TaskTokenFault, read};
use super::{Basis, TaskId};
use crate::identity::{Confirmation, OwnIssuer, Person, Token, TokenKind, Verified};
use crate::value::{Uid, Value};

/// How many tokens of tasks are remembered.
const KNOWN_MAX: usize = 100_000;
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

/// A token of a task that was verified, and the task that it is of.
#[derive(Debug)]
pub struct Known {
    /// What the token says was lent.
    pub lent: Lent,
    /// The task.
    pub head: Arc<Head>,
    /// The token as one among others.
    pub verified: Arc<Verified>,
    /// The MCP server that it is for, by its audience.
    pub audience: Option<String>,
    /// The key that signed it.
    pub kid: String,
    drifted: ArcSwapOption<(Arc<str>, bool)>,
}

impl Known {
    /// What came of deciding again under a bundle, if that was done.
    pub fn would_start(&self, revision: &str) -> Option<bool> {
        let drifted = self.drifted.load();
        drifted.as_ref().filter(|known| *known.0 == *revision).map(|known| known.1)
    }

    /// Remembers what came of deciding again.
    pub fn remember(&self, revision: Arc<str>, would_start: bool) {
        self.drifted.store(Some(Arc::new((revision, would_start))));
    }
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
    states: HashMap<TaskId, State>,
    order: VecDeque<TaskId>,
}

/// The tasks of this server.
pub struct Tasks {
    rules: Rules,
    issuer: ArcSwap<OwnIssuer>,
    heads: [RwLock<HashMap<TaskId, Arc<Head>>>; SHARDS],
    gone: Mutex<Gone>,
    stops: ArcSwap<Stops>,
    used: Mutex<HashMap<String, i64>>,
    windows: Mutex<HashMap<String, Window>>,
    known: Cache<[u8; 32], Arc<Known>>,
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
            known: Cache::new(KNOWN_MAX),
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
        let mut gone = self.gone();
        if gone.states.insert(id, state).is_none() {
            gone.order.push_back(id);
        }
        while gone.order.len() > GONE_MAX {
            if let Some(oldest) = gone.order.pop_front() {
                gone.states.remove(&oldest);
            }
        }
    }

    /// How a task ended that is remembered.
    pub fn gone_as(&self, id: TaskId) -> Option<State> {
        self.gone().states.get(&id).copied()
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

    /// Says that a task should be written again.
    pub fn want(&self, id: TaskId) {
        (self.wanted)(id);
    }

    /// The task of a token, as long as it stands. Who shows it has still to show its key.
    ///
    /// # Errors
    /// [`NotInForce`].
    pub fn present(&self, token: &Token, now_s: i64) -> Result<Arc<Known>, NotInForce> {
        let digest = token.digest();
        let known = match self.known.get(&digest) {
            Some(known) => known,
            None => self.learn(token, digest, now_s)?,
        };
        if known.lent.grant.is_over(now_s) {
            return Err(NotInForce::Expired);
        }
        known.head.check(now_s)?;
        let stops = self.stops.load();
        let mut parents = known.head.parents().iter();
        if stops.cuts(&known.lent, Some(&known.kid))
            || (!stops.is_empty() && parents.any(|parent| stops.cuts(&parent.lent(), None)))
            || stops.party(parties(&known.lent)).is_some()
        {
            return Err(NotInForce::Revoked);
        }
        Ok(known)
    }

    /// Whether this token is one of ours, by its form; it may be forged.
    pub fn is_ours(&self, token: &Token) -> bool {
        self.known.get(&token.digest()).is_some() || read(token, &self.issuer.load()).is_ok()
    }

    fn learn(&self, token: &Token, digest: [u8; 32], now_s: i64) -> Result<Arc<Known>, NotInForce> {
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
        let basis = basis.unwrap_or_else(|| head.lent().basis.clone());
        let lent = Lent { grant, basis };
        let verified = Arc::new(as_token(&lent, issuer.name()));
        let known = Known { lent, head, verified, audience, kid, drifted: ArcSwapOption::empty() };
        let known = Arc::new(known);
        self.known.insert(digest, known.clone());
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

/// Nothing panics while one is held.
fn lock<G>(held: Result<G, PoisonError<G>>) -> G {
    held.unwrap_or_else(PoisonError::into_inner)
}

/// A task's token as policies and records see it: it inherits from the token that started the task how the person signed in.
fn as_token(lent: &Lent, issuer: &str) -> Verified {
    let Lent { grant, basis } = lent;
    let Basis { token, described, .. } = basis;
    let person = Person { uid: grant.parties.principal.clone(), described: described.clone() };
    let said = |name: &str| match token {
        Some(Value::Record(members)) => members.get(name),
        _ => None,
    };
    let acr = match said("acr") {
        Some(Value::String(acr)) => Some(acr.clone()),
        _ => None,
    };
    let amr = match said("amr") {
        Some(Value::Set(means)) => means.iter().filter_map(text).collect(),
        _ => vec![],
    };
    Verified {
        issuer: issuer.into(),
        kind: TokenKind::Task,
        subject: grant.parties.principal.id.clone(),
        id: Some(grant.id.to_string()),
        clients: vec![],
        session: None,
        audience: vec![issuer.to_owned()],
        expires_s: grant.expires_s,
        not_before_s: None,
        issued_s: Some(grant.started_s),
        scopes: vec![],
        acr,
        amr,
        confirmation: Confirmation { jkt: grant.key.clone(), x5t: None },
        person: Some(person),
        agent: None,
        actors: vec![],
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The name of what a human's agent is granted for a purpose: a digest, each part with its length.
pub fn window_name(parties: &Parties, purpose: &Uid) -> String {
    let mut name = Sha256::new();
    let actor = parties.actor.as_ref().unwrap_or(&parties.principal);
    for uid in [&parties.principal, actor, purpose] {
        for part in [&uid.kind, &uid.id] {
            name.update(part.len().to_le_bytes());
            name.update(part.as_bytes());
        }
    }
    let digest: [u8; 32] = name.finalize().into();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
