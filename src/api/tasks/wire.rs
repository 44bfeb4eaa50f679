//! Tasks between protobuf and the domain.
//! Never believes a length, and never shows a token but to whom it is given.

use std::collections::BTreeSet;

use super::super::proto::v1;
use super::super::wire::{
    self, INTENT_BYTES_MAX, Malformed, NAME_BYTES_MAX, URL_BYTES_MAX, determining, encode_reason, encode_uid,
    optional, text,
};
use crate::access::{Decision, DenyReason, Outcome};
use crate::identity::{Credentials, Proof, TOKEN_BYTES_MAX, Token};
use crate::lifecycle::{Begun, Shown};
use crate::pdp::Wanted;
use crate::task::{Bound, End, Head, Lent, Limit, Only, Scope, State, Stop, Target, TaskId};
use crate::value::{Uid, Value};

const NAMES_MAX: usize = 256;
const BOUNDS_MAX: usize = 64;
const PATH_MAX: usize = 16;
const APPROVALS_MAX: usize = 16;
pub(super) const REASON_BYTES_MAX: usize = 256;
pub(super) const KEY_BYTES_MAX: usize = 128;
/// base64url of a SHA-256, without padding.
const THUMBPRINT_CHARS: usize = 43;

pub(super) fn wanted(wanted: Option<v1::Wanted>) -> Result<Wanted, Malformed> {
    let v1::Wanted { scope: asked, calls_max, ttl_s, key_thumbprint } = wanted.unwrap_or_default();
    let key = optional("wanted.key_thumbprint", key_thumbprint, NAME_BYTES_MAX)?;
    if key.as_ref().is_some_and(|key| !is_thumbprint(key)) {
        let problem = "is no RFC 7638 thumbprint: base64url of a SHA-256, 43 letters without padding";
        return Err(Malformed::new("wanted.key_thumbprint", problem));
    }
    Ok(Wanted {
        scope: asked.map(scope).transpose()?.unwrap_or_default(),
        calls_max: (calls_max > 0).then_some(calls_max),
        ttl_s: ttl(ttl_s)?,
        key,
    })
}

pub(super) fn ttl(ttl_s: u64) -> Result<Option<i64>, Malformed> {
    let ttl = i64::try_from(ttl_s).map_err(|_| Malformed::new("ttl_s", "is more than anything may last"))?;
    Ok((ttl > 0).then_some(ttl))
}

