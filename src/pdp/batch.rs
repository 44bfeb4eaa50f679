//! Several requests, decided on one snapshot and recorded together.
//! Never another snapshot for a part of them.

use std::sync::Arc;

use super::judgement::Judgement;
use super::{InForce, Occasion, Pdp, Pending, Request, Vocabulary};
use crate::access::Revision;
use crate::audit::{AuditError, AuditSink, Decided, Record};
use crate::mcp;
use crate::policy::{Memory, Round};

impl<S: AuditSink> Pdp<S> {
    /// Decides several requests on one snapshot, in the caller's own time.
    pub fn batch(&self) -> Batch<'_, S> {
        self.batch_on(self.current())
    }

    /// The same on what was in force when the requests were read.
    pub fn batch_on(&self, current: Current) -> Batch<'_, S> {
        Batch { pdp: self, current, memory: Memory::default() }
    }

    /// Decides one request on what was in force when it was read, and records the answer.
    pub fn evaluate_at(&self, current: &Current, request: &Request, occasion: Occasion<'_>) -> Pending {
        self.evaluate_on(&current.in_force, request, occasion)
    }

    /// What is in force.
    pub fn current(&self) -> Current {
        Current { in_force: self.in_force.load_full(), limits: self.limits }
    }
}

/// What is in force at one instant. A request that was read by its names is decided on it, whatever is published meanwhile: under
/// another bundle they could stand for somebody else.
#[derive(Clone)]
pub struct Current {
    pub(super) in_force: Arc<InForce>,
    limits: mcp::Limits,
}

impl Current {
    /// The bundle.
    pub fn revision(&self) -> &Revision {
        self.in_force.snapshot.revision()
    }

    /// What the bundle knows of names.
    pub fn vocabulary(&self) -> Vocabulary<'_> {
        Vocabulary::of(&self.in_force.snapshot, &self.limits)
    }

    /// Whether it is the very same.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.in_force, &other.in_force)
    }
}

/// Requests that are decided on one snapshot, whatever is published meanwhile.
pub struct Batch<'a, S> {
    pdp: &'a Pdp<S>,
    current: Current,
    memory: Memory,
}

impl<S: AuditSink> Batch<'_, S> {
    /// What the bundle that decides knows of names.
    pub fn vocabulary(&self) -> Vocabulary<'_> {
        self.current.vocabulary()
    }

    /// Decides some of the requests, and records their answers together. There are as many fates as requests, in their
    /// order.
    pub fn evaluate<'r>(
        &mut self,
        requests: impl IntoIterator<Item = (&'r Request, Occasion<'r>)>,
    ) -> Vec<Pending> {
        let Self { pdp, current: Current { in_force, limits: _ }, memory } = self;
        let InForce { snapshot, trust } = &**in_force;
        let mut round = Round::remembering(snapshot, memory);
        let judge = |(request, occasion)| pdp.judge_in(&mut round, trust, request, occasion);
        let judged: Vec<Judgement<'_>> = requests.into_iter().map(judge).collect();
        let receipts = {
            let told: Vec<Decided<'_>> = judged.iter().map(|judgement| judgement.told(snapshot)).collect();
            pdp.sink.record_all(&told.iter().map(Record::Decided).collect::<Vec<_>>())
        };
        // A sink that says too little has not written.
        let unsaid = std::iter::repeat_with(|| Err(AuditError::Unsaid));
        let settled = judged.into_iter().zip(receipts.into_iter().chain(unsaid));
        settled.map(|(judgement, receipt)| pdp.conclude(snapshot, judgement, receipt)).collect()
    }
}
