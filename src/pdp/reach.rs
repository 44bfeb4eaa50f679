//! Blast radius: all that a party can reach now, by which policies, and what would still be asked.
//! Never a promise: what is reached is decided when it is asked.

use std::collections::BTreeSet;

use super::establish::{Refused, establish};
use super::search::{Parties, Tally, Unsettled, call_of, enforces};
use super::{Ask, InForce, Occasion, Pdp, Request};
use crate::access::{DecisionId, DenyReason, Entity, Possible, Question, Revision, Share};
use crate::audit::{AuditSink, SearchKind};
use crate::catalog::Tool;
use crate::mcp;
use crate::policy::{Memory, Round, Seeking, Snapshot};
use crate::task::{Bound, Limit, Scope};
use crate::value::{Extension, Shape, Uid};

/// How many questions one look costs at most. What comes after is left out, and the answer says so.
pub const REACH_QUESTIONS_MAX: usize = 20_000;

/// Something that can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// By this action.
    pub action: Uid,
    /// This. A URI that ends in `*` stands for all that begin so.
    pub resource: Uid,
    /// The classes of the data that it handles.
    pub data_classes: BTreeSet<String>,
    /// What must be so for each party.
    pub shares: Vec<Share>,
    /// What the task asks of the arguments, in Cedar's language.
    pub bounds: Vec<String>,
}

/// All that can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The search's id.
    pub id: DecisionId,
    /// The snapshot that it was made on.
    pub revision: Revision,
    /// Tools first, then resources and prompts, then the rest.
    pub reached: Vec<Reached>,
    /// The classes of all that is reached.
    pub data_classes: BTreeSet<String>,
    /// Whether there was more than could be looked at.
    pub more: bool,
    /// Why nothing was looked at, with words that are safe to show.
    pub refused: Option<(DenyReason, String)>,
    /// The state of tasks and revocations that it knows; none where there is none.
    pub state: Option<u64>,
}

impl<S: AuditSink> Pdp<S> {
    /// Finds all that the parties of a request can reach, whatever the request is about, and records it.
    pub fn reach(&self, request: &Request, occasion: Occasion<'_>) -> Unsettled<Reach> {
        let in_force = self.in_force.load_full();
        let InForce { snapshot, trust } = &*in_force;
        let nothing = Question::new(Uid::new("", ""), Uid::new("", ""));
        let request = Request { ask: Ask::Access(nothing), preview: true, explain: false, ..request.clone() };
        let mut reached = Vec::new();
        let mut evaluated = 0;
        let mut more = false;
        let (parties, refused) = match establish(self, snapshot, trust, &request, occasion.now) {
            Err(Refused { reason, words, principal, task, .. }) => {
                let principal = principal.map(|principal| *principal);
                (Parties { principal, task: task.map(|task| task.name) }, Some((reason, words)))
            }
            Ok(established) => {
                let principal = established.principal.subject();
                let scope = established.task.as_deref().map(|known| &known.lent.grant.scope);
                let mut memory = Memory::default();
                let mut round = Round::remembering(snapshot, &mut memory);
                for Step { question, blanks, tool } in steps(snapshot, principal) {
                    if !enforces(&request.caller, [&question.resource, principal]) {
                        continue;
                    }
                    if evaluated >= REACH_QUESTIONS_MAX {
                        more = true;
                        break;
                    }
                    evaluated += 1;
                    let about = (&question, &blanks);
                    let possible = self.possible(&mut round, &request, &established, about, occasion.now);
                    if let Possible::If(shares) = possible {
                        let data_classes = snapshot.catalog().classes_of(&question.resource);
                        let bounds = bounds(scope, tool);
                        let Question { action, resource, .. } = question;
                        reached.push(Reached { action, resource, data_classes, shares, bounds });
                    }
                }
                (Parties::of(Some(&established)), None)
            }
        };
        let tally = Tally {
            kind: SearchKind::Reach,
            sought: "",
            server: None,
            evaluated,
            found: reached.len(),
            more,
            reason: refused.as_ref().map(|(reason, _)| *reason),
        };
        let receipt = self.tell(snapshot, &request, &occasion, &parties, tally);
        let data_classes = reached.iter().flat_map(|reached| reached.data_classes.iter().cloned()).collect();
        let (revision, state) = (snapshot.revision().clone(), self.state());
        let found = Reach { id: occasion.id, revision, reached, data_classes, more, refused, state };
        Unsettled::new(found, receipt)
    }
}

/// Something that could be done.
struct Step<'s> {
    question: Question,
    /// What of its context nobody knows yet.
    blanks: BTreeSet<String>,
    tool: Option<&'s Tool>,
}

