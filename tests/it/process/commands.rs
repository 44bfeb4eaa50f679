//! `palisade tasks` and `palisade drift` as a shell sees them: what they send, print and leave, and how they end.

mod stand_in;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use palisade::api::proto::v1;
use rustix::process::Signal;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tonic::Status;

use super::child::{Ended, Process, until};
use stand_in::{Asked, Script, StandIn, Then, Watched};

const PALISADE: &str = env!("CARGO_BIN_EXE_palisade");
const ID: &str = "tsk_0123456789abcdef0123456789abcdef";
const TOKEN: &str = "eyJ.secret.token";
/// The operator's token: 32 bytes, as the server writes them.
const OPERATOR: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const START: [&str; 7] =
    ["tasks", "start", "--purpose=refunds", "--human=ana", "--agent=bot", "--ttl=15m", "--calls=3"];

/// A directory with the data directory of a server in it, and that server.
struct Shell {
    folder: TempDir,
    server: StandIn,
}

impl Shell {
    fn new(script: Script) -> Self {
        Self::with(StandIn::new(script))
    }

    fn with(server: StandIn) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("data/admin.token");
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(&token, OPERATOR).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        Self { folder, server }
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(PALISADE);
        command.current_dir(self.folder.path()).env("NO_COLOR", "1");
        command.args(line).arg("--grpc").arg(self.server.address.to_string());
        command
    }

    fn run(&self, line: &[&str]) -> Ended {
        Process::spawn(&mut self.command(line)).end()
    }

    fn json(&self, line: &[&str]) -> (Option<i32>, Json) {
        let ended = self.run(&[line, &["--format=json"]].concat());
        (ended.code, serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}")))
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// What lies in the directory beside the data directory.
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "data").collect()
    }
}

#[track_caller]
fn check(ended: &Ended, code: i32, words: &[&str]) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(code), "{said}");
    for part in words {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
}

fn decision(decision: v1::Decision) -> v1::TaskDecision {
    let reason =
        if decision == v1::Decision::Permit { v1::DenyReason::Unspecified } else { v1::DenyReason::NoPermit };
    let (decision, reason) = (decision.into(), reason.into());
    let (reason_text, decision_id) = ("nobody permits it".into(), "d-1".into());
    v1::TaskDecision {
        decision,
        reason,
        reason_text,
        decision_id,
        revision: "sha256:aa".into(),
        determining: vec![],
    }
}

fn task(id: &str) -> v1::Task {
    v1::Task { id: id.into(), state: v1::TaskState::Open.into(), calls_max: 3, ..v1::Task::default() }
}

fn granted() -> Script {
    let (decision, task, token) = (Some(decision(v1::Decision::Permit)), Some(task(ID)), TOKEN.to_owned());
    Script {
        start: v1::StartResponse {
            decision: decision.clone(),
            task: task.clone(),
            token: token.clone(),
            state_revision: 5,
        },
        delegate: v1::DelegateResponse {
            decision: decision.clone(),
            task: task.clone(),
            token: token.clone(),
            state_revision: 6,
        },
        renew: v1::RenewResponse { decision, task, token, state_revision: 7 },
        ..Script::default()
    }
}

fn denied() -> Script {
    let start =
        v1::StartResponse { decision: Some(decision(v1::Decision::Deny)), ..v1::StartResponse::default() };
    Script { start, ..Script::default() }
}

