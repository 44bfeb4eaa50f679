//! The decision: what Cedar makes of every rule that may apply to a party, made strict and put together.
//! Never has a side effect: the same snapshot, question and facts give the same decision.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::cedar::{
    self, Asked, Blanks, Differs, Entities, Entity, EntityUID, Evaluation, EvaluationError, Late,
};
use super::index::{Candidate, ConditionId, Index, RuleId};
use super::possible::possible;
use super::prepare::{Prepared, PreparedHalf, Refusal, prepare};
use super::snapshot::Snapshot;
use super::store::Store;
use super::token::token_value;
use crate::access::{
    Decision, DenyReason, Determining, Effect, Facts, Half, Obligation, Outcome, PolicyError, Possible,
    Question, Revision,
};
use crate::value::{Fault, Uid};

/// Decides one question on one snapshot. When an agent acts for somebody, both halves are evaluated and both must
/// permit. Any policy that fails to evaluate makes the answer a deny, for Cedar skips such a policy and a skipped
/// `forbid` would permit.
pub fn decide(snapshot: &Snapshot, question: &Question, facts: &Facts) -> Decision {
    Round::of_one(snapshot).decide(question, facts)
}

/// Questions on one snapshot, one after another. What the rules ask of a party alone is evaluated once for all that
/// share a memory; the decisions are those of [`decide`].
pub struct Round<'s, 'm> {
    snapshot: &'s Snapshot,
    memory: Option<&'m mut HeldBefore>,
}

/// What rules asked of parties alone, and what came of it, on one snapshot.
#[derive(Debug, Default)]
pub struct Memory {
    revision: Option<Revision>,
    held: HeldBefore,
}

impl<'s, 'm> Round<'s, 'm> {
    /// Questions that remember what earlier ones found out. What was found out on another snapshot is forgotten.
    pub fn remembering(snapshot: &'s Snapshot, memory: &'m mut Memory) -> Self {
        if memory.revision.as_ref() != Some(snapshot.revision()) {
            *memory = Memory { revision: Some(snapshot.revision().clone()), held: HeldBefore::default() };
        }
        Self { snapshot, memory: Some(&mut memory.held) }
    }

    /// One question on this snapshot: nothing needs to be remembered.
    pub fn of_one(snapshot: &'s Snapshot) -> Self {
        Self { snapshot, memory: None }
    }

    /// What is decided on.
    pub fn snapshot(&self) -> &'s Snapshot {
        self.snapshot
    }

    /// What the next question could come to while these members of its context are not known.
    pub fn possible(&mut self, question: &Question, facts: &Facts, blanks: &BTreeSet<String>) -> Possible {
        possible(self.snapshot, question, facts, blanks, self.memory.as_deref_mut())
    }

    /// Decides the next question.
    pub fn decide(&mut self, question: &Question, facts: &Facts) -> Decision {
        self.decide_beside(question, facts, &Blanks::new())
    }

    /// Decides the next question while these members of its context are not known: a deny where any policy that may apply
    /// has to look at one of them.
    pub fn decide_beside(
        &mut self,
        question: &Question,
        facts: &Facts,
        blanks: &BTreeSet<String>,
    ) -> Decision {
        let prepared = match prepare(self.snapshot, question, facts, blanks) {
            Ok(prepared) => prepared,
            Err(Refusal { reason, words }) => return Decision::deny(reason, words),
        };
        match evaluate(self.snapshot, &prepared, blanks, self.memory.as_deref_mut()) {
            Ok(verdicts) => {
                let halves: Vec<Half> = prepared.halves.iter().map(|half| half.half).collect();
                combine(self.snapshot, &halves, &verdicts)
            }
            Err(words) => Decision::deny(DenyReason::InvalidInput, words),
        }
    }
}

/// Why nothing is decided where a policy looks at what is not known.
const BLANK_READ: &str = "a policy reads the arguments of the call, and they did not come along";

/// Whether a condition held, or why that could not be said.
pub(super) type Held = Result<bool, Box<EvaluationError>>;

/// What conditions that look at a party alone came to, by the party's place in the store.
pub(super) type HeldBefore = HashMap<(ConditionId, usize), Held, FixedState>;

