//! `palisade token inspect`, as a shell sees it: what it says of good, bad and hopeless tokens, and what it never says.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::tokens::{AUDIENCE, ISSUER, Signer, b64, claims, now_s, unsigned, with};

/// In a claim that no check looks at.
const CANARY: &str = "cAnArY-in-a-claim";
const KEYS_IN_A_FILE: &str = "keys: { file: jwks.json }";
const GOOD: i32 = 0;
const REFUSED: i32 = 1;
const TROUBLE: i32 = 2;

/// A directory with a configuration, keys, and a token.
struct Desk {
    place: TempDir,
    signer: Signer,
}

/// How it ended, and what it printed.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        let this = Self { place: TempDir::new().unwrap(), signer: Signer::new() };
        this.write("jwks.json", this.signer.jwks("k1"));
        this.trust(KEYS_IN_A_FILE);
        this
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.place.path().join(name), content).unwrap();
    }

    /// Trusts the issuer, whose keys are there.
    fn trust(&self, keys: &str) {
        self.write(
            "palisade.yaml",
            format!(
                "trust:\n  audience: ['{AUDIENCE}']\n  issuers:\n    - issuer: {ISSUER}\n      {keys}\n      \
                 algorithms: [ES256]\n      human: {{}}\n      agent: client_id\n"
            ),
        );
    }

    fn token(&self, claims: &Json) -> String {
        self.signer.token("k1", &with(claims, "note", CANARY))
    }

    /// Inspects what a file has.
    fn inspect(&self, token: &str, options: &[&str]) -> Said {
        self.write("token.txt", token);
        let said = self.run("token.txt", options, "");
        said.keeps(token);
        said
    }

    fn run(&self, file: &str, options: &[&str], input: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command.args(["token", "inspect", file]).args(options).current_dir(self.place.path());
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who has read enough hangs up.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let ended = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: ended.status.code().unwrap(), out: text(ended.stdout), err: text(ended.stderr) }
    }
}

impl Said {
    /// Ended so, and said all of that.
    #[track_caller]
    fn check(&self, code: i32, words: &[&str]) {
        let Self { code: ended, out, err } = self;
        assert_eq!(*ended, code, "{out}{err}");
        let (words_of, silent) = if code == TROUBLE { (err, out) } else { (out, err) };
        assert!(silent.is_empty(), "{silent}");
        for part in words {
            assert!(words_of.contains(part), "no `{part}` in:\n{words_of}");
        }
    }

    /// Repeats no part of the token, as it is or decoded.
    #[track_caller]
    fn keeps(&self, token: &str) {
        let said = format!("{}{}", self.out, self.err);
        for part in token.split(['.', ' ', '\n']).filter(|part| part.len() > 16) {
            assert!(!said.contains(part), "a part of the token in:\n{said}");
        }
        assert!(!said.contains(CANARY), "{said}");
    }
}

#[test]
fn a_good_token_is_explained_check_by_check() {
    let desk = Desk::new();
    let said = desk.inspect(&desk.token(&claims("ana", "support-bot")), &[]);
    said.check(
        GOOD,
        &[
            "ok  form       three parts",
            "ok  header     `alg` ES256, the key `k1`, `typ` `at+jwt`",
            &format!("ok  issuer     `{ISSUER}` is trusted"),
            &format!("ok  signature  valid, by a key of `{ISSUER}`"),
            "ok  type       it is taken as `access_token`",
            &format!("ok  audience   for `{AUDIENCE}`"),
            "ok  time       valid for ",
            "ok  binding    a bearer token: whoever has it can use it",
            "ok  parties    the agent with the client id `support-bot` acts for Human::\"ana\"",
        ],
    );
}

#[test]
fn a_token_out_of_its_time_says_since_when() {
    let desk = Desk::new();
    let token = desk.token(&claims("ana", "bot"));
    let at = |seconds: i64| desk.inspect(&token, &["--at", &(now_s() + seconds).to_string()]);
    at(600 + 7230).check(REFUSED, &["no  time       expired 2 h 0 min ago (`exp` is "]);
    at(600 + 3 * 86_400 + 60).check(REFUSED, &["expired 3 d 0 h ago"]);
    at(600 + 15).check(GOOD, &["ok  time       expired, but within the leeway of 30 s"]);
    at(-600).check(REFUSED, &["no  time       is valid only in ", "(`iat`); is a clock wrong?"]);
    let later = with(&claims("ana", "bot"), "nbf", now_s() + 300);
    desk.inspect(&desk.token(&later), &[]).check(REFUSED, &["(`nbf`)"]);
}

