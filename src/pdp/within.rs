//! What a step is held against before any policy: what its task covers, and what was taken back.
//! Never a policy, and nothing that a bundle could remove.

use std::collections::BTreeSet;

use crate::access::{DenyReason, Question};
use crate::catalog::server_of;
use crate::mcp::Step;
use crate::policy::Snapshot;
use crate::task::{OutOfScope, Required, Scope, Stops, Target, Touched};
use crate::value::{Uid, Value};

/// What a step is held against. The default lets everything through to the policies.
#[derive(Debug, Clone, Copy, Default)]
pub struct Within<'a> {
    /// What the task covers; none for a step outside of any.
    pub scope: Option<&'a Scope>,
    /// What was taken back.
    pub stops: Option<&'a Stops>,
    /// Which steps need a task.
    pub required: Required,
}

/// Why a step is not within. The words are safe to show.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) reason: DenyReason,
    pub(super) words: String,
}

impl Within<'_> {
    fn is_open(&self) -> bool {
        self.scope.is_none() && self.required == Required::Never && self.stops.is_none_or(Stops::is_empty)
    }

    /// A message that became questions.
    pub(super) fn holds_step(&self, snapshot: &Snapshot, step: &Step<'_>) -> Result<(), Outside> {
        if self.is_open() {
            return Ok(());
        }
        step.questions().try_for_each(|question| {
            let input = question.established.get("input");
            self.holds(snapshot, &question.resource, &step.data_classes, input)
        })
    }

    /// A question in terms of the schema.
    pub(super) fn holds_question(&self, snapshot: &Snapshot, question: &Question) -> Result<(), Outside> {
        if self.is_open() {
            return Ok(());
        }
        let classes = snapshot.catalog().classes_of(&question.resource);
        self.holds(snapshot, &question.resource, &classes, question.context.get("input"))
    }

    /// A question whose arguments are not known yet: it is within for some.
    pub(super) fn holds_for_some(&self, snapshot: &Snapshot, question: &Question) -> Result<(), Outside> {
        if self.is_open() {
            return Ok(());
        }
        let classes = snapshot.catalog().classes_of(&question.resource);
        self.held(snapshot, &question.resource, &classes, Scope::reaches, None)
    }

    /// A server that asks on its own.
    pub(super) fn holds_callback(&self, snapshot: &Snapshot, server: &Uid) -> Result<(), Outside> {
        if self.is_open() {
            return Ok(());
        }
        self.holds(snapshot, server, &BTreeSet::new(), None)
    }

    fn holds(
        &self,
        snapshot: &Snapshot,
        resource: &Uid,
        classes: &BTreeSet<String>,
        input: Option<&Value>,
    ) -> Result<(), Outside> {
        self.held(snapshot, resource, classes, Scope::covers, input)
    }

    fn held(
        &self,
        snapshot: &Snapshot,
        resource: &Uid,
        classes: &BTreeSet<String>,
        covers: impl FnOnce(&Scope, &Touched<'_>) -> Result<(), OutOfScope>,
        input: Option<&Value>,
    ) -> Result<(), Outside> {
        let server = server_of(resource);
        let tool = (resource.kind == "Tool").then_some(resource.id.as_str());
        if let Some(stops) = self.stops {
            // Whoever closes a class closes what is more sensitive too.
            let below = classes.iter().filter_map(|class| snapshot.classes_below(class)).flatten();
            if let Some(target) = stops.touched(server, tool, classes.iter().chain(below)) {
                return Err(Outside { reason: DenyReason::TaskRevoked, words: words(&target) });
            }
        }
        match self.scope {
            None => {
                let needed = match self.required {
                    Required::Never => false,
                    Required::Tools => tool.is_some(),
                    Required::Always => true,
                };
                if !needed {
                    return Ok(());
                }
                let words = DenyReason::TaskRequired.words().to_owned();
                Err(Outside { reason: DenyReason::TaskRequired, words })
            }
            Some(scope) => {
                let touched = Touched { server, tool, classes, input };
                let outside =
                    |fault: OutOfScope| Outside { reason: DenyReason::OutOfScope, words: fault.to_string() };
                covers(scope, &touched).map_err(outside)
            }
        }
    }
}

fn words(target: &Target) -> String {
    format!("the {} `{}` was closed by an operator", target.kind(), target.name())
}
