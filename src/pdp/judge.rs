//! What is asked, judged on one snapshot: a message becomes questions, and every one of them must be permitted.
//! Never records, and never establishes anybody: facts are arguments.

use std::collections::BTreeSet;

use super::within::{Outside, Within};
use super::{Ask, Unclear, words};
use crate::access::{Decision, DenyReason, Determining, Facts, Obligation, Question};
use crate::mcp::{self, Mapped};
use crate::policy::{self, Round};
use crate::task::Lent;
use crate::value::{Uid, Value};

/// The terms on which a caller is answered.
#[derive(Debug, Clone, Default)]
pub struct Terms<'a> {
    /// What a message may hold.
    pub limits: mcp::Limits,
    /// What the task covers, and what was taken back.
    pub within: Within<'a>,
    /// Whether a human may call without an agent.
    pub agentless: bool,
    /// Whether the answer explains itself.
    pub explain: bool,
}

/// The judgement, with what the record says of the question.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Permit, or deny and why.
    pub decision: Decision,
    /// The Cedar action that was decided on.
    pub action: Option<Uid>,
    /// The Cedar resource that was decided on.
    pub resource: Option<Uid>,
    /// Further resources of the same message, all of which were decided on.
    pub also: Vec<Uid>,
    /// Cedar's principal, when it is not the party that the request names: a server that asks on its own.
    pub authority: Option<Uid>,
    /// The tool, by its name on the server.
    pub tool: Option<String>,
    /// The data classes of the resource.
    pub data_classes: BTreeSet<String>,
    /// The arguments' bytes as they were sent.
    pub arguments: Option<Vec<u8>>,
    /// Why, in words.
    pub explanation: Vec<String>,
    /// What was lent, when that was asked for.
    pub lent: Option<Box<Lent>>,
}

impl Judged {
    /// A deny before any question was understood.
    pub(super) fn deny(reason: DenyReason, words: impl Into<String>) -> Self {
        Self::bare(Decision::deny(reason, words))
    }

    /// A deny of what could not be put in one way only.
    pub(super) fn unclear(unclear: &Unclear) -> Self {
        let Unclear { words, action, resource } = unclear.clone();
        Self { action, resource, ..Self::deny(DenyReason::InvalidInput, words) }
    }

    pub(super) fn bare(decision: Decision) -> Self {
        Self {
            decision,
            action: None,
            resource: None,
            also: Vec::new(),
            authority: None,
            tool: None,
            data_classes: BTreeSet::new(),
            arguments: None,
            explanation: Vec::new(),
            lent: None,
        }
    }
}