#[test]
fn a_token_for_somebody_else_says_who_was_expected_and_whom_it_names() {
    let desk = Desk::new();
    let other = "https://mcp.acme.example/crm";
    let token = desk.token(&with(&claims("ana", "bot"), "aud", other));
    let expected =
        format!("no  audience   is for another audience (`aud`); expected `{AUDIENCE}`; it says `{other}`");
    desk.inspect(&token, &[]).check(REFUSED, &[&expected]);
    desk.inspect(&token, &["--server-audience", other]).check(GOOD, &["ok  audience   for `https://mcp"]);
    desk.inspect(&token, &["--server-audience", "https://x"]).check(REFUSED, &["or `https://x`; it says"]);
}

#[test]
fn keys_and_signatures_that_do_not_fit_are_told_apart() {
    let desk = Desk::new();
    let claims = claims("ana", "bot");
    let unknown = desk.signer.token("k2", &claims);
    desk.inspect(&unknown, &[])
        .check(REFUSED, &["the key `k2`", "no  key        is signed with a key that its"]);
    let forged = Signer::new().token("k1", &claims);
    desk.inspect(&forged, &[]).check(REFUSED, &["no  signature  has a signature that is not valid"]);
    let header = |alg: &str| json!({ "alg": alg, "typ": "at+jwt", "kid": "k1" });
    let under = |alg: &str| desk.inspect(&desk.signer.sign(&header(alg), &claims), &[]);
    under("ES384")
        .check(REFUSED, &["no  key        is signed with ES384, which is not an algorithm of that key"]);
    under("HS256").check(REFUSED, &["no  form       is signed with a shared secret"]);
    under("none").check(REFUSED, &["no  form       is not signed (`alg` is `none`)"]);
    under("XX1").check(REFUSED, &["no  form       is signed with an algorithm that is not known here"]);
    let typed = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
    desk.inspect(&desk.signer.sign(&typed, &claims), &[])
        .check(REFUSED, &["no  type       is not of an accepted type; expected `typ` `at+jwt`"]);
    let foreign = desk.token(&with(&claims, "iss", "https://as.acme.example/"));
    desk.inspect(&foreign, &[])
        .check(REFUSED, &["no  issuer     ", "is not in `trust.issuers`; names are compared"]);
    let nameless = desk.token(&with(&claims, "jti", Json::Null));
    desk.inspect(&nameless, &[]).check(REFUSED, &["no  claims     ", "`jti`"]);
}

#[test]
fn bound_tokens_say_what_each_request_must_bring() {
    let desk = Desk::new();
    let bound = with(&claims("ana", "bot"), "cnf", json!({ "jkt": Signer::new().thumbprint() }));
    desk.inspect(&desk.token(&bound), &[]).check(GOOD, &["each request must bring a DPoP proof"]);
    let bound = with(&claims("ana", "bot"), "cnf", json!({ "x5t#S256": b64([7; 32]) }));
    desk.inspect(&desk.token(&bound), &[]).check(GOOD, &["bound to a client certificate"]);
}

#[test]
fn without_a_trust_it_is_said_what_to_do() {
    let desk = Desk::new();
    let token = desk.token(&claims("ana", "bot"));
    desk.write("other.yaml", "bundle: .\n");
    desk.inspect(&token, &["--config", "other.yaml"]).check(
        TROUBLE,
        &["error: `other.yaml` trusts nobody's tokens; name their issuer in its `trust.issuers`"],
    );
    desk.inspect(&token, &["--config", "no.yaml"]).check(TROUBLE, &["no configuration file `no.yaml`"]);
    fs::remove_file(desk.place.path().join("palisade.yaml")).unwrap();
    desk.inspect(&token, &[]).check(
        TROUBLE,
        &["error: there is no `palisade.yaml` here", "name the server's configuration with --config FILE"],
    );
    desk.write("palisade.yaml", "trust: { isuers: [] }\n");
    desk.inspect(&token, &[]).check(TROUBLE, &["palisade.yaml:1", "isuers"]);
}

