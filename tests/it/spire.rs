//! An agent of SPIFFE: it streams over the Workload API what the test says.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

/// What a method of the Workload API streams.
pub trait Streamed: prost::Message + Default + Clone + Sync + 'static {
    /// Its path.
    const METHOD: &'static str;
}

/// `JWTBundlesResponse`, out of the Workload API's protobuf.
#[derive(Clone, PartialEq, prost::Message)]
pub struct JwtBundles {
    #[prost(map = "string, bytes", tag = "1")]
    bundles: HashMap<String, Vec<u8>>,
}

impl JwtBundles {
    /// A JWK Set for each of these trust domains.
    pub fn of(bundles: &[(&str, String)]) -> Self {
        let owned = |(domain, set): &(&str, String)| (format!("spiffe://{domain}"), set.clone().into_bytes());
        Self { bundles: bundles.iter().map(owned).collect() }
    }
}

impl Streamed for JwtBundles {
    const METHOD: &'static str = "/SpiffeWorkloadAPI/FetchJWTBundles";
}

/// A message, or why there is none.
pub type Told<T> = Result<T, Status>;

/// `SpiffeWorkloadAPI` with one method.
#[derive(Clone)]
struct Agent<T>(watch::Receiver<Told<T>>);

impl<T: Streamed> ServerStreamingService<Nothing> for Agent<T> {
    type Response = T;
    type ResponseStream = Pin<Box<dyn Stream<Item = Told<T>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Nothing>) -> Self::Future {
        // SPIFFE Workload Endpoint, section 5: without it a call may be one that somebody was tricked into.
        assert_eq!(request.metadata().get("workload.spiffe.io").unwrap(), "true");
        ready(Ok(Response::new(Box::pin(WatchStream::new(self.0.clone())))))
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

impl<T: Streamed> Service<http::Request<Body>> for Agent<T> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let agent = self.clone();
        Box::pin(async move {
            assert_eq!(request.uri().path(), T::METHOD);
            let mut grpc = Grpc::new(tonic_prost::ProstCodec::<T, Nothing>::default());
            Ok(grpc.server_streaming(agent, request).await)
        })
    }
}

impl<T> NamedService for Agent<T> {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}

/// What the agent says, and where. Whoever drops it ends its streams and takes its socket away.
pub struct Spire<T> {
    pub told: watch::Sender<Told<T>>,
    socket: PathBuf,
    _directory: TempDir,
}

impl<T: Streamed> Spire<T> {
    /// An agent that says this. Needs a runtime.
    pub fn start(told: Told<T>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("agent.sock");
        let listener = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
        let (told, agent) = watch::channel(told);
        let server = tonic::transport::Server::builder().add_service(Agent(agent));
        tokio::spawn(server.serve_with_incoming(listener));
        Self { told, socket, _directory: directory }
    }

    /// Where it answers.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}
