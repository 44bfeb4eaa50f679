//! The administration as its callers see it.
//! Never sleeps.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::*;
use crate::access::Revision;
use crate::audit::{AuditSink, Counts, Memory, Record, Resumed};
use crate::diagnostic::{Diagnostic, File};
use crate::identity::{Caller, Servers};
use crate::server::data::DataDir;
use crate::server::reload::{Bundle, Candidate, Config, Reload, Target};
use crate::server::{clock, journal, listen};

/// A bundle whose files are all it is; bad if one says so.
struct Anything;

impl Target for Anything {
    type Snapshot = ();

    fn compile(&self, files: &[File]) -> Result<Candidate<()>, Vec<Diagnostic>> {
        let text: String = files.iter().map(|file| &*file.text).collect();
        if text.contains("bad") {
            return Err(vec![Diagnostic::error("test::bad", "it is bad").help("mend it")]);
        }
        Ok(Candidate {
            snapshot: (),
            revision: Revision(text.into()),
            counts: Counts::default(),
            warnings: vec![],
        })
    }

    fn publish(&self, (): ()) {}
}

struct Fixture {
    directory: TempDir,
    journal: Arc<Journal>,
    reload: Option<Reload>,
    stop: CancellationToken,
    router: Router,
    _data: DataDir,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(reload) = self.reload.take() {
            reload.stop();
        }
    }
}

fn fixture(address: &str) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    fs::create_dir_all(bundle.join("schemas")).unwrap();
    fs::write(bundle.join("schemas/a.cedarschema"), "one").unwrap();
    let data = DataDir::open(&directory.path().join("data")).unwrap();
    let metrics = Arc::new(Metrics::new());
    let journal = Arc::new(Journal::open(&data, journal::Config::default(), Arc::clone(&metrics)).unwrap());
    let config = Config { poll: Duration::from_hours(1), ..Config::new(&bundle) };
    let bundle = Bundle::start(config, Anything, Arc::new(Memory::new(9)), Arc::clone(&metrics)).unwrap();
    let reload = bundle.watch().unwrap();
    let gateway = Caller {
        name: "gw".into(),
        roles: BTreeSet::from([Role::Authorize]),
        servers: Servers::All,
        agentless: false,
        authenticated: true,
    };
    // SHA-256 of `token`.
    let digest =
        crate::server::data::parse_hex("3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0");
    let callers =
        Callers::new([(digest.unwrap(), gateway.clone())], Some(Caller { name: "local".into(), ..gateway }));
    let stop = CancellationToken::new();
    let router = router(Admin {
        callers: Arc::new(callers.with_operator("op")),
        trusted: Trusted(Box::new(|| Arc::new(Trust::nobody()))),
        metrics,
        reloads: reload.reloads(),
        keys: Keys::default(),
        journal: Arc::clone(&journal),
        open: Arc::new(crate::audit::OpenDecisions::new(1)),
        stop: stop.clone(),
        address: address.parse().unwrap(),
        hosts: vec!["pdp.test".to_owned()],
        tally: Tally(Box::new(|_| {})),
        confirm: Confirm(Box::new(|_| {})),
    });
    Fixture { directory, journal, reload: Some(reload), stop, router, _data: data }
}

impl Fixture {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost:8182");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn status(&self, path: &str) -> StatusCode {
        self.ask("GET", path, &[]).await.0
    }

    fn write(&self, text: &str) {
        // By rename: the watch may look at any moment.
        let folder = self.directory.path().join("bundle/schemas");
        fs::write(folder.join(".beside"), text).unwrap();
        fs::rename(folder.join(".beside"), folder.join("a.cedarschema")).unwrap();
    }
}

const OPERATOR: (&str, &str) = ("authorization", "Bearer op");