/// What became of the rules for one party, in the order of the rules.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) satisfied: Vec<RuleId>,
    pub(super) failed: Vec<(RuleId, Box<EvaluationError>)>,
    /// Whether a rule could not be looked at. A defect of ours, and a deny.
    pub(super) incomplete: bool,
}

fn evaluate(
    snapshot: &Snapshot,
    prepared: &Prepared<'_>,
    blanks: &Blanks,
    memory: Option<&mut HeldBefore>,
) -> Result<Vec<Verdict>, String> {
    let index = &snapshot.index;
    let candidates = |half: &PreparedHalf<'_>| {
        let about = prepared.about(half);
        if blanks.is_empty() {
            index.candidates(about, &half.context)
        } else {
            index.candidates_beside(about, &half.context, blanks)
        }
    };
    let evaluable = |half: &PreparedHalf<'_>| Evaluable {
        place: half.principal.place,
        asked: prepared.asked(half),
        candidates: candidates(half),
    };
    let mut halves: Vec<Evaluable> = prepared.halves.iter().map(evaluable).collect();
    let read = !blanks.is_empty() && is_read(index, &halves, blanks)?;
    tell_late(snapshot, prepared, &mut halves)?;
    let verdicts = if prepared.brought.is_empty() {
        verdicts(index, snapshot.store.entities(), halves, memory)
    } else {
        let slice = slice(index, &snapshot.store, &prepared.brought, &halves)
            .ok_or("the request describes one entity in two ways")?;
        // What hangs on a stored party may be another in this request.
        verdicts(index, &slice, halves, None)
    };
    // Without the member every look at it fails; an evaluation that comes out all the same has not looked.
    if read && verdicts.iter().any(|verdict| !verdict.failed.is_empty()) {
        return Err(BLANK_READ.to_owned());
    }
    Ok(verdicts)
}

/// Whether a rule that may apply looks at what is not known. Words where one could take its absence for an answer.
fn is_read(index: &Index, halves: &[Evaluable], blanks: &Blanks) -> Result<bool, String> {
    let candidates = halves.iter().flat_map(|half| &half.candidates);
    let mut read = false;
    for condition in candidates.filter_map(|candidate| index.condition(candidate.condition)) {
        if condition.is_blind_to(blanks) {
            return Err(BLANK_READ.to_owned());
        }
        read |= condition.reads(blanks);
    }
    Ok(read)
}

/// Puts the instant, the token and the task into the contexts when a candidate looks at them.
pub(super) fn tell_late(
    snapshot: &Snapshot,
    prepared: &Prepared<'_>,
    halves: &mut [Evaluable],
) -> Result<(), String> {
    let candidates = halves.iter().flat_map(|half| &half.candidates);
    let conditions = candidates.filter_map(|candidate| snapshot.index.condition(candidate.condition));
    let reads = conditions.map(|condition| condition.reads).fold(Late::default(), Late::or);
    let types = &snapshot.schema.types;
    // Without them a rule that asks whether they are there would be passed over.
    let mut late = Vec::with_capacity(3);
    if let Some(now) = prepared.now.filter(|_| reads.now) {
        late.push((cedar::NOW, types.instant(now).ok_or("the instant cannot be told")?));
    }
    let in_context = |fault: Fault| fault.within("context").to_string();
    if let Some((member, facts)) = prepared.token.filter(|_| reads.token) {
        let built = member.build(cedar::TOKEN, Some(&token_value(facts)), types).map_err(in_context)?;
        late.extend(built.map(|built| (cedar::TOKEN, built)));
    }
    if let Some(task) = prepared.task.filter(|_| reads.task) {
        late.extend(task.build(snapshot).map_err(in_context)?.map(|built| (cedar::TASK, built)));
    }
    for (name, value) in late {
        for Evaluable { asked, .. } in &mut *halves {
            Arc::make_mut(&mut asked.context).insert(name.into(), value.clone());
        }
    }
    Ok(())
}

