//! Why a fetch brought no document into force.
//! Never quotes a query, and never quotes what a server sent.

use std::error::Error;
use std::io;
use std::time::Duration;

use spiffe::transport::TransportError;
use tonic::Code;

use super::address::AddressError;

/// Why a fetch brought no document into force.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("there was no whole answer within {0:?}")]
    Timeout(Duration),
    #[error("there is no connection")]
    Connect(#[source] reqwest::Error),
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("the answer broke off")]
    BrokenOff(#[source] reqwest::Error),
    #[error("it answered {0}, a redirect, and none is followed; configure the address that it leads to")]
    Redirect(u16),
    #[error("it answered {0} instead of 200")]
    Status(u16),
    #[error("the document is compressed, though that was not asked for")]
    Compressed,
    #[error("the document is longer than {0} bytes")]
    TooLong(usize),
    #[error("the issuer's metadata: {0}")]
    Metadata(#[source] Box<Fault>),
    #[error("the issuer's metadata is not understood")]
    NoMetadata(#[source] serde_json::Error),
    #[error(
        "the issuer's metadata is about another issuer than `{0}`; write the name as it has it, to the letter"
    )]
    OtherIssuer(String),
    #[error("the `jwks_uri` of the issuer's metadata is refused: {0}")]
    KeysAddress(#[source] AddressError),
    #[error("the file cannot be read")]
    File(#[source] io::Error),
    #[error("this is not a file")]
    NoFile,
    #[error("there is no agent of SPIFFE")]
    NoAgent(#[source] TransportError),
    #[error("the agent of SPIFFE ended the stream of bundles with the code {0:?}")]
    AgentEnded(Code),
    #[error("the agent of SPIFFE denies this server its bundles; register the server with it")]
    AgentDenies,
    #[error("the agent of SPIFFE sent no bundles at all")]
    NoBundles,
    #[error("the agent of SPIFFE has no JWT bundle of `{0}`; federate with it, or mend its name")]
    NoBundle(String),
    #[error("the document is unusable: {0}")]
    Unusable(String),
}

impl Fault {
    /// Whether keys that were good are so no more (SPIFFE Workload API, sections 4.4 and 6.2.2): who was asked answered, and
    /// took them back. Whatever else goes wrong is an outage.
    pub(super) fn takes_back(&self) -> bool {
        matches!(self, Self::AgentDenies | Self::NoBundle(_))
    }

    /// In one sentence, with the first cause: those between are about how we ask, and not about what is wrong.
    pub(super) fn words(&self) -> String {
        let words = self.to_string();
        let causes = std::iter::successors(self.source(), |error: &&(dyn Error + 'static)| (*error).source());
        match causes.last().map(ToString::to_string) {
            // Some show their cause themselves.
            Some(cause) if !words.contains(&cause) => format!("{words}: {cause}"),
            Some(_) | None => words,
        }
    }
}

impl From<reqwest::Error> for Fault {
    /// Of a request; its body is another matter.
    fn from(error: reqwest::Error) -> Self {
        // The URL's query may hold a secret.
        let error = error.without_url();
        if error.is_connect() { Self::Connect(error) } else { Self::Request(error) }
    }
}
