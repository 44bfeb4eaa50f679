//! What was granted: to whom, for what, how far, how long. And parts of it that are handed on.
//! Never more than its parent has, in any direction.

use serde::{Deserialize, Serialize};

use super::TaskId;
use super::scope::Scope;
use crate::value::Uid;

/// How often a task may be handed on, whatever is configured.
pub const DEPTH_MAX: usize = 8;

/// Whose authority a task carries, and who uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// The human, or the agent that works on its own.
    pub principal: Uid,
    /// The agent; none when it works on its own.
    pub actor: Option<Uid>,
    /// Earlier actors, the most recent first.
    pub earlier_actors: Vec<Uid>,
}

/// What the configuration lets any task be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// How long a task may last, from its start, in seconds.
    pub ttl_max_s: i64,
    /// How often it may be handed on.
    pub depth_max: usize,
}

/// What is wanted of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it may touch.
    pub scope: Scope,
    /// How many steps may be permitted under it; none: as many as policies permit.
    pub calls_max: Option<u64>,
    /// How long it is to last, in seconds.
    pub ttl_s: i64,
    /// The thumbprint of the key that its token is bound to.
    pub key: Option<String>,
}

/// A grant of authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its name.
    pub id: TaskId,
    /// The tasks that it was split off from, the nearest first. It dies with each of them.
    pub ancestors: Vec<TaskId>,
    /// Whose authority, and who uses it.
    pub parties: Parties,
    /// What it is for: an entity of the bundle.
    pub purpose: Uid,
    /// What it may touch.
    pub scope: Scope,
    /// How many steps may be permitted under it.
    pub calls_max: Option<u64>,
    /// When it began, in seconds.
    pub started_s: i64,
    /// When it ends, in seconds.
    pub expires_s: i64,
    /// Up to when it may be renewed, in seconds.
    pub ceiling_s: i64,
    /// The thumbprint of the key that its token is bound to.
    pub key: Option<String>,
}

/// Where more is wanted than there is. Safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Exceeds {
    /// Servers.
    #[error("it asks for servers that the task does not cover")]
    Servers,
    /// Tools.
    #[error("it asks for tools that the task does not cover")]
    Tools,
    /// Classes of data.
    #[error("it asks for classes of data that the task does not cover")]
    Classes,
    /// A bound that lets more through.
    #[error("it asks for a wider bound of the argument `{argument}` of `{tool}` than the task has")]
    Bound {
        /// The tool.
        tool: String,
        /// The argument.
        argument: String,
    },
    /// Calls.
    #[error("it asks for {asked} calls, and the task has {left} left")]
    Calls {
        /// How many are wanted.
        asked: u64,
        /// How many there are.
        left: u64,
    },
    /// Calls without end.
    #[error("it asks for calls without a limit, and the task has {left} left")]
    EndlessCalls {
        /// How many there are.
        left: u64,
    },
    /// Time.
    #[error("it asks for {asked_s} s, and {left_s} s are to be had")]
    Time {
        /// How long it is wanted.
        asked_s: i64,
        /// How long there is.
        left_s: i64,
    },
    /// No time at all.
    #[error("a task lasts at least a second")]
    NoTime,
    /// No calls at all.
    #[error("a task has at least one call")]
    NoCalls,
    /// It was handed on too often.
    #[error("a task may be handed on {depth_max} times, and this one was")]
    Depth {
        /// How often.
        depth_max: usize,
    },
    /// The same key as its parent's.
    #[error("a part of a task is bound to a key of its own, and not to that of the task")]
    SameKey,
}

impl Grant {
    /// A task of its own, as it was decided on.
    ///
    /// # Errors
    /// [`Exceeds`] when it asks for more than any task may be.
    pub fn start(
        id: TaskId,
        parties: Parties,
        purpose: Uid,
        asked: Asked,
        ceiling: Ceiling,
        now_s: i64,
    ) -> Result<Self, Exceeds> {
        let Asked { scope, calls_max, ttl_s, key } = asked;
        let ceiling_s = now_s.saturating_add(ceiling.ttl_max_s);
        check_calls(calls_max)?;
        Ok(Self {
            id,
            ancestors: Vec::new(),
            parties,
            purpose,
            scope: Scope::default().part(&scope)?,
            calls_max,
            started_s: now_s,
            expires_s: lasting(ttl_s, now_s, ceiling_s)?,
            ceiling_s,
            key,
        })
    }

    /// A part of this task for another agent, which takes its calls from the `calls_left` here.
    ///
    /// # Errors
    /// [`Exceeds`] when it asks for more than there is.
    pub fn delegate(
        &self,
        id: TaskId,
        agent: Uid,
        asked: Asked,
        ceiling: Ceiling,
        calls_left: Option<u64>,
        now_s: i64,
    ) -> Result<Self, Exceeds> {
        let Asked { scope, calls_max, ttl_s, key } = asked;
        if self.ancestors.len() >= ceiling.depth_max.min(DEPTH_MAX) {
            return Err(Exceeds::Depth { depth_max: ceiling.depth_max.min(DEPTH_MAX) });
        }
        if key.is_some() && key == self.key {
            return Err(Exceeds::SameKey);
        }
        check_calls(calls_max)?;
        match (calls_max, calls_left) {
            (Some(asked), Some(left)) if asked > left => return Err(Exceeds::Calls { asked, left }),
            (None, Some(left)) => return Err(Exceeds::EndlessCalls { left }),
            (Some(_) | None, _) => {}
        }
        let scope = self.scope.part(&scope)?;
        let expires_s = lasting(ttl_s, now_s, self.expires_s)?;
        let earlier = self.parties.actor.as_ref().unwrap_or(&self.parties.principal);
        let earlier_actors = std::iter::once(earlier).chain(&self.parties.earlier_actors);
        let parties = Parties {
            principal: self.parties.principal.clone(),
            earlier_actors: earlier_actors.filter(|uid| **uid != self.parties.principal).cloned().collect(),
            actor: Some(agent),
        };
        Ok(Self {
            id,
            ancestors: std::iter::once(self.id).chain(self.ancestors.iter().copied()).collect(),
            parties,
            purpose: self.purpose.clone(),
            scope,
            calls_max,
            started_s: now_s,
            expires_s,
            ceiling_s: self.expires_s,
            key,
        })
    }

    /// Up to when it lasts after a renewal.
    ///
    /// # Errors
    /// [`Exceeds`] beyond the ceiling that it began with.
    pub fn renewed(&self, ttl_s: i64, now_s: i64) -> Result<i64, Exceeds> {
        lasting(ttl_s, now_s, self.ceiling_s)
    }

    /// How often it was handed on.
    pub fn depth(&self) -> usize {
        self.ancestors.len()
    }

    /// Whether its time is over. There is no leeway: the instants are our own.
    pub fn is_over(&self, now_s: i64) -> bool {
        now_s >= self.expires_s
    }
}

fn check_calls(calls_max: Option<u64>) -> Result<(), Exceeds> {
    if calls_max == Some(0) { Err(Exceeds::NoCalls) } else { Ok(()) }
}

fn lasting(ttl_s: i64, now_s: i64, until_s: i64) -> Result<i64, Exceeds> {
    if ttl_s < 1 {
        return Err(Exceeds::NoTime);
    }
    let expires_s = now_s.saturating_add(ttl_s);
    if expires_s > until_s {
        return Err(Exceeds::Time { asked_s: ttl_s, left_s: until_s.saturating_sub(now_s).max(0) });
    }
    Ok(expires_s)
}
