//! What is typed becomes one message, and what is answered one text.

use clap::{CommandFactory as _, Parser};
use prost_types::Timestamp;
use serde_json::json;

use super::answer::Answer;
use super::{Command, Options, document, paper, target};
use crate::api::proto::v1;
use crate::cli::words;

const ID: &str = "tsk_0123456789abcdef0123456789abcdef";
/// 2026-11-21T10:00:00Z.
const NOW_S: i64 = 1_795_255_200;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn typed(line: &[&str]) -> Result<Command, String> {
    let line = ["palisade"].iter().chain(line).copied();
    Line::try_parse_from(line).map(|line| line.options.command).map_err(|error| error.to_string())
}

fn start(more: &[&str]) -> Result<v1::StartRequest, String> {
    match typed(&[&["start", "--purpose", "refunds"], more].concat())? {
        Command::Start(options) => options.to_request(None, "k"),
        other => panic!("{other:?}"),
    }
}

fn uid(kind: &str, id: &str) -> v1::EntityUid {
    v1::EntityUid { r#type: kind.into(), id: id.into() }
}

fn names(names: &[&str]) -> v1::Names {
    v1::Names { names: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 5_000_000 }
}

fn subject(principal: v1::EntityUid, actor: Option<v1::EntityUid>) -> v1::Subject {
    v1::Subject { principal: Some(principal), actor, earlier_actors: vec![] }
}

fn task() -> v1::Task {
    let limit = Some(v1::bound::Limit::AtMost("100".into()));
    let bound = v1::Bound { tool: "crm/issue_refund".into(), argument: vec!["amount".into()], limit };
    v1::Task {
        id: ID.into(),
        state: v1::TaskState::Open.into(),
        subject: Some(subject(uid("Human", "ana"), Some(uid("Agent", "support-bot")))),
        purpose: Some(uid("Purpose", "refunds")),
        scope: Some(v1::Scope {
            servers: None,
            tools: Some(names(&["crm/issue_refund", "crm/lookup_customer"])),
            data_classes: Some(names(&[])),
            bounds: vec![bound],
        }),
        calls_max: 20,
        calls_spent: 3,
        started: Some(at(NOW_S - 60)),
        expires: Some(at(NOW_S + 840)),
        renewable_until: Some(at(NOW_S + 3600)),
        key_thumbprint: String::new(),
        ancestors: vec![],
        revision: "sha256:aa".into(),
        caller: "gw".into(),
        session: String::new(),
        intent: "refund\u{1b}[2J o-1".into(),
        data_classes_seen: vec!["pii".into()],
    }
}

fn bot_task() -> v1::Task {
    v1::Task {
        id: "tsk_2".into(),
        state: v1::TaskState::Open.into(),
        subject: Some(subject(uid("Agent", "night-watch"), None)),
        purpose: Some(uid("Purpose", "nightly")),
        calls_max: 5,
        expires: Some(at(NOW_S - 1)),
        ..v1::Task::default()
    }
}

#[test]
fn every_command_and_option_is_explained() {
    Line::command().debug_assert();
    let line = Line::command();
    assert_eq!(line.get_subcommands().count(), 9);
    for command in line.get_subcommands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let name = command.get_name();
        assert!(help.contains("Exit codes: 0 ") && help.contains("Example"), "{name}: {help}");
        let unexplained = command.get_arguments().find(|argument| argument.get_help().is_none());
        assert!(unexplained.is_none(), "{name}: {unexplained:?}");
    }
}

#[test]
fn a_start_asks_for_what_was_typed() {
    let request = start(&[
        "--human=ana",
        "--agent=bot",
        "--server=crm",
        "--tool=crm/issue_refund",
        "--tool=crm/lookup",
        "--data-class=pii",
        "--bound=crm/issue_refund:amount<=100",
        "--bound=crm/lookup:customer=c-1|c-2",
        "--calls=20",
        "--ttl=15m",
        "--key=thumb",
        "--session=s",
        "--intent=words",
        "--approval=a-1",
        "--approval=a-2",
    ]);
    let request = request.unwrap();
    assert_eq!(request.purpose, Some(uid("Purpose", "refunds")));
    assert_eq!(request.subject, Some(subject(uid("Human", "ana"), Some(uid("Agent", "bot")))));
    assert_eq!((request.session.as_str(), request.intent.as_str()), ("s", "words"));
    assert_eq!((request.approvals.len(), request.mode()), (2, v1::Mode::Enforce));
    let wanted = request.wanted.unwrap();
    assert_eq!((wanted.calls_max, wanted.ttl_s, wanted.key_thumbprint.as_str()), (20, 900, "thumb"));
    let scope = wanted.scope.unwrap();
    assert_eq!(scope.servers, Some(names(&["crm"])));
    assert_eq!(scope.tools, Some(names(&["crm/issue_refund", "crm/lookup"])));
    assert_eq!(scope.data_classes, Some(names(&["pii"])));
    assert_eq!(scope.bounds.len(), 2);
}

