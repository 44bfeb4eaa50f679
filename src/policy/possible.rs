//! What a question could come to while some of its context is not known: which policies would still have a say, and what
//! they would ask.
//! Never a decision: what is possible is decided when it is asked.

use super::cedar::{self, Blanks, Condition, Differs, Evaluation, Leaning};
use super::decide::{Evaluable, Held, HeldBefore, slice, tell_late};
use super::prepare::{Prepared, Refusal, prepare};
use super::snapshot::Snapshot;
use crate::access::{DenyReason, Effect, Facts, Half, Possible, Question, Share, Term};

/// What a question could come to while these members of its context are not known.
pub(super) fn possible(
    snapshot: &Snapshot,
    question: &Question,
    facts: &Facts,
    blanks: &Blanks,
    memory: Option<&mut HeldBefore>,
) -> Possible {
    let prepared = match prepare(snapshot, question, facts, blanks) {
        Ok(prepared) => prepared,
        Err(Refusal { reason, words: _ }) => return Possible::Never(reason),
    };
    let evaluable = |half: &super::prepare::PreparedHalf<'_>| Evaluable {
        place: half.principal.place,
        asked: prepared.asked(half),
        candidates: snapshot.index.candidates_beside(prepared.about(half), &half.context, blanks),
    };
    let mut halves: Vec<Evaluable> = prepared.halves.iter().map(evaluable).collect();
    if tell_late(snapshot, &prepared, &mut halves).is_err() {
        return Possible::Never(DenyReason::InvalidInput);
    }
    let all = if prepared.brought.is_empty() {
        let entities = snapshot.store.entities();
        Looked { snapshot, prepared: &prepared, entities, blanks, memory }.shares(halves)
    } else {
        let Some(slice) = slice(&snapshot.index, &snapshot.store, &prepared.brought, &halves) else {
            return Possible::Never(DenyReason::InvalidInput);
        };
        Looked { snapshot, prepared: &prepared, entities: &slice, blanks, memory: None }.shares(halves)
    };
    match all {
        Ok(shares) => Possible::If(shares),
        Err(reason) => Possible::Never(reason),
    }
}

struct Looked<'a, 'm> {
    snapshot: &'a Snapshot,
    prepared: &'a Prepared<'a>,
    entities: &'a cedar::Entities,
    blanks: &'a Blanks,
    memory: Option<&'m mut HeldBefore>,
}

impl Looked<'_, '_> {
    fn shares(mut self, halves: Vec<Evaluable>) -> Result<Vec<Share>, DenyReason> {
        let of = self.prepared.halves.iter().map(|half| half.half).collect::<Vec<_>>();
        halves.into_iter().zip(of).map(|(evaluable, half)| self.share(half, evaluable)).collect()
    }

    /// What must be so for one party.
    fn share(&mut self, half: Half, evaluable: Evaluable) -> Result<Share, DenyReason> {
        let Evaluable { place, asked, candidates } = evaluable;
        let evaluation = Evaluation::new(asked, self.entities);
        let (mut certain, mut permits, mut forbids) = (Vec::new(), Vec::new(), Vec::new());
        let mut forbidden = false;
        for rules in candidates.chunk_by(|a, b| a.condition == b.condition) {
            let first = rules.first().map(|candidate| candidate.condition);
            let Some((id, condition)) = first.and_then(|id| Some((id, self.snapshot.index.condition(id)?)))
            else {
                return Err(DenyReason::PolicyError);
            };
            let party = place.filter(|_| condition.differs == Differs::Party).map(|place| (id, place));
            let leaning = self.lean(&evaluation, condition, party);
            for candidate in rules {
                let Some(rule) = self.snapshot.rules.get(candidate.rule as usize) else {
                    return Err(DenyReason::PolicyError);
                };
                let term = |asks| Term { policy: rule.info.id.clone(), asks };
                match (rule.info.effect, &leaning) {
                    (_, Leaning::Errs) => return Err(DenyReason::PolicyError),
                    (_, Leaning::Fails) => {}
                    (Effect::Permit, Leaning::Holds) => certain.push(term(None)),
                    (Effect::Forbid, Leaning::Holds) => forbidden = true,
                    (Effect::Permit, Leaning::Open(rest)) => permits.push(term(Some(cedar::text(rest)))),
                    (Effect::Forbid, Leaning::Open(rest)) => forbids.push(term(Some(cedar::text(rest)))),
                }
            }
        }
        if forbidden {
            return Err(DenyReason::Forbidden);
        }
        let mut permits = if certain.is_empty() { permits } else { certain };
        if permits.is_empty() {
            return Err(DenyReason::NoPermit);
        }
        permits.sort_by(|a, b| a.policy.cmp(&b.policy));
        forbids.sort_by(|a, b| a.policy.cmp(&b.policy));
        Ok(Share { half, permits, forbids })
    }

    /// What a condition comes to; what it asks of the party alone, once for all questions that share the memory.
    fn lean(
        &mut self,
        evaluation: &Evaluation<'_>,
        condition: &Condition,
        party: Option<(u32, usize)>,
    ) -> Leaning {
        let of_held = |held: &Held| match held {
            Ok(true) => Leaning::Holds,
            Ok(false) => Leaning::Fails,
            Err(_) => Leaning::Errs,
        };
        match (&mut self.memory, party) {
            (Some(memory), Some(party)) => {
                of_held(memory.entry(party).or_insert_with(|| evaluation.holds(condition)))
            }
            (_, _) => evaluation.lean(condition, self.blanks),
        }
    }
}