/// A party with the rules that may apply to it.
pub(super) struct Evaluable {
    /// Where the principal stands in the store.
    pub(super) place: Option<usize>,
    pub(super) asked: Asked,
    pub(super) candidates: Vec<Candidate>,
}

/// What an evaluation of these candidates may look into: never the world.
pub(super) fn slice(
    index: &Index,
    store: &Store,
    brought: &BTreeMap<Uid, Arc<Entity>>,
    halves: &[Evaluable],
) -> Option<Entities> {
    let conditions = || {
        let candidates = halves.iter().flat_map(|half| &half.candidates);
        candidates.filter_map(|candidate| index.condition(candidate.condition))
    };
    let depth = conditions().map(|condition| condition.depth).max().unwrap_or(0);
    let mut from: Vec<&EntityUID> = conditions().flat_map(|c| &c.names).map(AsRef::as_ref).collect();
    for Evaluable { asked, .. } in halves {
        from.extend([asked.principal.as_ref(), asked.action.as_ref(), asked.resource.as_ref()]);
        asked.context.values().for_each(|value| cedar::references(value, &mut |uid| from.push(uid)));
    }
    store.slice(brought, from, depth)
}

/// Evaluates the candidates of each party: every condition once, those that do not look at the party once for all
/// parties, and those that look at nothing else once for all questions that share the memory.
pub(super) fn verdicts(
    index: &Index,
    entities: &Entities,
    halves: Vec<Evaluable>,
    mut memory: Option<&mut HeldBefore>,
) -> Vec<Verdict> {
    let mut known: Vec<(ConditionId, Held)> = Vec::new();
    let last = halves.len().saturating_sub(1);
    let mut verdicts = Vec::with_capacity(halves.len());
    for (half, Evaluable { place, asked, candidates }) in halves.into_iter().enumerate() {
        let evaluation = Evaluation::new(asked, entities);
        let mut verdict = Verdict::default();
        for rules in candidates.chunk_by(|a, b| a.condition == b.condition) {
            let Some((id, condition)) =
                rules.first().and_then(|rule| Some((rule.condition, index.condition(rule.condition)?)))
            else {
                verdict.incomplete = true;
                continue;
            };
            let shared = condition.differs == Differs::Question && last > 0;
            let alone = place.filter(|_| condition.differs == Differs::Party).map(|place| (id, place));
            let of_the_call = || known.get(known.binary_search_by_key(&id, |(id, _)| *id).ok()?);
            let before = match (&memory, alone) {
                (Some(memory), Some(party)) => memory.get(&party),
                _ if shared => of_the_call().map(|(_, held)| held),
                _ => None,
            };
            if let Some(held) = before {
                verdict.add(rules, held);
                continue;
            }
            let held = evaluation.holds(condition);
            verdict.add(rules, &held);
            match (&mut memory, alone) {
                (Some(memory), Some(party)) => _ = memory.insert(party, held),
                _ if shared && half < last => known.push((id, held)),
                _ => {}
            }
        }
        known.sort_by_key(|(id, _)| *id);
        verdict.satisfied.sort_unstable();
        verdict.failed.sort_by_key(|(rule, _)| *rule);
        verdicts.push(verdict);
    }
    verdicts
}

impl Verdict {
    fn add(&mut self, rules: &[Candidate], held: &Held) {
        let rules = rules.iter().map(|candidate| candidate.rule);
        match held {
            Ok(true) => self.satisfied.extend(rules),
            Ok(false) => {}
            Err(error) => self.failed.extend(rules.map(|rule| (rule, error.clone()))),
        }
    }
}

