//! `palisade tasks` and `palisade drift` against the real server: a day of an operator at a shell.
//! Never a stand-in: what the command prints is what the server did.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use palisade::api::proto::v1;
use rustix::process::Signal;
use serde_json::Value as Json;

use super::super::child::{Ended, Process, until};
use super::super::place::{Place, mode};
use super::super::server::Server;
use super::desk::{self, Desk, GATEWAY, key, lookup};
use super::drift::{FILE, NO_REFUNDS, NOTHING};

const PALISADE: &str = env!("CARGO_BIN_EXE_palisade");

/// A shell in the directory of the server.
struct Shell {
    place: Place,
    server: Server,
}

impl Shell {
    fn new() -> Self {
        let place = desk::place("");
        let server = place.start();
        Self { place, server }
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(PALISADE);
        command.current_dir(self.place.path()).env("NO_COLOR", "1").args(line);
        command.arg("--grpc").arg(self.server.grpc.to_string());
        command
    }

    fn run(&self, line: &[&str]) -> Ended {
        Process::spawn(&mut self.command(line)).end()
    }

    /// What a command prints for programs, after it has ended so.
    #[track_caller]
    fn json(&self, code: i32, line: &[&str]) -> Json {
        let ended = self.run(&[line, &["--format=json"]].concat());
        assert_eq!(ended.code, Some(code), "{line:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.place.path().join(name)).unwrap()
    }
}

/// To start a task of support, with further options.
fn start<'l>(more: &[&'l str]) -> Vec<&'l str> {
    let line = ["tasks", "start", "--purpose=customer-care", "--human=ana", "--agent=support-bot"];
    [&line[..], &["--tool=crm/lookup_customer", "--calls=5", "--ttl=15m"], more].concat()
}

fn text(document: &Json) -> String {
    document.as_str().unwrap_or_else(|| panic!("no text: {document}")).to_owned()
}

#[track_caller]
fn check(ended: &Ended, code: i32, words: &[&str]) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(code), "{said}");
    for part in words {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
}

#[test]
fn a_task_is_started_once_shown_and_ended() {
    let shell = Shell::new();
    let desk = Desk::gateway(&shell.server);
    let bound = format!("--key={}", key());
    let wish = start(&[&bound, "--idempotency-key=k-1"]);
    let started = shell.json(0, &[&wish[..], &["--token-out=task.token"]].concat());
    let id = text(&started["task"]["id"]);
    let file = shell.place.path().join("task.token");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(started["token"], Json::Null, "it is in the file alone");
    let token = shell.read("task.token").trim().to_owned();
    assert_eq!(desk.denied(&lookup(&token)), None);
    // Once more: the same task. Another one under its name: none.
    let again = shell.json(0, &[&wish[..], &["--token-out=again.token"]].concat());
    assert_eq!(text(&again["task"]["id"]), id);
    assert_eq!(desk.denied(&lookup(shell.read("again.token").trim())), None);
    let another = [&wish[..], &["--intent=another", "--token-out=-"]].concat();
    check(&shell.run(&another), 2, &["another --idempotency-key"]);
    // Denied by a rule of the bundle, in its words; and only asked.
    let wide = ["tasks", "start", "--purpose=customer-care", "--human=ana", "--agent=support-bot", &bound];
    let denied = shell.run(&[&wide[..], &["--token-out=none.token"]].concat());
    check(&denied, 1, &["DENY", "name the servers or the tools", "guard/narrow-task", "decision "]);
    assert!(!shell.place.path().join("none.token").exists());
    check(&shell.run(&start(&["--token-out=none.token"])), 1, &["DENY BindingMissing", "thumbprint"]);
    check(&shell.run(&start(&[&bound, "--preview"])), 0, &["would be started"]);
    check(&shell.run(&[&wide[..], &["--preview"]].concat()), 1, &["DENY"]);

    let listed = shell.json(0, &["tasks", "list", "--all"]);
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["tasks"][0]["calls_spent"], 2);
    check(&shell.run(&["tasks", "list", "--party", "Agent::\"support-bot\""]), 0, &[&id]);
    check(&shell.run(&["tasks", "list", "--party", "Agent::\"lead-bot\""]), 0, &["no open task"]);
    check(&shell.run(&["tasks", "show", &id]), 0, &[&id, "open", "2 of 5"]);
    assert_eq!(shell.json(0, &["tasks", "show", &id])["state"], "OPEN");
    let nobody = format!("tsk_{}", "0".repeat(32));
    check(&shell.run(&["tasks", "show", &nobody]), 2, &["no such task"]);

    check(&shell.run(&["tasks", "end", &id, "--reason=done"]), 0, &["ended (state "]);
    check(&shell.run(&["tasks", "end", &id]), 0, &["over already"]);
    check(&shell.run(&["tasks", "end", &id, "--failed"]), 2, &["completed"]);
    check(&shell.run(&["tasks", "end", &nobody]), 2, &["task"]);
    assert_eq!(shell.json(0, &["tasks", "show", &id])["state"], "COMPLETED");
    assert_eq!(desk.denied(&lookup(&token)), Some(v1::DenyReason::TaskRevoked));
    check(&shell.run(&["tasks", "list"]), 0, &["no open task"]);
}