#[test]
fn what_was_not_typed_is_not_limited() {
    let request = start(&["--agent", "bot", "--preview"]).unwrap();
    assert_eq!(request.subject, Some(subject(uid("Agent", "bot"), None)), "it acts on its own");
    assert_eq!(request.mode(), v1::Mode::Preview);
    let wanted = request.wanted.unwrap();
    assert_eq!(wanted, v1::Wanted { scope: Some(v1::Scope::default()), ..v1::Wanted::default() });
}

#[test]
fn a_start_that_cannot_be_meant_is_refused() {
    for (more, words) in [
        (&["--agent=b", "--bound=crm/x:a<1"][..], "is no bound"),
        (&["--agent=b", "--ttl=0"], "no time"),
        (&["--agent=b", "--ttl=soon"], "no length of time"),
        (&["--agent=b", "--calls=0"], "0 is not in 1.."),
        (&["--agent=b", "--calls=-1"], "invalid"),
        (&["--agent=b", "--tool=crm"], "names no tool"),
        (&["--agent=b", "--preview", "--token-out=x"], "cannot be used with"),
        (&["--agent=b", "--purpose=x"], "cannot be used multiple times"),
        (&["--agent=b", "--dpop-proof=x", "--dpop-url=y"], "--subject-token <FILE>"),
    ] {
        let error = start(more).unwrap_err();
        assert!(error.contains(words), "{more:?}: {error}");
    }
    let error = start(&[]).unwrap_err();
    assert!(error.contains("say who asks"), "{error}");
    let error = typed(&["start", "--agent=b", "--purpose", "Purpose::\"x"]).unwrap_err();
    assert!(error.contains("not an entity"), "{error}");
}

#[test]
fn an_end_says_how_and_of_which_task() {
    let end = |more: &[&str]| match typed(&[&["end"], more].concat())? {
        Command::End(options) => options.to_request(),
        other => panic!("{other:?}"),
    };
    for (more, ending) in [
        (&[][..], v1::Ending::Completed),
        (&["--failed"], v1::Ending::Failed),
        (&["--cancelled"], v1::Ending::Cancelled),
    ] {
        let request = end(&[&[ID], more].concat()).unwrap();
        assert_eq!(request.ending(), ending);
        let handle = v1::Handle { task: Some(v1::handle::Task::Id(ID.into())), proof: None };
        assert_eq!(request.task, Some(handle));
    }
    for (more, words) in [
        (&[][..], "<ID>"),
        (&[ID, "--failed", "--cancelled"], "cannot be used with"),
        (&[ID, "--task-token", "x"], "cannot be used with"),
        (&["tsk_1"], "not the id of a task"),
        (&[ID, "--proven-key", "x"], "cannot be used with"),
        (&[ID, "--dpop-proof", "x", "--dpop-url", "u"], "cannot be used with"),
        (&["--task-token", "-", "--dpop-proof", "-", "--dpop-url", "u"], "standard input"),
    ] {
        let error = end(more).unwrap_err();
        assert!(error.contains(words), "{more:?}: {error}");
    }
}

