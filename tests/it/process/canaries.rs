//! Ten thousand secrets, each another one, in every place where a request can hold one: none is found anywhere else.

mod planter;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs;

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_request::Question;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Status};

use self::planter::{CANARY, LOGIN, Planter, SIGNATURE};
use super::child::Process;
use super::http;
use super::place::{Place, tree};
use super::server::{Client, Server, is_permit, tool_call};
use crate::tokens::{AUDIENCE, ISSUER, Signer, b64};

/// How many there are at least.
const CANARIES: usize = 10_000;
/// How many callers there are, each with a secret of its own.
const CALLERS: usize = 16;
const BATCH: usize = 256;

/// What came of everything.
#[derive(Default)]
struct Told {
    text: String,
    /// Answers by decision and reason.
    answers: BTreeMap<String, usize>,
    errors: usize,
}

impl Told {
    fn hear(&mut self, answer: Result<Vec<v1::AuthorizeResponse>, Status>) {
        match answer {
            Ok(answers) => {
                for answer in answers {
                    writeln!(self.text, "{answer:?}").unwrap();
                    let word = if is_permit(&answer) { "permit" } else { answer.reason().as_str_name() };
                    *self.answers.entry(word.to_owned()).or_default() += 1;
                }
            }
            Err(status) => {
                self.errors += 1;
                writeln!(self.text, "{status:?}").unwrap();
            }
        }
    }
}

/// A place whose callers have these secrets, with the keys of an issuer and of a trust domain.
fn place(signer: &Signer, callers: &[String]) -> Place {
    let place = Place::shipped();
    let svid = signer.jwks("k1").replace("\"kty\"", "\"use\":\"jwt-svid\",\"kty\"");
    fs::write(place.path().join("jwks.json"), signer.jwks("k1")).unwrap();
    fs::write(place.path().join("bundle.json"), svid).unwrap();
    let mut text = format!(
        "trust:\n  audience: ['{AUDIENCE}']\n  issuers:\n    - issuer: {ISSUER}\n      keys: {{ file: jwks.json }}\n      \
         human: {{}}\n      agent: client_id\n    - issuer: {LOGIN}\n      keys: {{ file: jwks.json }}\n      human: {{}}\n  \
         spiffe:\n    - trust_domain: acme.example\n      keys: {{ file: bundle.json }}\ncallers:\n"
    );
    for (at, token) in callers.iter().enumerate() {
        let digest =
            Sha256::digest(token).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        writeln!(
            text,
            "  - {{ name: c{at}, token_sha256: {digest}, roles: [authorize, assert], servers: '*' }}"
        )
        .unwrap();
    }
    place.configure(&text);
    place
}

fn bearing<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn ask(
    client: &Client,
    token: &str,
    request: v1::AuthorizeRequest,
) -> Result<Vec<v1::AuthorizeResponse>, Status> {
    let answer = client.runtime().block_on(client.grpc().authorize(bearing(token, request)));
    answer.map(|answer| vec![answer.into_inner()])
}

fn ask_all(
    client: &Client,
    token: &str,
    requests: Vec<v1::AuthorizeRequest>,
) -> Result<Vec<v1::AuthorizeResponse>, Status> {
    let batch = bearing(token, v1::AuthorizeBatchRequest { requests });
    let answer = client.runtime().block_on(client.grpc().authorize_batch(batch));
    answer.map(|answer| answer.into_inner().responses)
}

/// One by one, what gets an error: unknown callers, and what is no request.
fn ask_in_vain(planter: &mut Planter, server: &Server, client: &Client, caller: &str, told: &mut Told) {
    for at in 0..200 {
        let claims = planter.claims();
        let token = planter.token(&claims);
        let request = planter.call(token);
        let wrong = planter.next();
        told.hear(ask(client, &wrong, request));
        if at % 4 == 0 {
            let long = planter.call(planter.stranger.token(&"x".repeat(20_000), &claims));
            told.hear(ask(client, caller, long));
            let mut broken = tool_call("lookup_customer", &json!({}));
            if let Some(Question::Mcp(message)) = &mut broken.question {
                message.params = format!("{{\"name\":\"{}", planter.next()).into_bytes();
            }
            told.hear(ask(client, caller, broken));
            for (scheme, path, method) in [("Bearer", "/bundle", "GET"), ("Basic", "/reload", "POST")] {
                let header = format!("{scheme} {}", planter.next());
                let answer = http::request(server.admin, method, path, &[("Authorization", &header)]);
                writeln!(told.text, "{answer:?}").unwrap();
            }
        }
    }
}