#[tokio::test]
async fn live_and_ready_are_open_and_a_stopping_server_is_not_ready() {
    let admin = fixture("127.0.0.1:8182");
    assert_eq!(admin.status("/livez").await, StatusCode::OK);
    assert_eq!(admin.status("/readyz").await, StatusCode::OK);
    admin.stop.cancel();
    assert_eq!(admin.status("/livez").await, StatusCode::OK);
    assert_eq!(admin.status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_server_that_cannot_record_is_not_ready_until_it_can() {
    let admin = fixture("127.0.0.1:8182");
    let path = admin.journal.directory().join("audit.jsonl");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let now = clock::now();
    let record = Resumed { time: now, failing_since: now, refused: 0 };
    admin.journal.record(&Record::Resumed(&record)).unwrap_err();
    assert_eq!(admin.status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    let (_, metrics) = admin.ask("GET", "/metrics", &[]).await;
    assert!(metrics.contains("palisade_audit_writable 0"), "{metrics}");
    fs::remove_file(&path).unwrap();
    assert_eq!(admin.status("/readyz").await, StatusCode::OK);
}

#[tokio::test]
async fn the_bundle_its_reload_and_the_keys_are_for_who_has_the_role_admin() {
    let admin = fixture("127.0.0.1:8182");
    for (method, path) in [("GET", "/bundle"), ("POST", "/reload"), ("GET", "/keys")] {
        assert_eq!(admin.ask(method, path, &[]).await.0, StatusCode::UNAUTHORIZED);
        let wrong = admin.ask(method, path, &[("authorization", "Bearer no")]).await;
        assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
        let gateway = admin.ask(method, path, &[("authorization", "Bearer token")]).await;
        assert_eq!(gateway.0, StatusCode::FORBIDDEN);
        assert_eq!(admin.ask(method, path, &[OPERATOR]).await.0, StatusCode::OK);
    }
    // Who was refused, who reloaded, and how often nobody was known.
    let journal = fs::read_to_string(admin.journal.directory().join("audit.jsonl")).unwrap();
    let told: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = told.iter().map(|line| [&line["caller"], &line["call"], &line["outcome"]]).collect();
    let refused = ["gw", "admin", "refused"];
    assert_eq!(told, [refused, refused, ["operator", "reload", "done"], refused]);
    let (_, metrics) = admin.ask("GET", "/metrics", &[]).await;
    assert!(metrics.contains("palisade_callers_refused_total 6"), "{metrics}");
}

#[tokio::test]
async fn a_bad_bundle_is_shown_with_its_findings_and_the_server_stays_ready() {
    let admin = fixture("127.0.0.1:8182");
    admin.write("bad");
    let (status, body) = admin.ask("POST", "/reload", &[OPERATOR]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["result"], &body["findings"][0]["help"]), (&"failed".into(), &"mend it".into()));
    let (_, body) = admin.ask("GET", "/bundle", &[OPERATOR]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["in_force"]["revision"], "one");
    assert_eq!(body["failing"]["findings"][0]["code"], "test::bad");
    assert_eq!(admin.status("/readyz").await, StatusCode::OK);
    let (_, metrics) = admin.ask("GET", "/metrics", &[]).await;
    assert!(metrics.contains("palisade_bundle_failing 1"), "{metrics}");
    admin.write("two");
    let (status, body) = admin.ask("POST", "/reload", &[OPERATOR]).await;
    // The watch may have been quicker than the question.
    assert!(status == StatusCode::OK && body.contains("\"revision\":\"two\""), "{body}");
}

#[tokio::test]
async fn a_name_that_a_web_page_made_up_is_refused_on_loopback() {
    let admin = fixture("127.0.0.1:8182");
    for host in ["localhost", "LOCALHOST:8182", "127.0.0.1:1", "[::1]", "[::1]:8182", "pdp.test"] {
        assert_eq!(admin.ask("GET", "/livez", &[("host", host)]).await.0, StatusCode::OK, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:8182", "", "evil.example:127.0.0.1"] {
        let refused = admin.ask("GET", "/livez", &[("host", host)]).await.0;
        assert_eq!(refused, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    let elsewhere = fixture("0.0.0.0:8182");
    assert_eq!(elsewhere.ask("GET", "/livez", &[("host", "10.1.2.3:8182")]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_dribbles_its_headers_is_cut_off_and_others_are_served() {
    let admin = fixture("127.0.0.1:8182");
    let (listener, address) = listen::bind("admin", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let stop = CancellationToken::new();
    let limit = Duration::from_millis(50);
    let serving = tokio::spawn(connections::serve_with(listener, admin.router.clone(), stop.clone(), limit));
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHo").await.unwrap();
    let mut quick = TcpStream::connect(address).await.unwrap();
    quick.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    quick.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Ends only because the server closes it.
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    stop.cancel();
    serving.await.unwrap().unwrap();
}
