//! Clients that do not speak, and the one behind them that does.
//! Never sleeps: deadlines are short.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_stream::StreamExt as _;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::server::listen::{Address, bind_grpc};

const PATIENCE: Duration = Duration::from_secs(20);

/// So many milliseconds for the first bytes.
fn preface(milliseconds: u64) -> Deadlines {
    Deadlines { preface: Duration::from_millis(milliseconds), ..Deadlines::default() }
}

/// A listener of the loopback and its address.
async fn listener() -> (Vec<Listener>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (vec![listener.into()], address)
}

/// The health of the server, as an honest client asks for it.
async fn ask(address: SocketAddr) -> i32 {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
    answer.into_inner().status
}

#[tokio::test]
async fn an_honest_client_is_answered_behind_more_silent_ones_than_there_are_places() {
    let (listener, address) = listener().await;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let connections = Door::new(listener, 2).incoming(preface(50));
    let server = tokio::spawn(Server::builder().add_service(health).serve_with_incoming(connections));
    let mut silent = Vec::new();
    for begun in [&b""[..], b"", b"PRI * HTTP/2.0\r\n", b"", b"P"] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(begun).await.unwrap();
        silent.push(socket);
    }
    let status =
        tokio::time::timeout(PATIENCE, ask(address)).await.expect("the honest client waits for ever");
    assert_eq!(status, 1);
    for mut socket in silent {
        // Cut: the end, or a reset where bytes were left unread.
        let end = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await;
        end.expect("a silent socket is left open").ok();
    }
    server.abort();
}

#[tokio::test]
async fn who_has_spoken_may_be_silent_for_longer_than_the_deadline() {
    let (listener, address) = listener().await;
    let mut connections = Door::new(listener, 1).incoming(preface(200));
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut connection = connections.next().await.unwrap().unwrap();
    client.write_all(&[b'x'; PREFACE_BYTES]).await.unwrap();
    connection.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
    assert!(connection.preface.is_none());
    let silence = tokio::time::timeout(Duration::from_millis(400), connection.read_u8()).await;
    assert!(silence.is_err(), "{silence:?}");
}

#[tokio::test]
async fn accepting_ends_with_its_stream() {
    let (listener, address) = listener().await;
    let connections = Door::new(listener, 1).incoming(Deadlines::default());
    drop(connections);
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("the listener is still open");
}

#[tokio::test]
async fn who_shares_a_door_gets_as_many_connections_as_the_others() {
    let (listener, address) = listener().await;
    let door = Door::new(listener, 7);
    let mut sharing = [0; 3].map(|_| door.clone().incoming(Deadlines::default()));
    drop(door);
    // Each lets in two: one that is taken, and one that waits to be.
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(TcpStream::connect(address).await.unwrap());
    }
    let mut let_in = Vec::new();
    for _ in 0..2 {
        for connections in &mut sharing {
            let next = tokio::time::timeout(PATIENCE, connections.next());
            let_in.push(next.await.expect("one has had more than its turns").unwrap().unwrap());
        }
    }
    // The places are shared, too.
    clients.push(TcpStream::connect(address).await.unwrap());
    clients.push(TcpStream::connect(address).await.unwrap());
    let mut any = futures_util::stream::select_all(sharing);
    let_in
        .push(tokio::time::timeout(PATIENCE, any.next()).await.expect("there is a place").unwrap().unwrap());
    assert!(tokio::time::timeout(Duration::from_millis(50), any.next()).await.is_err(), "there is none");
    drop(let_in.pop());
    assert!(tokio::time::timeout(PATIENCE, any.next()).await.is_ok());
}

#[tokio::test]
async fn listeners_share_the_places_and_one_without_clients_takes_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let bound =
        bind_grpc(&["127.0.0.1:0".parse().unwrap(), Address::Unix(path.clone())], 0o600).await.unwrap();
    let (listeners, addresses): (Vec<_>, Vec<_>) = bound.into_iter().unzip();
    let Address::Tcp(address) = addresses[0] else { panic!("{addresses:?}") };
    let mut connections = Door::new(listeners, 1).incoming(Deadlines::default());
    let mut next = async || {
        let connection = tokio::time::timeout(PATIENCE, connections.next()).await.expect("nobody has a turn");
        connection.unwrap().unwrap()
    };
    // Each listener in turn, while the other has nobody.
    for _ in 0..3 {
        let _client = UnixStream::connect(&path).await.unwrap();
        assert!(matches!(next().await.stream, Either::Left(Accepted::Right(_))));
        let _client = TcpStream::connect(address).await.unwrap();
        assert!(matches!(next().await.stream, Either::Left(Accepted::Left(_))));
    }
    // Both at once: the only place is given to the second when the first has gone.
    let _clients = (TcpStream::connect(address).await.unwrap(), UnixStream::connect(&path).await.unwrap());
    let first = next().await;
    assert!(tokio::time::timeout(Duration::from_millis(50), connections.next()).await.is_err());
    drop(first);
    assert!(tokio::time::timeout(PATIENCE, connections.next()).await.is_ok());
}

