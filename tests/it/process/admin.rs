//! The administration's port of the running server.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use palisade::audit::digest::hex;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::child::DEADLINE;
use super::http;
use super::place::{FORBID, PERMIT, POLICY, Place};
use super::server::{probe, tool_call};

/// A configuration with one caller, `gw`, that may ask and no more.
fn gateway(token: &str) -> String {
    let digest = hex(&Sha256::digest(token.as_bytes()));
    format!(
        "callers:\n  - name: gw\n    token_sha256: {digest}\n    roles: [authorize, assert]\n    servers: \"*\"\n"
    )
}

#[test]
fn live_and_ready_are_open_and_say_ok() {
    let place = Place::with(PERMIT);
    let server = place.start();
    for path in ["/livez", "/readyz"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"), "{path}");
    }
    assert_eq!(server.get("/nothing").status, 404);
    assert_eq!(http::request(server.admin, "POST", "/livez", &[]).status, 405);
}

#[test]
fn the_bundle_the_reload_and_the_keys_are_for_the_operator() {
    let place = Place::with(PERMIT);
    place.configure(&gateway("gateway-token"));
    let server = place.start();
    let before = server.bundle()["in_force"]["revision"].clone();
    place.write(POLICY, FORBID);
    for (method, path) in [("GET", "/bundle"), ("POST", "/reload"), ("GET", "/keys")] {
        let status = |token: Option<&str>| {
            let authorization = token.map(|token| format!("Bearer {token}"));
            let headers: Vec<_> =
                authorization.iter().map(|value| ("Authorization", value.as_str())).collect();
            http::request(server.admin, method, path, &headers)
        };
        let nobody = status(None);
        assert_eq!(nobody.status, 401, "{nobody:?}");
        assert!(nobody.head.to_lowercase().contains("www-authenticate: bearer"), "{nobody:?}");
        assert_eq!(status(Some("wrong")).status, 401, "{method} {path}");
        let known = status(Some("gateway-token"));
        assert_eq!(known.status, 403, "{known:?}");
        assert!(known.body.contains("the caller `gw` has not the role `admin`"), "{known:?}");
        assert!(!known.body.contains(before.as_str().unwrap()), "{known:?}");
        assert_eq!(server.operate(method, path).status, 200, "{method} {path}");
    }
    assert_eq!(http::request(server.admin, "GET", "/reload", &[]).status, 405, "a link cannot reload");
}

#[test]
fn the_bundle_in_force_is_shown_with_its_counts_and_warnings() {
    let place = Place::shipped();
    let server = place.start();
    let status = server.bundle();
    assert_eq!(status["failing"], json!(null));
    assert_eq!(status["bundle"], place.bundle().display().to_string());
    let counts = &status["in_force"]["counts"];
    for (what, least) in [("files", 20), ("policies", 20), ("entities", 50), ("servers", 8), ("tools", 40)] {
        assert!(counts[what].as_u64().is_some_and(|count| count >= least), "{what}: {counts}");
    }
}

#[test]
fn a_host_name_that_a_web_page_made_up_is_refused() {
    let place = Place::with(PERMIT);
    place.configure("listen:\n  admin_hosts: [palisade.internal]\n");
    let server = place.start();
    let port = server.admin.port();
    let status = |host: &str| http::request(server.admin, "GET", "/metrics", &[("Host", host)]).status;
    for good in ["localhost", "127.0.0.1", "palisade.internal", "[::1]"] {
        assert_eq!(status(good), 200, "{good}");
        assert_eq!(status(&format!("{good}:{port}")), 200, "{good} with a port");
    }
    for bad in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8182"] {
        assert_eq!(status(bad), 421, "{bad}");
    }
    let token = server.token();
    let reload = [("Host", "evil.example"), ("Authorization", token.as_str())];
    assert_eq!(http::request(server.admin, "POST", "/reload", &reload).status, 421, "even with the token");
}

