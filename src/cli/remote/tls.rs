//! TLS to the server that is asked: whom to trust, what to show, and why hands were not shaken.
//! Never trusts a server whose certificate is not for the name that was asked for.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Whom to trust and what to show.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS (with --grpc https://HOST:PORT)")]
#[expect(clippy::struct_field_names, reason = "an option is called as its field")]
pub(super) struct Tls {
    /// The certificates of those who may have issued the server's, PEM [default: the roots of this machine]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// A certificate to show to the server, PEM. The bearer token of the data directory is left out then.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// The name in the server's certificate [default: the host of --grpc]
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
}

impl Tls {
    /// The first option that was given, for a server that is asked without TLS.
    pub(super) fn given(&self) -> Option<&'static str> {
        let Self { tls_ca, tls_certificate, tls_key, tls_name } = self;
        let given = [
            ("--tls-ca", tls_ca.is_some()),
            ("--tls-certificate", tls_certificate.is_some()),
            ("--tls-key", tls_key.is_some()),
            ("--tls-name", tls_name.is_some()),
        ];
        given.into_iter().find_map(|(name, given)| given.then_some(name))
    }

    /// Whether a certificate says who asks.
    pub(super) fn shows_a_certificate(&self) -> bool {
        self.tls_certificate.is_some()
    }

    pub(super) fn config(&self) -> Result<ClientTlsConfig, String> {
        let Self { tls_ca, tls_certificate, tls_key, tls_name } = self;
        let mut config = match tls_ca {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates(path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let (Some(certificate), Some(key)) = (tls_certificate, tls_key) {
            config = config.identity(Identity::from_pem(certificates(certificate)?, private_key(key)?));
        }
        Ok(match tls_name {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

/// The text of a file, if there are certificates in it: without one, nobody would be trusted, and nobody told why.
fn certificates(path: &Path) -> Result<Vec<u8>, String> {
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(pem),
        Ok(_) | Err(_) => Err(format!(
            "`{}` holds no certificate in PEM, which begins with `-----BEGIN CERTIFICATE`",
            path.display()
        )),
    }
}

fn private_key(path: &Path) -> Result<Vec<u8>, String> {
    let pem = read(path)?;
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(_) => Ok(pem),
        Err(_) => Err(format!("`{}` holds no unencrypted private key in PEM", path.display())),
    }
}

/// Why hands were not shaken, and what to do; none when that was not the trouble.
pub(super) fn trouble(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref::<TlsError>());
        if let Some(error) = inner.or_else(|| error.downcast_ref::<TlsError>()) {
            return Some(words(error));
        }
        next = error.source();
    }
    None
}

fn words(error: &TlsError) -> String {
    match error {
        // A bad signature is one of another issuer of the same name.
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate is of an issuer that is not trusted here; name the issuer's certificate with --tls-ca FILE".into()
        }
        TlsError::InvalidCertificate(
            error @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
        ) => format!("its certificate is for another name; if that is meant, say it with --tls-name NAME ({error})"),
        TlsError::InvalidCertificate(error) => format!("its certificate cannot be trusted: {error}"),
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants to see a certificate; show one with --tls-certificate FILE and --tls-key FILE".into()
        }
        TlsError::AlertReceived(alert) => format!(
            "it refused the handshake ({alert:?}); show a certificate that its `client_ca` vouches for, with \
             --tls-certificate FILE and --tls-key FILE"
        ),
        TlsError::InvalidMessage(_) => "it speaks no TLS; leave `https://` out, if nobody else can listen in".into(),
        other => format!("TLS with it failed: {other}"),
    }
}