#[test]
fn an_agent_is_revoked_and_lifted_and_a_watch_tells_of_it_in_order() {
    let shell = Shell::new();
    let desk = Desk::operator(&shell.server);
    let bound = format!("--key={}", key());
    // A place to watch from: some event.
    let watch = Process::spawn(&mut shell.command(&["tasks", "watch", "--count=1", "--format=json"]));
    let seen = until("an event", || {
        shell.json(0, &start(&[&bound, "--token-out=-"]));
        watch.stdout.text().lines().next().map(|line| serde_json::from_str::<Json>(line).unwrap())
    });
    check(&watch.end(), 0, &["--after '"]);
    for task in desk.list().tasks {
        desk.end(&task.id, v1::Ending::Cancelled, "").unwrap();
    }
    let after = shell.json(0, &start(&[&bound, "--token-out=a.token"]));
    let (id, token) = (text(&after["task"]["id"]), shell.read("a.token").trim().to_owned());
    let revoked = shell.json(0, &["tasks", "revoke", "--agent=support-bot", "--reason=astray"]);
    assert_eq!(revoked["tasks"], 1);
    assert_eq!(desk.denied(&lookup(&token)), Some(v1::DenyReason::TaskRevoked));
    assert_eq!(shell.json(0, &["tasks", "show", &id])["state"], "REVOKED");
    let denied = shell.json(1, &start(&[&bound, "--token-out=b.token"]));
    assert_eq!((&denied["decision"], &denied["task"]), (&"DENY".into(), &Json::Null));
    let listed = shell.json(0, &["tasks", "list"]);
    assert_eq!(listed["revocations"][0]["reason"], "astray");
    assert_eq!(listed["revocations"][0]["target"]["agent"]["id"], "support-bot");
    check(&shell.run(&["tasks", "lift", "--agent=support-bot", "--reason=over"]), 0, &["lifted agent"]);
    check(&shell.run(&["tasks", "lift", "--agent=support-bot", "--reason=over"]), 2, &["nothing to lift"]);
    assert_eq!(desk.denied(&lookup(&token)), Some(v1::DenyReason::TaskRevoked), "it stays revoked");
    let later = shell.json(0, &start(&[&bound, "--token-out=c.token"]));
    let later = text(&later["task"]["id"]);
    check(&shell.run(&["tasks", "revoke", "--task", &later, "--reason=astray"]), 0, &["1 open task"]);

    // Everything behind that first event, in the order in which it happened.
    let place = text(&seen["resume_token"]);
    let watch = Process::spawn(&mut shell.command(&["tasks", "watch", "--after", &place, "--format=json"]));
    let last = |line: &Json| line["event"] == "ended" && line["task"]["id"] == later.as_str();
    let lines = until("the last event", || {
        let text = watch.stdout.text();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let lines: Vec<Json> = whole.map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.last().is_some_and(last).then_some(lines)
    });
    watch.signal(Signal::INT);
    assert_eq!(watch.end().code, Some(0));
    let what = |line: &Json| {
        let about = [&line["task"]["id"], &line["revocation"]["target"]["kind"]];
        let about = about.into_iter().find_map(Json::as_str).unwrap_or_default();
        format!("{} {about}", line["event"].as_str().unwrap())
    };
    let behind: Vec<String> = lines.iter().map(what).skip_while(|line| !line.ends_with(&id)).collect();
    let expected = [
        format!("started {id}"),
        "revoked agent".into(),
        format!("ended {id}"),
        "lifted agent".into(),
        format!("started {later}"),
        format!("ended {later}"),
    ];
    assert_eq!(behind, expected);
    let states: Vec<u64> = lines.iter().map(|line| line["state_revision"].as_u64().unwrap()).collect();
    assert!(states.is_sorted_by(|a, b| a < b), "{states:?}");
}

