//! Verifies X.509-SVIDs: each against the bundle of its own trust domain (X509-SVID, section 5).
//! Never lets one trust domain vouch for another.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use spiffe::{SpiffeId, SpiffeIdError, TrustDomain, X509BundleSet};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;

use super::certificate::{parse, read, refused};
use super::{Clients, provider};

/// What a certificate lacks to be an SVID of a workload.
#[derive(Debug, thiserror::Error)]
enum NoSvid {
    #[error("it has {0} URIs among its names, and an SVID has one")]
    Uris(usize),
    #[error("its URI is no SPIFFE ID")]
    Id(#[from] SpiffeIdError),
    #[error("its SPIFFE ID is not written as it must be, in lower case up to its path")]
    NotCanonical,
    #[error("its SPIFFE ID has no path: it names a trust domain and no workload")]
    NoPath,
    #[error("an extension of it cannot be read")]
    Extension(#[from] X509Error),
    #[error("it may sign certificates")]
    Signs,
    #[error("its key usage is not for signatures of handshakes")]
    KeyUsage,
}

/// Verifies clients by trust domain.
#[derive(Debug)]
pub(super) struct SvidVerifier {
    domains: HashMap<TrustDomain, Arc<dyn ClientCertVerifier>>,
    clients: Clients,
    algorithms: WebPkiSupportedAlgorithms,
}

impl SvidVerifier {
    /// Verifies clients of these trust domains, as far as there are bundles of them.
    pub(super) fn new(bundles: &X509BundleSet, wanted: &[TrustDomain], clients: Clients) -> Self {
        let mut domains = HashMap::new();
        for domain in wanted {
            let mut roots = RootCertStore::empty();
            for authority in bundles.get_ref(domain).iter().flat_map(|bundle| bundle.authorities()) {
                // A root that cannot be used vouches for nobody.
                if let Err(error) = roots.add(CertificateDer::from(authority.as_bytes().to_vec())) {
                    tracing::warn!(%error, trust_domain = %domain, "a root of a SPIFFE bundle was left out");
                }
            }
            match WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build() {
                Ok(verifier) => drop(domains.insert(domain.clone(), verifier)),
                Err(error) => tracing::warn!(
                    %error,
                    trust_domain = %domain,
                    "there is no bundle for a trust domain; its clients are refused until it is federated with"
                ),
            }
        }
        Self { domains, clients, algorithms: provider().signature_verification_algorithms }
    }

    /// Whether no client can be verified.
    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }
}

impl ClientCertVerifier for SvidVerifier {
    fn offer_client_auth(&self) -> bool {
        self.clients != Clients::Unasked
    }

    fn client_auth_mandatory(&self) -> bool {
        self.clients == Clients::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let id = workload(end_entity)?;
        let verifier = self
            .domains
            .get(id.trust_domain())
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        verifier.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The workload that an SVID names.
fn workload(der: &CertificateDer<'_>) -> Result<SpiffeId, Error> {
    let parsed = parse(der)?;
    may_be_leaf(&parsed).map_err(refused)?;
    let names = read(der)?;
    match names.uris.as_slice() {
        [uri] => match SpiffeId::new(uri) {
            Ok(id) if id.path().is_empty() => Err(refused(NoSvid::NoPath)),
            Ok(id) if id.to_string() != *uri => Err(refused(NoSvid::NotCanonical)),
            Ok(id) => Ok(id),
            Err(error) => Err(refused(NoSvid::Id(error))),
        },
        uris => Err(refused(NoSvid::Uris(uris.len()))),
    }
}

/// X509-SVID, section 4: a leaf is no authority, and its key is for signatures.
fn may_be_leaf(certificate: &X509Certificate<'_>) -> Result<(), NoSvid> {
    if certificate.basic_constraints()?.is_some_and(|constraints| constraints.value.ca) {
        return Err(NoSvid::Signs);
    }
    let usage = certificate.key_usage()?.ok_or(NoSvid::KeyUsage)?.value;
    if usage.key_cert_sign() || usage.crl_sign() {
        return Err(NoSvid::Signs);
    }
    if usage.digital_signature() { Ok(()) } else { Err(NoSvid::KeyUsage) }
}