fn combine(snapshot: &Snapshot, halves: &[Half], verdicts: &[Verdict]) -> Decision {
    let mut satisfied: Vec<(RuleId, Half, Effect)> = Vec::new();
    let mut errors: Vec<(RuleId, PolicyError)> = Vec::new();
    let mut unpermitted: Option<Half> = None;
    // Fewer answers than parties would let somebody ride on the others.
    let mut incomplete = halves.len() != verdicts.len();
    for (half, verdict) in halves.iter().zip(verdicts) {
        let mut permitted = false;
        incomplete |= verdict.incomplete;
        for rule in &verdict.satisfied {
            let Some(info) = snapshot.rules.get(*rule as usize).map(|rule| &rule.info) else {
                incomplete = true;
                continue;
            };
            permitted |= info.effect == Effect::Permit;
            satisfied.push((*rule, *half, info.effect));
        }
        if !permitted {
            unpermitted = unpermitted.or(Some(*half));
        }
        for (rule, error) in &verdict.failed {
            match policy_error(snapshot, *rule, error, *half) {
                Some(error) => errors.push(error),
                None => incomplete = true,
            }
        }
    }
    satisfied.sort_unstable();
    errors.sort_by_key(|(rule, error)| (*rule, error.half));

    let forbidden = satisfied.iter().any(|(_, _, effect)| *effect == Effect::Forbid);
    let (outcome, makes_the_difference) = match (errors.is_empty() && !incomplete, forbidden, unpermitted) {
        (false, _, _) => (Outcome::Deny(DenyReason::PolicyError), None),
        (true, true, _) => (Outcome::Deny(DenyReason::Forbidden), Some(Effect::Forbid)),
        (true, false, Some(_)) => (Outcome::Deny(DenyReason::NoPermit), None),
        (true, false, None) => (Outcome::Permit, Some(Effect::Permit)),
    };
    satisfied.retain(|(_, _, effect)| Some(*effect) == makes_the_difference);
    let obligations = obligations(snapshot, &satisfied);
    let determining = satisfied
        .into_iter()
        .filter_map(|(rule, half, effect)| determining(snapshot, rule, half, effect))
        .collect::<Vec<_>>();
    let reason = match (outcome, unpermitted) {
        (Outcome::Permit, _) => String::new(),
        (Outcome::Deny(DenyReason::Forbidden), _) => author_words(&determining),
        (Outcome::Deny(DenyReason::NoPermit), Some(half)) => no_permit_words(half, halves.len() > 1),
        (Outcome::Deny(reason), _) => reason.words().to_owned(),
    };
    let errors = errors.into_iter().map(|(_, error)| error).collect();
    Decision { outcome, reason, determining, errors, obligations, withheld: Vec::new() }
}

/// What the determining rules demand, each rule's once for both halves. They come in the order of the rules.
fn obligations(snapshot: &Snapshot, determining: &[(RuleId, Half, Effect)]) -> Vec<Obligation> {
    let mut all = Vec::new();
    for halves in determining.chunk_by(|a, b| a.0 == b.0) {
        let rule = halves.first().and_then(|(rule, ..)| snapshot.rules.get(*rule as usize));
        all.extend(rule.into_iter().flat_map(|rule| &*rule.info.obligations).cloned());
    }
    all
}

fn determining(snapshot: &Snapshot, rule: RuleId, half: Half, effect: Effect) -> Option<Determining> {
    let info = &snapshot.rules.get(rule as usize)?.info;
    Some(Determining { id: info.id.clone(), effect, half, annotations: info.annotations.clone() })
}

fn policy_error(
    snapshot: &Snapshot,
    rule: RuleId,
    error: &EvaluationError,
    half: Half,
) -> Option<(RuleId, PolicyError)> {
    let id = snapshot.rules.get(rule as usize)?.info.id.clone();
    Some((rule, PolicyError { id, half, kind: cedar::error_kind(error), message: error.to_string() }))
}

/// The `@reason` of every forbidding policy, each once; the general words when none has one.
fn author_words(forbidding: &[Determining]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for policy in forbidding {
        if let Some(reason) = policy.annotations.get("reason")
            && !words.contains(&reason.as_str())
        {
            words.push(reason);
        }
    }
    if words.is_empty() { DenyReason::Forbidden.words().to_owned() } else { words.join("; ") }
}

fn no_permit_words(half: Half, delegated: bool) -> String {
    match (half, delegated) {
        (_, false) => DenyReason::NoPermit.words().to_owned(),
        (Half::Principal, true) => {
            "no policy permits this step to the party that the agent acts for".to_owned()
        }
        (Half::Actor, true) => "no policy permits this step to the agent".to_owned(),
    }
}
