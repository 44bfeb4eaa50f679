//! Tokens of tasks, access tokens and private keys stand where they belong, and in no log, record, metric, error or state.
//! Never looks for less than a signature: what a token says is no secret, that it counts is.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use palisade::api::proto::v1;
use palisade::api::proto::v1::target::Target;
use palisade::api::proto::v1::tasks_client::TasksClient;
use serde_json::{Value as Json, json};
use tonic::Status;

use super::super::child::{Ended, Process};
use super::super::http;
use super::super::place::{Place, tree};
use super::super::server::{Server, uid};
use super::desk::{Desk, GATEWAY, bearing, by_id, callers, key, lookup, step, wish};
use crate::tokens::{Signer, now_s};

/// How much of a secret is enough to know it again.
const PIECE: usize = 16;

/// What must not be found, by what it is.
struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// The signature of a token.
    fn token(&mut self, what: &str, token: &str) {
        let (_, signature) = token.rsplit_once('.').expect("a token has a signature");
        self.0.push((what.to_owned(), signature[..PIECE].to_owned()));
    }

    /// The second half of a private key, or of what else is a secret from its first letter on.
    fn private(&mut self, what: &str, text: &str) {
        self.0.push((what.to_owned(), text[text.len() / 2..].chars().take(PIECE).collect()));
    }

    /// Which of them stands in a text, and in which line.
    fn found(&self, text: &str) -> Option<String> {
        let is_in = |line: &str, piece: &String| line.contains(piece.as_str());
        self.0.iter().find_map(|(what, piece)| {
            let line = text.lines().find(|line| is_in(line, piece))?;
            Some(format!("{what}: {}", line.chars().take(2000).collect::<String>()))
        })
    }

    #[track_caller]
    fn check(&self, place: &str, text: &str) {
        let found = self.found(text);
        assert!(found.is_none(), "in {place}: {found:?}");
    }
}

/// What was answered beside the secrets that were asked for.
#[derive(Default)]
struct Told {
    text: String,
    refused: usize,
}

impl Told {
    fn hear<T: std::fmt::Debug>(&mut self, answer: &Result<T, Status>) {
        self.refused += usize::from(answer.is_err());
        writeln!(self.text, "{answer:?}").unwrap();
    }
}

/// A token in every place where it does not belong, and good ones that are refused for something else.
fn misplaced(desk: &Desk, token: &str, told: &mut Told) {
    let text = || token.to_owned();
    told.hear(&desk.get(token));
    told.hear(&desk.end(token, v1::Ending::Completed, ""));
    told.hear(&desk.revoke(Target::Task(text())));
    for target in [Target::Tool(text()), Target::KeyId(text()), Target::Agent(uid(token, "x"))] {
        told.hear(&desk.revoke(target));
    }
    let mut tasks = TasksClient::new(desk.channel());
    let runtime = desk.runtime();
    let request = v1::WatchRequest { resume_token: text() };
    told.hear(&runtime.block_on(tasks.watch(bearing(GATEWAY, request))).map(drop));
    let request = v1::ListRequest { page_token: text(), ..Default::default() };
    told.hear(&runtime.block_on(tasks.list(bearing(GATEWAY, request))).map(drop));
    told.hear(&runtime.block_on(tasks.list(bearing(token, v1::ListRequest::default()))).map(drop));
    let with = |change: &dyn Fn(&mut v1::Credentials)| {
        let mut request = lookup(token);
        change(request.credentials.as_mut().unwrap());
        request
    };
    let dpop = |proof: &str| {
        let proof =
            v1::DpopProof { proof: proof.into(), method: "POST".into(), url: "https://x.example/".into() };
        Some(v1::credentials::Proof::Dpop(proof))
    };
    for request in [
        with(&|shown| shown.proof = None),
        with(&|shown| shown.proof = dpop(token)),
        with(&|shown| shown.proof = Some(v1::credentials::Proof::KeyThumbprint(text()))),
        with(&|shown| shown.task_token.push('x')),
        with(&|shown| shown.task_token = format!("x{token}")),
        with(&|shown| shown.subject_token = text()),
        with(&|shown| shown.actor_token = text()),
        with(&|shown| (shown.subject_token, shown.task_token) = (text(), String::new())),
        step(token, "issue_refund", &json!({ "order": "o-1", "amount": 10 })),
        step(token, "lookup_customer", &json!({ "customer_id": [token] })),
        step(token, "lookup_customer", &json!({ token: token })),
    ] {
        told.hear(&desk.may(request));
    }
}

