//! Authorities, the certificates that they issue, and clients that show them.
//! Never shipped: every key is made for one test.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// The name in every server's certificate.
pub const SERVER: &str = "palisade.example";

/// An authority: a root and its key.
pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
}

/// What a certificate shall say.
pub struct Wish {
    uris: Vec<String>,
    dns_names: Vec<String>,
    valid: (i64, i64),
    usages: Vec<KeyUsagePurpose>,
    extended: ExtendedKeyUsagePurpose,
    is_ca: IsCa,
}

/// A certificate with its key.
pub struct Issued {
    pub der: CertificateDer<'static>,
    pub key: Vec<u8>,
    pub certificate_pem: String,
    pub key_pem: String,
}

/// A certificate with these SPIFFE IDs, or whatever URIs.
pub fn uris(uris: &[&str]) -> Wish {
    wish(uris, &[], ExtendedKeyUsagePurpose::ClientAuth)
}

/// A certificate with these DNS names.
pub fn names(dns_names: &[&str]) -> Wish {
    wish(&[], dns_names, ExtendedKeyUsagePurpose::ClientAuth)
}

/// A certificate of a server.
pub fn server() -> Wish {
    wish(&[], &[SERVER], ExtendedKeyUsagePurpose::ServerAuth)
}

fn wish(uris: &[&str], dns_names: &[&str], extended: ExtendedKeyUsagePurpose) -> Wish {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let usages = vec![KeyUsagePurpose::DigitalSignature];
    let (uris, dns_names) = (owned(uris), owned(dns_names));
    Wish { uris, dns_names, valid: (-3600, 90 * 24 * 3600), usages, extended, is_ca: IsCa::ExplicitNoCa }
}

impl Wish {
    /// With these DNS names too.
    pub fn and_names(mut self, names: &[&str]) -> Self {
        self.dns_names.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Valid from then to then, in seconds from now.
    pub fn valid(mut self, from: i64, to: i64) -> Self {
        self.valid = (from, to);
        self
    }

    /// For servers and clients alike.
    pub fn for_both(mut self) -> Self {
        self.extended = ExtendedKeyUsagePurpose::Any;
        self
    }

    /// For this use of the key.
    pub fn with_usage(mut self, usage: KeyUsagePurpose) -> Self {
        self.usages = vec![usage];
        self
    }

    /// One that may sign others.
    pub fn for_signing(mut self) -> Self {
        self.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self
    }
}

impl Authority {
    /// A new one. With a SPIFFE ID it is one of a trust domain.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if name.starts_with("spiffe://") {
            params.subject_alt_names.push(SanType::URI(name.try_into().unwrap()));
        }
        Self { root: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Its root.
    pub fn pem(&self) -> String {
        self.root.pem()
    }

    /// Its root.
    pub fn der(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// Issues what is wished.
    pub fn issue(&self, wish: Wish) -> Issued {
        let Wish { uris, dns_names, valid: (from, to), usages, extended, is_ca } = wish;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params
            .subject_alt_names
            .extend(uris.iter().map(|uri| SanType::URI(uri.as_str().try_into().unwrap())));
        let names = dns_names.iter().map(|name| SanType::DnsName(name.as_str().try_into().unwrap()));
        params.subject_alt_names.extend(names);
        (params.not_before, params.not_after) = (at(from), at(to));
        (params.key_usages, params.is_ca) = (usages, is_ca);
        if extended != ExtendedKeyUsagePurpose::Any {
            params.extended_key_usages = vec![extended];
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.root).unwrap();
        Issued {
            der: certificate.der().clone(),
            key: key.serialize_der(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

fn at(seconds: i64) -> time::OffsetDateTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    time::OffsetDateTime::from_unix_timestamp(i64::try_from(now).unwrap() + seconds).unwrap()
}

impl Issued {
    /// Writes both files as deployments do: beside, then renamed.
    pub fn write(&self, certificate: &Path, key: &Path) {
        for (path, text) in [(key, &self.key_pem), (certificate, &self.certificate_pem)] {
            let beside = path.with_extension("beside");
            std::fs::write(&beside, text).unwrap();
            std::fs::rename(&beside, path).unwrap();
        }
    }
}

/// How a client shakes hands.
pub struct Dialler {
    roots: RootCertStore,
    shows: Option<(CertificateDer<'static>, Vec<u8>)>,
    versions: &'static [&'static SupportedProtocolVersion],
    alpn: &'static [u8],
}

impl Dialler {
    /// One that trusts servers of this authority and shows nothing.
    pub fn trusting(authority: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der()).unwrap();
        Self { roots, shows: None, versions: rustls::DEFAULT_VERSIONS, alpn: b"h2" }
    }

    /// Shows a certificate.
    pub fn showing(mut self, issued: &Issued) -> Self {
        self.shows = Some((issued.der.clone(), issued.key.clone()));
        self
    }

    /// Speaks these versions alone.
    pub fn speaking(mut self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions;
        self
    }

    /// Offers another protocol.
    pub fn offering(mut self, alpn: &'static [u8]) -> Self {
        self.alpn = alpn;
        self
    }

    fn config(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.shows {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
                config.with_client_auth_cert(vec![certificate.clone()], key).unwrap()
            }
        };
        config.alpn_protocols = vec![self.alpn.to_vec()];
        Arc::new(config)
    }

    /// A connection after the client's half of the handshake.
    pub async fn dial(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        self.dialling()(address).await
    }

    /// For connections that may take up the session of an earlier one.
    pub fn dialling(&self) -> impl AsyncFn(SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(self.config());
        async move |address: SocketAddr| {
            let name = ServerName::try_from(SERVER).unwrap();
            connector.connect(name, TcpStream::connect(address).await?).await
        }
    }

    /// A channel for calls. It connects once.
    pub async fn channel(&self, address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
        let config = self.config();
        let connector = service_fn(move |_: Uri| {
            let config = config.clone();
            async move {
                let name = ServerName::try_from(SERVER).unwrap();
                let stream = TcpStream::connect(address).await?;
                let stream = TlsConnector::from(config).connect(name, stream).await?;
                std::io::Result::Ok(TokioIo::new(stream))
            }
        });
        let endpoint = Endpoint::from_static("http://palisade.example").timeout(Duration::from_mins(1));
        endpoint.connect_with_connector(connector).await
    }
}
