//! The task of a call as policies see it, typed once for all calls that it is told in.
//! Never another value than would be typed now: it is known by its place in memory, and held there meanwhile.

use std::sync::{Arc, OnceLock};

use quick_cache::sync::Cache;

use super::cedar::{TASK, Types};
use super::schema::{ActionModel, ContextMember};
use super::snapshot::Snapshot;
use crate::access::{Facts, Question};
use crate::value::{Build, Fault, Member, Value};

/// How many typed tasks are remembered, each of about a kilobyte.
const TOLD_MAX: usize = 10_000;

type Typed = <Types as Build>::Built;
/// By the place of the value in memory and the place of the action.
type Typing = Cache<(usize, usize), (Arc<Value>, Typed)>;

/// What was typed before, on one snapshot. There is nothing where no call belongs to a task.
#[derive(Default)]
pub(super) struct Told(OnceLock<Typing>);

/// A task with the member of an action's context that it becomes.
#[derive(Clone, Copy)]
pub(super) struct TaskTold<'a> {
    value: &'a Arc<Value>,
    member: &'a Member,
    action: usize,
}

impl<'a> TaskTold<'a> {
    /// The task of a call, where the action's context has a place for it and the question does not bring its own.
    pub(super) fn of(action: &'a ActionModel, question: &Question, facts: &'a Facts) -> Option<Self> {
        let value = facts.task.as_ref().filter(|_| !question.established.contains_key(TASK))?;
        let is_task = |member: &&ContextMember| member.ours && member.name == TASK;
        let member = &action.common.iter().find(is_task)?.member;
        Some(Self { value, member, action: action.place })
    }

    /// As Cedar's value; none where it is absent.
    pub(super) fn build(self, snapshot: &Snapshot) -> Result<Option<Typed>, Fault> {
        let Self { value, member, action } = self;
        let told = snapshot.told.0.get_or_init(|| Cache::new(TOLD_MAX));
        let key = (Arc::as_ptr(value).addr(), action);
        // What is remembered holds its value, so nothing else can stand in its place.
        if let Some((_, typed)) = told.get(&key).filter(|(held, _)| Arc::ptr_eq(held, value)) {
            return Ok(Some(typed));
        }
        let built = member.build(TASK, Some(value), &snapshot.schema.types)?;
        if let Some(typed) = &built {
            told.insert(key, (value.clone(), typed.clone()));
        }
        Ok(built)
    }
}
