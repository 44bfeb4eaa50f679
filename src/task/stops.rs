//! What was taken back: parties, sessions, tools, servers, classes of data, keys.
//! Never forgotten by a restart, and never lifted for tasks that were there before.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rpds::HashTrieMapSync;

use super::basis::Lent;
use super::{NotATaskId, TaskId};
use crate::value::{NotAUid, Uid};

/// What can be revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A task, with its parts.
    Task(TaskId),
    /// Tasks that were started in a session of a caller.
    Session {
        /// The caller.
        caller: String,
        /// The session.
        session: String,
    },
    /// An agent, wherever it stands in a chain.
    Agent(Uid),
    /// A person.
    Human(Uid),
    /// A tool: `crm/issue_refund`.
    Tool(String),
    /// A server.
    Server(String),
    /// A class of data, with the more sensitive ones.
    Class(String),
    /// Tasks whose tokens a key signed.
    Key(String),
}

/// A text that names nothing that could be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not name anything that can be revoked")]
pub struct NotATarget;

impl From<NotATaskId> for NotATarget {
    fn from(_: NotATaskId) -> Self {
        Self
    }
}

impl From<NotAUid> for NotATarget {
    fn from(_: NotAUid) -> Self {
        Self
    }
}

impl Target {
    /// Its kind, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::Session { .. } => "session",
            Self::Agent(_) => "agent",
            Self::Human(_) => "human",
            Self::Tool(_) => "tool",
            Self::Server(_) => "server",
            Self::Class(_) => "class",
            Self::Key(_) => "key",
        }
    }

    /// Its name within its kind.
    pub fn name(&self) -> String {
        match self {
            Self::Task(id) => id.to_string(),
            Self::Session { caller, session } => format!("{}:{caller}{session}", caller.len()),
            Self::Agent(uid) | Self::Human(uid) => uid.to_string(),
            Self::Tool(name) | Self::Server(name) | Self::Class(name) | Self::Key(name) => name.clone(),
        }
    }
}

/// `kind/name`: as it stands in the state and in records.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.name())
    }
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let (kind, name) = text.split_once('/').ok_or(NotATarget)?;
        let owned = name.to_owned();
        Ok(match kind {
            "task" => Self::Task(name.parse()?),
            "session" => {
                let (length, rest) = name.split_once(':').ok_or(NotATarget)?;
                let length = length.parse().map_err(|_| NotATarget)?;
                let (caller, session) = rest.split_at_checked(length).ok_or(NotATarget)?;
                Self::Session { caller: caller.to_owned(), session: session.to_owned() }
            }
            "agent" => Self::Agent(name.parse()?),
            "human" => Self::Human(name.parse()?),
            "tool" => Self::Tool(owned),
            "server" => Self::Server(owned),
            "class" => Self::Class(owned),
            "key" => Self::Key(owned),
            _ => return Err(NotATarget),
        })
    }
}

/// A revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// When, in milliseconds: tasks from before are revoked.
    pub at_ms: i64,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub caller: String,
    /// When it can be forgotten, in seconds; none while it lasts until it is lifted.
    pub until_s: Option<i64>,
    /// Whether new tasks and steps are let through again.
    pub lifted: bool,
}

/// Everything that was revoked, at one instant. Another revocation makes another one, which shares all but a path with it.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    agents: HashTrieMapSync<Uid, Arc<Stop>>,
    humans: HashTrieMapSync<Uid, Arc<Stop>>,
    others: HashTrieMapSync<Target, Arc<Stop>>,
}

impl Stops {
    /// Whether nothing was revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many revocations there are.
    pub fn len(&self) -> usize {
        self.agents.size() + self.humans.size() + self.others.size()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Target, &Stop)> {
        let agents = self.agents.iter().map(|(uid, stop)| (Target::Agent(uid.clone()), &**stop));
        let humans = self.humans.iter().map(|(uid, stop)| (Target::Human(uid.clone()), &**stop));
        agents.chain(humans).chain(self.others.iter().map(|(target, stop)| (target.clone(), &**stop)))
    }

