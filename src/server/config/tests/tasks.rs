//! `listen.http` and `tasks`.

use super::super::super::tls::Clients;
use super::*;
use crate::identity::Algorithm;
use crate::server::signing;
use crate::task::Required;

fn tasks(text: &str) -> Tasks {
    let text = format!("tasks: {{ {text} }}\n");
    parsed(&text).unwrap_or_else(|error| panic!("{text}: {error}")).tasks
}

/// Refused at the first line, with these words.
fn check(text: &str, parts: &[&str]) {
    check_refused(&format!("tasks: {{ {text} }}\n"), &[&["p.yaml:1"], parts].concat());
}

#[test]
fn nothing_configured_has_tasks_that_live_short_and_are_bound_to_keys() {
    let signing = signing::Config {
        algorithm: Algorithm::Es256,
        rotate_s: 30 * 86_400,
        overlap_s: 28_800,
        key_files: vec![],
    };
    let wanted = Tasks {
        enabled: true,
        issuer: "http://127.0.0.1:8181".into(),
        public_url: None,
        ttl_default_s: 900,
        ttl_max_s: 28_800,
        depth_max: 3,
        calls_max: 1000,
        calls_window_max: 100_000,
        calls_window_s: 86_400,
        bearer: false,
        asserted: true,
        required: Required::Never,
        drift_grace: Duration::from_secs(5),
        drift_share_max: 0.5,
        open_max: 1_000_000,
        signing,
    };
    assert_eq!(parsed("").unwrap().tasks, wanted);
}

#[test]
fn all_of_it_can_be_configured() {
    let text = "enabled: true, issuer: 'urn:acme:pdp', public_url: 'https://pdp.acme.example/palisade/', \
                ttl_default_s: 60, ttl_max_s: 600, depth_max: 0, calls_max: 5, calls_window_max: 50, \
                calls_window_s: 3600, bearer: true, asserted: true, required: tools, drift_grace_ms: 0, \
                drift_share_max: 1, open_max: 10, signing: { algorithm: EdDSA, rotate_days: 1 }";
    let all = tasks(text);
    assert_eq!((all.issuer.as_str(), all.ttl_default_s, all.ttl_max_s), ("urn:acme:pdp", 60, 600));
    assert_eq!(all.public_url.as_deref(), Some("https://pdp.acme.example/palisade"));
    assert_eq!((all.depth_max, all.calls_max, all.calls_window_max, all.calls_window_s), (0, 5, 50, 3600));
    assert!(all.bearer && all.asserted && all.drift_grace.is_zero());
    assert_eq!((all.required, all.drift_share_max, all.open_max), (Required::Tools, 1.0, 10));
    let signing =
        signing::Config { algorithm: Algorithm::EdDsa, rotate_s: 86_400, overlap_s: 600, key_files: vec![] };
    assert_eq!(all.signing, signing);
    assert_eq!(tasks("required: always").required, Required::Always);
    let files = tasks("signing: { key_files: [a.pem, b.der] }").signing.key_files;
    assert_eq!(files, [PathBuf::from("a.pem"), PathBuf::from("b.der")]);
    assert_eq!(tasks("ttl_max_s: 60").ttl_default_s, 60, "no task lives longer than any may");
}

#[test]
fn the_issuer_is_where_http_listens_unless_it_has_a_name() {
    let with = |text: &str| parsed(text).unwrap().tasks;
    assert_eq!(with("listen: { http: '127.0.0.1:0' }\n").issuer, "http://127.0.0.1:0");
    let tls = "listen: { http: '[::1]:9', http_tls: { certificate: c.pem, key: k.pem } }\n";
    assert_eq!(with(tls).issuer, "https://[::1]:9");
    let named = tasks("issuer: 'https://pdp.acme.example/'");
    assert_eq!(named.issuer, "https://pdp.acme.example/", "as it is written");
    assert_eq!(named.public_url.as_deref(), Some("https://pdp.acme.example"));
}

#[test]
fn a_name_that_can_be_no_issuer_is_refused() {
    let long = format!("https://{}.example", "a".repeat(250));
    for wrong in [
        "",
        "pdp",
        "pdp.acme.example",
        "https://",
        "ftp://a.example",
        "https://a b",
        "https://ä.example",
        "https://a.example?x",
        "https://a.example/#f",
        "https://user@a.example",
        "urn:",
        "urn:acme",
        "urn:acme:",
        "urn:acme:a b",
        &long,
    ] {
        check(&format!("issuer: '{wrong}'"), &["`tasks.issuer`", "can be no issuer", "256"]);
    }
    for wrong in ["urn:acme:pdp", "pdp.acme.example", "https://a.example?x", ""] {
        check(&format!("public_url: '{wrong}'"), &["`tasks.public_url`", "no URL of a server"]);
    }
    let trust = "trust: { issuers: [{ issuer: 'https://idp.example', human: {} }] }\n";
    let text = format!("{trust}tasks: {{ issuer: 'https://idp.example' }}\n");
    check_refused(&text, &["`tasks.issuer`", "p.yaml:2", "somebody else's name"]);
}

