//! The floors over HTTP: a plain axum server that reads JSON and says what it read, or a JSON answer given in advance.
//! Never decides.

use std::io;
use std::process::Command;

use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;

use crate::echo::end_with_input;
use crate::running::Running;
use crate::trouble::{Attempt as _, Outcome};

/// Where it is asked: anywhere that the real one is.
const EVERYWHERE: &str = "/{*path}";

/// Serves in another process, started from this very binary. Without an answer it says what it is asked.
pub fn start(answer: Option<&str>, workers: Option<u32>) -> Outcome<Running> {
    let program = std::env::current_exe().to("cannot find this binary")?;
    let mut command = Command::new(program);
    command.arg("plain");
    if let Some(answer) = answer {
        command.arg("--answer").arg(answer);
    }
    Running::start_at("plain axum", "http listening on ", &mut command, workers)
}

/// Serves until standard input ends.
///
/// # Errors
/// The answer is no JSON, or no address is to be had.
pub fn serve(answer: Option<&str>) -> io::Result<()> {
    let answer: Option<Value> = answer.map(serde_json::from_str).transpose()?;
    end_with_input();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(answer))
}

async fn run(answer: Option<Value>) -> io::Result<()> {
    let said = match answer {
        Some(answer) => post(move |Json(_asked): Json<Value>| async move { Json(answer) }),
        None => post(|Json(asked): Json<Value>| async move { Json(asked) }),
    };
    let router = Router::new().route(EVERYWHERE, said);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http listening on {}\nready", listener.local_addr()?);
    let mut connections = tokio_stream::wrappers::TcpListenerStream::new(listener);
    while let Some(stream) = connections.next().await {
        let stream = stream?;
        stream.set_nodelay(true)?;
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let io = hyper_util::rt::TokioIo::new(stream);
        tokio::spawn(async move {
            // A client that is gone is no news.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await);
        });
    }
    Ok(())
}
