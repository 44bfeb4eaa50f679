//! Treetop's engine behind HTTP: one question a request, one answer, nothing recorded.
//! Never slower than it must be: no metrics, no log, no identity.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use treetop_core::{Decision, PolicyEngine, Request};

/// `treetop-over-http POLICIES`: serves so many until standard input ends.
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).ok_or("say how many policies")?.parse()?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let engine = Arc::new(PolicyEngine::new_from_str(&policies(count))?);
    let router = Router::new().route("/{*path}", post(move |question| answer(engine, question)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http listening on {}\nready", listener.local_addr()?);
    axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))), router).await?;
    Ok(())
}

async fn answer(engine: Arc<PolicyEngine>, Json(question): Json<Request>) -> Result<Json<Decision>, StatusCode> {
    engine.evaluate(&question).map(Json).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// One that permits the refund, and so many in all, of groups that nobody who asks is in.
fn policies(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let group = if number == 0 { "support".to_owned() } else { format!("team-{number}") };
        let _ = writeln!(
            text,
            "permit (principal in Group::\"{group}\", action == Action::\"issue_refund\", resource is Tool) \
             when {{ resource.amount <= 100 }};"
        );
    }
    text
}
