//! Clients that do not speak, and the one behind them that does.
//! Never sleeps: deadlines are short.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_stream::StreamExt as _;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A listener of the loopback and its address.
async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
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
    let connections = incoming(listener, 2, Duration::from_millis(50));
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
    let mut connections = incoming(listener, 1, Duration::from_millis(200));
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
    let connections = incoming(listener, 1, PREFACE_TIMEOUT);
    drop(connections);
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused).await.expect("the listener is still open");
}
