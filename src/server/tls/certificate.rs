//! Reads certificates: names, digest, validity.
//! Never verifies one.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error, OtherError};
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::identity::Certificate;

/// When a certificate is valid, in seconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    /// From then on.
    pub(super) begins: i64,
    /// Until then.
    pub(super) ends: i64,
}

/// What a client's certificate says.
pub(super) fn read(der: &CertificateDer<'_>) -> Result<Certificate, Error> {
    let parsed = parse(der)?;
    let (mut uris, mut dns_names) = (Vec::new(), Vec::new());
    let names = parsed.subject_alternative_name().map_err(refused)?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::URI(uri) => uris.push((*uri).to_owned()),
            GeneralName::DNSName(name) => dns_names.push(name.to_ascii_lowercase()),
            // Nobody is known by these.
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_) => {}
            GeneralName::Invalid(..) => return Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        }
    }
    Ok(Certificate { uris, dns_names, thumbprint: Sha256::digest(der).into() })
}

/// When a certificate is valid.
pub(super) fn validity(der: &CertificateDer<'_>) -> Result<Validity, Error> {
    let parsed = parse(der)?;
    let validity = parsed.validity();
    Ok(Validity { begins: validity.not_before.timestamp(), ends: validity.not_after.timestamp() })
}

pub(super) fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    match X509Certificate::from_der(der) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) | Err(_) => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
    }
}

/// A refusal of a certificate, with its reason.
pub(super) fn refused(reason: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(reason))))
}