fn started(asked: &Asked) -> &v1::StartRequest {
    match asked {
        Asked::Start(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_start_keeps_the_token_in_a_file_of_its_owner() {
    let shell = Shell::new(granted());
    let ended = shell.run(&[&START[..], &["--token-out=task.token"]].concat());
    check(&ended, 0, &["started", ID, "0 of 3", "decision d-1", "state 5", "the token is in `task.token`"]);
    assert!(!format!("{ended:?}").contains(TOKEN));
    assert_eq!(shell.read("task.token"), format!("{TOKEN}\n"));
    let mode = fs::metadata(shell.folder.path().join("task.token")).unwrap().permissions().mode();
    assert_eq!((mode & 0o777, shell.files().len()), (0o600, 1));
    assert_eq!(shell.server.shown(), [Some(format!("Bearer {OPERATOR}"))]);
    let asked = shell.server.asked();
    let request = started(&asked[0]);
    let wanted = request.wanted.as_ref().unwrap();
    assert_eq!((wanted.ttl_s, wanted.calls_max, request.mode()), (900, 3, v1::Mode::Enforce));
}

#[test]
fn a_token_that_nobody_asked_for_is_not_shown_and_can_be_had_by_the_same_key() {
    let shell = Shell::new(granted());
    let ended = shell.run(&START);
    let asked = shell.server.asked();
    let key = started(&asked[0]).idempotency_key.clone();
    assert!(!key.is_empty());
    check(&ended, 0, &["the token was not shown", &format!("--idempotency-key '{key}'"), "--token-out FILE"]);
    assert!(!format!("{ended:?}").contains(TOKEN));
    let again = shell.run(&[&START[..], &["--idempotency-key", &key, "--token-out=-"]].concat());
    assert_eq!((again.code, again.stdout.lines().last()), (Some(0), Some(TOKEN)));
    let asked = shell.server.asked();
    assert_eq!(asked[0], asked[1], "the same request");
}

#[test]
fn a_script_gets_the_token_only_if_it_asks_for_it() {
    let shell = Shell::new(granted());
    let (code, document) = shell.json(&START);
    assert_eq!((code, &document["token"], &document["decision"]), (Some(0), &json!(null), &json!("PERMIT")));
    assert_eq!((&document["task"]["id"], &document["state_revision"]), (&json!(ID), &json!(5)));
    assert!(document["idempotency_key"].is_string());
    let (_, document) = shell.json(&[&START[..], &["--token-out=-"]].concat());
    assert_eq!(document["token"], TOKEN);
    let (_, document) = shell.json(&[&START[..], &["--token-out=t"]].concat());
    assert_eq!((&document["token"], &document["token_file"]), (&json!(null), &json!("t")));
}

#[test]
fn a_deny_is_said_with_its_reason_and_leaves_nothing() {
    let shell = Shell::new(denied());
    let ended = shell.run(&[&START[..], &["--token-out=task.token"]].concat());
    check(&ended, 1, &["DENY NoPermit: nobody permits it", "decision d-1"]);
    assert!(shell.files().is_empty(), "{:?}", shell.files());
    let (code, document) = shell.json(&START);
    assert_eq!((code, &document["reason"], &document["task"]), (Some(1), &json!("NoPermit"), &json!(null)));
}

#[test]
fn a_preview_says_what_would_be() {
    let mut script = granted();
    script.start.token.clear();
    let shell = Shell::new(script);
    let ended = shell.run(&[&START[..], &["--preview"]].concat());
    check(&ended, 0, &["would be started"]);
    assert!(!ended.stderr.contains("token"), "{ended:?}");
    let asked = shell.server.asked();
    assert_eq!(
        (started(&asked[0]).mode(), started(&asked[0]).idempotency_key.as_str()),
        (v1::Mode::Preview, "")
    );
    let ended = shell.run(&[&START[..], &["--token-out=t"]].concat());
    check(&ended, 2, &["sent no token"]);
    assert!(shell.files().is_empty());
}

#[test]
fn nothing_is_asked_when_its_token_could_not_be_kept() {
    let shell = Shell::new(granted());
    for place in ["no/such/file", "data", "/dev/null"] {
        check(&shell.run(&[&START[..], &["--token-out", place]].concat()), 2, &["cannot be written", place]);
    }
    check(&shell.run(&["tasks", "start", "--purpose=refunds"]), 2, &["say who asks"]);
    let bad = shell.run(&[&START[..], &["--bound", "crm/x:amount<5"]].concat());
    check(&bad, 2, &["is no bound", "SERVER/TOOL"]);
    assert!(shell.server.asked().is_empty());
}

#[test]
fn refusals_become_words_that_say_what_to_do() {
    for (status, words) in [
        (
            Status::unavailable("the journal is full"),
            &["the journal is full", "nobody knows", "--idempotency-key '"][..],
        ),
        (
            Status::permission_denied("the caller `gw` has not the role `tasks`"),
            &["does not let you", "role `tasks`"],
        ),
        (Status::unauthenticated("nobody is known"), &["does not know who asks", "--token-file", "--data"]),
        (Status::invalid_argument("`ttl_s` is too long"), &["does not take that", "too long"]),
        (Status::already_exists("the key was used"), &["another --idempotency-key"]),
        (
            Status::failed_precondition("tasks are not served here"),
            &["not possible: tasks are not served here"],
        ),
    ] {
        let shell = Shell::new(Script { refuse: Some(status), ..Script::default() });
        let ended = shell.run(&[&START[..], &["--token-out=t"]].concat());
        check(&ended, 2, words);
        assert!(ended.stdout.is_empty() && shell.files().is_empty(), "{ended:?}");
    }
    let older = Shell::with(StandIn::older());
    check(&older.run(&["tasks", "list"]), 2, &["older than this palisade, or serves no tasks"]);
    let mut gone = Command::new(PALISADE);
    gone.args(["tasks", "list", "--grpc", "127.0.0.1:1"]);
    check(&Process::spawn(&mut gone).end(), 2, &["no server answers at 127.0.0.1:1", "palisade serve"]);
}

#[test]
fn parts_and_more_time_are_asked_with_the_task_s_token_and_proof() {
    let shell = Shell::new(granted());
    shell.write("task.token", "eyJ.task.token\n");
    shell.write("proof", "eyJ.proof.x");
    shell.write("bot.txt", "eyJ.bot.x");
    let proof = ["--task-token=task.token", "--dpop-proof=proof", "--dpop-url=https://pdp.example/"];
    let part = [
        "tasks",
        "delegate",
        "--agent=lookup-bot",
        "--actor-token=bot.txt",
        "--tool=crm/x",
        "--token-out=part",
    ];
    check(&shell.run(&[&part[..], &proof].concat()), 0, &["handed on", "state 6"]);
    let renew = ["tasks", "renew", "--task-token=task.token", "--proven-key=thumb", "--ttl=2h"];
    let ended = shell.run(&renew);
    check(&ended, 0, &["renewed", "the token was not shown; renew it again with --token-out FILE"]);
    assert!(!format!("{ended:?}").contains(TOKEN));
    let asked = shell.server.asked();
    let [Asked::Delegate(delegate), Asked::Renew(renew)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!(
        (delegate.actor_token.as_str(), delegate.actor.as_ref().unwrap().id.as_str()),
        ("eyJ.bot.x", "lookup-bot")
    );
    let token = Some(v1::handle::Task::Token("eyJ.task.token".into()));
    let dpop = v1::DpopProof {
        proof: "eyJ.proof.x".into(),
        method: "POST".into(),
        url: "https://pdp.example/".into(),
    };
    let handle = v1::Handle { task: token.clone(), proof: Some(v1::handle::Proof::Dpop(dpop)) };
    assert_eq!(delegate.task, Some(handle));
    let proof = Some(v1::handle::Proof::KeyThumbprint("thumb".into()));
    assert_eq!((renew.task.clone(), renew.ttl_s), (Some(v1::Handle { task: token, proof }), 7200));
    let typed = shell.run(&["tasks", "renew", "--task-token", "eyJhbGciOi.x.y"]);
    check(&typed, 2, &["stands on the command line"]);
    assert!(!typed.stderr.contains("eyJhbGciOi"), "{typed:?}");
}

#[test]
fn a_task_is_ended_shown_revoked_and_let_through_again() {
    let end = v1::EndResponse { state_revision: 9, was_open: true };
    let get = v1::GetResponse { task: Some(task(ID)) };
    let shell = Shell::new(Script { end, get, ..Script::default() });
    check(&shell.run(&["tasks", "end", ID, "--failed", "--reason=no stock"]), 0, &["ended (state 9)"]);
    check(&shell.run(&["tasks", "show", ID]), 0, &[ID, "open"]);
    let (code, document) = shell.json(&["tasks", "show", ID]);
    assert_eq!((code, &document["state"]), (Some(0), &json!("OPEN")));
    let revoked = shell.run(&["tasks", "revoke", "--agent=bot", "--reason=astray"]);
    check(&revoked, 0, &["revoked agent Agent::\"bot\": 2 open tasks (state 7)"]);
    let (code, document) = shell.json(&["tasks", "lift", "--tool=crm/x", "--reason=over"]);
    assert_eq!(code, Some(0));
    assert_eq!(document, json!({ "target": { "kind": "tool", "tool": "crm/x" }, "state_revision": 8 }));
    let asked = shell.server.asked();
    let Asked::End(end) = &asked[0] else { panic!("{asked:?}") };
    assert_eq!((end.ending(), end.reason.as_str()), (v1::Ending::Failed, "no stock"));
    check(&shell.run(&["tasks", "show", "tsk_nonsense"]), 2, &["not the id of a task"]);
    assert_eq!(shell.server.asked().len(), 5);
}

fn page(ids: &[&str], next: &str) -> v1::ListResponse {
    let tasks = ids.iter().map(|id| task(id)).collect();
    v1::ListResponse { tasks, next_page_token: next.into(), revocations: vec![], state_revision: 4 }
}

#[test]
fn a_list_follows_the_pages_that_it_needs() {
    let revoked = Some(v1::Target { target: Some(v1::target::Target::Tool("crm/x".into())) });
    let revoked = v1::Revocation { target: revoked, reason: "incident".into(), ..v1::Revocation::default() };
    let mut first = page(&["tsk_a", "tsk_b"], "p2");
    first.revocations = vec![revoked];
    let pages = || [first.clone(), page(&["tsk_c"], "p3"), page(&["tsk_d"], "")].into();
    let listed = |more: &[&str]| {
        let shell = Shell::new(Script { pages: pages(), ..Script::default() });
        let (code, document) = shell.json(&[&["tasks", "list"], more].concat());
        let ids =
            document["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned());
        let sizes = shell.server.asked().into_iter().map(|asked| match asked {
            Asked::List(request) => (request.page_size, request.page_token),
            other => panic!("{other:?}"),
        });
        assert_eq!((code, document["revocations"].as_array().unwrap().len()), (Some(0), 1));
        (ids.collect::<Vec<_>>(), document["more"].as_bool().unwrap(), sizes.collect::<Vec<_>>())
    };
    let asked = |size: u32, token: &str| (size, token.to_owned());
    let all = vec![asked(1000, ""), asked(1000, "p2"), asked(1000, "p3")];
    assert_eq!(
        listed(&["--all"]),
        (["tsk_a", "tsk_b", "tsk_c", "tsk_d"].map(str::to_owned).to_vec(), false, all)
    );
    let two = vec![asked(2, "")];
    assert_eq!(listed(&["--limit=2"]), (["tsk_a", "tsk_b"].map(str::to_owned).to_vec(), true, two));
    let three = vec![asked(3, ""), asked(1, "p2")];
    assert_eq!(listed(&["--limit=3"]).2, three);
    let shell = Shell::new(Script { pages: pages(), ..Script::default() });
    let ended = shell.run(&["tasks", "list", "--limit=1", "--party", "Human::\"ana\""]);
    check(&ended, 0, &["TASK", "tsk_a", "REVOKED", "incident", "there are more"]);
    let shell =
        Shell::new(Script { pages: [page(&["a"], "x"), page(&["b"], "x")].into(), ..Script::default() });
    check(&shell.run(&["tasks", "list", "--all"]), 2, &["lead nowhere"]);
    check(&Shell::new(Script::default()).run(&["tasks", "list"]), 0, &["no open task"]);
}

fn ended(place: &str) -> v1::WatchResponse {
    let state = v1::TaskState::Completed.into();
    let moved = v1::TaskMoved { id: format!("tsk_{place}"), state, ..v1::TaskMoved::default() };
    let event = Some(v1::watch_response::Event::Ended(moved));
    v1::WatchResponse { event, resume_token: place.into(), state_revision: 1 }
}

fn alive(place: &str) -> v1::WatchResponse {
    v1::WatchResponse { event: None, resume_token: place.into(), state_revision: 1 }
}

fn watches(watched: impl IntoIterator<Item = Watched>) -> Shell {
    Shell::new(Script { watched: watched.into_iter().collect(), ..Script::default() })
}

#[test]
fn a_watch_goes_on_behind_the_last_event_after_a_lost_connection() {
    let shell = watches([
        Watched { events: vec![alive("0"), ended("1"), ended("2")], then: Then::End },
        Watched {
            events: vec![alive("2"), ended("3"), alive("4")],
            then: Then::Fail(Status::unavailable("restart")),
        },
        Watched { events: vec![], then: Then::Fail(Status::internal("broken")) },
        Watched { events: vec![ended("5")], then: Then::Silence },
    ]);
    let out = shell.run(&["tasks", "watch", "--after=start", "--count=4"]);
    check(&out, 0, &["connection lost", "restart", "connected again", "--after '5'"]);
    let ids: Vec<_> = out.stdout.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(ids, ["tsk_1", "tsk_2", "tsk_3", "tsk_5"]);
    let places = shell.server.asked().into_iter().map(|asked| match asked {
        Asked::Watch(request) => request.resume_token,
        other => panic!("{other:?}"),
    });
    assert_eq!(places.collect::<Vec<_>>(), ["start", "2", "4", "4"]);
}

#[test]
fn a_watch_for_programs_is_a_document_a_line() {
    let shell = watches([Watched { events: vec![alive("0"), ended("1"), ended("2")], then: Then::Silence }]);
    let out = shell.run(&["tasks", "watch", "--count=2", "--format=json"]);
    assert_eq!(out.code, Some(0), "{out:?}");
    let events: Vec<Json> = out.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = events.iter().map(|event| (&event["event"], &event["resume_token"])).collect();
    assert_eq!(events, [(&json!("ended"), &json!("1")), (&json!("ended"), &json!("2"))]);
}

#[test]
fn a_watch_prints_at_once_and_ends_when_it_is_interrupted() {
    let shell = watches([Watched { events: vec![ended("1")], then: Then::Silence }]);
    let process = Process::spawn(&mut shell.command(&["tasks", "watch"]));
    process.stdout.wait_for_text("tsk_1");
    process.signal(Signal::INT);
    check(&process.end(), 0, &["--after '1'"]);
}

#[test]
fn a_watch_ends_when_nobody_reads_any_more() {
    let many = (0..50).map(|number| ended(&number.to_string())).collect();
    let shell = watches([Watched { events: many, then: Then::Silence }]);
    let mut child = shell.command(&["tasks", "watch"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_watch_that_nobody_reads_can_be_interrupted() {
    let many = (0..5000).map(|number| ended(&number.to_string())).collect();
    let shell = watches([Watched { events: many, then: Then::Silence }]);
    let mut child = shell.command(&["tasks", "watch"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let unread = child.stdout.take().unwrap();
    // A pipe holds less than all of the events.
    let mut before = 0;
    until("a pipe that is full", || {
        let now = rustix::io::ioctl_fionread(&unread).unwrap();
        (now > 60_000 && std::mem::replace(&mut before, now) == now).then_some(())
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(until("its end", || child.try_wait().unwrap()).code(), Some(0));
}

#[test]
fn a_watch_does_not_go_on_where_events_are_missing_or_nobody_lets_it() {
    for (status, words) in [
        (Status::out_of_range("too old"), &["no longer known", "without --after"][..]),
        (Status::permission_denied("no role"), &["does not let you: no role"]),
    ] {
        let later = Watched { events: vec![], then: Then::Fail(status.clone()) };
        let shell = watches([Watched { events: vec![ended("1")], then: Then::End }, later]);
        check(&shell.run(&["tasks", "watch"]), 2, words);
        assert_eq!(shell.server.asked().len(), 2);
        let shell = Shell::new(Script { refuse: Some(status), ..Script::default() });
        check(&shell.run(&["tasks", "watch", "--after=x"]), 2, words);
    }
    let shell = watches([]);
    check(&shell.run(&["tasks", "watch"]), 2, &["nobody is at home"]);
    assert_eq!(shell.server.asked().len(), 1, "who never answered is not asked again");
}

#[test]
fn drift_sends_what_decides_and_says_who_would_lose() {
    let drifting = v1::Drifting {
        task: ID.into(),
        reason: v1::DenyReason::NoPermit.into(),
        reason_text: "nobody permits it".into(),
        ..v1::Drifting::default()
    };
    let drift = v1::PreviewDriftResponse {
        open: 3,
        drifting: vec![drifting],
        drifting_count: 1,
        ..Default::default()
    };
    let shell = Shell::new(Script { drift, ..Script::default() });
    shell.write("new/schemas/s.cedarschema", "entity Doc;");
    shell.write("new/policies/p.cedar", "permit (principal, action, resource);");
    shell.write("new/policies/p_test.yaml", "cases: []");
    check(
        &shell.run(&["drift", "--bundle=new"]),
        1,
        &[ID, "NoPermit", "1 of 3 open tasks would lose authority"],
    );
    let asked = shell.server.asked();
    let [Asked::Drift(request)] = asked.as_slice() else { panic!("{asked:?}") };
    let files: Vec<_> = request.files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
    let policies = ("policies/p.cedar", "permit (principal, action, resource);");
    assert_eq!(files, [policies, ("schemas/s.cedarschema", "entity Doc;")]);
    assert_eq!(shell.server.shown(), [Some(format!("Bearer {OPERATOR}"))]);
    check(&shell.run(&["drift", "--bundle=nowhere"]), 2, &["there is no bundle directory `nowhere`"]);
    assert_eq!(shell.server.asked().len(), 1);
}

#[test]
fn drift_of_nothing_is_ok_and_a_bundle_with_findings_is_trouble() {
    let shell = Shell::new(Script::default());
    let (code, document) = shell.json(&["drift"]);
    assert_eq!((code, &document["drifting_count"], &document["drifting"]), (Some(0), &json!(0), &json!([])));
    let refuse = Some(Status::invalid_argument("policies/p.cedar:1:1: unexpected end"));
    let shell = Shell::new(Script { refuse, ..Script::default() });
    check(&shell.run(&["drift"]), 2, &["unexpected end", "palisade check"]);
}
