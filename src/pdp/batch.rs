//! Several requests, decided on one snapshot and recorded together.
//! Never another snapshot for a part of them.

use std::sync::Arc;

use super::judgement::Judgement;
use super::{InForce, Occasion, Pdp, Pending, Request, Vocabulary};
use crate::access::Revision;
use crate::audit::{AuditError, AuditSink, Decided, Record};
use crate::policy::{Memory, Round};

impl<S: AuditSink> Pdp<S> {
    /// Decides several requests on one snapshot, in the caller's own time.
    pub fn batch(&self) -> Batch<'_, S> {
        Batch { pdp: self, in_force: self.in_force.load_full(), memory: Memory::default() }
    }
}

/// Requests that are decided on one snapshot, whatever is published meanwhile.
pub struct Batch<'a, S> {
    pdp: &'a Pdp<S>,
    in_force: Arc<InForce>,
    memory: Memory,
}

impl<S: AuditSink> Batch<'_, S> {
    /// The bundle that decides.
    pub fn revision(&self) -> &Revision {
        self.in_force.snapshot.revision()
    }

    /// What the bundle that decides knows of names.
    pub fn vocabulary(&self) -> Vocabulary<'_> {
        Vocabulary::of(&self.in_force.snapshot, &self.pdp.limits)
    }

    /// Decides some of the requests, and records their answers together. There are as many fates as requests, in their
    /// order.
    pub fn evaluate<'r>(
        &mut self,
        requests: impl IntoIterator<Item = (&'r Request, Occasion<'r>)>,
    ) -> Vec<Pending> {
        let Self { pdp, in_force, memory } = self;
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