/// The same over HTTP, where clients of OAuth ask.
fn misplaced_over_http(server: &Server, token: &str, proof: &str, told: &mut Told) {
    let bearer = format!("Bearer {GATEWAY}");
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let jwt = "urn:ietf:params:oauth:token-type:jwt";
    let crm = "https://crm.acme.example/mcp";
    let good =
        [("grant_type", exchange), ("subject_token", token), ("subject_token_type", jwt), ("resource", crm)];
    let wrong = format!("{token}x");
    for at in 0..good.len() {
        let mut form = good;
        form[at].1 = if form[at].0 == "subject_token" { &wrong } else { token };
        let answer = http::post(server.http, "/oauth2/token", &[("DPoP", proof)], &form);
        assert_eq!(answer.status, 400, "{answer:?}");
        writeln!(told.text, "{answer:?}").unwrap();
    }
    for headers in
        [&[("DPoP", token)][..], &[], &[("DPoP", proof), ("Authorization", &*format!("Bearer {token}"))]]
    {
        let answer = http::post(server.http, "/oauth2/token", headers, &good);
        assert!(answer.status >= 400, "{answer:?}");
        writeln!(told.text, "{answer:?}").unwrap();
    }
    for form in [&[("token", token)][..], &[("token", &*wrong)], &[("tokens", token)], &[(token, token)]] {
        let answer = http::post(server.http, "/oauth2/introspect", &[("Authorization", &bearer)], form);
        writeln!(told.text, "{answer:?}").unwrap();
    }
}

/// The commands, with tokens in files that they should be in, and typed where they should not be.
fn shell(place: &Place, server: &Server, token: &str, told: &mut Told) {
    fs::write(place.path().join("task.token"), token).unwrap();
    fs::write(place.path().join("proof"), format!("{token}.x")).unwrap();
    let grpc = server.grpc.to_string();
    let mut run = |line: &[&str], code: i32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command.current_dir(place.path()).env("NO_COLOR", "1").args(line).args(["--grpc", &grpc]);
        let Ended { code: ended, stdout, stderr } = Process::spawn(&mut command).end();
        assert_eq!(ended, Some(code), "{stderr}");
        writeln!(told.text, "{stdout}{stderr}").unwrap();
    };
    run(&["tasks", "renew", "--task-token=task.token"], 1);
    run(
        &["tasks", "renew", "--task-token=task.token", "--dpop-proof=proof", "--dpop-url=https://x.example/"],
        1,
    );
    run(&["tasks", "list", "--token-file=task.token"], 2);
    for line in [["tasks", "renew", "--task-token", token], ["tasks", "renew", "--proven-key", token]] {
        run(&line, 2);
    }
    for line in [["tasks", "show", token], ["tasks", "end", token]] {
        run(&line, 2);
    }
    let begin = ["tasks", "start", "--purpose=customer-care", "--human=ana", "--agent=support-bot"];
    let key = format!("--key={}", key());
    run(
        &[&begin[..], &["--tool=crm/lookup_customer", &key, "--token-out=kept", "--format=json"]].concat(),
        0,
    );
    run(&[&begin[..], &["--tool=crm/lookup_customer", &key]].concat(), 0);
    run(&["tasks", "list", "--all", "--format=json"], 0);
}

