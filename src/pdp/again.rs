//! The decision that a grant rests on, made once and again: at its own instant, with its own facts, on any snapshot.
//! Never looks at how the task stands.

use super::judge::{Judged, Terms, decide};
use super::obliged::untold;
use crate::access::{Decision, Entity, Facts, Question, Timestamp};
use crate::policy::{Round, Snapshot};
use crate::task::{Grant, Head, Known, Lent, Only, Parties, Scope};
use crate::value::{Extension, Members, Uid, Value};

/// Makes the decision that a grant rests on, on this snapshot: at its own instant, with its own facts.
pub(super) fn decide_again(round: &mut Round<'_, '_>, lent: &Lent) -> Judged {
    let (question, facts) = question(lent);
    let judged = decide(round, [&question], &facts, &Terms::default());
    Judged { decision: untold(judged.decision), ..judged }
}

/// Whether a task would be granted under this bundle, by the decision that it rests on.
pub fn would_grant(snapshot: &Snapshot, lent: &Lent) -> Decision {
    let (question, facts) = question(lent);
    untold(crate::policy::decide(snapshot, &question, &facts))
}

/// Whether a task that is open would be granted now, with all that it is a part of.
pub(super) fn would_still_grant(snapshot: &Snapshot, head: &Head) -> bool {
    let grants = |lent: &Lent| {
        lent.basis.revision == snapshot.revision().0 || would_grant(snapshot, lent).outcome.is_permit()
    };
    grants(&head.lent()) && head.parents().iter().all(|parent| grants(&parent.lent()))
}

/// Whether a task that is used would still be granted, with all that it is a part of. What is found is remembered for as long
/// as this bundle is in force.
pub(super) fn still_granted(snapshot: &Snapshot, known: &Known) -> bool {
    let revision = &snapshot.revision().0;
    let is_same = |lent: &Lent| lent.basis.revision == *revision;
    let parents = known.head.parents();
    if is_same(&known.lent) && parents.iter().all(|parent| is_same(&parent.lent())) {
        return true;
    }
    if let Some(would) = known.would_start(revision) {
        return would;
    }
    // What is shown to an MCP server is narrower than what was decided on.
    let narrowed = known.audience.is_some().then(|| known.head.lent());
    let own = narrowed.as_deref().unwrap_or(&known.lent);
    let grants = |lent: &Lent| is_same(lent) || would_grant(snapshot, lent).outcome.is_permit();
    let would = grants(own) && parents.iter().all(|parent| grants(&parent.lent()));
    known.remember(revision.clone(), would);
    would
}

/// The question that a grant is the answer to, and the facts.
fn question(lent: &Lent) -> (Question, Facts) {
    let Lent { grant, basis } = lent;
    let Parties { principal, actor, earlier_actors } = &grant.parties;
    let mut question = Question::new(Uid::new("Action", basis.asking.action()), grant.purpose.clone());
    question.established.insert("wanted".into(), wanted_value(grant, basis.ttl_s));
    let token = basis.token.clone().map(|token| ("token".into(), token));
    let parent = basis.parent.clone().map(|parent| ("task".into(), parent));
    let earlier = i64::try_from(earlier_actors.len()).unwrap_or(i64::MAX);
    let facts = Facts {
        principal: principal.clone(),
        actor: actor.clone(),
        actor_depth: i64::from(actor.is_some()).saturating_add(earlier),
        session: basis.session.clone(),
        described: basis.described.as_ref().map(|described| Entity {
            uid: principal.clone(),
            attributes: described.attributes.clone(),
            parents: described.parents.clone(),
        }),
        token: None,
        task: None,
        established: token.into_iter().chain(parent).collect(),
        now: Timestamp(basis.at_ms),
    };
    (question, facts)
}

/// What is wanted, as policies see it: `context.wanted`.
fn wanted_value(grant: &Grant, ttl_s: i64) -> Value {
    let Grant { scope: Scope { servers, tools, classes, bounds: _ }, calls_max, key, .. } = grant;
    let calls = calls_max.map_or(i64::MAX, |calls| i64::try_from(calls).unwrap_or(i64::MAX));
    let mut members = Members::from_iter([
        ("calls".into(), Value::Long(calls)),
        ("ttl".into(), Value::Extension(Extension::Duration, format!("{ttl_s}s").into())),
        ("bound".into(), Value::Bool(key.is_some())),
        ("depth".into(), Value::Long(i64::try_from(grant.depth()).unwrap_or(i64::MAX))),
    ]);
    for (name, kind, only) in
        [("servers", "Server", servers), ("tools", "Tool", tools), ("data_classes", "DataClass", classes)]
    {
        if let Only::These(names) = only {
            let uids = names.iter().map(|name| Value::Entity(Uid::new(kind, name.clone())));
            members.insert(name.into(), Value::Set(uids.collect()));
        }
    }
    Value::Record(members)
}