fn is_thumbprint(key: &str) -> bool {
    key.len() == THUMBPRINT_CHARS && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn scope(scope: v1::Scope) -> Result<Scope, Malformed> {
    let v1::Scope { servers, tools, data_classes, bounds } = scope;
    if bounds.len() > BOUNDS_MAX {
        let problem = format!("has {} items, more than the limit of {BOUNDS_MAX}", bounds.len());
        return Err(Malformed::new("wanted.scope.bounds", problem));
    }
    let only = |field: &str, some: Option<v1::Names>| {
        some.map_or(Ok(Only::All), |some| Ok::<_, Malformed>(Only::These(names(field, some)?)))
    };
    Ok(Scope {
        servers: only("wanted.scope.servers", servers)?,
        tools: only("wanted.scope.tools", tools)?,
        classes: only("wanted.scope.data_classes", data_classes)?,
        bounds: bounds.into_iter().map(bound).collect::<Result<_, _>>()?,
    })
}

fn names(field: &str, names: v1::Names) -> Result<BTreeSet<String>, Malformed> {
    let v1::Names { names } = names;
    if names.is_empty() {
        return Err(Malformed::new(field, "names nothing: leave it out, or name what is meant"));
    }
    if names.len() > NAMES_MAX {
        return Err(Malformed::new(
            field,
            format!("has {} items, more than the limit of {NAMES_MAX}", names.len()),
        ));
    }
    names
        .into_iter()
        .map(|name| {
            optional(field, name, NAME_BYTES_MAX)?.ok_or_else(|| Malformed::new(field, "has an empty name"))
        })
        .collect()
}

fn bound(bound: v1::Bound) -> Result<Bound, Malformed> {
    const FIELD: &str = "wanted.scope.bounds";
    let v1::Bound { tool, argument, limit } = bound;
    if argument.is_empty() || argument.len() > PATH_MAX {
        return Err(Malformed::new(FIELD, format!("needs an `argument` of 1 to {PATH_MAX} names")));
    }
    let number = |written: String| {
        let written = text(FIELD, written, 64)?;
        let number = Value::Number(written.as_str().into()).ten_thousandths();
        number.and_then(|number| i64::try_from(number).ok()).ok_or_else(|| {
            Malformed::new(
                FIELD,
                format!("`{}` is no number of at most four digits after the point", written.escape_debug()),
            )
        })
    };
    let limit = match limit {
        Some(v1::bound::Limit::AtMost(most)) => Limit::AtMost(number(most)?),
        Some(v1::bound::Limit::AtLeast(least)) => Limit::AtLeast(number(least)?),
        Some(v1::bound::Limit::OneOf(texts)) => Limit::OneOf(names(FIELD, texts)?),
        None => {
            return Err(Malformed::new(
                FIELD,
                "has an item without a limit: set `at_most`, `at_least` or `one_of`",
            ));
        }
    };
    let argument =
        argument.into_iter().map(|name| text(FIELD, name, NAME_BYTES_MAX)).collect::<Result<_, _>>()?;
    Ok(Bound { tool: text(FIELD, tool, NAME_BYTES_MAX)?, argument, limit })
}

pub(super) fn approvals(approvals: Vec<String>) -> Result<Vec<String>, Malformed> {
    if approvals.len() > APPROVALS_MAX {
        let problem = format!("has {} items, more than the limit of {APPROVALS_MAX}", approvals.len());
        return Err(Malformed::new("approvals", problem));
    }
    approvals.into_iter().map(|id| text("approvals", id, NAME_BYTES_MAX)).collect()
}

pub(super) fn intent(intent: String) -> Result<Option<String>, Malformed> {
    optional("intent", intent, INTENT_BYTES_MAX)
}

/// The task that is meant, by its token with a proof, or by its id.
pub(super) fn handle(handle: Option<v1::Handle>) -> Result<(Credentials, Option<TaskId>), Malformed> {
    let v1::Handle { task, proof } = handle.unwrap_or_default();
    let mut credentials = Credentials::default();
    let id = match task {
        None => return Err(Malformed::new("task", "is missing: send the task's `token`, or its `id`")),
        Some(v1::handle::Task::Token(token)) => {
            let token = optional("task.token", token, TOKEN_BYTES_MAX)?;
            credentials.task =
                Some(Token::new(token.ok_or_else(|| Malformed::new("task.token", "is empty"))?));
            None
        }
        Some(v1::handle::Task::Id(id)) => Some(task_id("task.id", &id)?),
    };
    credentials.proof = match proof {
        None => None,
        Some(v1::handle::Proof::Dpop(v1::DpopProof { proof, method, url })) => {
            let proof = optional("task.dpop.proof", proof, TOKEN_BYTES_MAX)?;
            Some(Proof::Dpop {
                proof: Token::new(proof.ok_or_else(|| Malformed::new("task.dpop.proof", "is empty"))?),
                method: text("task.dpop.method", method, NAME_BYTES_MAX)?,
                url: text("task.dpop.url", url, URL_BYTES_MAX)?,
            })
        }
        Some(v1::handle::Proof::KeyThumbprint(key)) => {
            Some(Proof::Key(text("task.key_thumbprint", key, NAME_BYTES_MAX)?))
        }
    };
    Ok((credentials, id))
}

pub(super) fn task_id(field: &str, id: &str) -> Result<TaskId, Malformed> {
    id.parse().map_err(|fault: crate::task::NotATaskId| Malformed::new(field, format!("is {fault}")))
}

pub(super) fn ending(ending: i32) -> Result<End, Malformed> {
    match v1::Ending::try_from(ending) {
        Ok(v1::Ending::Completed) => Ok(End::Completed),
        Ok(v1::Ending::Failed) => Ok(End::Failed),
        Ok(v1::Ending::Cancelled) => Ok(End::Cancelled),
        Ok(v1::Ending::Unspecified) | Err(_) => {
            Err(Malformed::new("ending", "is missing: say how the task ended"))
        }
    }
}

/// What is to be revoked or lifted. `caller` stands for itself where a session names none.
pub(super) fn target(target: Option<v1::Target>, caller: &str) -> Result<Target, Malformed> {
    use v1::target::Target as Wire;
    let target =
        target.and_then(|target| target.target).ok_or_else(|| Malformed::new("target", "is missing"))?;
    let named = |name: String| {
        optional("target", name, NAME_BYTES_MAX)?.ok_or_else(|| Malformed::new("target", "has no name"))
    };
    Ok(match target {
        Wire::Task(id) => Target::Task(task_id("target.task", &id)?),
        Wire::Session(v1::SessionOfCaller { caller: of, session }) => {
            let of = if of.is_empty() { caller.to_owned() } else { named(of)? };
            Target::Session { caller: of, session: named(session)? }
        }
        Wire::Agent(uid) => Target::Agent(wire::decode_uid("target.agent", uid)?),
        Wire::Human(uid) => Target::Human(wire::decode_uid("target.human", uid)?),
        Wire::Tool(name) => Target::Tool(named(name)?),
        Wire::Server(name) => Target::Server(named(name)?),
        Wire::DataClass(name) => Target::Class(named(name)?),
        Wire::KeyId(name) => Target::Key(named(name)?),
    })
}

/// Why, for the record.
pub(super) fn reason(reason: String) -> Result<String, Malformed> {
    optional("reason", reason, REASON_BYTES_MAX)?
        .ok_or_else(|| Malformed::new("reason", "is missing: say why, for the record"))
}

pub(super) fn decision(begun: &mut Begun) -> v1::TaskDecision {
    let decision = std::mem::replace(&mut begun.answer.decision, Decision::pass());
    encode_decision(decision, begun.answer.id.to_string(), begun.answer.revision.to_string())
}

pub(super) fn encode_decision(decision: Decision, decision_id: String, revision: String) -> v1::TaskDecision {
    let (word, reason) = match decision.outcome {
        Outcome::Permit => (v1::Decision::Permit, v1::DenyReason::Unspecified),
        Outcome::Deny(reason) => (v1::Decision::Deny, encode_reason(reason)),
    };
    v1::TaskDecision {
        decision: word.into(),
        reason: reason.into(),
        reason_text: decision.reason,
        decision_id,
        revision,
        determining: decision.determining.iter().map(determining).collect(),
    }
}

/// Whether a deny says that there is no such task.
pub(super) fn is_no_task(reason: DenyReason) -> bool {
    matches!(reason, DenyReason::TaskRevoked | DenyReason::TaskExpired)
}

pub(super) fn state(state: State) -> v1::TaskState {
    match state {
        State::Open => v1::TaskState::Open,
        State::Ended(End::Completed) => v1::TaskState::Completed,
        State::Ended(End::Failed) => v1::TaskState::Failed,
        State::Ended(End::Cancelled) => v1::TaskState::Cancelled,
        State::Expired => v1::TaskState::Expired,
        State::Revoked => v1::TaskState::Revoked,
    }
}

pub(super) fn shown(shown: &Shown) -> v1::Task {
    let stands = state(shown.state).into();
    match &shown.head {
        Some(head) => v1::Task { state: stands, ..task(&head.lent(), Some(head), shown.intent.clone()) },
        None => v1::Task { id: shown.id.to_string(), state: stands, ..v1::Task::default() },
    }
}

/// A task as callers see it.
pub(super) fn task(lent: &Lent, head: Option<&Head>, intent: String) -> v1::Task {
    let Lent { grant, basis } = lent;
    v1::Task {
        id: grant.id.to_string(),
        state: v1::TaskState::Open.into(),
        subject: Some(subject(
            &grant.parties.principal,
            grant.parties.actor.as_ref(),
            &grant.parties.earlier_actors,
        )),
        purpose: Some(encode_uid(&grant.purpose)),
        scope: Some(encode_scope(&grant.scope)),
        calls_max: grant.calls_max.unwrap_or_default(),
        calls_spent: head.map_or(0, |head| head.calls.spent()),
        started: Some(instant(grant.started_s)),
        expires: Some(instant(grant.expires_s)),
        renewable_until: Some(instant(grant.ceiling_s)),
        key_thumbprint: grant.key.clone().unwrap_or_default(),
        ancestors: grant.ancestors.iter().map(TaskId::to_string).collect(),
        revision: basis.revision.to_string(),
        caller: basis.caller.to_string(),
        session: basis.session.clone().unwrap_or_default(),
        intent,
        data_classes_seen: head.map(|head| head.seen().iter().cloned().collect()).unwrap_or_default(),
    }
}

pub(in crate::api) fn subject(principal: &Uid, actor: Option<&Uid>, earlier_actors: &[Uid]) -> v1::Subject {
    v1::Subject {
        principal: Some(encode_uid(principal)),
        actor: actor.map(encode_uid),
        earlier_actors: earlier_actors.iter().map(encode_uid).collect(),
    }
}

fn encode_scope(scope: &Scope) -> v1::Scope {
    let Scope { servers, tools, classes, bounds } = scope;
    let names = |only: &Only| match only {
        Only::All => None,
        Only::These(names) => Some(v1::Names { names: names.iter().cloned().collect() }),
    };
    let bounds = bounds.iter().map(|Bound { tool, argument, limit }| v1::Bound {
        tool: tool.clone(),
        argument: argument.clone(),
        limit: Some(match limit {
            Limit::AtMost(most) => v1::bound::Limit::AtMost(decimal(*most)),
            Limit::AtLeast(least) => v1::bound::Limit::AtLeast(decimal(*least)),
            Limit::OneOf(texts) => {
                v1::bound::Limit::OneOf(v1::Names { names: texts.iter().cloned().collect() })
            }
        }),
    });
    v1::Scope {
        servers: names(servers),
        tools: names(tools),
        data_classes: names(classes),
        bounds: bounds.collect(),
    }
}

/// Ten-thousandths as people write them: `99.5`, `100`.
fn decimal(ten_thousandths: i64) -> String {
    let (whole, rest) = (ten_thousandths.unsigned_abs() / 10_000, ten_thousandths.unsigned_abs() % 10_000);
    let sign = if ten_thousandths < 0 { "-" } else { "" };
    let digits = format!("{rest:04}");
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{digits}") }
}

pub(super) fn instant(at_s: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at_s, nanos: 0 }
}

