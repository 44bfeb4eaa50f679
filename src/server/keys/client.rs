//! Fetches one document over HTTP, within every bound.
//! Never follows a redirect, never uses a proxy, and never keeps more of an answer than a document may hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, HeaderMap, HeaderName};
use reqwest::{Response, StatusCode, redirect, retry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::address::Address;
use super::fault::Fault;
use super::{Config, file, schedule};

/// How long a file of certificates may be.
const CA_BYTES_MAX: usize = 1024 * 1024;

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of certificates.
    #[error("the certificates `{path}` cannot be used: {problem}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// TLS. A defect of ours.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The client. A defect of ours.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// A document, and how long it stays fresh by its server's words.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) document: Vec<u8>,
    pub(super) max_age: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
}

impl Client {
    pub(super) fn new(config: &Config) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(config)?)
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .no_proxy()
            .connect_timeout(config.timeout)
            // Fetches are rare: a connection kept meanwhile would only be found closed.
            .pool_max_idle_per_host(0)
            // RFC 6761, section 6.3: whatever a resolver says. Port 0 is that of the URL.
            .resolve_to_addrs(
                "localhost",
                &[([127, 0, 0, 1], 0).into(), ([0, 0, 0, 0, 0, 0, 0, 1], 0).into()],
            )
            .user_agent(concat!("palisade/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http })
    }

    /// Fetches a document. Whoever calls bounds the time.
    pub(super) async fn fetch(&self, address: &Address, bytes_max: usize) -> Result<Fetched, Fault> {
        let answer = self.http.get(address.url().clone()).send().await?;
        check(&answer)?;
        let max_age = max_age(answer.headers());
        let document = body(answer, bytes_max).await?;
        Ok(Fetched { document, max_age })
    }
}

async fn body(mut answer: Response, bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let too_long = || Fault::TooLong(bytes_max);
    // What it says may be false: it is believed only when it is too much.
    if answer
        .content_length()
        .is_some_and(|length| usize::try_from(length).map_or(true, |length| length > bytes_max))
    {
        return Err(too_long());
    }
    let mut document = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Fault::BrokenOff(error.without_url()))? {
        if chunk.len() > bytes_max.saturating_sub(document.len()) {
            return Err(too_long());
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

fn check(answer: &Response) -> Result<(), Fault> {
    match answer.status() {
        StatusCode::OK => {}
        status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
            return Err(Fault::Redirect(status.as_u16()));
        }
        status => return Err(Fault::Status(status.as_u16())),
    }
    let plain = |value: &str| value.trim().eq_ignore_ascii_case("identity");
    if texts(answer.headers(), &CONTENT_ENCODING).all(plain) { Ok(()) } else { Err(Fault::Compressed) }
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    schedule::max_age(texts(headers, &CACHE_CONTROL), texts(headers, &AGE).next())
}

/// The values of a header; one that is no text shows as an empty one.
fn texts<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default())
}

/// The provider of cryptography is named here: with several linked, none would be the default.
fn tls(config: &Config) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    if config.sources.iter().any(|source| source.source.needs_tls()) {
        add_roots_of_this_machine(&mut roots);
        if let Some(path) = &config.ca_file {
            add_roots_of(path, &mut roots)
                .map_err(|problem| ClientError::CaFile { path: path.clone(), problem })?;
        }
        if roots.is_empty() {
            tracing::warn!(
                "no certificates vouch for https servers: neither this machine has any nor is a file configured"
            );
        }
    }
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add_roots_of_this_machine(roots: &mut RootCertStore) {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "certificates of this machine cannot be read");
    }
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "certificates of this machine");
}

fn add_roots_of(path: &Path, roots: &mut RootCertStore) -> Result<(), String> {
    let text = file::read(path, CA_BYTES_MAX).map_err(|fault| fault.words())?;
    let mut count = 0_usize;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        count += 1;
    }
    if count == 0 { Err("it holds no certificate (PEM)".to_owned()) } else { Ok(()) }
}