/// All that a principal could do, if policies let it.
fn steps<'s>(snapshot: &'s Snapshot, principal: &Uid) -> impl Iterator<Item = Step<'s>> {
    let catalog = snapshot.catalog();
    let has_catalog = catalog.servers().next().is_some();
    let bare = Question::new(Uid::new("", ""), Uid::new("", ""));
    let tools = catalog.servers().flat_map(|server| server.tools.values()).map(move |tool| {
        let (question, blanks) = call_of(tool, &bare);
        Step { question, blanks, tool: Some(tool) }
    });
    let named = mcp::named(catalog).filter_map(move |entity| named_step(snapshot, entity));
    let actions = snapshot.actions_of(&principal.kind).into_iter();
    let others = actions.flat_map(move |action| {
        let kinds = snapshot.resource_types(&action).iter();
        // Those of the catalog come from the catalog.
        let kinds = kinds.filter(move |kind| !has_catalog || !OF_CATALOG.contains(&kind.as_str()));
        kinds.flat_map(move |kind| {
            let all = Seeking::all_of(snapshot, kind, &[]);
            let ids: Vec<String> = all.after(None).map(str::to_owned).collect();
            let action = action.clone();
            ids.into_iter().map(move |id| plain_step(snapshot, action.clone(), Uid::new(kind.clone(), id)))
        })
    });
    tools.chain(named).chain(others)
}

/// Types of resources that are looked at by what the catalog names of them.
const OF_CATALOG: [&str; 4] = ["Tool", "Resource", "Prompt", "McpTask"];

fn plain_step(snapshot: &Snapshot, action: Uid, resource: Uid) -> Step<'_> {
    let blanks = snapshot.sent_members(&action).map(str::to_owned).collect();
    Step { question: Question::new(action, resource), blanks, tool: None }
}

/// Reading a resource, or getting a prompt.
fn named_step(snapshot: &Snapshot, entity: Entity) -> Option<Step<'_>> {
    let method = match entity.uid.kind.as_str() {
        "Resource" => "resources/read",
        "Prompt" => "prompts/get",
        _ => return None,
    };
    let mut step = plain_step(snapshot, Uid::new("Action", method), entity.uid.clone());
    step.question.derived.push(entity);
    Some(step)
}

/// What a task asks of the arguments of a tool.
fn bounds(scope: Option<&Scope>, tool: Option<&Tool>) -> Vec<String> {
    let Some((scope, tool)) = scope.zip(tool) else { return Vec::new() };
    scope.bounds_of(&tool.action().id).map(|bound| written(bound, &tool.arguments)).collect()
}

/// A bound as a condition.
fn written(Bound { tool: _, argument, limit }: &Bound, arguments: &Shape) -> String {
    let path = format!("context.input.{}", argument.join("."));
    let is_decimal = shape_at(arguments, argument) == Some(&Shape::Extension(Extension::Decimal));
    let compared = |operator: &str, method: &str, number: i64| {
        let value = decimal(number);
        if is_decimal {
            format!("{path}.{method}(decimal(\"{value}\"))")
        } else {
            format!("{path} {operator} {}", value.strip_suffix(".0").unwrap_or(&value))
        }
    };
    match limit {
        Limit::AtMost(most) => compared("<=", "lessThanOrEqual", *most),
        Limit::AtLeast(least) => compared(">=", "greaterThanOrEqual", *least),
        Limit::OneOf(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
            format!("[{}].contains({path})", texts.join(", "))
        }
    }
}

/// A number of ten-thousandths with a point.
fn decimal(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let (whole, rest) = (number.unsigned_abs() / 10_000, number.unsigned_abs() % 10_000);
    let rest = format!("{rest:04}");
    let rest = rest.trim_end_matches('0');
    format!("{sign}{whole}.{}", if rest.is_empty() { "0" } else { rest })
}

fn shape_at<'s>(shape: &'s Shape, path: &[String]) -> Option<&'s Shape> {
    path.iter().try_fold(shape, |shape, name| match shape {
        Shape::Record(members) => members.get(name.as_str()).map(|member| &member.shape),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_tasks_are_written_as_conditions() {
        let written = |limit| {
            let bound = Bound { tool: "crm/pay".into(), argument: vec!["amount".into()], limit };
            super::written(&bound, &Shape::Record(std::collections::BTreeMap::new()))
        };
        assert_eq!(written(Limit::AtMost(1_000_000)), "context.input.amount <= 100");
        assert_eq!(written(Limit::AtLeast(-25_000)), "context.input.amount >= -2.5");
        assert_eq!(
            written(Limit::OneOf(["a\"".into()].into())),
            "[\"a\\\"\"].contains(context.input.amount)"
        );
    }
}
