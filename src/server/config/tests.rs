//! Configurations that are taken, and those that are refused with a place and advice.
//! Never reads the real environment.

mod ext_authz;
mod tasks;
mod tls;
mod trust;
mod workload;

use std::time::Duration;

use super::*;
use crate::identity::{Role, Servers};

const DIGEST_OF_TOKEN: &str = "3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0";

fn parsed(text: &str) -> Result<Settings, ConfigError> {
    parse(Path::new("p.yaml"), text, Overrides::default(), Environment::default())
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// The text of the refusal.
fn refused(text: &str) -> String {
    parsed(text).unwrap_err().to_string()
}

fn check_refused(text: &str, parts: &[&str]) {
    let said = refused(text);
    for part in parts {
        assert!(said.contains(part), "`{part}` in: {said}");
    }
}

#[test]
fn nothing_configured_serves_on_loopback_and_trusts_the_local_caller_for_authorize_alone() {
    for text in ["", "# nothing\n\n"] {
        let settings = parsed(text).unwrap();
        assert_eq!(settings.listen.grpc, [address(GRPC)]);
        assert_eq!(settings.listen.grpc_socket_mode, 0o600);
        assert_eq!(settings.listen.admin.to_string(), ADMIN);
        let http = settings.listen.http;
        assert_eq!((http.address.to_string().as_str(), http.tls, http.hosts), (HTTP, None, vec![]));
        assert_eq!((settings.reload.bundle, settings.data), (PathBuf::from("."), PathBuf::from("data")));
        let local = settings.callers.local().unwrap();
        assert_eq!(local.roles, [Role::Authorize, Role::Assert].into());
        assert!(!local.agentless);
        assert!(!local.authenticated, "where a call comes from proves nothing");
        assert!(settings.telemetry.json, "not a terminal");
    }
}

#[test]
fn everything_can_be_configured() {
    let settings = parsed(&format!(
        r#"
bundle: /etc/palisade/bundle
data: /var/lib/palisade
listen: {{ grpc: "0.0.0.0:1", admin: "[::1]:2", admin_hosts: [pdp.local] }}
callers:
  - name: gw
    token_sha256: {DIGEST_OF_TOKEN}
    roles: [authorize, assert, outcome, explain, admin]
    servers: [crm, github.com]
    agentless: true
local_caller: {{ enabled: auto }}
reload: {{ poll_ms: 1000, debounce_ms: 50 }}
audit: {{ rotate_bytes: 1048576 }}
log: {{ format: human, level: debug }}
telemetry: {{ otlp_endpoint: "http://localhost:4317", service_name: pdp, sample_ratio: 0.5 }}
limits: {{ batch_len_max: 10, concurrent_streams_max: 5 }}
"#
    ))
    .unwrap();
    let caller = settings.callers.by_token("token").unwrap();
    assert_eq!((&*caller.name, caller.agentless, caller.roles.len()), ("gw", true, 5));
    assert_eq!(caller.servers, Servers::Named(["crm".to_owned(), "github.com".to_owned()].into()));
    assert!(settings.callers.local().is_none(), "another machine could claim to be local");
    assert_eq!(settings.reload.poll, Duration::from_secs(1));
    assert_eq!(settings.journal.rotate_bytes, 1_048_576);
    assert_eq!((settings.limits.batch_len_max, settings.limits.concurrent_streams_max), (10, 5));
    assert_eq!(settings.limits.message_bytes_max, Limits::default().message_bytes_max);
    assert_eq!((settings.telemetry.json, settings.telemetry.filter.as_str()), (false, "debug"));
    assert!(settings.callers.with_operator("op").by_token("op").is_some());
}

#[test]
fn the_command_line_wins_over_the_file_and_rust_log_over_the_level() {
    let overrides = Overrides {
        bundle: Some("b".into()),
        data: Some("d".into()),
        grpc: vec![address("127.0.0.1:0"), address("unix:p.sock")],
        http: Some("127.0.0.1:0".parse().unwrap()),
        admin: Some("127.0.0.1:0".parse().unwrap()),
    };
    let environment = Environment { log: Some("trace".into()), ..Environment::default() };
    let text = "bundle: x\ndata: y\nlisten: { grpc: ['0.0.0.0:1', '0.0.0.0:2'] }\nlog: { level: warn }\n";
    let settings = parse(Path::new("p.yaml"), text, overrides, environment).unwrap();
    assert_eq!((settings.reload.bundle, settings.data), (PathBuf::from("b"), PathBuf::from("d")));
    assert_eq!(settings.listen.grpc, [address("127.0.0.1:0"), address("unix:p.sock")]);
    assert_eq!((settings.listen.http.address.port(), settings.listen.admin.port()), (0, 0));
    assert_eq!(settings.telemetry.filter, "trace");
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    check_refused("bundle: x\nlisten:\n  grcp: 127.0.0.1:1\n", &["p.yaml:3", "grcp"]);
    check_refused("bundle: [\n", &["p.yaml"]);
    check_refused("bundle: x\nbundle: y\n", &["p.yaml:2", "bundle"]);
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_key_line_and_advice() {
    check_refused("listen:\n  grpc: localhost\n", &["listen.grpc", "p.yaml:2", "`localhost`", GRPC]);
    check_refused("limits:\n\n  batch_len_max: 0\n", &["limits.batch_len_max", "p.yaml:3", "from 1 to"]);
    check_refused("reload: { poll_ms: 5s }\n", &["p.yaml:1"]);
    check_refused("telemetry:\n  sample_ratio: 2\n", &["telemetry.sample_ratio", "p.yaml:2", "0 to 1"]);
    check_refused(
        "telemetry:\n  otlp_endpoint: collector\n",
        &["telemetry.otlp_endpoint", "p.yaml:2", "http://"],
    );
    check_refused("log:\n  level: 'a=b=c'\n", &["log.level", "p.yaml:2"]);
    check_refused("local_caller:\n  enabled: perhaps\n", &["p.yaml:2", "auto"]);
}

#[test]
fn callers_that_cannot_be_told_apart_or_may_do_nothing_are_refused() {
    let caller = |name: &str, digest: &str, roles: &str, servers: &str| {
        format!("  - {{ name: {name}, token_sha256: '{digest}', roles: {roles}, servers: {servers} }}\n")
    };
    let one = caller("gw", DIGEST_OF_TOKEN, "[authorize]", "'*'");
    let check = |second: &str, parts: &[&str]| check_refused(&format!("callers:\n{one}{second}"), parts);
    let other = "0".repeat(64);
    check(&caller("gw", &other, "[authorize]", "'*'"), &["callers[1].name", "p.yaml:3", "taken"]);
    check(&caller("local", &other, "[authorize]", "'*'"), &["callers[1].name", "taken"]);
    check(&caller("b", DIGEST_OF_TOKEN, "[authorize]", "'*'"), &["callers[1].token_sha256", "same token"]);
    check(&caller("b", "secret", "[authorize]", "'*'"), &["callers[1].token_sha256", "sha256sum"]);
    check(&caller("b", &other, "[]", "'*'"), &["callers[1].roles"]);
    check(&caller("b", &other, "[root]", "'*'"), &["p.yaml:3", "root"]);
    check(&caller("b", &other, "[authorize]", "[CRM]"), &["callers[1].servers", "`CRM`"]);
    check(&caller("b", &other, "[authorize]", "[tools]"), &["callers[1].servers", "`tools`", "MCP's own"]);
    let long = format!("[{}]", "x".repeat(129));
    check(&caller("b", &other, "[authorize]", &long), &["callers[1].servers", "1 to 128 characters"]);
    check(&caller("b", &other, "[authorize]", "all"), &["p.yaml:3", "list of server ids"]);
}

#[test]
fn a_listener_that_others_reach_needs_callers_and_has_no_local_one() {
    check_refused("listen: { grpc: '0.0.0.0:8180' }\n", &["callers", "127.0.0.1"]);
    let caller = format!("{{ name: gw, token_sha256: {DIGEST_OF_TOKEN}, roles: [authorize], servers: '*' }}");
    let text = format!(
        "listen: {{ grpc: '0.0.0.0:8180' }}\ncallers: [{caller}]\nlocal_caller: {{ enabled: true }}\n"
    );
    check_refused(&text, &["local_caller.enabled", "p.yaml:3", "127.0.0.1"]);
}

#[test]
fn a_unix_socket_is_as_local_as_the_loopback() {
    let believed =
        |grpc: &str| parsed(&format!("listen: {{ grpc: {grpc} }}\n")).unwrap().callers.local().is_some();
    assert!(believed("'unix:/run/p.sock'"));
    assert!(believed("['unix:p.sock', '[::1]:1', '127.0.0.1:1']"));
    let text = "listen: { grpc: 'unix:p.sock' }\nlocal_caller: { enabled: true }\n";
    assert!(parsed(text).unwrap().callers.local().is_some());
    // One listener that others reach is enough.
    check_refused(
        "listen: { grpc: ['unix:p.sock', '0.0.0.0:1'] }\n",
        &["callers", "0.0.0.0:1", "unix socket"],
    );
    let caller = format!("{{ name: gw, token_sha256: {DIGEST_OF_TOKEN}, roles: [authorize], servers: '*' }}");
    let both = format!("listen: {{ grpc: ['unix:p.sock', '0.0.0.0:1'] }}\ncallers: [{caller}]\n");
    assert!(parsed(&both).unwrap().callers.local().is_none());
    let believed = format!("{both}local_caller: {{ enabled: true }}\n");
    check_refused(&believed, &["local_caller.enabled", "p.yaml:3", "0.0.0.0:1 would be believed"]);
}

#[test]
fn one_address_or_a_list_of_them_is_taken_in_its_order() {
    let listen = |text: &str| parsed(&format!("listen:\n  grpc: {text}\n")).unwrap().listen.grpc;
    assert_eq!(listen("unix:/run/p.sock"), [address("unix:/run/p.sock")]);
    assert_eq!(listen("[unix:p.sock, 127.0.0.1:1]"), [address("unix:p.sock"), address("127.0.0.1:1")]);
    assert_eq!(listen("['127.0.0.1:0', '127.0.0.1:0']").len(), 2, "two free ports");
    let refused = |text: &str, parts: &[&str]| check_refused(&format!("listen:\n  grpc: {text}\n"), parts);
    refused("[]", &["`listen.grpc`", "p.yaml:2", "1 to 16 addresses"]);
    refused(&format!("[{}]", vec!["'127.0.0.1:0'"; 17].join(", ")), &["1 to 16 addresses"]);
    refused(
        "\n    - unix:p.sock\n    - localhost:1",
        &["`listen.grpc[1]`", "p.yaml:4", "`localhost:1`", GRPC],
    );
    refused("[unix:p.sock, 'unix:p.sock']", &["p.yaml:2", "`unix:p.sock` twice", "take one"]);
    refused("'unix:'", &["`listen.grpc`", "p.yaml:2", "names no path"]);
    refused(&format!("unix:/{}", "p".repeat(200)), &["p.yaml:2", "201 bytes", "choose a shorter one"]);
    refused("8180", &["p.yaml:2"]);
    refused("{ a: b }", &["p.yaml:2", "an address or a list of addresses"]);
}

#[test]
fn the_mode_of_a_socket_is_octal_and_lets_its_owner_in() {
    let mode = |text: &str| {
        let text = format!("listen:\n  grpc: unix:p.sock\n  grpc_socket_mode: {text}\n");
        parsed(&text).map(|settings| settings.listen.grpc_socket_mode).map_err(|error| error.to_string())
    };
    assert_eq!(mode("\"0600\""), Ok(0o600));
    assert_eq!(mode("'0660'"), Ok(0o660));
    assert_eq!(mode("0666"), Ok(0o666), "unquoted it means the same");
    for wrong in
        ["'0400'", "'0060'", "'0680'", "'01777'", "'1777'", "rw-rw----", "'660'", "432", "'+660'", "''"]
    {
        let refused = mode(wrong).unwrap_err();
        for part in ["`listen.grpc_socket_mode`", "p.yaml:3", "octal", "\"0660\""] {
            assert!(refused.contains(part), "`{part}` in: {refused}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_only_if_it_was_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("no.yaml");
    let missing = load(Some(&path), Overrides::default(), Environment::default()).unwrap_err();
    assert!(matches!(missing, ConfigError::Missing { .. }), "{missing}");
    std::fs::write(&path, "bundle: here\n").unwrap();
    let settings = load(Some(&path), Overrides::default(), Environment::default()).unwrap();
    assert_eq!(settings.reload.bundle, PathBuf::from("here"));
}

#[test]
fn the_documented_configuration_is_taken_and_shows_the_defaults() {
    let page = include_str!("../../../docs/configuration.md");
    let example = page.split("```yaml").nth(1).unwrap().split("```").next().unwrap();
    let documented = parsed(example).unwrap_or_else(|error| panic!("{error}"));
    let default = parsed("").unwrap();
    assert_eq!(documented.limits, default.limits);
    assert_eq!(documented.reload, default.reload);
    assert_eq!(documented.journal, default.journal);
    assert_eq!(documented.listen, default.listen);
    assert_eq!(documented.tasks, default.tasks);
    assert_eq!(documented.ext_authz, default.ext_authz);
    assert_eq!(documented.data, default.data);
    assert_eq!(documented.telemetry.filter, default.telemetry.filter);
    assert!(documented.callers.local().is_none(), "named callers turn the local one off");
}

#[test]
fn the_digest_of_an_empty_token_is_refused() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text =
        format!("callers: [{{ name: gw, token_sha256: {empty}, roles: [authorize], servers: '*' }}]\n");
    check_refused(&text, &["callers[0].token_sha256", "no token at all"]);
    assert!(parsed(&text.replace(empty, DIGEST_OF_TOKEN)).unwrap().callers.local().is_none());
}
