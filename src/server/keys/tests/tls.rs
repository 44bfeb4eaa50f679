//! Who vouches for an https server.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::peer::{Answer, Peer};
use super::*;

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        let path = self.directory.path().join("ca.pem");
        std::fs::write(&path, self.issuer.pem()).unwrap();
        path
    }

    /// A server with a certificate for this name.
    async fn peer(&self, name: &str) -> Peer {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let peer = Peer::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await;
        peer.set("/keys", Answer::Document(DOCUMENT.into()));
        peer
    }
}

async fn rig(peer: &Peer, host: &str, ca_file: Option<PathBuf>) -> Rig {
    let config = url(&format!("https://{host}:{}/keys", peer.address.port()));
    Rig::start(Config { ca_file, ..config }).await
}

#[tokio::test(start_paused = true)]
async fn a_server_that_nobody_known_vouches_for_is_refused() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let peer = authority.peer("localhost").await;
    for ca_file in [None, Some(other.file())] {
        rig(&peer, "localhost", ca_file)
            .await
            .assert_refused("no connection: invalid peer certificate: UnknownIssuer");
    }
    assert_eq!(peer.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_the_configured_file_vouches_for_is_asked() {
    let authority = Authority::new("ours");
    let peer = authority.peer("localhost").await;
    let rig = rig(&peer, "localhost", Some(authority.file())).await;
    assert_eq!(rig.target.documents(), [DOCUMENT], "{}", rig.error());
}

#[tokio::test(start_paused = true)]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new("ours");
    let peer = authority.peer("idp.example").await;
    rig(&peer, "localhost", Some(authority.file())).await.assert_refused("not valid for name");
    assert_eq!(peer.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_file_without_certificates_is_an_error_at_the_start() {
    let authority = Authority::new("ours");
    let empty = authority.directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (ca_file, words) in
        [(empty, "no certificate"), (authority.directory.path().join("none"), "No such file")]
    {
        let config = Config { ca_file: Some(ca_file), ..url("https://idp.example/keys") };
        let mut tasks = Tasks::new(CancellationToken::new());
        let error = start(config, Arc::<Recorder>::default(), Arc::default(), &mut tasks)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}