/// Everything that was issued and shown, remembered; and everything that can go wrong with it, told.
fn live(place: &Place, server: &Server, secrets: &mut Secrets) -> Told {
    let mut told = Told::default();
    let desk = Desk::gateway(server);
    let holder = Signer::new();
    let task = desk.begin(v1::StartRequest { idempotency_key: "k".into(), ..wish(&key()) });
    let again = desk.begin(v1::StartRequest { idempotency_key: "k".into(), ..wish(&key()) });
    let bound = desk.begin(wish(&holder.thumbprint()));
    for (what, token) in [("a task's token", &task), ("its second one", &again), ("another one", &bound)] {
        secrets.token(what, &token.token);
    }
    let proof = |jti: &str| {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": holder.jwk() });
        let url = format!("http://{}/oauth2/token", server.http);
        holder.sign(&header, &json!({ "jti": jti, "htm": "POST", "htu": url, "iat": now_s() }))
    };
    let (first, second) = (proof("p-1"), proof("p-2"));
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", &*bound.token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("resource", "https://crm.acme.example/mcp"),
    ];
    let answer = http::post(server.http, "/oauth2/token", &[("DPoP", &first)], &form);
    assert_eq!(answer.status, 200, "{answer:?}");
    let access = answer.json()["access_token"].as_str().unwrap().to_owned();
    for (what, token) in [("an access token", &access), ("a proof", &first), ("another proof", &second)] {
        secrets.token(what, token);
    }
    assert_eq!(desk.denied(&lookup(&task.token)), None);
    for token in [&task.token, &bound.token, &access] {
        misplaced(&desk, token, &mut told);
        misplaced_over_http(server, token, &second, &mut told);
    }
    shell(place, server, &task.token, &mut told);
    let kept = fs::read_to_string(place.path().join("kept")).unwrap();
    secrets.token("a token of the commands", kept.trim());
    for token in [&task.token, &again.token, &bound.token, &access, &kept, GATEWAY] {
        assert!(secrets.found(&format!("x {{\"a\":\"{token}\"}}")).is_some(), "it would not be found");
    }
    desk.end(&task.id, v1::Ending::Failed, "").unwrap();
    told.hear(&desk.may(lookup(&task.token)));
    told.hear(&desk.revoke(Target::Task(bound.id.clone())));
    told.hear(&desk.may(lookup(&bound.token)));
    assert_eq!(by_id(&task.id).proof, None);
    told
}

#[test]
fn tokens_and_private_keys_are_found_nowhere() {
    let place = Place::shipped();
    place.configure(&format!(
        "tasks: {{ asserted: true }}\nlog: {{ level: \"debug,palisade=trace\" }}\n{}",
        callers()
    ));
    let server = place.start();
    let mut secrets = Secrets(vec![]);
    let folder = place.data().join("keys");
    for file in fs::read_dir(&folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let private: Json = serde_json::from_str(&text).unwrap();
        secrets.private("a private key", private["pkcs8"].as_str().unwrap());
    }
    secrets.private("the operator's token", server.token().strip_prefix("Bearer ").unwrap());
    secrets.private("the gateway's token", GATEWAY);
    assert!(secrets.0.len() >= 3);
    let told = live(&place, &server, &mut secrets);
    assert!(told.refused >= 20, "{} refusals: {}", told.refused, told.text);
    secrets.check("answers and errors", &told.text);
    for page in ["/metrics", "/readyz", "/livez"] {
        secrets.check(page, &server.get(page).body);
    }
    for page in ["/bundle", "/keys"] {
        secrets.check(page, &server.operate("GET", page).body);
    }
    let keys = http::request(server.http, "GET", "/.well-known/jwks.json", &[]);
    secrets.check("the published keys", &keys.body);
    let ended = server.stop();
    assert!(
        ended.stderr.contains("DEBUG") && ended.stderr.contains("decided"),
        "the log tells of what happened"
    );
    secrets.check("standard error", &ended.stderr);
    secrets.check("standard output", &ended.stdout);
    let belongs = |path: &std::path::Path| path.starts_with(&folder) || path.ends_with("admin.token");
    for path in tree(&place.data()).into_iter().filter(|path| path.is_file() && !belongs(path)) {
        secrets.check(&path.display().to_string(), &String::from_utf8_lossy(&fs::read(&path).unwrap()));
    }
    let moves = place.records_of("task").len();
    assert!(moves >= 8, "{moves} moves on record");
    println!("{} secrets, none found; {} refusals, {moves} moves on record", secrets.0.len(), told.refused);
}
