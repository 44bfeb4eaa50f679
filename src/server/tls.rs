//! TLS of the listeners: the server's certificate, whose clients' certificates count, and how both change.
//! Never logs a key, and never drops a connection because a certificate changed.

mod certificate;
mod expiry;
mod files;
mod svid;
mod workload;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError};
use spiffe::TrustDomain;
use spiffe::x509_source::X509SourceError;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use self::certificate::Validity;
use self::files::Watched;
use self::workload::Workload;
use crate::identity::Certificate;

/// The protocols that a listener speaks, those that it would rather speak first (RFC 7301).
pub type Protocols = &'static [&'static [u8]];
/// gRPC's (RFC 9113, section 3.2).
pub const GRPC: Protocols = &[b"h2"];
/// HTTP of both versions.
pub const HTTP: Protocols = &[b"h2", b"http/1.1"];

/// What TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the server's certificate comes from.
    pub source: Source,
    /// Whether clients show certificates.
    pub clients: Clients,
}

/// Where the server's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Files in PEM.
    Files(Files),
    /// The SPIFFE Workload API.
    Workload {
        /// Its endpoint, as `unix:///PATH`.
        endpoint: String,
        /// The trust domains whose clients are verified; when there is none, the server's own.
        trust_domains: Vec<TrustDomain>,
    },
}

/// Files in PEM, read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The server's certificate, and behind it those between it and its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots of clients' certificates.
    pub client_ca: Option<PathBuf>,
}

/// Whether clients show certificates. One that is shown is always verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// They are not asked for any.
    Unasked,
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// Why there is no TLS, or why it stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {what} `{path}`; create it, and let this user read it")]
    Unreadable {
        /// What it is.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file has not what it should have.
    #[error("`{path}` is not {what} in PEM; put one there that begins with `-----BEGIN`")]
    NotPem {
        /// What it should be.
        what: &'static str,
        /// Which.
        path: PathBuf,
    },
    /// Certificate and key cannot be used.
    #[error("{place} cannot be used; give it a certificate for servers with its own private key")]
    Pair {
        /// Where both come from.
        place: String,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// A certificate cannot be read.
    #[error("the certificate of {place} cannot be read; issue another one")]
    Certificate {
        /// Where it comes from.
        place: String,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The roots of clients' certificates cannot be used.
    #[error("{place} has no roots that can verify clients; put the certificates of their issuers there")]
    Roots {
        /// Where they come from.
        place: String,
        /// Why not.
        #[source]
        source: VerifierBuilderError,
    },
    /// The Workload API gives no identity.
    #[error(
        "the SPIFFE Workload API at {endpoint} gives no identity; start the agent there, and register this workload with \
         it"
    )]
    Workload {
        /// Its endpoint.
        endpoint: String,
        /// Why not.
        #[source]
        source: X509SourceError,
    },
    /// None of the trust domains has a bundle.
    #[error(
        "no bundle of {domains} came from {endpoint}; federate with them, or take them out of `trust_domains`"
    )]
    NoBundle {
        /// The trust domains that are wanted.
        domains: String,
        /// The endpoint of the Workload API.
        endpoint: String,
    },
}

/// What new connections are served with. Cheap to clone; all clones change together.
#[derive(Debug, Clone)]
pub struct Tls {
    current: Arc<ArcSwapOption<ServerConfig>>,
    protocols: Protocols,
    dns_names: bool,
}

/// Keeps a [`Tls`] up to date.
#[derive(Debug)]
pub struct Rotation {
    tls: Tls,
    source: Rotating,
}

#[derive(Debug)]
enum Rotating {
    Files(Box<Watched>),
    Workload(Box<Workload>),
}

/// One state of things.
#[derive(Debug)]
struct Served {
    config: Arc<ServerConfig>,
    validity: Validity,
}

/// Gets the first certificate, for a listener that speaks these protocols.
///
/// # Errors
/// [`TlsError`].
pub async fn start(config: &Config, protocols: Protocols) -> Result<(Tls, Rotation), TlsError> {
    let (source, served, dns_names) = match &config.source {
        Source::Files(files) => {
            let (watched, served) = Watched::start(files.clone(), config.clients)?;
            (Rotating::Files(Box::new(watched)), served, true)
        }
        Source::Workload { endpoint, trust_domains } => {
            let (workload, served) = Workload::start(endpoint, trust_domains, config.clients).await?;
            // A bundle vouches for the SPIFFE IDs of its trust domain and for no other name.
            (Rotating::Workload(Box::new(workload)), served, false)
        }
    };
    let tls = Tls { current: Arc::default(), protocols, dns_names };
    tls.serve(served);
    Ok((tls.clone(), Rotation { tls, source }))
}

impl Rotation {
    /// Follows the source until `stop`.
    ///
    /// # Errors
    /// When the source tells of no change any more.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        match self.source {
            Rotating::Files(watched) => watched.run(&self.tls, stop).await,
            Rotating::Workload(workload) => workload.run(&self.tls, stop).await,
        }
    }
}

impl Tls {
    /// Shakes hands on a new connection: the stream, and what the client's certificate says if it showed one. It may take
    /// for ever.
    ///
    /// # Errors
    /// The client speaks no TLS, shows no certificate that it must, or one that does not count; or there is none to show
    /// to it any more.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(Box<TlsStream<TcpStream>>, Option<Certificate>)> {
        let config = self.current.load_full().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the SPIFFE Workload API has withdrawn our identity",
            )
        })?;
        let stream = Box::new(TlsAcceptor::from(config).accept(stream).await?);
        let shown = stream.get_ref().1.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
        let mut certificate = shown.map(certificate::read).transpose().map_err(io::Error::other)?;
        if let Some(certificate) = &mut certificate
            && !self.dns_names
        {
            certificate.dns_names.clear();
        }
        Ok((stream, certificate))
    }

    fn serve(&self, mut config: Arc<ServerConfig>) {
        Arc::make_mut(&mut config).alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        self.current.store(Some(config));
    }

    fn withdraw(&self) {
        self.current.store(None);
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// TLS 1.2 and 1.3 with this certificate.
fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)?;
    // Nobody takes up an earlier session: each connection proves a certificate that is valid now.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_tls13_tickets = 0;
    Ok(config)
}
