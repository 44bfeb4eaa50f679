//! `listen.grpc_tls` and what callers are known by.

use std::fmt::Write as _;

use super::super::super::tls::{Clients, Files, Source};
use super::*;
use crate::identity::{Certificate, Peer, UnixUser};

const FILES: &str = "certificate: c.pem, key: k.pem";
const WITH_CA: &str = "certificate: c.pem, key: k.pem, client_ca: ca.pem";
const SPIFFE: &str = "spiffe: { workload_api: 'unix:///run/agent.sock' }";

fn tls(text: &str) -> Result<server_tls::Config, String> {
    let settings = parsed(&format!("listen:\n  grpc_tls: {{ {text} }}\n"));
    settings.map(|settings| settings.listen.grpc_tls.unwrap()).map_err(|error| error.to_string())
}

fn check(text: &str, parts: &[&str]) {
    let said = tls(text).unwrap_err();
    for part in parts {
        assert!(said.contains(part), "`{part}` in: {said}");
    }
}

/// Callers with these proofs, one a line from the third on, behind this TLS.
fn callers(tls: &str, proofs: &[&str]) -> Result<Callers, ConfigError> {
    let mut text = format!("listen: {{ grpc_tls: {{ {tls} }} }}\ncallers:\n");
    for (at, proofs) in proofs.iter().enumerate() {
        writeln!(text, "  - {{ name: c{at}, {proofs}, roles: [authorize], servers: '*' }}").unwrap();
    }
    parsed(&text).map(|settings| settings.callers)
}

fn check_callers(tls: &str, proofs: &[&str], parts: &[&str]) {
    let said = callers(tls, proofs).unwrap_err().to_string();
    for part in parts {
        assert!(said.contains(part), "`{part}` in: {said}");
    }
}

#[test]
fn clients_are_asked_for_certificates_where_something_can_verify_them() {
    assert_eq!(parsed("").unwrap().listen.grpc_tls, None);
    let files = |client_ca: Option<&str>| {
        let client_ca = client_ca.map(PathBuf::from);
        Source::Files(Files { certificate: "c.pem".into(), key: "k.pem".into(), client_ca })
    };
    let of = |text: &str| tls(text).unwrap();
    assert_eq!(of(FILES), server_tls::Config { source: files(None), clients: Clients::Unasked });
    assert_eq!(of(WITH_CA), server_tls::Config { source: files(Some("ca.pem")), clients: Clients::Required });
    assert_eq!(of(&format!("{WITH_CA}, client_certificates: optional")).clients, Clients::Optional);
    assert_eq!(of(SPIFFE).clients, Clients::Required);
    assert_eq!(of(&format!("{SPIFFE}, client_certificates: optional")).clients, Clients::Optional);
}

#[test]
fn tls_that_is_incomplete_or_contradicts_itself_is_refused() {
    check("certificate: c.pem", &["`listen.grpc_tls`", "p.yaml:2", "needs its key"]);
    check("key: c.pem", &["needs its key"]);
    check("client_ca: c.pem", &["`listen.grpc_tls`", "no certificate", "or `spiffe`"]);
    check(&format!("{FILES}, {SPIFFE}"), &["from files or from SPIFFE", "take out"]);
    check(&format!("client_ca: c.pem, {SPIFFE}"), &["`listen.grpc_tls.client_ca`", "take this out"]);
    check(
        &format!("{FILES}, client_certificates: required"),
        &["`listen.grpc_tls.client_certificates`", "p.yaml:2", "`client_ca`"],
    );
    check(&format!("{WITH_CA}, client_certificates: maybe"), &["p.yaml:2", "maybe"]);
    check(&format!("{WITH_CA}, ca: x"), &["p.yaml:2", "ca"]);
}