#[test]
fn keys_come_from_a_file_and_are_never_fetched() {
    let desk = Desk::new();
    let token = desk.token(&claims("ana", "bot"));
    desk.trust("keys: { file: no.json }");
    desk.inspect(&token, &[])
        .check(TROUBLE, &[&format!("cannot take the keys of `{ISSUER}` from `no.json`: No such file")]);
    desk.write("bad.json", "{");
    desk.trust("keys: { file: bad.json }");
    desk.inspect(&token, &[]).check(TROUBLE, &["from `bad.json`: they are no JSON"]);
    desk.trust(KEYS_IN_A_FILE);
    desk.inspect(&token, &["--keys", "jwks.json"])
        .check(TROUBLE, &["--keys is for issuers whose keys the server fetches"]);
    // Nobody listens there, and nobody is asked.
    desk.trust("keys: { url: 'http://127.0.0.1:1/jwks' }");
    desk.inspect(&token, &[])
        .check(REFUSED, &["?   key        there are no keys of its issuer here", "`--keys`"]);
    desk.inspect(&token, &["--keys", "jwks.json"]).check(GOOD, &["ok  signature"]);
    desk.inspect(&token, &["--keys", "no.json"]).check(TROUBLE, &["from `no.json`: No such file"]);
    desk.inspect(&token, &["--keys", "bad.json"]).check(TROUBLE, &["they are no JSON"]);
}

#[test]
fn keys_of_an_issuer_need_not_fit_a_trust_domain() {
    let desk = Desk::new();
    desk.write(
        "palisade.yaml",
        format!(
            "trust:\n  audience: ['{AUDIENCE}']\n  spiffe: [{{ trust_domain: acme.example, keys: {{ url: 'https://x.example/' }} }}]\n  \
             issuers: [{{ issuer: '{ISSUER}', human: {{}}, agent: client_id }}]\n"
        ),
    );
    desk.inspect(&desk.token(&claims("ana", "bot")), &["--keys", "jwks.json"])
        .check(GOOD, &["ok  signature"]);
    desk.write("jwks.json", desk.signer.jwks("k1").replace("\"kty\"", "\"use\":\"jwt-svid\",\"kty\""));
    let header = json!({ "alg": "ES256", "kid": "k1" });
    let svid = json!({ "sub": "spiffe://acme.example/bot", "aud": AUDIENCE, "exp": now_s() + 60 });
    desk.inspect(&desk.signer.sign(&header, &svid), &["--keys", "jwks.json"]).check(
        GOOD,
        &[
            "the trust domain `acme.example` is trusted",
            "the agent with the SPIFFE ID `spiffe://acme.example/bot` on its own",
        ],
    );
}

#[test]
fn what_holds_no_one_token_is_trouble() {
    let desk = Desk::new();
    let token = desk.token(&claims("ana", "bot"));
    desk.inspect("", &[]).check(TROUBLE, &["error: `token.txt` is empty; put the token there"]);
    desk.inspect(" \n\t\n", &[]).check(TROUBLE, &["`token.txt` is empty"]);
    desk.inspect("Bearer \n", &[]).check(TROUBLE, &["`token.txt` is empty"]);
    desk.inspect(&format!("{token}\n{token}\n"), &[])
        .check(TROUBLE, &["`token.txt` holds 2 words, and the token is one; leave one there, in one line"]);
    desk.inspect(&format!("Bearer {token} {token}"), &[]).check(TROUBLE, &["holds 2 words"]);
    desk.run("no.txt", &[], "").check(TROUBLE, &["cannot read the token from `no.txt`: No such file"]);
    desk.run(".", &[], "").check(TROUBLE, &["cannot read the token from `.`: Is a directory"]);
    desk.write("bytes", [0xff, 0xfe, 0x00]);
    desk.run("bytes", &[], "").check(TROUBLE, &["`bytes` holds no text"]);
}

