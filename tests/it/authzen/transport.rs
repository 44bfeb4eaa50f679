//! Who may ask, and what HTTP says around the answer.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;

use super::ask::{evaluate, post_as, post_with, raw};
use crate::pdp::{TOKEN, TestPdp, caller, gateway, shipped, shipped_files, snapshot, task_rules};
use palisade::diagnostic::File;
use palisade::identity::{Caller, Role};

const PATH: &str = "/access/v1/evaluation";
/// A token that nobody signed.
const SECRET: &str = "eyJhbGciOiJub25lIn0.c2VjcmV0LXNlY3JldA.eHh4";

fn lookup() -> Json {
    json!({
        "subject": {"type": "identity", "id": "ana"},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": "lookup_customer", "properties": {"arguments": {"customer_id": "c-1"}}},
        "context": {"agent": "support-bot"},
    })
}

#[tokio::test]
async fn only_a_caller_that_is_known_is_answered() {
    let pdp = TestPdp::builder().gateway().caller("t-other", caller("other", &[Role::Tasks])).start().await;
    let json = ("Content-Type", "application/json");
    let body = lookup().to_string();
    for (authorization, status) in [
        (&[][..], 401),
        (&[("Authorization", "Bearer t-nobody")], 401),
        (&[("Authorization", "Bearer ")], 401),
        (&[("Authorization", "Basic dXNlcjpwYXNz")], 401),
        (&[("Authorization", "bearer t-gateway")], 200),
        (&[("Authorization", "Bearer t-other")], 403),
        (&[("Authorization", "Bearer t-gateway"), ("Authorization", "Bearer t-gateway")], 400),
    ] {
        let headers = [authorization, &[json, ("X-Request-ID", "r-7")]].concat();
        let answer = post_with(&pdp, PATH, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{authorization:?}: {answer:?}");
        let challenge = (status == 401).then_some("Bearer realm=\"palisade\"");
        assert_eq!(answer.header("www-authenticate"), challenge, "{answer:?}");
        assert_eq!(answer.header("x-request-id"), Some("r-7"));
    }
    // Who is nobody learns nothing about its body.
    assert_eq!(post_with(&pdp, PATH, &[], b"{").await.status, 401);
    assert_eq!(pdp.ledger.records().iter().filter(|record| record["type"] == "admin").count(), 1);
}

#[tokio::test]
async fn the_local_caller_needs_no_token() {
    let local = Caller { name: "local".into(), ..gateway() };
    let pdp = TestPdp::builder().local(local).start().await;
    let answer =
        post_with(&pdp, PATH, &[("Content-Type", "application/json")], lookup().to_string().as_bytes()).await;
    assert_eq!(answer.body, r#"{"decision":true}"#, "{answer:?}");
}

#[tokio::test]
async fn other_methods_and_paths_say_so_plainly() {
    let pdp = TestPdp::start().await;
    for (request, status) in [
        ("GET /access/v1/evaluation", 405),
        ("PUT /access/v1/evaluations", 405),
        ("OPTIONS /access/v1/evaluation", 405),
        ("DELETE /access/v1/evaluation", 405),
        ("POST /access/v1/evaluation/", 404),
        ("POST /access/v2/evaluation", 404),
        ("GET /", 404),
        ("GET /healthz", 200),
    ] {
        let text = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-ID: r-8\r\n\r\n"
        );
        let answer = raw(&pdp, text.as_bytes()).await;
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        assert_eq!(answer.header("allow"), (status == 405).then_some("POST"), "{request}");
        assert_eq!(answer.header("x-request-id"), Some("r-8"), "{request}");
        if status == 200 {
            assert_eq!(answer.body.trim_end(), "ok");
        }
    }
}

#[tokio::test]
async fn the_clients_id_comes_back_whatever_comes_of_the_request() {
    let pdp = TestPdp::start().await;
    for (request, rest, status) in [
        ("GET /healthz", "", 200),
        ("GET /openapi.json", "", 200),
        ("GET /.well-known/authzen-configuration", "", 200),
        ("GET /nowhere", "", 404),
        ("POST /openapi.json", "", 405),
        ("GET /decision", "", 405),
        ("POST /access/v1/evaluation", "", 401),
        (
            "POST /access/v1/evaluation",
            "Authorization: Bearer t-gateway\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n",
            413,
        ),
    ] {
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{rest}");
        let answer = raw(&pdp, format!("{head}X-Request-ID: r-9\r\n\r\n").as_bytes()).await;
        assert_eq!(
            (answer.status, answer.header("x-request-id")),
            (status, Some("r-9")),
            "{request}: {answer:?}"
        );
        let answer = raw(&pdp, format!("{head}\r\n").as_bytes()).await;
        assert_eq!(
            (answer.status, answer.header("x-request-id")),
            (status, None),
            "{request}: nobody said one"
        );
    }
    // Also of a name that it is not known by.
    let foreign =
        "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nX-Request-ID: r-9\r\n\r\n";
    let answer = raw(&pdp, foreign.as_bytes()).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (421, Some("r-9")), "{answer:?}");
}