#[test]
fn the_workload_api_is_on_a_unix_socket_and_trust_domains_are_names() {
    for wrong in ["tcp://127.0.0.1:8000", "/run/agent.sock", "unix://host/run", "unix:///run?x=1", ""] {
        check(
            &format!("spiffe: {{ workload_api: '{wrong}' }}"),
            &["`listen.grpc_tls.spiffe.workload_api`", "p.yaml:2", "no unix socket", "unix:///"],
        );
    }
    let domains =
        |text: &str| format!("spiffe: {{ workload_api: 'unix:///run/agent.sock', trust_domains: [{text}] }}");
    assert!(tls(&domains("acme.example, partner.example")).is_ok());
    for wrong in ["'spiffe://acme.example'", "ACME.example", "'acme.example/x'", "''"] {
        check(
            &domains(&format!("ok.example, {wrong}")),
            &["`listen.grpc_tls.spiffe.trust_domains[1]`", "no trust domain", "acme.example"],
        );
    }
}

#[test]
fn callers_are_known_by_what_they_prove() {
    let callers = callers(
        WITH_CA,
        &[
            "spiffe_id: 'spiffe://acme.example/gw'",
            "dns_name: mail.acme.example, unix_user: 1000",
            &format!("token_sha256: {DIGEST_OF_TOKEN}, unix_user: 1001"),
        ],
    )
    .unwrap();
    let certificate = |uris: &[&str], names: &[&str]| Certificate {
        uris: uris.iter().map(ToString::to_string).collect(),
        dns_names: names.iter().map(ToString::to_string).collect(),
        thumbprint: [0; 32],
    };
    let who = |peer: Peer| {
        callers
            .identify(None, &peer, &crate::identity::Trust::nobody(), 0)
            .map(|caller| caller.name.to_string())
            .ok()
    };
    let shows = |certificate| who(Peer::elsewhere().with_certificate(certificate));
    let runs = |uid| who(Peer::here().with_user(UnixUser { uid, gid: 0 }));
    assert_eq!(shows(certificate(&["spiffe://acme.example/gw"], &[])).as_deref(), Some("c0"));
    assert_eq!(shows(certificate(&[], &["mail.acme.example"])).as_deref(), Some("c1"));
    assert_eq!((runs(1000).as_deref(), runs(1001).as_deref(), runs(0)), (Some("c1"), Some("c2"), None));
    assert_eq!(&*callers.by_token("token").unwrap().name, "c2");
    assert!(callers.local().is_none());
}

#[test]
fn proofs_that_prove_nothing_are_refused() {
    let id = "spiffe_id: 'spiffe://acme.example/gw'";
    check_callers(
        FILES,
        &["agentless: true"],
        &["`callers[0]`", "p.yaml:3", "`token_sha256`, `jwt`, `spiffe_id`"],
    );
    for wrong in ["spiffe://acme.example", "spiffe://ACME.example/gw", "SPIFFE://acme.example/gw", "gw", ""] {
        check_callers(
            WITH_CA,
            &[&format!("spiffe_id: '{wrong}'")],
            &["`callers[0].spiffe_id`", "p.yaml:3", "no SPIFFE ID of a workload"],
        );
    }
    for wrong in ["'*.acme.example'", "MAIL.acme.example", "'mail.'", "''", "'a b'", "'-a.b'"] {
        let proofs = format!("dns_name: {wrong}");
        check_callers(WITH_CA, &[&proofs], &["`callers[0].dns_name`", "p.yaml:3", "no DNS name"]);
    }
    for wrong in [65_534, u32::MAX] {
        let proofs = format!("unix_user: {wrong}");
        check_callers(FILES, &[&proofs], &["`callers[0].unix_user`", "p.yaml:3", "may be many"]);
    }
    check_callers(FILES, &["unix_user: root"], &["p.yaml:3"]);
    check_callers(FILES, &[id], &["`callers[0].spiffe_id`", "no certificate of a client is verified"]);
    check_callers(FILES, &["dns_name: a.b"], &["`callers[0].dns_name`", "`client_ca`"]);
    check_callers(SPIFFE, &["dns_name: a.b"], &["vouch for no DNS name", "use `spiffe_id`"]);
    let domains = "spiffe: { workload_api: 'unix:///a', trust_domains: [other.example] }";
    check_callers(domains, &[id], &["no client of `acme.example`", "trust_domains"]);
}

