//! HTTP over real connections.
//! Never sleeps.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::api::oauth::{Behind, Exchange, Inspected, Issued, Refusal, TaskAuthority};
use crate::api::{Peer, openapi};
use crate::identity::{Caller, Role, Servers, Token, UnknownCaller};
use crate::server::config::{Environment, Overrides, parse};
use crate::server::listen;
use crate::server::tls::{self, Clients, Files, Source};

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// Says where a call came from.
struct Told;

impl TaskAuthority for Told {
    fn jwks(&self) -> Arc<str> {
        r#"{"keys":[]}"#.into()
    }

    fn exchange(&self, _asked: &Exchange<'_>) -> Result<Issued, Refusal> {
        Err(Refusal::InvalidGrant("no".into()))
    }

    fn sign(&self, _claims: &[u8]) -> Option<String> {
        None
    }

    fn introspect(&self, _caller: &Caller, _token: &Token) -> Option<Inspected> {
        None
    }

    fn turned_away(&self, _caller: &Caller, _call: &str, _words: &str) {}

    fn caller(&self, _authorization: Option<&str>, peer: &Peer) -> Result<Arc<Caller>, UnknownCaller> {
        let (roles, servers) = ([Role::Authorize].into(), Servers::All);
        let local = Caller { name: "local".into(), roles, servers, agentless: false, authenticated: false };
        if peer.is_here() { Ok(Arc::new(local)) } else { Err(UnknownCaller::NoProof) }
    }
}

/// A running listener.
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

fn site(text: &str, address: SocketAddr) -> Site {
    let settings = parse(std::path::Path::new("p.yaml"), text, Overrides::default(), Environment::default());
    let settings = settings.unwrap();
    Site::new(
        &settings.listen.http,
        &settings.tasks,
        address,
        Some(Behind::Tasks(Arc::new(Told))),
        AuthZenRoutes::default(),
    )
}

async fn start(patience: Patience, limits: Limits, secured: Option<tls::Tls>) -> Running {
    let text = "listen: { http_hosts: [pdp.test] }\ntasks: { public_url: 'https://pdp.example:444' }\n";
    start_with(text, patience, limits, secured).await
}