#[tokio::test]
async fn the_clients_id_and_trace_are_on_record() {
    let pdp = TestPdp::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let ask = async |id: &str| {
        let headers = [
            ("Authorization", &*bearer),
            ("Content-Type", "application/json"),
            ("X-Request-ID", id),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ];
        let answer = post_with(&pdp, PATH, &headers, lookup().to_string().as_bytes()).await;
        assert_eq!(answer.header("x-request-id"), Some(id));
        pdp.ledger.last()
    };
    let record = ask("order-7/1").await;
    assert_eq!((&record["request_id"], &record["face"]), (&"order-7/1".into(), &"authzen".into()));
    assert_eq!(record["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    // Echoed, and not fit for a record.
    for id in ["a b", &"x".repeat(129)] {
        assert_eq!(ask(id).await["request_id"], Json::Null);
    }
    let answer = evaluate(&pdp, &lookup()).await;
    assert_eq!(answer.header("x-request-id"), None);
    assert_eq!(answer.header("x-palisade-decision-id"), pdp.ledger.last()["decision"].as_str());
    assert_eq!(answer.header("x-palisade-revision"), pdp.ledger.last()["revision"].as_str());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn without_a_record_there_is_no_answer() {
    let pdp = TestPdp::start().await;
    pdp.ledger.set_room(0);
    let answer = evaluate(&pdp, &lookup()).await;
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("text/plain; charset=utf-8")));
    assert!(
        answer.header("x-palisade-decision-id").is_none() && !answer.body.contains("decision\":"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn http_2_says_the_same() {
    let pdp = TestPdp::start().await;
    let stream = TokioIo::new(TcpStream::connect(pdp.http_address).await.unwrap());
    let (client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let asked = (0..50).map(|at| {
        let mut client = client.clone();
        async move {
            let request = http::Request::post(format!("http://localhost{PATH}"))
                .header("authorization", format!("Bearer {TOKEN}"))
                .header("content-type", "application/json")
                .header("x-request-id", format!("r-{at}"));
            let body = if at % 2 == 0 { lookup().to_string() } else { "{".to_owned() };
            let answer =
                client.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
            assert_eq!(answer.headers()["x-request-id"], format!("r-{at}"));
            let status = answer.status().as_u16();
            (status, answer.into_body().collect().await.unwrap().to_bytes())
        }
    });
    for (at, (status, body)) in futures_util::future::join_all(asked).await.into_iter().enumerate() {
        assert_eq!(status, if at % 2 == 0 { 200 } else { 400 });
        assert!(at % 2 == 1 || *body == *br#"{"decision":true}"#);
    }
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_answer_is_of_the_bundle_that_it_names() {
    let pdp = TestPdp::start().await;
    let mut files = shipped_files();
    files.push(File::new("policies/stop.cedar", r#"@id("stop") forbid (principal, action, resource);"#));
    let (open, shut) = (shipped(), snapshot(&files));
    let publishing = async {
        for at in 0..200 {
            pdp.pdp.publish(if at % 2 == 0 { shut.clone() } else { open.clone() });
            tokio::task::yield_now().await;
        }
    };
    let asking = futures_util::future::join_all((0..40).map(|_| async {
        let answer = evaluate(&pdp, &lookup()).await;
        let wanted = answer.header("x-palisade-revision") == Some(&open.revision().to_string());
        assert_eq!(answer.decision(), wanted, "{answer:?}");
    }));
    tokio::join!(publishing, asking);
    assert_eq!(pdp.ledger.records().len(), 40, "each is decided once");
    assert!(!evaluate(&pdp, &lookup()).await.header("x-palisade-revision").unwrap().is_empty());
}

#[tokio::test]
async fn sessions_previews_and_words_of_the_agent_have_a_place() {
    let pdp = TestPdp::start().await;
    let mut body = lookup();
    body["context"]["palisade"] = json!({
        "session": "s-1", "task": "t-1", "purpose": "customer-care", "intent": "the customer asked", "preview": true,
    });
    assert!(evaluate(&pdp, &body).await.decision());
    let record = pdp.ledger.last();
    for (member, value) in
        [("session", "s-1"), ("task", "t-1"), ("purpose", "customer-care"), ("mode", "preview")]
    {
        assert_eq!(record[member], value);
    }
    body["context"]["palisade"]["preview"] = false.into();
    assert!(evaluate(&pdp, &body).await.decision());
    // The session is that pair's now.
    body["context"]["agent"] = "lead-bot".into();
    assert_eq!(evaluate(&pdp, &body).await.json()["context"]["reason"], "session_mismatch");
}

#[tokio::test]
async fn tokens_are_verified_and_never_shown() {
    let pdp = TestPdp::builder().gateway().tasks(task_rules()).start().await;
    for member in ["subject_token", "task_token"] {
        let mut body = lookup();
        body["context"]["palisade"] = json!({member: SECRET});
        let answer = post_as(&pdp, TOKEN, PATH, &body).await;
        assert_eq!(answer.json()["context"]["reason"], "unauthenticated", "{member}");
        assert!(!answer.body.contains("c2VjcmV0") && !pdp.ledger.last().to_string().contains("c2VjcmV0"));
        assert!(answer.header("x-palisade-state-revision").is_some());
    }
    // A state that is not known here yet.
    let mut body = lookup();
    body["context"]["palisade"] = json!({"min_state_revision": 1_000_000});
    assert_eq!(evaluate(&pdp, &body).await.json()["context"]["reason"], "stale");
}
