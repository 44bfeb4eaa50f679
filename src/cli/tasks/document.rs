//! Tasks for programs: JSON with the same members always.
//! Never leaves a member out: what does not apply is null.

use prost_types::Timestamp;
use serde_json::{Value as Json, json};

use super::target;
use crate::api::proto::v1;
use crate::cli::words::{entity, word};

fn instant(at: Option<&Timestamp>) -> Json {
    at.map(ToString::to_string).into()
}

/// A text, or null for an empty one.
pub(super) fn text(text: &str) -> Json {
    if text.is_empty() { Json::Null } else { text.into() }
}

fn names(names: Option<&v1::Names>) -> Json {
    names.map(|names| names.names.clone()).into()
}

fn state(state: v1::TaskState) -> &'static str {
    word(state.as_str_name(), "TASK_STATE_")
}

fn scope(scope: &v1::Scope) -> Json {
    use v1::bound::Limit;
    let v1::Scope { servers, tools, data_classes, bounds } = scope;
    let bounds = bounds.iter().map(|v1::Bound { tool, argument, limit }| {
        let (at_most, at_least, one_of) = match limit {
            Some(Limit::AtMost(most)) => (Some(most), None, None),
            Some(Limit::AtLeast(least)) => (None, Some(least), None),
            Some(Limit::OneOf(texts)) => (None, None, Some(&texts.names)),
            None => (None, None, None),
        };
        json!({ "tool": tool, "argument": argument, "at_most": at_most, "at_least": at_least, "one_of": one_of })
    });
    json!({
        "servers": names(servers.as_ref()),
        "tools": names(tools.as_ref()),
        "data_classes": names(data_classes.as_ref()),
        "bounds": bounds.collect::<Vec<_>>(),
    })
}

pub(super) fn task(task: &v1::Task) -> Json {
    let v1::Task {
        id,
        state: _,
        subject,
        purpose,
        scope: granted,
        calls_max,
        calls_spent,
        started,
        expires,
        renewable_until,
        key_thumbprint,
        ancestors,
        revision,
        caller,
        session,
        intent,
        data_classes_seen,
    } = task;
    let subject = subject.clone().unwrap_or_default();
    json!({
        "id": id,
        "state": state(task.state()),
        "principal": subject.principal.as_ref().map(entity),
        "actor": subject.actor.as_ref().map(entity),
        "earlier_actors": subject.earlier_actors.iter().map(entity).collect::<Vec<_>>(),
        "purpose": purpose.as_ref().map(entity),
        "scope": scope(&granted.clone().unwrap_or_default()),
        "calls_max": calls_max,
        "calls_spent": calls_spent,
        "started": instant(started.as_ref()),
        "expires": instant(expires.as_ref()),
        "renewable_until": instant(renewable_until.as_ref()),
        "key_thumbprint": text(key_thumbprint),
        "ancestors": ancestors,
        "revision": text(revision),
        "caller": text(caller),
        "session": text(session),
        "intent": text(intent),
        "data_classes_seen": data_classes_seen,
    })
}

pub(super) fn revocation(revocation: &v1::Revocation) -> Json {
    let v1::Revocation { target, at, reason, caller } = revocation;
    json!({
        "target": target::document(target.as_ref()),
        "at": instant(at.as_ref()),
        "reason": text(reason),
        "caller": text(caller),
    })
}

/// An event with its place. What it is about stands in one of `task`, `revocation` and `revision`.
pub(super) fn event(event: &v1::watch_response::Event, resume_token: &str, state_revision: u64) -> Json {
    use v1::watch_response::Event;
    let moved = |v1::TaskMoved { id, state, reason, expires }: &v1::TaskMoved| {
        let state = v1::TaskState::try_from(*state).unwrap_or_default();
        let (state, expires) = (self::state(state), instant(expires.as_ref()));
        json!({ "id": id, "state": state, "reason": text(reason), "expires": expires })
    };
    let (name, task, revoked, revision) = match event {
        Event::Started(task) => ("started", moved(task), Json::Null, Json::Null),
        Event::Renewed(task) => ("renewed", moved(task), Json::Null, Json::Null),
        Event::Ended(task) => ("ended", moved(task), Json::Null, Json::Null),
        Event::Revoked(revoked) => ("revoked", Json::Null, revocation(revoked), Json::Null),
        Event::Lifted(lifted) => ("lifted", Json::Null, revocation(lifted), Json::Null),
        Event::Published(v1::BundlePublished { revision }) => {
            ("published", Json::Null, Json::Null, text(revision))
        }
    };
    json!({
        "event": name,
        "task": task,
        "revocation": revoked,
        "revision": revision,
        "resume_token": resume_token,
        "state_revision": state_revision,
    })
}