    /// The revocation of a target.
    pub fn of(&self, target: &Target) -> Option<&Stop> {
        let stop = match target {
            Target::Agent(uid) => self.agents.get(uid),
            Target::Human(uid) => self.humans.get(uid),
            other => self.others.get(other),
        };
        stop.map(Arc::as_ref)
    }

    /// The same with these.
    #[must_use]
    pub fn with(&self, stops: impl IntoIterator<Item = (Target, Stop)>) -> Self {
        let mut changed = self.clone();
        for (target, stop) in stops {
            let stop = Arc::new(stop);
            match target {
                Target::Agent(uid) => changed.agents.insert_mut(uid, stop),
                Target::Human(uid) => changed.humans.insert_mut(uid, stop),
                other => changed.others.insert_mut(other, stop),
            }
        }
        changed
    }

    /// The same without this one.
    #[must_use]
    pub fn without(&self, target: &Target) -> Self {
        let mut changed = self.clone();
        match target {
            Target::Agent(uid) => changed.agents.remove_mut(uid),
            Target::Human(uid) => changed.humans.remove_mut(uid),
            other => changed.others.remove_mut(other),
        };
        changed
    }

    fn of_party(&self, uid: &Uid) -> impl Iterator<Item = &Stop> {
        [self.agents.get(uid), self.humans.get(uid)].into_iter().flatten().map(Arc::as_ref)
    }

    /// A party that may not do anything now.
    pub fn party<'u>(&self, mut parties: impl Iterator<Item = &'u Uid>) -> Option<&'u Uid> {
        if self.agents.is_empty() && self.humans.is_empty() {
            return None;
        }
        parties.find(|uid| self.of_party(uid).any(|stop| !stop.lifted))
    }

    /// What a step touches that may not be touched now. A class comes with all that stand below it.
    pub fn touched<'c>(
        &self,
        server: Option<&str>,
        tool: Option<&str>,
        classes: impl IntoIterator<Item = &'c String>,
    ) -> Option<Target> {
        if self.others.is_empty() {
            return None;
        }
        let server = server.map(|server| Target::Server(server.to_owned()));
        let tool = tool.map(|tool| Target::Tool(tool.to_owned()));
        let classes = classes.into_iter().map(|class| Target::Class(class.clone()));
        server.into_iter().chain(tool).chain(classes).find(|target| self.bars(target))
    }

    /// Whether new tasks and steps of a target are refused.
    pub fn bars(&self, target: &Target) -> bool {
        self.of(target).is_some_and(|stop| !stop.lifted)
    }

    /// Whether a task was revoked with one of its parties, its session or the key of its token.
    pub fn cuts(&self, lent: &Lent, kid: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        // Until it is lifted it also cuts what claims to be from later.
        let cut = |stop: &Stop| !stop.lifted || lent.basis.at_ms <= stop.at_ms;
        parties(lent).any(|uid| self.of_party(uid).any(cut))
            // Whoever has the key writes any instant: what it signed is dead for good.
            || self.others.contains_key(&Target::Key(kid.to_owned()))
            || session(lent).and_then(|session| self.of(&session)).is_some_and(cut)
    }
}

/// Everybody who has a part in a task.
pub(super) fn parties(lent: &Lent) -> impl Iterator<Item = &Uid> {
    let parties = &lent.grant.parties;
    std::iter::once(&parties.principal).chain(&parties.actor).chain(&parties.earlier_actors)
}

/// The session that a task was started in.
pub fn session(lent: &Lent) -> Option<Target> {
    let (caller, session) = (lent.basis.caller.to_string(), lent.basis.session.clone()?);
    Some(Target::Session { caller, session })
}

/// What must not be revoked for a task to be started: everybody who has a part in it, whatever they count as, and its session.
pub fn barriers(lent: &Lent) -> BTreeSet<Target> {
    let either = |uid: &Uid| [Target::Agent(uid.clone()), Target::Human(uid.clone())];
    parties(lent).flat_map(either).chain(session(lent)).collect()
}