#[test]
fn a_target_is_one_thing() {
    let revoked = |more: &[&str]| match typed(&[&["revoke", "--reason=r"], more].concat())? {
        Command::Revoke(options) => Ok(options.target.to_wire()),
        other => Err(format!("{other:?}")),
    };
    for (more, kind, name, written) in [
        (&["--task", ID][..], "task", ID, json!({ "kind": "task", "task": ID })),
        (&["--session=s"], "session", "s", json!({ "kind": "session", "session": "s", "caller": "" })),
        (
            &["--session=s", "--caller=gw"],
            "session",
            "s of gw",
            json!({ "kind": "session", "session": "s", "caller": "gw" }),
        ),
        (
            &["--agent=bot"],
            "agent",
            "Agent::\"bot\"",
            json!({ "kind": "agent", "agent": { "type": "Agent", "id": "bot" } }),
        ),
        (
            &["--human", "Acme::Human::\"ana\""],
            "human",
            "Acme::Human::\"ana\"",
            json!({ "kind": "human", "human": { "type": "Acme::Human", "id": "ana" } }),
        ),
        (&["--tool=crm/x"], "tool", "crm/x", json!({ "kind": "tool", "tool": "crm/x" })),
        (&["--server-id=crm"], "server", "crm", json!({ "kind": "server", "server": "crm" })),
        (&["--data-class=pii"], "data class", "pii", json!({ "kind": "data_class", "data_class": "pii" })),
        (&["--key-id=k1"], "key", "k1", json!({ "kind": "key_id", "key_id": "k1" })),
    ] {
        let wire = revoked(more).unwrap();
        assert_eq!(target::written(Some(&wire)), (kind, name.to_owned()));
        assert_eq!(target::document(Some(&wire)), written);
    }
    for (more, words) in [
        (&[][..], "required"),
        (&["--agent=a", "--human=b"], "cannot be used with"),
        (&["--caller=x", "--agent=a"], "cannot be used with"),
        (&["--caller=x"], "required"),
        (&["--agent="], "it is empty"),
        (&["--tool=crm"], "names no tool"),
        (&["--task=tsk_XYZ"], "not the id of a task"),
    ] {
        let error = revoked(more).unwrap_err();
        assert!(error.contains(words), "{more:?}: {error}");
    }
    assert!(typed(&["revoke", "--agent=a"]).unwrap_err().contains("--reason"));
}

#[test]
fn a_task_is_shown_line_by_line() {
    let wanted = "\
task             tsk_0123456789abcdef0123456789abcdef
state            open
who              Human::\"ana\"
agent            Agent::\"support-bot\"
purpose          Purpose::\"refunds\"
servers          any
tools            crm/issue_refund, crm/lookup_customer
data classes     none
bound            crm/issue_refund:amount<=100
calls            3 of 20
started          2026-11-21T09:59:00Z
expires          2026-11-21T10:14:00Z (in 14m)
renewable until  2026-11-21T11:00:00Z
key              none: a bearer task
data seen        pii
intent           refund\\u{1b}[2J o-1
caller           gw
revision         sha256:aa
";
    assert_eq!(paper::task(&task(), NOW_S), wanted);
}

#[test]
fn tasks_are_a_table() {
    let wanted = "\
TASK                                  STATE  WHO                   AGENT                 PURPOSE             CALLS  EXPIRES IN
tsk_0123456789abcdef0123456789abcdef  open   Human::\"ana\"          Agent::\"support-bot\"  Purpose::\"refunds\"  3/20   14m
tsk_2                                 open   Agent::\"night-watch\"  -                     Purpose::\"nightly\"  0/5    over
";
    assert_eq!(paper::tasks(&[task(), bot_task()], NOW_S), wanted);
}

fn revocation() -> v1::Revocation {
    let target = Some(v1::Target { target: Some(v1::target::Target::Agent(uid("Agent", "bot"))) });
    v1::Revocation { target, at: Some(at(NOW_S)), reason: "astray".into(), caller: "operator".into() }
}

#[test]
fn revocations_are_a_table() {
    let wanted = "\
REVOKED  WHAT          SINCE                 BY        REASON
agent    Agent::\"bot\"  2026-11-21T10:00:00Z  operator  astray
";
    assert_eq!(paper::revocations(&[revocation()]), wanted);
}

#[test]
fn events_are_lines() {
    use v1::watch_response::Event;
    let moved = |state: v1::TaskState, reason: &str| v1::TaskMoved {
        id: "tsk_1".into(),
        state: state.into(),
        reason: reason.into(),
        expires: Some(at(NOW_S)),
    };
    let published = v1::BundlePublished { revision: "sha256:bb".into() };
    for (event, line) in [
        (Event::Started(moved(v1::TaskState::Open, "")), "started   tsk_1 open, until 2026-11-21T10:00:00Z"),
        (Event::Renewed(moved(v1::TaskState::Open, "")), "renewed   tsk_1 open, until 2026-11-21T10:00:00Z"),
        (
            Event::Ended(moved(v1::TaskState::Revoked, "drift\n")),
            "ended     tsk_1 revoked, until 2026-11-21T10:00:00Z: drift\\u{a}",
        ),
        (
            Event::Revoked(revocation()),
            "revoked   agent Agent::\"bot\", 2026-11-21T10:00:00Z by operator: astray",
        ),
        (
            Event::Lifted(revocation()),
            "lifted    agent Agent::\"bot\", 2026-11-21T10:00:00Z by operator: astray",
        ),
        (Event::Published(published), "published sha256:bb"),
    ] {
        assert_eq!(paper::event(&event), line);
    }
    let ended = document::event(&Event::Ended(moved(v1::TaskState::Revoked, "drift")), "p-1", 7);
    let moved = json!({ "id": "tsk_1", "state": "REVOKED", "reason": "drift", "expires": "2026-11-21T10:00:00.005Z" });
    let wanted = json!({
        "event": "ended", "task": moved, "revocation": null, "revision": null, "resume_token": "p-1", "state_revision": 7,
    });
    assert_eq!(ended, wanted);
}

#[test]
fn a_task_has_the_same_members_always() {
    let wanted = json!({
        "id": ID,
        "state": "OPEN",
        "principal": { "type": "Human", "id": "ana" },
        "actor": { "type": "Agent", "id": "support-bot" },
        "earlier_actors": [],
        "purpose": { "type": "Purpose", "id": "refunds" },
        "scope": {
            "servers": null,
            "tools": ["crm/issue_refund", "crm/lookup_customer"],
            "data_classes": [],
            "bounds": [{
                "tool": "crm/issue_refund",
                "argument": ["amount"],
                "at_most": "100",
                "at_least": null,
                "one_of": null,
            }],
        },
        "calls_max": 20,
        "calls_spent": 3,
        "started": "2026-11-21T09:59:00.005Z",
        "expires": "2026-11-21T10:14:00.005Z",
        "renewable_until": "2026-11-21T11:00:00.005Z",
        "key_thumbprint": null,
        "ancestors": [],
        "revision": "sha256:aa",
        "caller": "gw",
        "session": null,
        "intent": "refund\u{1b}[2J o-1",
        "data_classes_seen": ["pii"],
    });
    assert_eq!(document::task(&task()), wanted);
    let members =
        |document: &serde_json::Value| document.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&document::task(&v1::Task::default())), members(&wanted));
}

