//! Certificate, key and roots from files in PEM, read again when they change.
//! Never takes up what cannot be used: the last good ones stay.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::expiry::Expiry;
use super::{Clients, Files, Served, Tls, TlsError, certificate, provider, server_config};

/// How often to look whether the files have changed. A SIGHUP looks at once.
const LOOK: Duration = Duration::from_secs(5);
/// How long a file may be: a bundle of all public roots is a quarter of this.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The files, and what they had when they were last looked at.
#[derive(Debug)]
pub(super) struct Watched {
    files: Files,
    clients: Clients,
    seen: Seen,
    expiry: Expiry,
}

/// The digest of what the files have, or why they cannot be read.
type Seen = Result<[u8; 32], String>;

/// What the files have. It holds a private key and is never printed.
struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Watched {
    pub(super) fn start(
        files: Files,
        clients: Clients,
    ) -> Result<(Self, Arc<rustls::ServerConfig>), TlsError> {
        let material = read(&files)?;
        let Served { config, validity } = material.serve(&files, clients)?;
        let mut expiry = Expiry::of(validity);
        expiry.look();
        Ok((Self { files, clients, seen: Ok(material.digest()), expiry }, config))
    }

    pub(super) async fn run(mut self: Box<Self>, tls: &Tls, stop: CancellationToken) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
                _ = hangup.recv() => {}
            }
            self.look(tls).await?;
            self.expiry.look();
        }
    }

    /// Takes up what has changed, or says once why not.
    async fn look(&mut self, tls: &Tls) -> io::Result<()> {
        let (files, clients, seen) = (self.files.clone(), self.clients, self.seen.clone());
        let looked = tokio::task::spawn_blocking(move || changed(&files, clients, &seen));
        let Some((seen, served)) = looked.await.map_err(io::Error::other)? else { return Ok(()) };
        self.seen = seen;
        match served {
            Ok(Served { config, validity }) => {
                self.expiry = Expiry::of(validity);
                tls.serve(config);
                tracing::info!(
                    certificate = %self.files.certificate.display(),
                    valid_until = validity.ends,
                    "new connections are served with the files of TLS as they are now"
                );
            }
            Err(error) => tracing::error!(
                %error,
                "the files of TLS have changed and cannot be used; new connections are served with the last good ones; \
                 repair the files, and they are taken up without a restart"
            ),
        }
        Ok(())
    }
}

/// What the files have now, if it is something else than was seen before.
fn changed(files: &Files, clients: Clients, seen: &Seen) -> Option<(Seen, Result<Served, String>)> {
    let (now, served) = match read(files) {
        Err(error) => (Err(say(&error)), Err(say(&error))),
        Ok(material) => {
            let now = Ok(material.digest());
            if now == *seen {
                return None;
            }
            (now, material.serve(files, clients).map_err(|error| say(&error)))
        }
    };
    (now != *seen).then_some((now, served))
}

/// An error with its cause.
fn say(error: &TlsError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn read(files: &Files) -> Result<Material, TlsError> {
    let Files { certificate, key, client_ca } = files;
    Ok(Material {
        certificate: read_one("the certificate", certificate)?,
        key: read_one("the private key", key)?,
        client_ca: client_ca.as_deref().map(|path| read_one("the clients' roots", path)).transpose()?,
    })
}

fn read_one(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Unreadable { what, path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 MiB")));
    }
    Ok(bytes)
}

impl Material {
    /// Which material it is.
    fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for part in [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten()
        {
            all.update(Sha256::digest(part));
        }
        all.finalize().into()
    }

    fn serve(&self, files: &Files, clients: Clients) -> Result<Served, TlsError> {
        let chain = certificates("a certificate", &files.certificate, &self.certificate)?;
        let place = || format!("`{}` with `{}`", files.certificate.display(), files.key.display());
        let validity = match chain.first().map(certificate::validity) {
            Some(Ok(validity)) => validity,
            Some(Err(source)) => return Err(TlsError::Certificate { place: place(), source }),
            None => {
                return Err(TlsError::NotPem { what: "a certificate", path: files.certificate.clone() });
            }
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::NotPem { what: "an unencrypted private key", path: files.key.clone() })?;
        let clients = match (&files.client_ca, &self.client_ca) {
            (Some(path), Some(roots)) => verifier(path, roots, clients)?,
            (_, None) | (None, _) => WebPkiClientVerifier::no_client_auth(),
        };
        let config =
            server_config(chain, key, clients).map_err(|source| TlsError::Pair { place: place(), source })?;
        Ok(Served { config: Arc::new(config), validity })
    }
}

fn certificates(
    what: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::NotPem { what, path: path.to_owned() })?;
    if found.is_empty() { Err(TlsError::NotPem { what, path: path.to_owned() }) } else { Ok(found) }
}

fn verifier(path: &Path, pem: &[u8], clients: Clients) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let failed = |source| TlsError::Roots { place: format!("`{}`", path.display()), source };
    let mut roots = RootCertStore::empty();
    for root in certificates("a certificate of an issuer", path, pem)? {
        roots
            .add(root)
            .map_err(|_| TlsError::NotPem { what: "a certificate of an issuer", path: path.to_owned() })?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    match clients {
        Clients::Unasked => Ok(WebPkiClientVerifier::no_client_auth()),
        Clients::Optional => verifier.allow_unauthenticated().build().map(|built| built as _).map_err(failed),
        Clients::Required => verifier.build().map(|built| built as _).map_err(failed),
    }
}