#[test]
fn a_head_without_end_is_refused_and_others_are_served() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let mut stream = TcpStream::connect(server.admin).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: ").unwrap();
    // It may be cut off in the middle of this.
    let _ = stream.write_all(&vec![b'a'; 64 * 1024]);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(server.get("/livez").status, 200);
}

/// One sample line: its name, its labels' names, its value.
fn sample(line: &str) -> (String, Vec<String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let Some((name, labels)) = series.split_once('{') else { return (series.to_owned(), vec![], value) };
    let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("labels without end: {line}"));
    let names = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
        let (name, value) = label.split_once('=').unwrap_or_else(|| panic!("a label without value: {line}"));
        assert!(value.len() >= 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
        name.to_owned()
    });
    (name.to_owned(), names.collect(), value)
}

#[test]
fn metrics_are_well_formed_and_name_no_principal_resource_or_policy() {
    let place = Place::shipped();
    let server = place.start();
    let client = server.client();
    let refund = client.ask(tool_call("issue_refund", &json!({"order": "o-1", "amount": 10}))).unwrap();
    client.ask(tool_call("no_such_tool", &json!({}))).unwrap();
    client.ask(probe("")).unwrap();
    place.write("policies/bad.cedar", "permit (");
    server.reload();

    let answer = server.get("/metrics");
    assert!(
        answer.head.to_lowercase().contains("content-type: application/openmetrics-text"),
        "{}",
        answer.head
    );
    assert!(answer.body.ends_with("# EOF\n"));
    let typed: BTreeSet<&str> =
        answer.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let mut labels = BTreeSet::new();
    let mut names = BTreeSet::new();
    for line in answer.body.lines().filter(|line| !line.starts_with('#')) {
        let (name, of, _) = sample(line);
        assert!(name.starts_with("palisade_"), "{line}");
        assert!(typed.iter().any(|known| name.starts_with(known)), "no type for {line}");
        assert!(names.insert(line.rsplit_once(' ').unwrap().0.to_owned()), "twice: {line}");
        labels.extend(of);
    }
    let allowed = ["face", "issuer", "le", "outcome", "reason", "result", "revision", "status", "version"];
    let other: Vec<_> = labels.iter().filter(|label| !allowed.contains(&label.as_str())).collect();
    assert!(other.is_empty(), "{other:?}");
    let ids = ["ana", "support-bot", "bot", "issue_refund", "crm", "support/refund", "no_such_tool", "Doc"];
    for id in
        ids.into_iter().map(str::to_owned).chain([refund.decision_id, place.path().display().to_string()])
    {
        assert!(!answer.body.contains(&format!("\"{id}\"")), "{id} is in the metrics");
    }
    for (series, value) in [
        ("palisade_bundle_failing", 1.0),
        ("palisade_audit_writable", 1.0),
        ("palisade_audit_failures_total", 0.0),
        ("palisade_decision_duration_seconds_count", 3.0),
        ("palisade_reloads_total{result=\"failed\"}", 1.0),
    ] {
        assert_eq!(server.metric(series), Some(value), "{series} in:\n{}", answer.body);
    }
}

#[test]
fn health_over_grpc_says_serving_and_reflection_lists_the_services() {
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    let services = client.runtime().block_on(async {
        let mut health = HealthClient::new(super::server::channel(server.grpc));
        for service in ["", "palisade.v1.Authorization"] {
            let check = HealthCheckRequest { service: service.into() };
            let answer = health.check(check).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "`{service}`");
        }
        let mut reflection = ServerReflectionClient::new(super::server::channel(server.grpc));
        let list = tonic_reflection::pb::v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut answers =
            reflection.server_reflection_info(tokio_stream::once(list)).await.unwrap().into_inner();
        match answers.message().await.unwrap().unwrap().message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    });
    let gateways = ["envoy.service.auth.v3.Authorization", "agentgateway.dev.ext_mcp.ExtMcp"];
    for service in ["palisade.v1.Authorization", "grpc.health.v1.Health"].into_iter().chain(gateways) {
        assert!(services.iter().any(|name| name == service), "{services:?}");
    }
}
