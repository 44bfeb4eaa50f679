//! Keys from an agent of SPIFFE, over its own protocol.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

use super::super::Agent;
use super::*;

const DOMAIN: &str = "acme.example";

#[derive(Clone, PartialEq, prost::Message)]
struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
struct Bundles {
    #[prost(map = "string, bytes", tag = "1")]
    bundles: HashMap<String, Vec<u8>>,
}

type Told = Result<Bundles, Status>;

fn bundles(of: &[(&str, &[u8])]) -> Bundles {
    let owned = |(domain, bundle): &(&str, &[u8])| (format!("spiffe://{domain}"), bundle.to_vec());
    Bundles { bundles: of.iter().map(owned).collect() }
}

/// What an agent says, to whom, and how often it was asked.
#[derive(Clone)]
struct Says(watch::Receiver<Told>, Arc<AtomicUsize>);

impl ServerStreamingService<Nothing> for Says {
    type Response = Bundles;
    type ResponseStream = Pin<Box<dyn Stream<Item = Told> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Nothing>) -> Self::Future {
        assert_eq!(request.metadata().get("workload.spiffe.io").unwrap(), "true");
        self.1.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(Box::pin(WatchStream::new(self.0.clone())))))
    }
}

impl Service<http::Request<Body>> for Says {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let says = self.clone();
        Box::pin(async move {
            assert_eq!(request.uri().path(), "/SpiffeWorkloadAPI/FetchJWTBundles");
            let mut grpc = Grpc::new(tonic_prost::ProstCodec::<Bundles, Nothing>::default());
            Ok(grpc.server_streaming(says, request).await)
        })
    }
}

impl NamedService for Says {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}

/// An agent that runs. Whoever drops it ends it.
struct Running {
    told: watch::Sender<Told>,
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Running {
    fn at(socket: &Path, first: Bundles) -> Self {
        let listener = UnixListenerStream::new(UnixListener::bind(socket).unwrap());
        let (told, says) = watch::channel(Ok(first));
        let asked = Arc::<AtomicUsize>::default();
        let server = tonic::transport::Server::builder().add_service(Says(says, asked.clone()));
        let task = tokio::spawn(async move { server.serve_with_incoming(listener).await.unwrap() });
        Self { told, asked, task }
    }

    fn say(&self, bundles: Bundles) {
        self.told.send(Ok(bundles)).unwrap();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // With the sender goes every stream.
        self.task.abort();
    }
}

fn socket() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    (directory, socket)
}

fn config(socket: &Path) -> Config {
    let agent = Agent::parse(&format!("unix://{}", socket.display()), DOMAIN).unwrap();
    Config::new(vec![named(DOMAIN, Source::WorkloadApi(agent))])
}

