//! Follows the JWT bundle of a trust domain, as an agent of SPIFFE on this machine streams it (Workload API, section 6).
//! Never reads a bundle, and never lets the bundle of another trust domain spoil the wanted one.

use std::collections::HashMap;
use std::fmt;
use std::future::pending;

use http::uri::PathAndQuery;
use spiffe::transport::{Endpoint, TransportError, connect};
use tonic::client::Grpc;
use tonic::codec::Streaming;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::fault::Fault;

/// The length of one message: the bundles of all trust domains that the agent knows.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
const METHOD: &str = "/SpiffeWorkloadAPI/FetchJWTBundles";
/// SPIFFE Workload Endpoint, section 5: by this an agent knows that nobody was tricked into the call.
const SECURITY_HEADER: &str = "workload.spiffe.io";

/// An address on which no agent answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no unix socket; write one like `unix:///run/spire/agent-sockets/spire-agent.sock`")]
pub struct AgentError(String);

/// Where an agent answers, and whose bundle is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    text: String,
    endpoint: Endpoint,
    trust_domain: String,
}

impl Agent {
    /// Reads the address of an agent, for the bundle of this trust domain.
    ///
    /// # Errors
    /// [`AgentError`] when it is no unix socket: over a network anybody could say whose keys count.
    pub fn parse(text: &str, trust_domain: &str) -> Result<Self, AgentError> {
        match Endpoint::parse(text) {
            Ok(endpoint @ Endpoint::Unix(_)) => {
                Ok(Self { text: text.to_owned(), endpoint, trust_domain: trust_domain.to_owned() })
            }
            Ok(_) | Err(_) => Err(AgentError(text.to_owned())),
        }
    }

    /// Takes the wanted bundle out of what the agent said.
    fn bundle(&self, said: Bundles, bytes_max: usize) -> Result<Vec<u8>, Fault> {
        let Bundles { mut bundles } = said;
        // Section 4.5: it is mandatory, so an empty one says nothing.
        if bundles.is_empty() {
            return Err(Fault::NoBundles);
        }
        let domain = &self.trust_domain;
        match bundles.remove(&format!("spiffe://{domain}")).or_else(|| bundles.remove(domain)) {
            Some(bundle) if bundle.len() > bytes_max => Err(Fault::TooLong(bytes_max)),
            Some(bundle) => Ok(bundle),
            None => Err(Fault::NoBundle(domain.clone())),
        }
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `JWTBundlesRequest`
#[derive(Clone, PartialEq, prost::Message)]
struct Wish {}

/// `JWTBundlesResponse`: each bundle as it came. The crate's own call reads them all, and gives up on all when one is bad.
#[derive(Clone, PartialEq, prost::Message)]
struct Bundles {
    #[prost(map = "string, bytes", tag = "1")]
    bundles: HashMap<String, Vec<u8>>,
}

/// A stream of bundles, while there is one.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    stream: Option<Streaming<Bundles>>,
    news: Option<Result<Bundles, Fault>>,
}

impl Subscription {
    /// Whether the agent can still say something.
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some() || self.news.is_some()
    }

    /// Waits until the agent says something more, or hangs up. For ever when it has not been asked.
    pub(super) async fn news(&mut self) {
        let Some(stream) = &mut self.stream else { return pending().await };
        if self.news.is_none() {
            let said = message(stream).await;
            if said.is_err() {
                self.stream = None;
            }
            self.news = Some(said);
        }
    }

    /// The bundle by what the agent said last. Asks it when there is no stream; whoever calls bounds the time.
    pub(super) async fn bundle(&mut self, agent: &Agent, bytes_max: usize) -> Result<Vec<u8>, Fault> {
        let said = match self.news.take() {
            Some(said) => said,
            None => self.open(agent).await,
        };
        agent.bundle(said?, bytes_max)
    }

    async fn open(&mut self, agent: &Agent) -> Result<Bundles, Fault> {
        let mut stream = subscribe(&agent.endpoint).await?;
        // A stream on which nothing comes is given up with this wait.
        let said = message(&mut stream).await?;
        self.stream = Some(stream);
        Ok(said)
    }
}

async fn subscribe(endpoint: &Endpoint) -> Result<Streaming<Bundles>, Fault> {
    let channel = connect(endpoint).await.map_err(Fault::NoAgent)?;
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    grpc.ready().await.map_err(|error| Fault::NoAgent(TransportError::connect(error)))?;
    let mut wish = Request::new(Wish {});
    wish.metadata_mut().insert(SECURITY_HEADER, MetadataValue::from_static("true"));
    let codec = ProstCodec::<Wish, Bundles>::default();
    let answer = grpc
        .server_streaming(wish, PathAndQuery::from_static(METHOD), codec)
        .await
        .map_err(|status| fault(&status))?;
    Ok(answer.into_inner())
}

async fn message(stream: &mut Streaming<Bundles>) -> Result<Bundles, Fault> {
    stream.message().await.map_err(|status| fault(&status))?.ok_or(Fault::AgentEnded(Code::Ok))
}

/// What it says beside the code is not shown.
fn fault(status: &Status) -> Fault {
    match status.code() {
        Code::PermissionDenied => Fault::AgentDenies,
        // The client's own word for a message that it does not read.
        Code::OutOfRange => Fault::TooLong(MESSAGE_BYTES_MAX),
        code => Fault::AgentEnded(code),
    }
}
