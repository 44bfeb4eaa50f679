//! `trust`: keys that the SPIFFE Workload API streams.

use super::super::super::keys::Source;
use super::*;
use crate::identity::{Algorithm, Use};

const SOCKET: &str = "unix:///run/agent.sock";

fn domain(keys: &str) -> String {
    format!("trust:\n  spiffe:\n  - trust_domain: acme.example\n    keys: {{ {keys} }}\n")
}

#[test]
fn the_keys_of_a_trust_domain_come_from_one_place_and_may_be_streamed() {
    let source = |keys: &str| parsed(&domain(keys)).unwrap().trust.keys.sources[0].clone();
    assert!(matches!(source("url: 'https://acme.example/bundle'").source, Source::Url(_)));
    assert!(matches!(source("file: bundle.json").source, Source::File(_)));
    let streamed = source(&format!("workload_api: '{SOCKET}'"));
    assert!(matches!(streamed.source, Source::WorkloadApi(_)));
    assert_eq!((&*streamed.name, streamed.source.to_string()), ("acme.example", SOCKET.to_owned()));
    for wrong in [
        String::new(),
        format!("workload_api: '{SOCKET}', file: bundle.json"),
        format!("workload_api: '{SOCKET}', url: 'https://acme.example/bundle'"),
        format!("workload_api: '{SOCKET}', discovery: true"),
    ] {
        let parts = ["`trust.spiffe[0].keys`", "p.yaml:4", "in one way", "`url`, `file`, `workload_api`"];
        check_refused(&domain(&wrong), &parts);
    }
}

#[test]
fn the_workload_api_is_on_a_unix_socket() {
    for wrong in ["tcp://127.0.0.1:8081", "/run/agent.sock", "https://agent.example"] {
        let parts = ["`trust.spiffe[0].keys.workload_api`", "p.yaml:4", "no unix socket", "unix:///"];
        check_refused(&domain(&format!("workload_api: '{wrong}'")), &parts);
    }
}

#[test]
fn issuers_have_no_workload_api() {
    let text = format!(
        "trust:\n  issuers:\n  - issuer: https://idp.example\n    keys: {{ workload_api: '{SOCKET}' }}\n    agent: sub\n"
    );
    check_refused(&text, &["`trust.issuers[0].keys`", "p.yaml:4", "`url`, `file`, `discovery: true`"]);
}

#[test]
fn what_keys_are_for_depends_on_whose_they_are_and_where_they_come_from() {
    let text = format!(
        "trust:\n  issuers:\n  - {{ issuer: 'https://idp.example', agent: sub, algorithms: [ES256] }}\n  spiffe:\n  \
         - {{ trust_domain: a.example, keys: {{ file: a.json }} }}\n  \
         - {{ trust_domain: b.example, keys: {{ workload_api: '{SOCKET}' }} }}\n"
    );
    let trust = parsed(&text).unwrap().trust;
    assert_eq!(trust.keys_use("https://idp.example"), (Use::Signatures, &[Algorithm::Es256][..]));
    assert_eq!(trust.keys_use("a.example"), (Use::JwtSvid, &Algorithm::ALL[..]));
    assert_eq!(trust.keys_use("b.example"), (Use::JwtBundle, &Algorithm::ALL[..]));
}