#[test]
fn a_bound_out_of_its_range_is_refused() {
    for (key, wrong, range) in [
        ("ttl_default_s", "0", "from 1 to 28800"),
        ("ttl_default_s", "28801", "from 1 to 28800"),
        ("ttl_max_s", "604801", "from 1 to 604800"),
        ("depth_max", "9", "from 0 to 8"),
        ("calls_max", "0", "from 1 to 1000000000"),
        ("calls_window_max", "0", "from 1 to 1000000000"),
        ("calls_window_s", "31536001", "from 1 to 31536000"),
        ("drift_grace_ms", "3600001", "from 0 to 3600000"),
        ("open_max", "0", "from 1 to 10000000"),
    ] {
        check(&format!("{key}: {wrong}"), &[&format!("`tasks.{key}`"), range]);
        check(&format!("{key}: -1"), &["no whole number"]);
    }
    for wrong in ["-0.1", "1.5", ".nan", ".inf"] {
        check(&format!("drift_share_max: {wrong}"), &["`tasks.drift_share_max`", "from 0 to 1"]);
    }
    check("required: sometimes", &["sometimes"]);
    check("bearer: perhaps", &["invalid boolean"]);
    check("ttl: 5", &["ttl"]);
}

#[test]
fn signing_that_contradicts_itself_is_refused() {
    let refused = |text: &str, parts: &[&str]| check(&format!("signing: {{ {text} }}"), parts);
    refused("algorithm: RS256", &["`tasks.signing.algorithm`", "`ES256` or `EdDSA`"]);
    refused("algorithm: es256", &["`tasks.signing.algorithm`"]);
    refused("rotate_days: 0", &["`tasks.signing.rotate_days`", "from 1 to 3650"]);
    refused("key_files: [a.pem], rotate_days: 3", &["`tasks.signing.rotate_days`", "none is made"]);
    refused("key_files: [a.pem], algorithm: ES256", &["`tasks.signing.algorithm`", "take this or them out"]);
    refused("key_files: [a.pem, '']", &["`tasks.signing.key_files[1]`", "it is empty"]);
    let many = vec!["a.pem"; 17].join(", ");
    refused(&format!("key_files: [{many}]"), &["`tasks.signing.key_files`", "at most 16"]);
}

#[test]
fn without_tasks_http_is_served_all_the_same() {
    let off = parsed("tasks: { enabled: false }\n").unwrap();
    assert_eq!((off.listen.http.address.port(), off.callers.local().is_some()), (8181, true));
    assert!(parsed("listen: { http: '0.0.0.0:8181' }\ntasks: { enabled: false }\n").is_err());
}

#[test]
fn http_that_others_reach_needs_callers_and_has_no_local_one() {
    check_refused(
        "listen: { http: '0.0.0.0:8181' }\n",
        &["callers", "HTTP listens on 0.0.0.0:8181", "127.0.0.1"],
    );
    check_refused("listen:\n  http: localhost\n", &["`listen.http`", "p.yaml:2", "`localhost`", HTTP]);
    let with = |http: &str, proof: &str, more: &str| {
        let caller = format!("{{ name: gw, {proof}, roles: [authorize], servers: '*' }}");
        parsed(&format!("listen: {{ {http} }}\ncallers: [{caller}]\n{more}"))
    };
    let token = format!("token_sha256: {DIGEST_OF_TOKEN}");
    assert!(with("http: '0.0.0.0:8181'", &token, "").unwrap().callers.local().is_none());
    let believed = with("http: '0.0.0.0:8181'", &token, "local_caller: { enabled: true }\n").unwrap_err();
    assert!(believed.to_string().contains("0.0.0.0:8181 would be believed"), "{believed}");
    // A certificate is known only where one is verified.
    let tls = "certificate: c.pem, key: k.pem, client_ca: ca.pem";
    let name = "dns_name: a.b";
    let both = format!("http: '0.0.0.0:1', http_tls: {{ {tls} }}, grpc_tls: {{ {tls} }}");
    assert!(with(&both, name, "").is_ok());
    let grpc_alone = format!("http: '0.0.0.0:1', grpc_tls: {{ {tls} }}");
    let refused = with(&grpc_alone, name, "").unwrap_err().to_string();
    assert!(refused.contains("HTTP listens on 0.0.0.0:1, where no caller is known"), "{refused}");
}

#[test]
fn tls_of_http_is_checked_like_that_of_grpc() {
    let tls = |text: &str| parsed(&format!("listen:\n  http_tls: {{ {text} }}\n"));
    let http = tls("certificate: c.pem, key: k.pem").unwrap().listen.http;
    assert_eq!((http.tls.unwrap().clients, http.hosts.len()), (Clients::Unasked, 0));
    for (text, words) in [
        ("certificate: c.pem", "needs its key"),
        ("spiffe: { workload_api: 'tcp://a:1' }", "`listen.http_tls.spiffe.workload_api`"),
        (
            "certificate: c.pem, key: k.pem, client_certificates: optional",
            "`listen.http_tls.client_certificates`",
        ),
    ] {
        let refused = tls(text).unwrap_err().to_string();
        assert!(refused.contains(words) && refused.contains("p.yaml:2"), "{refused}");
    }
}