fn denied() -> Answer {
    let policy = v1::DeterminingPolicy {
        id: "guard/x".into(),
        effect: v1::Effect::Forbid.into(),
        half: v1::Half::Actor.into(),
        ..v1::DeterminingPolicy::default()
    };
    let decision = v1::TaskDecision {
        decision: v1::Decision::Deny.into(),
        reason: v1::DenyReason::Forbidden.into(),
        reason_text: "not for you".into(),
        decision_id: "d-1".into(),
        revision: "sha256:aa".into(),
        determining: vec![policy],
    };
    let decision = Some(decision);
    v1::StartResponse { decision, ..v1::StartResponse::default() }.into()
}

#[test]
fn a_deny_says_why_and_what_to_quote() {
    let text = anstream::adapter::strip_str(&denied().for_people("started", false, None, NOW_S)).to_string();
    assert_eq!(
        text,
        "DENY Forbidden: not for you\n  forbid `guard/x` for the agent\ndecision d-1  revision sha256:aa\n"
    );
    let document = denied().for_programs(false, None, None, "k");
    assert_eq!(document["decision"], "DENY");
    assert_eq!(document["reason"], "Forbidden");
    assert_eq!(document["task"], json!(null));
    assert_eq!(document["idempotency_key"], "k");
}

#[test]
fn an_answer_that_is_not_there_is_a_deny() {
    let text = Answer::from(v1::RenewResponse::default()).for_people("renewed", false, None, NOW_S);
    assert!(text.contains("DENY"), "{text}");
    let document = Answer::from(v1::DelegateResponse::default()).for_programs(false, None, None, "");
    assert_eq!(document["decision"], "UNSPECIFIED");
}

#[test]
fn a_token_is_the_last_line_and_only_when_asked_for() {
    let decision = v1::TaskDecision { decision: v1::Decision::Permit.into(), ..v1::TaskDecision::default() };
    let answer = Answer::from(v1::StartResponse {
        decision: Some(decision),
        task: Some(task()),
        token: "SECRET".into(),
        state_revision: 9,
    });
    let shown = answer.for_people("started", false, Some("SECRET"), NOW_S);
    assert_eq!(shown.lines().last(), Some("SECRET"));
    assert!(shown.contains("state 9"));
    let hidden = answer.for_people("started", false, None, NOW_S);
    assert!(!hidden.contains("SECRET"), "{hidden}");
    assert!(answer.for_people("started", true, None, NOW_S).contains("would be started"));
    assert_eq!(words::uid(None), "-");
}
