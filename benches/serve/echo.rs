//! The floor: a bare tonic server that decodes the real request and encodes a real answer, given in advance.
//! Never decides, and never reads what it was asked.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use palisade::api::proto::v1;
use prost::Message as _;
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::{Grpc, NamedService};
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic::{Request, Response, Status, Streaming};

use crate::codec::Shared;
use crate::question::{AUTHORIZE, AUTHORIZE_STREAM};
use crate::running::{Listen, Running};
use crate::trouble::{Attempt as _, Outcome};

/// Serves in another process, started from this very binary.
pub fn start(listen: &Listen, answer: &Path, workers: Option<u32>) -> Outcome<Running> {
    let program = std::env::current_exe().to("cannot find this binary")?;
    let mut command = Command::new(program);
    command.arg("echo").arg("--listen").arg(listen.to_string()).arg("--answer").arg(answer);
    Running::start("echo", &mut command, workers)
}

/// Serves until standard input ends, as `palisade serve` would: the same runtime, the same limits of HTTP/2.
///
/// # Errors
/// The answer cannot be read, or the address cannot be had.
pub fn serve(listen: &str, answer: &Path) -> io::Result<()> {
    let answer =
        v1::AuthorizeResponse::decode(std::fs::read(answer)?.as_slice()).map_err(io::Error::other)?;
    end_with_input();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(listen, answer))
}

/// Ends the process when whoever started it lets go.
pub fn end_with_input() {
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

async fn run(listen: &str, answer: v1::AuthorizeResponse) -> io::Result<()> {
    let router = router(answer);
    if let Some(path) = listen.strip_prefix("unix:") {
        let listener = UnixListener::bind(path)?;
        println!("grpc listening on {listen}\nready");
        return router.serve_with_incoming(UnixListenerStream::new(listener)).await.map_err(io::Error::other);
    }
    let listener = TcpListener::bind(listen).await?;
    println!("grpc listening on {}\nready", listener.local_addr()?);
    let connections = TcpListenerStream::new(listener).map(|stream| {
        let stream = stream?;
        stream.set_nodelay(true)?;
        Ok::<_, io::Error>(stream)
    });
    router.serve_with_incoming(connections).await.map_err(io::Error::other)
}

/// The settings of `palisade serve` that HTTP/2 feels.
fn router(answer: v1::AuthorizeResponse) -> Router {
    const KEEPALIVE: Duration = Duration::from_secs(30);
    let limits = palisade::server::config::Limits::default();
    let step = v1::AuthorizeStreamResponse {
        result: Some(v1::authorize_stream_response::Result::Response(answer.clone())),
    };
    Server::builder()
        .max_concurrent_streams(limits.concurrent_streams_max)
        .http2_max_header_list_size(limits.header_list_bytes_max)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(Echo { answer: Arc::new(answer), step: Arc::new(step) })
}

/// The service: `Authorize` and `AuthorizeStream` with one answer to everything.
#[derive(Clone)]
struct Echo {
    answer: Arc<v1::AuthorizeResponse>,
    step: Arc<v1::AuthorizeStreamResponse>,
}

impl NamedService for Echo {
    const NAME: &'static str = "palisade.v1.Authorization";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self { answer, step } = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                AUTHORIZE => Grpc::new(Shared::new()).unary(Single(answer), request).await,
                AUTHORIZE_STREAM => Grpc::new(Shared::new()).streaming(Steps(step), request).await,
                _ => Status::unimplemented("the echo knows two methods").into_http(),
            })
        })
    }
}

struct Single(Arc<v1::AuthorizeResponse>);

impl tower::Service<Request<v1::AuthorizeRequest>> for Single {
    type Response = Response<Arc<v1::AuthorizeResponse>>;
    type Error = Status;
    type Future = Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<v1::AuthorizeRequest>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}

struct Steps(Arc<v1::AuthorizeStreamResponse>);

type Answers = std::pin::Pin<
    Box<dyn tokio_stream::Stream<Item = Result<Arc<v1::AuthorizeStreamResponse>, Status>> + Send>,
>;

impl tower::Service<Request<Streaming<v1::AuthorizeStreamRequest>>> for Steps {
    type Response = Response<Answers>;
    type Error = Status;
    type Future = Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, requests: Request<Streaming<v1::AuthorizeStreamRequest>>) -> Self::Future {
        let step = self.0.clone();
        let answers = requests.into_inner().map(move |request| request.map(|_| step.clone()));
        ready(Ok(Response::new(Box::pin(answers))))
    }
}
