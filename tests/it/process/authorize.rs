//! `palisade authorize` of a running server: with tokens in place of names, and over TLS.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use super::child::{Ended, Process};
use super::place::{PERMIT, Place};
use super::server::Server;
use crate::certificates::{Authority, SERVER, names, server, uris};
use crate::tokens::{AUDIENCE, ISSUER, Signer, claims, with};

const PALISADE: &str = env!("CARGO_BIN_EXE_palisade");
/// The name of the agent `support-bot` of the shipped bundle.
const BOT: &str = "spiffe://acme.example/agent/support-bot";
const LOOKUP: [&str; 4] = ["--tool", "crm/lookup_customer", "--args", r#"{"customer_id":"c-1"}"#];
const MCP: &str = "https://crm.acme.example/mcp";
/// Issues tokens that name no agent.
const LOGIN: &str = "https://login.acme.example";

/// A server that trusts an issuer and a trust domain, whose keys are all the same one.
struct Trusting {
    place: Place,
    signer: Signer,
    server: Server,
}

impl Trusting {
    fn new() -> Self {
        let (place, signer) = (Place::shipped(), Signer::new());
        fs::write(place.path().join("jwks.json"), signer.jwks("k1")).unwrap();
        let svid = signer.jwks("k1").replace("\"kty\"", "\"use\":\"jwt-svid\",\"kty\"");
        fs::write(place.path().join("bundle.json"), svid).unwrap();
        place.configure(&format!(
            "local_caller: {{ enabled: true }}\ntrust:\n  audience: ['{AUDIENCE}']\n  issuers:\n    - issuer: {ISSUER}\n      \
             keys: {{ file: jwks.json }}\n      human: {{}}\n      agent: client_id\n    - issuer: {LOGIN}\n      \
             keys: {{ file: jwks.json }}\n      human: {{}}\n  spiffe:\n    - trust_domain: acme.example\n      \
             keys: {{ file: bundle.json }}\n"
        ));
        let server = place.start();
        server.log().wait_for("keys", |log| (log.matches("are in force").count() >= 3).then_some(()));
        Self { place, signer, server }
    }

    /// Writes a token to a file.
    fn put(&self, name: &str, token: &str) {
        fs::write(self.place.path().join(name), format!("{token}\n")).unwrap();
    }

    fn token(&self, claims: &Json) -> String {
        self.signer.token("k1", claims)
    }

    /// Asks to look up a customer.
    fn ask(&self, options: &[&str]) -> Ended {
        let address = self.server.grpc.to_string();
        authorize(&self.place, &[&["--grpc", &address], &LOOKUP[..], options].concat())
    }
}

fn authorize(place: &Place, options: &[&str]) -> Ended {
    let mut command = Command::new(PALISADE);
    command.current_dir(place.path()).env("NO_COLOR", "1").arg("authorize").args(options);
    Process::spawn(&mut command).end()
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
fn a_token_says_who_asks_and_names_beside_it_must_agree() {
    let trusting = Trusting::new();
    trusting.put("token.txt", &trusting.token(&claims("ana", BOT)));
    let token = ["--subject-token", "token.txt"];
    check(&trusting.ask(&token), 0, &["PERMIT", "why:"]);
    let record = trusting.place.records_of("decided").pop().unwrap().to_string();
    assert!(record.contains(ISSUER) && record.contains("support-bot") && record.contains("ana"), "{record}");
    let named = |names: &[&str]| trusting.ask(&[&token[..], names].concat());
    check(&named(&["--human", "ana", "--agent", "support-bot"]), 0, &["PERMIT"]);
    let words = "another than that of its credentials";
    check(&named(&["--human", "bo", "--agent", "support-bot"]), 1, &["DENY Unauthenticated", words]);
    check(&named(&["--human", "ana", "--agent", "lead-bot"]), 1, &["DENY Unauthenticated", words]);
    let expired = with(&claims("ana", BOT), "exp", crate::tokens::now_s() - 3600);
    trusting.put("token.txt", &trusting.token(&expired));
    check(&trusting.ask(&token), 1, &["DENY Unauthenticated"]);
}

#[test]
fn a_bound_token_comes_with_a_proof_that_is_taken_once() {
    let (trusting, holder) = (Trusting::new(), Signer::new());
    let bound = trusting.token(&with(&claims("ana", BOT), "cnf", json!({ "jkt": holder.thumbprint() })));
    trusting.put("token.txt", &bound);
    let token = ["--subject-token", "token.txt"];
    check(&trusting.ask(&token), 1, &["DENY BindingMissing"]);
    trusting.put("proof.txt", &holder.proof(&bound, MCP, "p-1"));
    let with_proof =
        |more: &[&str]| trusting.ask(&[&token[..], &["--dpop-proof", "proof.txt"], more].concat());
    check(&with_proof(&["--dpop-url", "https://other.example/"]), 1, &["DENY Unauthenticated"]);
    check(&with_proof(&["--dpop-url", MCP, "--dpop-method", "GET"]), 1, &["DENY Unauthenticated"]);
    check(&with_proof(&["--dpop-url", MCP]), 0, &["PERMIT"]);
    check(&with_proof(&["--dpop-url", MCP]), 1, &["DENY Unauthenticated"]);
    check(&with_proof(&[]), 2, &["--dpop-url <URL>"]);
    check(&trusting.ask(&["--dpop-proof", "proof.txt", "--dpop-url", MCP]), 2, &["--subject-token <FILE>"]);
}

#[test]
fn an_agent_may_bring_a_token_of_its_own() {
    let trusting = Trusting::new();
    trusting.put("ana.txt", &trusting.token(&with(&claims("ana", "console"), "iss", LOGIN)));
    let svid = json!({ "sub": BOT, "aud": AUDIENCE, "exp": crate::tokens::now_s() + 60 });
    trusting.put("bot.txt", &trusting.signer.sign(&json!({ "alg": "ES256", "kid": "k1" }), &svid));
    // The operator may ask for people alone.
    let as_local = |options: &[&str]| trusting.ask(&[&["--data", "nowhere"], options].concat());
    check(&as_local(&["--subject-token", "ana.txt"]), 1, &["DENY ActorMissing"]);
    check(&as_local(&["--subject-token", "ana.txt", "--actor-token", "bot.txt"]), 0, &["PERMIT"]);
    check(&trusting.ask(&["--actor-token", "bot.txt"]), 2, &["--subject-token <FILE>"]);
}

#[test]
fn tokens_come_from_files_and_one_of_them_from_standard_input() {
    let trusting = Trusting::new();
    let token = trusting.token(&claims("ana", BOT));
    let mut command = Command::new(PALISADE);
    command.current_dir(trusting.place.path()).args([
        "authorize",
        "--grpc",
        &trusting.server.grpc.to_string(),
    ]);
    command.args(LOOKUP).args(["--subject-token", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("Bearer {token}\n").as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");

    let both = trusting.ask(&["--subject-token", "-", "--actor-token", "-"]);
    check(&both, 2, &["standard input holds one of the tokens; put the others into files"]);
    check(
        &trusting.ask(&["--subject-token", "-"]),
        2,
        &["standard input is empty; put the subject's token there"],
    );
    check(
        &trusting.ask(&["--subject-token", "no.txt"]),
        2,
        &["cannot read the subject's token from `no.txt`"],
    );
    let shown = trusting.ask(&["--subject-token", &token]);
    check(&shown, 2, &["the subject's token stands on the command line, where others can see it"]);
    assert!(!shown.stderr.contains(&token), "{shown:?}");
    check(&trusting.ask(&[]), 2, &["say who asks", "--subject-token FILE"]);
    trusting.put("token.txt", &token);
    let bundle = [&["--bundle", "bundle", "--subject-token", "token.txt"], &LOOKUP[..]].concat();
    check(&authorize(&trusting.place, &bundle), 2, &["cannot be used with"]);
}

/// A server that speaks TLS and knows a gateway by its certificate.
struct Secured {
    place: Place,
    authority: Authority,
    server: Server,
}

const READ: [&str; 6] =
    ["--principal", "Agent::\"bot\"", "--action", "Action::\"read\"", "--resource", "Doc::\"a\""];
const TRUSTED: [&str; 4] = ["--tls-ca", "ca.crt", "--tls-name", SERVER];
const SHOWN: [&str; 4] = ["--tls-certificate", "gw.crt", "--tls-key", "gw.key"];

impl Secured {
    fn new(clients: &str) -> Self {
        let (place, authority) = (Place::with(PERMIT), Authority::new("acme"));
        let path = |name: &str| place.path().join(name);
        authority.issue(server()).write(&path("tls.crt"), &path("tls.key"));
        authority.issue(uris(&["spiffe://acme.example/gw"])).write(&path("gw.crt"), &path("gw.key"));
        fs::write(path("ca.crt"), authority.pem()).unwrap();
        place.configure(&format!(
            "listen:\n  grpc_tls: {{ certificate: tls.crt, key: tls.key, client_ca: ca.crt, client_certificates: {clients} }}\n\
             callers:\n  - name: gateway\n    spiffe_id: spiffe://acme.example/gw\n    roles: [authorize, assert]\n    servers: \"*\"\n"
        ));
        let server = place.start();
        Self { place, authority, server }
    }

    fn ask(&self, options: &[&[&str]]) -> Ended {
        let address = format!("https://{}", self.server.grpc);
        authorize(&self.place, &[&["--grpc", &address], &READ[..], &options.concat()].concat())
    }
}

#[test]
fn a_server_with_tls_is_asked_by_who_shows_a_certificate() {
    let secured = Secured::new("required");
    check(&secured.ask(&[&TRUSTED, &SHOWN]), 0, &["PERMIT"]);
    // The operator's token lies there too, and does not decide who asks.
    assert_eq!(secured.place.records_of("decided").pop().unwrap()["caller"], "gateway");
    check(
        &secured.ask(&[&TRUSTED]),
        2,
        &["wants to see a certificate", "show one with --tls-certificate FILE and --tls-key FILE"],
    );
    let path = |name: &str| secured.place.path().join(name);
    Authority::new("other").issue(names(&["x.example"])).write(&path("gw.crt"), &path("gw.key"));
    check(
        &secured.ask(&[&TRUSTED, &SHOWN]),
        2,
        &["no answer from https://", "with --tls-certificate FILE and --tls-key FILE"],
    );
    secured.authority.issue(names(&["x.example"])).write(&path("gw.crt"), &path("gw.key"));
    check(&secured.ask(&[&TRUSTED, &SHOWN]), 2, &["no answer (Unauthenticated)"]);
}

#[test]
fn a_token_may_say_who_asks_where_certificates_are_optional() {
    let secured = Secured::new("optional");
    check(&secured.ask(&[&TRUSTED]), 0, &["PERMIT", "why:"]);
    assert_eq!(secured.place.records_of("decided").pop().unwrap()["caller"], "operator");
    let token = ["--token-file", "data/admin.token"];
    check(&secured.ask(&[&TRUSTED, &SHOWN, &token]), 0, &["PERMIT", "why:"]);
    check(&secured.ask(&[&TRUSTED, &["--data", "nowhere"]]), 2, &["no answer (Unauthenticated)"]);
}

#[test]
fn a_server_that_cannot_be_trusted_is_not_asked() {
    let secured = Secured::new("optional");
    let decided = secured.place.records_of("decided").len();
    let words = "its certificate is of an issuer that is not trusted here; name the issuer's certificate with --tls-ca FILE";
    fs::write(secured.place.path().join("other.crt"), Authority::new("acme").pem()).unwrap();
    check(
        &secured.ask(&[&["--tls-ca", "other.crt", "--tls-name", SERVER]]),
        2,
        &["no connection to https://127", words],
    );
    let other = "its certificate is for another name; if that is meant, say it with --tls-name NAME";
    check(&secured.ask(&[&["--tls-ca", "ca.crt"]]), 2, &[other]);
    check(&secured.ask(&[&["--tls-ca", "ca.crt", "--tls-name", "other.example"]]), 2, &[other, SERVER]);
    assert_eq!(secured.place.records_of("decided").len(), decided);
}

#[test]
fn a_certificate_of_a_server_that_has_expired_is_not_trusted() {
    let secured = Secured::new("optional");
    let path = |name: &str| secured.place.path().join(name);
    let Secured { place, authority, server: running } = &secured;
    authority.issue(server().valid(-7200, -3600)).write(&path("tls.crt"), &path("tls.key"));
    running.process().signal(rustix::process::Signal::HUP);
    running.log().wait_for_text("as they are now");
    let address = format!("https://{}", running.grpc);
    let ended = authorize(place, &[&["--grpc", &address], &READ[..], &TRUSTED].concat());
    check(&ended, 2, &["its certificate cannot be trusted", "expired"]);
}

#[test]
fn tls_and_none_of_it_are_told_apart() {
    let secured = Secured::new("optional");
    let plain = secured.server.grpc.to_string();
    let ask = |options: &[&str]| authorize(&secured.place, &[options, &READ[..]].concat());
    check(&ask(&["--grpc", &plain]), 2, &["if it has `listen.grpc_tls`, write --grpc https://HOST:PORT"]);
    check(
        &ask(&["--grpc", &plain, "--tls-ca", "ca.crt"]),
        2,
        &["--tls-ca is for TLS; write the address as --grpc https://HOST:PORT"],
    );
    check(&ask(&["--grpc", "unix:x.sock", "--tls-name", "x"]), 2, &["--tls-name is for TLS"]);
    check(&ask(&["--tls-certificate", "gw.crt"]), 2, &["--tls-key <FILE>"]);
    check(&ask(&["--tls-key", "gw.key"]), 2, &["--tls-certificate <FILE>"]);
    check(&ask(&["--bundle", "bundle", "--tls-ca", "ca.crt"]), 2, &["cannot be used with"]);
    check(
        &ask(&["--grpc", "https://127.0.0.1:1", "--tls-ca", "ca.crt"]),
        2,
        &["no server answers at https://127.0.0.1:1"],
    );

    let open = Place::with(PERMIT);
    let server = open.start();
    let address = format!("https://{}", server.grpc);
    check(&ask(&["--grpc", &address, "--tls-ca", "ca.crt"]), 2, &["it speaks no TLS; leave `https://` out"]);
}

#[test]
fn files_of_tls_that_cannot_be_used_are_named() {
    let secured = Secured::new("optional");
    let path = |name: &str| secured.place.path().join(name);
    check(&secured.ask(&[&["--tls-ca", "no.crt"]]), 2, &["cannot read `no.crt`"]);
    fs::write(path("junk"), "junk").unwrap();
    let words = "`junk` holds no certificate in PEM, which begins with `-----BEGIN CERTIFICATE`";
    check(&secured.ask(&[&["--tls-ca", "junk"]]), 2, &[words]);
    check(&secured.ask(&[&TRUSTED, &["--tls-certificate", "junk", "--tls-key", "gw.key"]]), 2, &[words]);
    let key = secured.ask(&[&TRUSTED, &["--tls-certificate", "gw.crt", "--tls-key", "junk"]]);
    check(&key, 2, &["`junk` holds no unencrypted private key in PEM"]);
    let of_another = secured.ask(&[&TRUSTED, &["--tls-certificate", "gw.crt", "--tls-key", "tls.key"]]);
    check(&of_another, 2, &["TLS cannot be used so"]);
}