/// Judges what is asked, as the next of a round.
pub fn judge(round: &mut Round<'_, '_>, ask: &Ask, facts: &Facts, terms: &Terms<'_>) -> Judged {
    let snapshot = round.snapshot();
    let message = match ask {
        Ask::Access(question) if snapshot.expects_actor(&question.action) && actor_missing(facts, terms) => {
            let denied = Judged::deny(DenyReason::ActorMissing, DenyReason::ActorMissing.words());
            return about(question, denied);
        }
        Ask::Access(question) => {
            return match terms.within.holds_question(snapshot, question) {
                Ok(()) => decide(round, [question], facts, terms),
                Err(Outside { reason, words }) => about(question, Judged::deny(reason, words)),
            };
        }
        Ask::Mcp(message) => message,
        // The life of a task is judged apart.
        Ask::Task(_) => return Judged::deny(DenyReason::InvalidInput, "a task is not a step"),
        Ask::Unclear(unclear) => return Judged::unclear(unclear),
    };
    match mcp::map(message, snapshot.catalog(), &terms.limits) {
        Mapped::Pass => Judged::bare(Decision::pass()),
        Mapped::Deny(refusal) => {
            let (action, resource) = refusal.about.map(|about| (about.action, about.resource)).unzip();
            Judged {
                tool: tool_of(resource.as_ref()),
                action,
                resource,
                arguments: refusal.arguments.map(<[u8]>::to_vec),
                ..Judged::deny(refusal.reason, refusal.words)
            }
        }
        Mapped::Ask(step) => {
            let judged = if actor_missing(facts, terms) {
                let denied = Judged::deny(DenyReason::ActorMissing, DenyReason::ActorMissing.words());
                about(&step.question, denied)
            } else if let Err(Outside { reason, words }) = terms.within.holds_step(snapshot, &step) {
                about(&step.question, Judged::deny(reason, words))
            } else if step.blanks.is_empty() {
                decide(round, step.questions(), facts, terms)
            } else {
                let decision = round.decide_beside(&step.question, facts, &step.blanks);
                about(&step.question, Judged::bare(decision))
            };
            Judged {
                tool: tool_of(judged.resource.as_ref()),
                also: step.also.iter().map(|question| question.resource.clone()).collect(),
                data_classes: step.data_classes,
                arguments: step.arguments.map(<[u8]>::to_vec),
                ..judged
            }
        }
        Mapped::AskBack(callback) => {
            let client = facts.actor.as_ref().unwrap_or(&facts.principal);
            let question = callback.question(client.clone());
            if let Err(Outside { reason, words }) = terms.within.holds_callback(snapshot, &callback.principal)
            {
                let denied = about(&question, Judged::deny(reason, words));
                return Judged { authority: Some(callback.principal), ..denied };
            }
            // The server uses its own authority, for nobody else.
            let mut own =
                Facts { principal: callback.principal.clone(), actor: None, actor_depth: 0, ..facts.clone() };
            if facts.actor.is_some() && facts.principal.kind == "Human" {
                // For whom the agent that is asked works, so that a rule can look at the person too.
                own.established.insert("requester".into(), Value::Entity(facts.principal.clone()));
            }
            Judged { authority: Some(callback.principal), ..decide(round, [&question], &own, terms) }
        }
    }
}

/// A step of a human that no agent brings. An agent on its own is its own principal.
pub(super) fn actor_missing(facts: &Facts, terms: &Terms<'_>) -> bool {
    !["Agent", "Server"].contains(&facts.principal.kind.as_str()) && facts.actor.is_none() && !terms.agentless
}

/// Every question must be permitted; the first that is not is the answer.
pub(super) fn decide<'q>(
    round: &mut Round<'_, '_>,
    questions: impl IntoIterator<Item = &'q Question>,
    facts: &Facts,
    terms: &Terms<'_>,
) -> Judged {
    let mut permitted: Vec<Determining> = Vec::new();
    let mut obligations: Vec<Obligation> = Vec::new();
    let mut explanation = Vec::new();
    let mut first = None;
    for question in questions {
        let decision = round.decide(question, facts);
        if terms.explain {
            explanation.extend(policy::explain(round.snapshot(), question, facts).iter().map(words::line));
        }
        if !decision.outcome.is_permit() {
            return about(question, Judged { explanation, ..Judged::bare(decision) });
        }
        first = first.or(Some(question));
        permitted.extend(decision.determining);
        obligations.extend(decision.obligations);
    }
    permitted.sort_by(|a, b| (&a.id, a.half).cmp(&(&b.id, b.half)));
    permitted.dedup();
    obligations.sort_by(|a, b| (a.policy(), &a.id).cmp(&(b.policy(), &b.id)));
    obligations.dedup_by(|a, b| a.id == b.id);
    match first {
        Some(question) => {
            let decision = Decision { determining: permitted, obligations, ..Decision::pass() };
            about(question, Judged { explanation, ..Judged::bare(decision) })
        }
        None => Judged::deny(DenyReason::InvalidInput, "nothing was asked"),
    }
}

/// Adds what the record says of the question.
pub(super) fn about(question: &Question, judged: Judged) -> Judged {
    Judged { action: Some(question.action.clone()), resource: Some(question.resource.clone()), ..judged }
}

/// The name of a tool on its server.
fn tool_of(resource: Option<&Uid>) -> Option<String> {
    let resource = resource.filter(|uid| uid.kind == "Tool")?;
    resource.id.split_once('/').map(|(_, name)| name.to_owned())
}