#[test]
fn drift_is_asked_for_before_anything_is_published() {
    let shell = Shell::new();
    let desk = Desk::gateway(&shell.server);
    let bound = format!("--key={}", key());
    let staying = shell.json(0, &start(&[&bound, "--token-out=a"]));
    let drifting = shell.json(0, &start(&[&bound, "--tool=crm/issue_refund", "--token-out=b"]));
    let (staying, drifting) = (text(&staying["task"]["id"]), text(&drifting["task"]["id"]));
    // The same bundle beside it.
    let new = shell.place.path().join("new");
    let copied = Command::new("cp").arg("-r").arg(shell.place.bundle()).arg(&new).status().unwrap();
    assert!(copied.success());
    check(&shell.run(&["drift", "--bundle=new"]), 0, &["2 open tasks, none would lose its authority"]);
    fs::write(new.join(FILE), NO_REFUNDS).unwrap();
    let ended = shell.run(&["drift", "--bundle=new"]);
    check(&ended, 1, &[&drifting, "drift/refunds", "refunds are closed", "1 of 2 open tasks would lose"]);
    assert!(!ended.stdout.contains(&staying) && !ended.stdout.contains("wait for a confirmation"));
    fs::write(new.join(FILE), NOTHING).unwrap();
    let preview = shell.json(1, &["drift", "--bundle=new"]);
    assert_eq!((&preview["drifting_count"], &preview["needs_confirmation"]), (&2.into(), &true.into()));
    // What it says is the revision to say yes to.
    shell.place.write(FILE, NOTHING);
    assert_eq!(shell.server.operate("POST", "/reload").status, 422);
    let words = shell.server.bundle()["failing"]["error"].to_string();
    assert!(words.contains(&text(&preview["revision"])), "{words}");
    fs::write(new.join(FILE), "forbid (").unwrap();
    check(&shell.run(&["drift", "--bundle=new"]), 2, &["drift.cedar", "palisade check"]);
    check(&shell.run(&["drift", "--bundle=nowhere"]), 2, &["there is no bundle directory"]);
    // Asking changed nothing.
    assert_eq!(shell.json(0, &["tasks", "list", "--all"])["tasks"].as_array().unwrap().len(), 2);
    assert!(["a", "b"].iter().all(|file| desk.denied(&lookup(shell.read(file).trim())).is_none()));
}

#[test]
fn who_may_not_ask_is_told_so_and_trouble_is_not_a_deny() {
    let shell = Shell::new();
    let file = |name: &str, token: &str| {
        let path = shell.place.path().join(name);
        fs::write(&path, token).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        format!("--token-file={name}")
    };
    let (gateway, stranger) = (file("gateway", GATEWAY), file("stranger", "t-nobody"));
    check(&shell.run(&["tasks", "list", &gateway]), 0, &["no open task"]);
    check(&shell.run(&["tasks", "list", &stranger]), 2, &["--token-file"]);
    let revoke = ["tasks", "revoke", "--agent=support-bot", "--reason=astray"];
    check(&shell.run(&[&revoke[..], &[&gateway]].concat()), 2, &["role `admin`"]);
    check(
        &shell.run(&["tasks", "lift", "--agent=support-bot", "--reason=x", &gateway]),
        2,
        &["role `admin`"],
    );
    check(&shell.run(&["drift", "--bundle=bundle", &gateway]), 2, &["role `admin`"]);
    check(&shell.run(&["tasks", "watch", "--after=nonsense"]), 2, &["resume_token"]);
    check(&shell.run(&["tasks", "end", "tsk_1"]), 2, &["tsk_1"]);
    check(&shell.run(&["tasks", "revoke", "--agent=support-bot"]), 2, &["--reason"]);
    let server = shell.server.grpc.to_string();
    shell.server.stop();
    let mut gone = Command::new(PALISADE);
    gone.current_dir(shell.place.path()).args(["tasks", "list", "--grpc", &server]);
    check(&Process::spawn(&mut gone).end(), 2, &["no server answers"]);
}