/// Where a secret stands in a text: as it is, in base64 wherever it began, or in a token.
fn found(text: &str, signatures: &HashSet<String>) -> Option<String> {
    let encoded =
        |before: &str, from: usize, to: usize| b64(format!("{before}{CANARY}"))[from..to].to_owned();
    let words =
        [CANARY.to_owned(), encoded("", 0, 8), encoded("x", 2, 9), encoded("xx", 3, 10), "eyJ".to_owned()];
    let signature = |line: &str| {
        let parts = line.split(|next: char| !next.is_ascii_alphanumeric() && next != '-' && next != '_');
        let mut long = parts.filter(|part| part.len() >= SIGNATURE);
        long.any(|part| (0..=part.len() - SIGNATURE).any(|at| signatures.contains(&part[at..at + SIGNATURE])))
    };
    let line = text.lines().find(|line| words.iter().any(|word| line.contains(word)) || signature(line))?;
    Some(line.chars().take(2000).collect())
}

#[test]
fn ten_thousand_secrets_are_found_nowhere() {
    let mut planter = Planter::new();
    let callers: Vec<String> = (0..CALLERS).map(|_| planter.next()).collect();
    let place = place(&planter.signer, &callers);
    let server = Server::started(Process::spawn(place.command().env("RUST_LOG", "debug")), &place.data());
    server.log().wait_for("keys", |log| (log.matches("are in force").count() >= 3).then_some(()));
    let client = server.client();
    let mut told = Told::default();
    ask_in_vain(&mut planter, &server, &client, &callers[0], &mut told);
    let mut requests = Vec::new();
    while planter.planted < CANARIES {
        requests.extend(planter.good());
        requests.extend(planter.refused());
        requests.extend(planter.malformed());
        requests.extend(planter.beside());
        requests.extend(planter.arguments());
    }
    let asked = requests.len();
    for (at, batch) in requests.chunks(BATCH).enumerate() {
        told.hear(ask_all(&client, &callers[at % CALLERS], batch.to_vec()));
    }
    let count = |word: &str| told.answers.get(word).copied().unwrap_or(0);
    let answers = &told.answers;
    assert!(told.answers.values().sum::<usize>() >= asked, "{answers:?} of {asked}: {}", told.errors);
    let rounds = asked / 41;
    assert!(count("permit") >= 4 * rounds, "{answers:?} in {rounds} rounds");
    assert!(count("DENY_REASON_UNAUTHENTICATED") >= 25 * rounds, "{answers:?} in {rounds} rounds");
    assert!(told.errors >= 200, "{} errors", told.errors);
    look(&planter, &place, server, &told.text);
    println!("{} secrets in {asked} requests: {answers:?}, {} errors", planter.planted, told.errors);
}

/// Looks everywhere.
fn look(planter: &Planter, place: &Place, server: Server, told: &str) {
    let clean = |name: &str, text: &str| {
        let line = found(text, &planter.signatures);
        assert!(line.is_none(), "in {name}: {line:?}");
    };
    let one = planter.signatures.iter().next().unwrap();
    for leak in
        [CANARY, one, &b64(format!("x{CANARY}")), &format!("key={}.", planter.signer.token("k1", &json!({})))]
    {
        assert!(
            found(&format!("{{\"a\":\"x {leak}\"}}"), &planter.signatures).is_some(),
            "{leak} would not be found"
        );
    }
    clean("answers and errors", told);
    for page in ["/metrics", "/readyz", "/livez"] {
        clean(page, &server.get(page).body);
    }
    clean("/bundle", &server.operate("GET", "/bundle").body);
    clean("/reload", &server.operate("POST", "/reload").body);
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("decided") && ended.stderr.contains("DEBUG"), "the log tells of decisions");
    clean("standard error", &ended.stderr);
    clean("standard output", &ended.stdout);
    for path in tree(&place.data()).into_iter().filter(|path| path.is_file()) {
        clean(&path.display().to_string(), &String::from_utf8_lossy(&fs::read(&path).unwrap()));
    }
    let records = place.records_of("decided").len();
    assert!(records > 1000, "{records} records");
}