pub(super) fn revocation(target: &Target, stop: &Stop) -> v1::Revocation {
    use v1::target::Target as Wire;
    let target = match target {
        Target::Task(id) => Wire::Task(id.to_string()),
        Target::Session { caller, session } => {
            Wire::Session(v1::SessionOfCaller { caller: caller.clone(), session: session.clone() })
        }
        Target::Agent(uid) => Wire::Agent(encode_uid(uid)),
        Target::Human(uid) => Wire::Human(encode_uid(uid)),
        Target::Tool(name) => Wire::Tool(name.clone()),
        Target::Server(name) => Wire::Server(name.clone()),
        Target::Class(name) => Wire::DataClass(name.clone()),
        Target::Key(name) => Wire::KeyId(name.clone()),
    };
    let nanos = i32::try_from(stop.at_ms.rem_euclid(1000)).unwrap_or_default() * 1_000_000;
    v1::Revocation {
        target: Some(v1::Target { target: Some(target) }),
        at: Some(prost_types::Timestamp { seconds: stop.at_ms.div_euclid(1000), nanos }),
        reason: stop.reason.clone(),
        caller: stop.caller.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them_and_read_back() {
        for (number, written) in
            [(0, "0"), (10_000, "1"), (995_000, "99.5"), (-1, "-0.0001"), (-20_500, "-2.05")]
        {
            assert_eq!(decimal(number), written);
            assert_eq!(Value::Number(written.into()).ten_thousandths(), Some(i128::from(number)));
        }
    }

    #[test]
    fn what_is_wanted_in_a_wrong_way_is_refused_with_its_field() {
        let named = |count: usize| Some(v1::Names { names: (0..count).map(|at| format!("t{at}")).collect() });
        let with = |scope| v1::Wanted { scope: Some(scope), ..v1::Wanted::default() };
        let bounds = |limit| {
            with(v1::Scope {
                bounds: vec![v1::Bound { tool: "crm/x".into(), argument: vec!["a".into()], limit }],
                ..v1::Scope::default()
            })
        };
        let at_most = |text: &str| bounds(Some(v1::bound::Limit::AtMost(text.into())));
        let wrong = [
            with(v1::Scope { tools: named(0), ..v1::Scope::default() }),
            with(v1::Scope { tools: named(NAMES_MAX + 1), ..v1::Scope::default() }),
            with(v1::Scope {
                servers: Some(v1::Names { names: vec![String::new()] }),
                ..v1::Scope::default()
            }),
            bounds(None),
            at_most(""),
            at_most("ten"),
            at_most("1.00001"),
            at_most("99999999999999999999"),
            v1::Wanted { key_thumbprint: "short".into(), ..v1::Wanted::default() },
            v1::Wanted { key_thumbprint: "=".repeat(43), ..v1::Wanted::default() },
            v1::Wanted { ttl_s: u64::MAX, ..v1::Wanted::default() },
        ];
        for message in wrong {
            assert!(wanted(Some(message.clone())).is_err(), "{message:?}");
        }
        assert!(wanted(Some(at_most("99.5"))).is_ok());
        assert_eq!(wanted(None), Ok(Wanted::default()));
    }
}