#[test]
fn two_callers_with_the_same_proof_are_refused() {
    for (member, proof, words) in [
        ("spiffe_id", "spiffe_id: 'spiffe://acme.example/gw'", "same SPIFFE ID"),
        ("dns_name", "dns_name: a.b", "same DNS name"),
        ("unix_user", "unix_user: 1000", "same user"),
    ] {
        check_callers(WITH_CA, &[proof, proof], &[&format!("`callers[1].{member}`"), "p.yaml:4", words]);
    }
}

#[test]
fn a_listener_that_others_reach_needs_a_caller_that_can_be_known_there() {
    let on = |tls: &str, proof: &str| {
        let caller = format!("{{ name: gw, {proof}, roles: [authorize], servers: '*' }}");
        parsed(&format!("listen: {{ grpc: '0.0.0.0:1', grpc_tls: {{ {tls} }} }}\ncallers: [{caller}]\n"))
    };
    assert!(on(WITH_CA, "dns_name: a.b").is_ok());
    assert!(on(SPIFFE, "spiffe_id: 'spiffe://a.b/c'").is_ok());
    assert!(on(FILES, &format!("token_sha256: {DIGEST_OF_TOKEN}")).is_ok());
    let refused = on(WITH_CA, "unix_user: 1000").unwrap_err().to_string();
    assert!(refused.contains("no caller is known by a token or a certificate"), "{refused}");
}

#[test]
fn the_documented_ways_of_tls_are_taken() {
    let page = include_str!("../../../../docs/configuration.md");
    let section = page.split("## TLS\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let examples: Vec<_> =
        section.split("```yaml").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let settings = parsed(example).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(settings.listen.grpc_tls.unwrap().clients, Clients::Required);
    }
}

#[test]
fn callers_are_known_by_signed_tokens_of_issuers_that_are_trusted() {
    let with = |trust: &str, proofs: &[&str]| {
        let mut text = format!("trust: {{ {trust} }}\ncallers:\n");
        for (at, proofs) in proofs.iter().enumerate() {
            writeln!(text, "  - {{ name: c{at}, {proofs}, roles: [authorize], servers: '*' }}").unwrap();
        }
        text += "listen: { grpc: '0.0.0.0:8180' }\n";
        parsed(&text).map(|settings| settings.callers).map_err(|error| error.to_string())
    };
    let issuer = "issuers: [{ issuer: 'https://idp.example', agent: client_id }]";
    let domain = "spiffe: [{ trust_domain: acme.example, keys: { file: b.json } }]";
    let trust = format!("audience: ['https://pdp.example'], {issuer}, {domain}");
    let gateway = "jwt: { issuer: 'https://idp.example', sub: gw }";
    let sidecar = "jwt: { issuer: acme.example, sub: 'spiffe://acme.example/gw' }";
    assert!(with(&trust, &[gateway, sidecar]).is_ok(), "known to an address that others reach");
    let refused = |trust: &str, proofs: &[&str], parts: &[&str]| {
        let said = with(trust, proofs).unwrap_err();
        for part in parts {
            assert!(said.contains(part), "`{part}` in: {said}");
        }
    };
    refused(&trust, &[gateway, gateway], &["`callers[1].jwt`", "p.yaml:4", "the same issuer and `sub`"]);
    let other = "jwt: { issuer: 'https://other.example', sub: gw }";
    refused(&trust, &[other], &["`callers[0].jwt`", "p.yaml:3", "neither in `trust.issuers`"]);
    let nobody = "jwt: { issuer: 'https://idp.example', sub: '' }";
    refused(&trust, &[nobody], &["`callers[0].jwt`", "p.yaml:3", "`sub` is empty"]);
    refused(issuer, &[gateway], &["`callers[0].jwt`", "p.yaml:3", "`trust.audience`"]);
    refused(&trust, &["jwt: { issuer: 'https://idp.example' }"], &["p.yaml:3", "sub"]);
    refused(&trust, &["jwt: { issuer: 'https://idp.example', sub: a, aud: b }"], &["p.yaml:3", "aud"]);
}
