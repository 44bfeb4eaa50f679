//! Policy tests: the `*_test.yaml` files beside the policies, run against a snapshot.
//! Never asks a clock: every case has its own instant, the same today and in ten years.

mod file;
mod form;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub use file::parse;
pub use run::{run, strangers};

use crate::access::{DenyReason, Facts, Outcome};
use crate::diagnostic::File;
use crate::pdp::Ask;
use crate::value::Uid;

/// One test file, understood.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Where it was read.
    pub file: File,
    /// Whether people may come without an agent.
    pub agentless: bool,
    /// Its cases, those of its tables included.
    pub cases: Vec<Case>,
}

/// One question with the answer that its author wants.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where it stands in its file: the byte range of its name, or of the name of a table's ask.
    pub place: Range<usize>,
    /// What it shows, in words. Unique in its file.
    pub name: String,
    /// What is asked.
    pub ask: Ask,
    /// What the PDP is to take as established.
    pub facts: Facts,
    /// The wanted answer.
    pub expected: Expected,
}

impl Case {
    /// Whether its question describes an entity.
    fn brings(&self, uid: &Uid) -> bool {
        match &self.ask {
            Ask::Access(question) => question.brought.iter().any(|entity| entity.uid == *uid),
            Ask::Mcp(_) | Ask::Task(_) | Ask::Unclear(_) => false,
        }
    }
}

/// The answer that a case wants. What is not given is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Permit or deny.
    pub permit: bool,
    /// The reason of a deny.
    pub reason: Option<DenyReason>,
    /// The ids of the determining policies of both halves, exactly.
    pub determining: Option<BTreeSet<String>>,
    /// The ids of the obligations that come with the answer, exactly.
    pub obligations: Option<BTreeSet<String>>,
}

/// What came of one case.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The path of its file.
    pub path: String,
    /// The 1-based line of the case in it.
    pub line: usize,
    /// The case's name.
    pub name: String,
    /// What was wanted.
    pub expected: Expected,
    /// What came.
    pub outcome: Outcome,
    /// What the agent is told; empty on a permit.
    pub reason_text: String,
    /// The ids of the determining policies.
    pub determining: BTreeSet<String>,
    /// The ids of the obligations that it demands.
    pub obligations: BTreeSet<String>,
    /// Policies that failed, with the reason.
    pub errors: Vec<String>,
}

impl Verdict {
    /// Whether the answer is the wanted one.
    pub fn passed(&self) -> bool {
        let Expected { permit, reason, determining, obligations } = &self.expected;
        let got = match self.outcome {
            Outcome::Permit => None,
            Outcome::Deny(got) => Some(got),
        };
        *permit == got.is_none()
            && reason.is_none_or(|reason| got == Some(reason))
            && determining.as_ref().is_none_or(|wanted| *wanted == self.determining)
            && obligations.as_ref().is_none_or(|wanted| *wanted == self.obligations)
    }
}

/// How often each policy of a bundle was seen to make the difference, and not to, over some verdicts. A policy that
/// was never seen to make it is not tested: nobody would notice if it were lost.
pub fn coverage(
    policies: impl IntoIterator<Item = String>,
    verdicts: &[Verdict],
) -> BTreeMap<String, (usize, usize)> {
    let seen = |id: &str| {
        let with = verdicts.iter().filter(|verdict| verdict.determining.contains(id)).count();
        (with, verdicts.len() - with)
    };
    policies.into_iter().map(|id| (id.clone(), seen(&id))).collect()
}

#[cfg(test)]
mod tests;