#[tokio::test]
async fn no_listener_makes_another_wait() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let addresses = ["a", "b", "c"].map(|name| Address::Unix(path(name)));
    let mut listeners: Vec<_> =
        bind_grpc(&addresses, 0o600).await.unwrap().into_iter().map(|(listener, _)| listener).collect();
    let mut waiting = Vec::new();
    // Many at the first, one at the last.
    for name in ["a", "a", "a", "a", "a", "c"] {
        waiting.push(UnixStream::connect(path(name)).await.unwrap());
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        let (stream, peer) = accept(&mut listeners).await;
        assert!(peer.is_here());
        let Arrival::Plain(Accepted::Right(stream)) = stream else { panic!("{stream:?}") };
        let name = stream.local_addr().unwrap().as_pathname().unwrap().file_name().unwrap().to_owned();
        order.push(name.into_string().unwrap());
    }
    assert_eq!(order, ["a", "c", "a", "a", "a", "a"]);
}

/// TLS with a certificate of its own, and a client that trusts it.
async fn secured(directory: &std::path::Path) -> (Tls, tokio_rustls::TlsConnector) {
    use crate::server::tls::{Clients, Config, Files, Source, start};
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = Files { certificate: directory.join("c"), key: directory.join("k"), client_ca: None };
    std::fs::write(&files.certificate, issued.cert.pem()).unwrap();
    std::fs::write(&files.key, issued.signing_key.serialize_pem()).unwrap();
    let config = Config { source: Source::Files(files), clients: Clients::Unasked };
    let (tls, _rotation) = start(&config, crate::server::tls::GRPC).await.unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
    (tls, Arc::new(client).into())
}

#[tokio::test]
async fn a_handshake_that_stalls_frees_its_place_and_holds_nobody_up_while_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, connector) = secured(directory.path()).await;
    let shake = async |address| {
        let stream = TcpStream::connect(address).await.unwrap();
        tokio::time::timeout(PATIENCE, connector.connect("localhost".try_into().unwrap(), stream)).await
    };
    let secured = |listeners: Vec<Listener>| {
        listeners.into_iter().map(|listener| listener.secured(tls.clone())).collect::<Vec<_>>()
    };
    // As many silent ones as there are places: the honest one waits for them to be late.
    let (listeners, address) = listener().await;
    let deadlines = Deadlines { handshake: Duration::from_millis(50), ..Deadlines::default() };
    let mut connections = Door::new(secured(listeners), 2).incoming(deadlines);
    let mut silent = Vec::new();
    for begun in [&b""[..], b"\x16\x03\x01", b"", b"\x16"] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(begun).await.unwrap();
        silent.push(socket);
    }
    let (client, connection) = tokio::join!(shake(address), connections.next());
    client.expect("the honest client waits for ever").unwrap();
    assert!(matches!(connection.unwrap().unwrap().stream, Either::Right(_)));
    for mut socket in silent {
        let end = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await;
        end.expect("a silent socket is left open").ok();
    }
    // One place more than silent ones: nobody waits.
    let (listeners, address) = listener().await;
    let mut connections = Door::new(secured(listeners), 2).incoming(Deadlines::default());
    let _silent = TcpStream::connect(address).await.unwrap();
    let (client, connection) = tokio::join!(shake(address), connections.next());
    client.expect("it waits for the silent one").unwrap();
    assert!(connection.unwrap().unwrap().peer.is_here());
}

#[tokio::test]
async fn handshakes_end_with_the_accepting() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, _connector) = secured(directory.path()).await;
    let (listeners, address) = listener().await;
    let listeners = listeners.into_iter().map(|listener| listener.secured(tls.clone())).collect();
    let connections = Door::new(listeners, 2).incoming(Deadlines::default());
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(b"\x16").await.unwrap();
    drop(connections);
    let end = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await;
    end.expect("the handshake is still under way").ok();
}
