//! Requests as text on a socket, and what comes back.
//! Never repairs an answer.

use std::fmt::Write as _;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::pdp::{TOKEN, TestPdp};

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// The names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; of a success alone.
    pub fn json(&self) -> Json {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/json")), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The decision.
    pub fn decision(&self) -> bool {
        self.json()["decision"].as_bool().unwrap_or_else(|| panic!("no decision: {}", self.body))
    }

    /// Reads one that a connection said until its end.
    pub fn read(bytes: &[u8]) -> Self {
        let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: String::from_utf8(bytes[split + 4..].to_vec()).unwrap() }
    }
}

/// Sends bytes as they are on a connection of their own, and reads to its end.
pub async fn raw(pdp: &TestPdp, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(pdp.http_address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A connection may be reset when its client sent more than was read.
    let _ = stream.read_to_end(&mut answer).await;
    Answer::read(&answer)
}

/// Posts a body with these headers beside the usual ones.
pub async fn post_with(pdp: &TestPdp, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").unwrap();
    }
    write!(request, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
    raw(pdp, &[request.as_bytes(), body].concat()).await
}

/// Posts JSON as the caller with this token.
pub async fn post_as(pdp: &TestPdp, token: &str, path: &str, body: &Json) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    post_with(pdp, path, &headers, body.to_string().as_bytes()).await
}

/// Posts JSON as the usual gateway.
pub async fn post(pdp: &TestPdp, path: &str, body: &Json) -> Answer {
    post_as(pdp, TOKEN, path, body).await
}

/// One question.
pub async fn evaluate(pdp: &TestPdp, body: &Json) -> Answer {
    post(pdp, "/access/v1/evaluation", body).await
}

/// Several.
pub async fn evaluate_all(pdp: &TestPdp, body: &Json) -> Answer {
    post(pdp, "/access/v1/evaluations", body).await
}