async fn start_with(text: &str, patience: Patience, limits: Limits, secured: Option<tls::Tls>) -> Running {
    let (listener, address) = listen::bind("http", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (site, stop) = (site(text, address), CancellationToken::new());
    let listener = Listener::from(listener);
    let listener = match secured {
        Some(tls) => listener.secured(tls),
        None => listener,
    };
    let serving = tokio::spawn(serve(listener, site.into(), limits, patience, stop.clone()));
    Running { address, stop, serving }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads to the end.
    async fn send(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.serving).await.expect("it does not end").unwrap().unwrap();
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection may be reset when its client sent more than was read.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection stays open");
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    format!("{head}{FORM}Content-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn the_routes_answer_over_http_1() {
    let running = start(Patience::default(), Limits::default(), None).await;
    for (request, status) in [
        (get("/healthz", "localhost"), "200"),
        (get("/.well-known/jwks.json", "localhost"), "200"),
        (get("/oauth2/token", "localhost"), "405"),
        (get("/nothing", "localhost"), "404"),
        (post("/oauth2/introspect", "token=a"), "200"),
        (post("/oauth2/token", "grant_type=a"), "400"),
    ] {
        let answer = running.send(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    let metadata = running.send(&get("/.well-known/oauth-authorization-server", "localhost")).await;
    assert!(metadata.contains("\"token_endpoint\":\"https://pdp.example:444/oauth2/token\""), "{metadata}");
    running.end().await;
}

#[tokio::test]
async fn the_routes_answer_over_http_2() {
    let running = start(Patience::default(), Limits::default(), None).await;
    let stream = TokioIo::new(running.connect().await);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    for (host, status) in [("localhost", 200), ("evil.example", 421)] {
        let request = axum::http::Request::get(format!("http://{host}/.well-known/jwks.json"));
        let answer = client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{host}");
        answer.into_body().collect().await.unwrap();
    }
    // The end of the serving ends it, too.
    running.end().await;
    timeout(PATIENCE, connection).await.expect("the connection stays open").unwrap().unwrap();
}

#[tokio::test]
async fn a_name_that_a_web_page_made_up_is_refused_on_loopback() {
    let running = start(Patience::default(), Limits::default(), None).await;
    for host in ["localhost", "127.0.0.1:8181", "[::1]:1", "PDP.test", "pdp.example", "pdp.example:444"] {
        let answer = running.send(&get("/healthz", host)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
    }
    for host in ["evil.example", "localhost.evil.example", "", "pdp.example.evil:444"] {
        let answer = running.send(&get("/healthz", host)).await;
        assert!(
            answer.starts_with("HTTP/1.1 421 ") && answer.contains("listen.http_hosts"),
            "{host}: {answer}"
        );
    }
    let twice = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(!running.send(twice).await.starts_with("HTTP/1.1 200 "));
    let none = running.send("GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(none.starts_with("HTTP/1.0 421 "), "{none}");
    running.end().await;
}

#[tokio::test]
async fn without_a_public_url_clients_are_sent_to_where_it_listens() {
    let running =
        start_with("listen: { http: '127.0.0.1:0' }\n", Patience::default(), Limits::default(), None).await;
    let address = running.address;
    let text = running.send(&get("/.well-known/oauth-authorization-server", "localhost")).await;
    assert!(text.contains(&format!("\"jwks_uri\":\"http://{address}/.well-known/jwks.json\"")), "{text}");
    assert!(text.contains("\"issuer\":\"http://127.0.0.1:0\""), "{text}");
}

#[test]
fn a_connection_outlives_those_that_clients_keep() {
    // What Go and reqwest keep one for that is idle.
    assert!(Patience::default().headers > Duration::from_secs(90));
}

#[tokio::test]
async fn who_dribbles_or_says_nothing_is_cut_off_and_others_are_served() {
    let short = Duration::from_millis(50);
    let deadlines = Deadlines { handshake: short, preface: short };
    let running = start(Patience { deadlines, headers: short }, Limits::default(), None).await;
    let mut slow = Vec::new();
    for begun in ["", "G", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A", "PRI * HTTP/2.0\r\n"] {
        let mut stream = running.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let answer = running.send(&get("/healthz", "localhost")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for stream in &mut slow {
        // Ends only because the server closes it.
        let answer = read_to_end(stream).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    running.end().await;
}

#[tokio::test]
async fn bodies_and_heads_that_are_too_long_are_refused_while_others_are_served() {
    let running = start(Patience::default(), Limits::default(), None).await;
    let long = running.send(&post("/oauth2/token", &"a".repeat(70_000))).await;
    assert!(long.starts_with("HTTP/1.1 413 "), "{long}");
    // Said to be long, and never sent.
    let head = format!("POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n{FORM}Connection: close\r\n");
    let said = running.send(&format!("{head}Content-Length: 9999999999\r\n\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    let chunk = format!("{:x}\r\n{}\r\n", 70_000, "a".repeat(70_000));
    let chunked = running.send(&format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")).await;
    assert!(chunked.starts_with("HTTP/1.1 413 "), "{chunked}");
    let head = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: {}\r\n\r\n", "a".repeat(40_000));
    assert!(!running.send(&head).await.contains(" 200 "));
    for garbage in
        ["\0\0\0\0\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n"]
    {
        assert!(!running.send(garbage).await.contains(" 200 "));
    }
    assert!(running.send(&get("/healthz", "localhost")).await.starts_with("HTTP/1.1 200 "));
    running.end().await;
}

#[tokio::test]
async fn no_more_connections_than_the_limit_are_served_at_once() {
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let running = start(Patience::default(), limits, None).await;
    let mut first = running.connect().await;
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    first.read_exact(&mut [0; 12]).await.unwrap();
    let mut second = running.connect().await;
    second.write_all(get("/healthz", "localhost").as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_millis(50), second.read_u8()).await.is_err(), "it waits for a place");
    drop(first);
    assert!(read_to_end(&mut second).await.starts_with("HTTP/1.1 200 "));
    running.end().await;
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_when_the_server_stops() {
    let running = start(Patience::default(), Limits::default(), None).await;
    let mut idle = running.connect().await;
    let mut begun = running.connect().await;
    let request = post("/oauth2/token", "grant_type=a");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    // Its head is read when the server asks for the body.
    begun.write_all(format!("{head}\r\nExpect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
    begun.read_exact(&mut [0; "HTTP/1.1 100 Continue\r\n\r\n".len()]).await.unwrap();
    running.stop.cancel();
    assert_eq!(read_to_end(&mut idle).await, "");
    begun.write_all(body.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut begun).await.starts_with("HTTP/1.1 400 "));
    running.end().await;
}

#[tokio::test]
async fn tls_speaks_both_versions_and_tells_who_is_here() {
    let directory = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| directory.path().join(name);
    let files = Files { certificate: path("c"), key: path("k"), client_ca: None };
    std::fs::write(&files.certificate, issued.cert.pem()).unwrap();
    std::fs::write(&files.key, issued.signing_key.serialize_pem()).unwrap();
    let config = tls::Config { source: Source::Files(files), clients: Clients::Unasked };
    let (secured, _rotation) = tls::start(&config, tls::HTTP).await.unwrap();
    let running = start(Patience::default(), Limits::default(), Some(secured)).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
    for (offered, chosen) in
        [(vec!["http/1.1"], Some("http/1.1")), (vec!["http/1.1", "h2"], Some("h2")), (vec![], None)]
    {
        client.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client.clone()));
        let stream = running.connect().await;
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes), "{offered:?}");
        if chosen != Some("h2") {
            stream.write_all(post("/oauth2/introspect", "token=a").as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
            read.expect("the connection stays open").ok();
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"active\":false}"),
                "{answer}"
            );
        }
    }
    // In the clear there is nothing.
    assert!(!running.send(&get("/healthz", "localhost")).await.contains(" 200 "));
    running.end().await;
}

#[tokio::test]
async fn who_closes_its_side_when_it_has_asked_is_answered() {
    let running = start(Patience::default(), Limits::default(), None).await;
    for request in [get("/.well-known/jwks.json", "localhost"), post("/oauth2/introspect", "token=a")] {
        let mut client = running.connect().await;
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{request}: {answer}");
    }
    running.end().await;
}

#[tokio::test]
async fn who_drops_the_serving_cuts_off_its_connections() {
    let running = start(Patience::default(), Limits::default(), None).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = running.connect().await;
        client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        client.read_exact(&mut [0; 12]).await.unwrap();
        clients.push(client);
    }
    running.serving.abort();
    for client in &mut clients {
        read_to_end(client).await;
    }
    let refused = async { while TcpStream::connect(running.address).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("it listens still");
}

#[test]
fn the_openapi_document_has_every_route_and_no_other() {
    let files = [(
        "schemas/s.cedarschema",
        "entity User; action a appliesTo { principal: [User], resource: [User] };",
    )];
    let pdp = Arc::new(crate::pdp::Pdp::over(&files, crate::audit::Memory::new(1)));
    let (callers, clock) = (crate::identity::Callers::default(), Arc::new(crate::server::SystemClock));
    let (limits, types) = (crate::api::Limits::default(), crate::api::authzen::Types::default());
    let porc =
        crate::api::Porc::new(pdp.clone(), callers.clone(), clock.clone(), limits, types.clone()).routes();
    let faces = crate::api::AuthZen::new(pdp, callers, clock, limits, types).routes().merge(porc);
    let settings =
        parse(std::path::Path::new("p.yaml"), "", Overrides::default(), Environment::default()).unwrap();
    let address = "127.0.0.1:1".parse().unwrap();
    let routes = |behind: Option<Behind>| {
        let authzen = AuthZenRoutes { routes: faces.clone(), ..AuthZenRoutes::default() };
        Site::new(&settings.listen.http, &settings.tasks, address, behind, authzen).routes
    };
    for behind in [None, Some(Behind::Tasks(Arc::new(Told)))] {
        let document = openapi::document(behind.is_some());
        let described: std::collections::BTreeSet<String> =
            document["paths"].as_object().unwrap().keys().cloned().collect();
        // What a router prints of itself names its paths, each in quotes; `/` stands for what is nowhere.
        let printed = format!("{:?}", routes(behind));
        let served: std::collections::BTreeSet<String> = printed
            .split('"')
            .filter(|text| text.len() > 1 && text.starts_with('/') && !text.contains("{*__private__"))
            .map(str::to_owned)
            .collect();
        assert_eq!(served, described);
        assert!(described.len() >= 5);
    }
}
