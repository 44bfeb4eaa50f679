//! One policy, ready to decide: what it is called, whom it is about, what it asks.
//! Never holds the syntax tree that it came from; its text is in its file.

use std::ops::Range;
use std::sync::Arc;

use super::cedar::{Condition, Policy, Scope};
use super::snapshot::PolicyInfo;
use crate::diagnostic::File;

/// A policy of a bundle.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) info: Arc<PolicyInfo>,
    pub(super) scope: Scope,
    pub(super) condition: Arc<Condition>,
    file: File,
    span: Range<usize>,
}

impl Rule {
    /// What decides of a policy that stands at `span` of `file`.
    pub(super) fn of(policy: &Policy, info: PolicyInfo, file: &File, span: Range<usize>) -> Self {
        Self {
            info: Arc::new(info),
            scope: Scope::of(policy),
            condition: Arc::new(Condition::of(policy)),
            file: file.clone(),
            span,
        }
    }

    /// The file that it stands in.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Where it stands there.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Its text in Cedar's language.
    pub(super) fn text(&self) -> &str {
        self.file.text.get(self.span.clone()).unwrap_or_default()
    }
}