#[test]
fn an_agent_answers_on_a_unix_socket_alone() {
    let agent = Agent::parse("unix:///run/agent.sock", DOMAIN).unwrap();
    assert_eq!(agent.to_string(), "unix:///run/agent.sock");
    for wrong in ["", "/run/agent.sock", "tcp://127.0.0.1:1", "https://agent.example/", "unix://host/x"] {
        let refused = Agent::parse(wrong, DOMAIN).unwrap_err().to_string();
        assert!(refused.contains("no unix socket") && refused.contains("unix:///"), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_bundle_of_the_domain_comes_into_force_and_each_further_one_at_once() {
    let (_directory, socket) = socket();
    let agent = Running::at(&socket, bundles(&[(DOMAIN, DOCUMENT), ("partner.example", b"bad")]));
    let rig = Rig::start(config(&socket)).await;
    assert_eq!(*rig.target.0.lock().unwrap(), [(DOMAIN.to_owned(), DOCUMENT.to_owned())]);
    let status = rig.status();
    assert!(status.failing.is_none() && status.last_success.is_some() && status.since.is_some());
    assert_eq!(status.source, format!("unix://{}", socket.display()));
    agent.say(bundles(&[(DOMAIN, OTHER)]));
    eventually(|| rig.target.documents() == [DOCUMENT, OTHER]).await;
    // What did not change is not published again, and who is listened to is not asked.
    agent.say(bundles(&[(DOMAIN, OTHER), ("partner.example", DOCUMENT)]));
    eventually(|| rig.counts(r#"palisade_keys_fetches_total{issuer="acme.example",result="success"} 3"#))
        .await;
    rig.keys.wanted(DOMAIN);
    pass(3600).await;
    assert_eq!((rig.target.documents().len(), agent.asked()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_gone_leaves_the_last_good_bundle_and_is_asked_again() {
    let (_directory, socket) = socket();
    let agent = Running::at(&socket, bundles(&[(DOMAIN, DOCUMENT)]));
    let rig = Rig::start(config(&socket)).await;
    drop(agent);
    eventually(|| rig.error().contains("ended the stream")).await;
    // Between 5 s and 10 s after the first failure, and never later than 30 s.
    for attempts in 2..=6 {
        pass(30).await;
        eventually(|| rig.status().failing.as_ref().is_some_and(|failing| failing.attempts == attempts))
            .await;
        assert!(rig.error().contains("there is no agent of SPIFFE: Connection refused"), "{}", rig.error());
    }
    assert!(rig.status().document.is_some());
    std::fs::remove_file(&socket).unwrap();
    let agent = Running::at(&socket, bundles(&[(DOMAIN, OTHER)]));
    pass(30).await;
    eventually(|| rig.target.documents() == [DOCUMENT, OTHER]).await;
    assert!(rig.status().failing.is_none());
    assert_eq!(agent.asked(), 1);
    assert!(rig.target.1.lock().unwrap().is_empty(), "an outage takes nothing back");
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_the_agent_does_not_have_fails_until_it_has() {
    let (_directory, socket) = socket();
    let agent = Running::at(&socket, bundles(&[("partner.example", DOCUMENT)]));
    let rig = Rig::start(config(&socket)).await;
    rig.assert_refused("the agent of SPIFFE has no JWT bundle of `acme.example`; federate with it");
    agent.say(bundles(&[(DOMAIN, DOCUMENT)]));
    eventually(|| rig.status().failing.is_none()).await;
    assert_eq!((rig.target.documents(), agent.asked()), (vec![DOCUMENT.to_vec()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_taken_back_is_in_force_no_more() {
    let (_directory, socket) = socket();
    let agent = Running::at(&socket, bundles(&[(DOMAIN, DOCUMENT)]));
    let rig = Rig::start(config(&socket)).await;
    let taken_back = || rig.target.1.lock().unwrap().len();
    // Without any bundle a message says nothing.
    agent.say(bundles(&[]));
    eventually(|| rig.error().contains("sent no bundles at all")).await;
    assert_eq!((taken_back(), rig.status().document.is_some()), (0, true));
    agent.say(bundles(&[("partner.example", DOCUMENT)]));
    eventually(|| taken_back() == 1).await;
    assert_eq!((&rig.status().document, rig.status().since), (&None, None));
    agent.say(bundles(&[(DOMAIN, DOCUMENT)]));
    eventually(|| rig.target.documents() == [DOCUMENT, DOCUMENT]).await;
    assert!(rig.status().document.is_some());
    agent.told.send(Err(Status::permission_denied("no identity issued"))).unwrap();
    eventually(|| taken_back() == 2).await;
    assert!(rig.error().contains("register the server"), "{}", rig.error());
    agent.say(bundles(&[(DOMAIN, OTHER)]));
    pass(10).await;
    eventually(|| rig.target.documents() == [DOCUMENT, DOCUMENT, OTHER]).await;
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_too_long_or_unusable_leaves_the_last_good_one() {
    let (_directory, socket) = socket();
    let agent = Running::at(&socket, bundles(&[(DOMAIN, DOCUMENT)]));
    let rig = Rig::start(config(&socket)).await;
    agent.say(bundles(&[(DOMAIN, b"bad")]));
    eventually(|| rig.error().contains("unusable: it says `bad`")).await;
    agent.say(bundles(&[(DOMAIN, &vec![b' '; 262_145])]));
    eventually(|| rig.error().contains("longer than 262144 bytes")).await;
    // Too long for a message: nothing of it is read, and the agent is asked anew.
    agent.say(bundles(&[("partner.example", &vec![b' '; 4 << 20])]));
    eventually(|| rig.error().contains("longer than 4194304 bytes")).await;
    assert!(rig.status().document.is_some());
    agent.say(bundles(&[(DOMAIN, OTHER)]));
    pass(30).await;
    eventually(|| rig.status().failing.is_none()).await;
    assert_eq!((rig.target.documents(), agent.asked()), (vec![DOCUMENT.to_vec(), OTHER.to_vec()], 2));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_not_there_or_says_nothing_does_not_hold_up_the_start() {
    let (_directory, socket) = socket();
    Rig::start(config(&socket)).await.assert_refused("there is no agent of SPIFFE: No such file");
    let silent = UnixListener::bind(&socket).unwrap();
    let connected = async {
        // It is kept, and not one byte is read or written.
        let (_kept, _) = silent.accept().await.unwrap();
        pass(5).await;
    };
    let rig = Rig::start_while(config(&socket), connected).await;
    rig.assert_refused("there was no whole answer within 5s");
    drop(silent);
    std::fs::remove_file(&socket).unwrap();
    let _agent = Running::at(&socket, bundles(&[(DOMAIN, DOCUMENT)]));
    rig.keys.wanted(DOMAIN);
    pass(30).await;
    eventually(|| rig.target.documents() == [DOCUMENT]).await;
}

#[tokio::test(start_paused = true)]
async fn listening_ends_with_the_server() {
    let (_directory, socket) = socket();
    let _agent = Running::at(&socket, bundles(&[(DOMAIN, DOCUMENT)]));
    let rig = Rig::start(config(&socket)).await;
    rig.stop.cancel();
    rig.tasks.run(Duration::from_secs(1)).await.unwrap();
}
