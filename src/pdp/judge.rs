//! What is asked, judged on one snapshot: a message becomes questions, and every one of them must be permitted.
//! Never records, and never establishes anybody: facts are arguments.

use std::collections::BTreeSet;

use super::{Ask, words};
use crate::access::{Decision, DenyReason, Determining, Facts, Question};
use crate::mcp::{self, Asker, Mapped};
use crate::policy::{self, Snapshot};
use crate::value::{Uid, Value};

/// The terms on which a caller is answered.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// What a message may hold.
    pub limits: mcp::Limits,
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
    /// The tool, by its name on the server.
    pub tool: Option<String>,
    /// The data classes of the resource.
    pub data_classes: BTreeSet<String>,
    /// The arguments' bytes as they were sent.
    pub arguments: Option<Vec<u8>>,
    /// Why, in words.
    pub explanation: Vec<String>,
}

impl Judged {
    /// A deny before any question was understood.
    pub(super) fn deny(reason: DenyReason, words: impl Into<String>) -> Self {
        Self::bare(Decision::deny(reason, words))
    }

    fn bare(decision: Decision) -> Self {
        Self {
            decision,
            action: None,
            resource: None,
            tool: None,
            data_classes: BTreeSet::new(),
            arguments: None,
            explanation: Vec::new(),
        }
    }
}

/// Judges what is asked on one snapshot.
pub fn judge(snapshot: &Snapshot, ask: &Ask, facts: &Facts, terms: &Terms) -> Judged {
    let message = match ask {
        Ask::Access(question) => return decide(snapshot, std::slice::from_ref(question), facts, terms),
        Ask::Mcp(message) => message,
    };
    let client = facts.actor.as_ref().unwrap_or(&facts.principal);
    let asked = match mcp::map(message, snapshot.catalog(), client, &terms.limits) {
        Ok(Mapped::Ask(asked)) => asked,
        Ok(Mapped::Pass) => return Judged::bare(Decision::pass()),
        Err(denied) => return Judged::deny(denied.reason, denied.words),
    };
    let judged = match asked.asker {
        Asker::Client if actor_missing(facts, terms) => {
            Judged::deny(DenyReason::ActorMissing, DenyReason::ActorMissing.words())
        }
        Asker::Client => decide(snapshot, &asked.questions, facts, terms),
        Asker::Server => decide(snapshot, &asked.questions, &servers_own(facts, &message.server), terms),
    };
    let first = asked.questions.first();
    let action = judged.action.or_else(|| first.map(|question| question.action.clone()));
    let resource = judged.resource.or_else(|| first.map(|question| question.resource.clone()));
    Judged { action, resource, tool: asked.tool, arguments: asked.arguments, ..judged }
}

/// A message of a human that no agent brings. An agent on its own is its own principal.
fn actor_missing(facts: &Facts, terms: &Terms) -> bool {
    facts.principal.kind != "Agent" && facts.actor.is_none() && !terms.agentless
}

/// The server uses its own authority, for nobody else.
fn servers_own(facts: &Facts, server: &str) -> Facts {
    Facts { principal: Uid::new("Server", server), actor: None, actor_depth: 0, ..facts.clone() }
}

/// Every question must be permitted; the first that is not is the answer.
fn decide(snapshot: &Snapshot, questions: &[Question], facts: &Facts, terms: &Terms) -> Judged {
    let mut permitted: Vec<Determining> = Vec::new();
    let mut explanation = Vec::new();
    for question in questions {
        let decision = policy::decide(snapshot, question, facts);
        if terms.explain {
            explanation.extend(policy::explain(snapshot, question, facts).iter().map(words::line));
        }
        if !decision.outcome.is_permit() {
            return about(snapshot, question, Judged { explanation, ..Judged::bare(decision) });
        }
        permitted.extend(decision.determining);
    }
    permitted.sort_by(|a, b| (&a.id, a.half).cmp(&(&b.id, b.half)));
    permitted.dedup();
    let decision = Decision { determining: permitted, ..Decision::pass() };
    let judged = Judged { explanation, ..Judged::bare(decision) };
    match questions.first() {
        Some(question) => about(snapshot, question, judged),
        None => Judged::deny(DenyReason::InvalidInput, "nothing was asked"),
    }
}

/// Adds what the record says of the question.
fn about(snapshot: &Snapshot, question: &Question, judged: Judged) -> Judged {
    let tool = question.resource.id.split_once('/').filter(|_| question.resource.kind == "Tool");
    let tool = tool.and_then(|(server, name)| snapshot.catalog().tool(server, name));
    let derived = question.derived.iter().find(|entity| entity.uid == question.resource);
    let data_classes = match (tool, derived.and_then(|entity| entity.attributes.get("data_classes"))) {
        (Some(tool), _) => tool.facts.data_classes.clone(),
        (None, Some(Value::Set(classes))) => classes
            .iter()
            .filter_map(|class| if let Value::Entity(uid) = class { Some(uid.id.clone()) } else { None })
            .collect(),
        (None, Some(_) | None) => BTreeSet::new(),
    };
    Judged {
        action: Some(question.action.clone()),
        resource: Some(question.resource.clone()),
        data_classes,
        ..judged
    }
}
