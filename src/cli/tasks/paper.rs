//! Tasks for people: one as a list of what it is, several as a table.
//! Never a token: those have places of their own.

use prost_types::Timestamp;

use super::{bounds, duration, target};
use crate::api::proto::v1;
use crate::cli::paint::aligned;
use crate::cli::words::{plain, uid, word};

/// An instant, to the second.
pub(super) fn instant(at: Option<&Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| Timestamp { seconds: at.seconds, nanos: 0 }.to_string())
}

pub(super) fn state(state: v1::TaskState) -> String {
    word(state.as_str_name(), "TASK_STATE_").to_lowercase()
}

fn principal(subject: Option<&v1::Subject>) -> String {
    uid(subject.and_then(|subject| subject.principal.as_ref()))
}

fn actor(subject: Option<&v1::Subject>) -> String {
    uid(subject.and_then(|subject| subject.actor.as_ref()))
}

/// Who is behind a task, and who uses it.
pub(in crate::cli) fn parties(subject: Option<&v1::Subject>) -> [String; 2] {
    [principal(subject), actor(subject)]
}

fn left(expires: Option<&Timestamp>, now_s: i64) -> String {
    expires.map_or_else(|| "-".to_owned(), |at| duration::short(at.seconds.saturating_sub(now_s)))
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { plain(text) }
}

/// What is known of a task that is over.
fn over(task: &v1::Task) -> String {
    let (id, state) = (&task.id, state(task.state()));
    format!("task   {id}\nstate  {state}\nit is over: the audit log has the rest, as records of this task\n")
}

/// Everything about one task, a line each; what it has not is left out.
pub(super) fn task(task: &v1::Task, now_s: i64) -> String {
    if task.subject.is_none() && task.state() != v1::TaskState::Open {
        return over(task);
    }
    let v1::Task {
        id,
        state: _,
        subject,
        purpose,
        scope,
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
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("task", plain(id));
    row("state", state(task.state()));
    row("who", principal(subject.as_ref()));
    row("agent", actor(subject.as_ref()));
    let earlier = subject.iter().flat_map(|subject| &subject.earlier_actors);
    earlier.for_each(|earlier| row("before it", uid(Some(earlier))));
    row("purpose", uid(purpose.as_ref()));
    let scope = scope.clone().unwrap_or_default();
    let limits =
        [("servers", &scope.servers), ("tools", &scope.tools), ("data classes", &scope.data_classes)];
    for (name, names) in limits {
        row(
            name,
            match names {
                None => "any".to_owned(),
                Some(names) if names.names.is_empty() => "none".to_owned(),
                Some(names) => joined(&names.names),
            },
        );
    }
    scope.bounds.iter().for_each(|bound| row("bound", plain(&bounds::written(bound))));
    row("calls", format!("{calls_spent} of {calls_max}"));
    row("started", instant(started.as_ref()));
    row(
        "expires",
        match expires {
            Some(at) if at.seconds > now_s => {
                format!("{} (in {})", instant(Some(at)), left(Some(at), now_s))
            }
            at => instant(at.as_ref()),
        },
    );
    row("renewable until", instant(renewable_until.as_ref()));
    row("key", if key_thumbprint.is_empty() { "none: a bearer task".into() } else { plain(key_thumbprint) });
    let further = [
        ("part of", joined(ancestors)),
        ("data seen", joined(data_classes_seen)),
        ("session", plain(session)),
        ("intent", plain(intent)),
        ("caller", plain(caller)),
        ("revision", plain(revision)),
    ];
    further.into_iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| row(name, value));
    aligned(&rows)
}

fn joined(names: &[String]) -> String {
    plain(&names.join(", "))
}

/// One line a task.
pub(super) fn tasks(tasks: &[v1::Task], now_s: i64) -> String {
    let head = ["TASK", "STATE", "WHO", "AGENT", "PURPOSE", "CALLS", "EXPIRES IN"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(tasks.iter().map(|task| {
        vec![
            plain(&task.id),
            state(task.state()),
            principal(task.subject.as_ref()),
            actor(task.subject.as_ref()),
            uid(task.purpose.as_ref()),
            format!("{}/{}", task.calls_spent, task.calls_max),
            left(task.expires.as_ref(), now_s),
        ]
    }));
    aligned(&rows)
}

/// One line a revocation.
pub(super) fn revocations(revocations: &[v1::Revocation]) -> String {
    let mut rows = vec![["REVOKED", "WHAT", "SINCE", "BY", "REASON"].map(str::to_owned).to_vec()];
    rows.extend(revocations.iter().map(|v1::Revocation { target, at, reason, caller }| {
        let (kind, what) = target::written(target.as_ref());
        vec![kind.to_owned(), what, instant(at.as_ref()), or_dash(caller), or_dash(reason)]
    }));
    aligned(&rows)
}

/// One line an event.
pub(super) fn event(event: &v1::watch_response::Event) -> String {
    use v1::watch_response::Event;
    let moved = |what: &str, moved: &v1::TaskMoved| {
        let reason =
            if moved.reason.is_empty() { String::new() } else { format!(": {}", plain(&moved.reason)) };
        let (id, state) = (plain(&moved.id), state(moved.state()));
        format!("{what:<9} {id} {state}, until {}{reason}", instant(moved.expires.as_ref()))
    };
    let revocation = |what: &str, v1::Revocation { target, at, reason, caller }: &v1::Revocation| {
        let (kind, name) = target::written(target.as_ref());
        let (at, by, reason) = (instant(at.as_ref()), or_dash(caller), or_dash(reason));
        format!("{what:<9} {kind} {name}, {at} by {by}: {reason}")
    };
    match event {
        Event::Started(task) => moved("started", task),
        Event::Renewed(task) => moved("renewed", task),
        Event::Ended(task) => moved("ended", task),
        Event::Revoked(revoked) => revocation("revoked", revoked),
        Event::Lifted(lifted) => revocation("lifted", lifted),
        Event::Published(v1::BundlePublished { revision }) => {
            format!("{:<9} {}", "published", plain(revision))
        }
    }
}
