//! A server that answers as it is told, well or badly.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

#[derive(Clone)]
pub(super) enum Answer {
    /// 200 and this document, with its length.
    Document(Vec<u8>),
    /// These bytes, and the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, and then nothing, for ever.
    Hangs(Vec<u8>),
    /// 200 and chunks without end.
    Endless,
    /// The document, but only when told.
    Held(Arc<Notify>, Vec<u8>),
}

impl Answer {
    pub(super) fn status(status: &str) -> Self {
        Self::raw(&format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))
    }

    pub(super) fn raw(text: &str) -> Self {
        Self::Raw(text.as_bytes().to_owned())
    }
}

#[derive(Default)]
struct Script {
    answers: Mutex<HashMap<String, Answer>>,
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    sent: AtomicUsize,
}

pub(super) struct Peer {
    pub(super) address: SocketAddr,
    script: Arc<Script>,
    _connections: JoinSet<()>,
}

impl Peer {
    pub(super) async fn start() -> Self {
        Self::start_with(None).await
    }

    pub(super) async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::<Script>::default();
        let mut all = JoinSet::new();
        let own = script.clone();
        all.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                own.connections.fetch_add(1, Ordering::SeqCst);
                let (tls, script) = (tls.clone(), own.clone());
                connections.spawn(async move {
                    match tls {
                        None => script.answer(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                script.answer(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, script, _connections: all }
    }

    /// One that answers `/keys` so.
    pub(super) async fn with(answer: Answer) -> Self {
        let peer = Self::start().await;
        peer.set("/keys", answer);
        peer
    }

    pub(super) fn set(&self, path: &str, answer: Answer) {
        self.script.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub(super) fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        self.script.requests.lock().unwrap().len()
    }

    pub(super) fn connections(&self) -> usize {
        self.script.connections.load(Ordering::SeqCst)
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.script.requests.lock().unwrap().clone()
    }

    /// How many bytes of endless answers left.
    pub(super) fn sent(&self) -> usize {
        self.script.sent.load(Ordering::SeqCst)
    }
}

impl Script {
    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let path = target.split('?').next().unwrap();
        let answer = self.answers.lock().unwrap().get(path).cloned();
        self.requests.lock().unwrap().push(head);
        // Whoever does not read to the end has gone.
        let _ = match answer.unwrap_or_else(|| Answer::status("404 Not Found")) {
            Answer::Document(document) => stream.write_all(&whole(&document)).await,
            Answer::Raw(bytes) => stream.write_all(&bytes).await,
            Answer::Hangs(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                std::future::pending().await
            }
            Answer::Held(told, document) => {
                told.notified().await;
                stream.write_all(&whole(&document)).await
            }
            Answer::Endless => self.endless(&mut stream).await,
        };
        let _ = stream.shutdown().await;
    }

    async fn endless(&self, stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        loop {
            stream.write_all(chunk.as_bytes()).await?;
            self.sent.fetch_add(chunk.len(), Ordering::SeqCst);
        }
    }
}

fn whole(document: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", document.len()).into_bytes();
    answer.extend_from_slice(document);
    answer
}
