//! One HTTP request that is made again and again over a connection of its own, HTTP/1.1.
//! Never takes an answer for good that was not the expected one.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::call::Ask;
use crate::trouble::{Attempt as _, Outcome, Trouble};

/// A request and where to send it. Clones take turns on the connection.
#[derive(Clone)]
pub struct Post {
    connection: Arc<Mutex<SendRequest<Full<Bytes>>>>,
    request: http::Request<Full<Bytes>>,
    /// How an answer begins that is the expected one.
    expected: &'static [u8],
}

impl Post {
    /// A request to `http://host:port` plus `path`.
    pub async fn connect(
        uri: &str,
        path: &str,
        token: &str,
        body: &str,
        expected: &'static [u8],
    ) -> Outcome<Self> {
        let address = uri.strip_prefix("http://").unwrap_or(uri);
        let stream = TcpStream::connect(address).await.to(format!("cannot connect to {uri}"))?;
        stream.set_nodelay(true).to("cannot send at once")?;
        let broken = |error: hyper::Error| Trouble::Call(format!("cannot speak HTTP with {uri}: {error}"));
        let (connection, driven) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with the connection; what went wrong is told by the request.
        tokio::spawn(async move { drop(driven.await) });
        let request = http::Request::post(path)
            .header("host", address)
            .header("content-type", "application/json")
            .header("authorization", token)
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .map_err(|error| Trouble::Call(format!("cannot make a request: {error}")))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), request, expected })
    }

    /// Sends it once, and has the answer.
    pub async fn send(&self) -> Result<Bytes, String> {
        let words = |error: hyper::Error| format!("no answer: {error}");
        let mut connection = self.connection.lock().await;
        connection.ready().await.map_err(words)?;
        let answer = connection.send_request(self.request.clone()).await.map_err(words)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(words)?.to_bytes();
        if status == 200 && body.starts_with(self.expected) {
            return Ok(body);
        }
        Err(format!("the answer is {status}: {}", String::from_utf8_lossy(&body)))
    }
}

impl Ask for Post {
    async fn ask(&mut self) -> Result<(), String> {
        self.send().await.map(drop)
    }
}