#[test]
fn junk_is_refused_however_long_it_is() {
    let desk = Desk::new();
    let mib = 1 << 20;
    desk.inspect(&"x".repeat(mib), &[])
        .check(REFUSED, &["no  form       has 1048576 bytes, and no more than 16384"]);
    desk.inspect(&"x".repeat(mib + 1), &[]).check(TROUBLE, &["has more than 1 MiB"]);
    desk.inspect(&"x ".repeat(mib / 2), &[]).check(TROUBLE, &["holds 524288 words"]);
    desk.inspect(&"x".repeat(1000), &[]).check(REFUSED, &["no  form       is no signed JWT in compact form"]);
    desk.inspect(&".".repeat(1000), &[]).check(REFUSED, &["is no signed JWT"]);
    desk.inspect("a.b.c.d.e", &[]).check(REFUSED, &["is encrypted or compressed; send a signed JWT"]);
    let claims = claims("ana", "bot");
    let padded = format!("{}==.{}", unsigned(&json!({ "alg": "ES256" }), &claims), b64("signature"));
    desk.inspect(&padded, &[]).check(REFUSED, &["has claims not written in base64url without padding"]);
}

#[test]
fn the_scheme_of_a_header_and_space_around_it_may_come_along() {
    let desk = Desk::new();
    let token = desk.token(&claims("ana", "bot"));
    for text in [
        format!("  {token}\r\n"),
        format!("Bearer {token}\n"),
        format!("DPoP  {token}"),
        format!("bearer\n{token}"),
    ] {
        desk.inspect(&text, &[]).check(GOOD, &["ok  form"]);
    }
}

#[test]
fn standard_input_is_read_where_the_file_is_a_dash() {
    let desk = Desk::new();
    let token = desk.token(&claims("ana", "bot"));
    let said = desk.run("-", &[], &format!("{token}\n"));
    said.check(GOOD, &["ok  parties"]);
    said.keeps(&token);
    desk.run("-", &[], "").check(TROUBLE, &["error: standard input is empty; put the token there"]);
    let junk = "x".repeat((1 << 20) + 10);
    desk.run("-", &[], &junk).check(TROUBLE, &["standard input has more than 1 MiB"]);
}

#[test]
fn a_token_on_the_command_line_is_refused_and_not_repeated() {
    let desk = Desk::new();
    let token = desk.token(&claims("ana", "bot"));
    let said = desk.run(&token, &[], "");
    said.check(
        TROUBLE,
        &["the token stands on the command line, where others can see it; put it into a file"],
    );
    said.keeps(&token);
}

#[test]
fn the_checks_as_json_have_one_form_for_good_and_bad() {
    let desk = Desk::new();
    let as_json = |token: &str, code: i32| {
        let said = desk.inspect(token, &["--format", "json"]);
        said.check(code, &[]);
        serde_json::from_str::<Json>(&said.out).unwrap()
    };
    let good = as_json(&desk.token(&claims("ana", "bot")), GOOD);
    assert_eq!(good["taken"], true);
    let names: Vec<_> =
        good["checks"].as_array().unwrap().iter().map(|check| check["check"].clone()).collect();
    assert_eq!(
        Json::Array(names),
        json!([
            "form",
            "header",
            "issuer",
            "signature",
            "type",
            "audience",
            "time",
            "revocation",
            "binding",
            "parties"
        ])
    );
    for check in good["checks"].as_array().unwrap() {
        let keys: Vec<_> = check.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 3, "{check}");
        assert_eq!(check["passed"], true);
        assert!(check["words"].as_str().is_some_and(|words| !words.is_empty()));
    }
    let bad = as_json("x.y", REFUSED);
    assert_eq!((&bad["taken"], &bad["checks"][0]["check"]), (&false.into(), &"form".into()));
    desk.trust("keys: { url: 'http://127.0.0.1:1/jwks' }");
    let open = as_json(&desk.token(&claims("ana", "bot")), REFUSED);
    assert_eq!((&open["taken"], &open["checks"][3]["passed"]), (&false.into(), &Json::Null));
}
