//! Certificate, key and bundles from the SPIFFE Workload API, as they change there.
//! Never trusts a bundle that was taken back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe::x509_source::{X509Source, X509SourceError, X509SourceUpdates};
use spiffe::{TrustDomain, X509BundleSet, X509Svid};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::expiry::Expiry;
use super::svid::SvidVerifier;
use super::{Clients, Served, Tls, TlsError, certificate, server_config};

/// How long the first identity may take.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How often to look whether the certificate ends soon.
const LOOK: Duration = Duration::from_mins(1);

/// The source, and what was taken from it last.
#[derive(Debug)]
pub(super) struct Workload {
    source: X509Source,
    updates: X509SourceUpdates,
    svid: Arc<X509Svid>,
    terms: Terms,
    expiry: Expiry,
}

/// What is asked of it.
#[derive(Debug)]
struct Terms {
    endpoint: String,
    trust_domains: Vec<TrustDomain>,
    clients: Clients,
}

impl Workload {
    pub(super) async fn start(
        endpoint: &str,
        trust_domains: &[TrustDomain],
        clients: Clients,
    ) -> Result<(Self, Arc<ServerConfig>), TlsError> {
        let failed = |source| TlsError::Workload { endpoint: endpoint.to_owned(), source };
        let builder = X509Source::builder().endpoint(endpoint).initial_sync_timeout(START_TIMEOUT);
        let source = builder.build().await.map_err(failed)?;
        // Before the first look, so that no change is missed.
        let updates = source.updated();
        let state = source.state();
        let svid = state.svid().map_err(failed)?;
        let trust_domains = match trust_domains {
            [] => vec![svid.spiffe_id().trust_domain().clone()],
            named => named.to_vec(),
        };
        let terms = Terms { endpoint: endpoint.to_owned(), trust_domains, clients };
        let context = state.context().map_err(failed)?;
        let verifier = SvidVerifier::new(context.bundle_set(), &terms.trust_domains, clients);
        if verifier.is_empty() {
            return Err(terms.no_bundle());
        }
        let Served { config, validity } = serve(&svid, verifier)?;
        tracing::info!(spiffe_id = %svid.spiffe_id(), "TLS is served with an identity of SPIFFE");
        let mut expiry = Expiry::of(validity);
        expiry.look();
        Ok((Self { source, updates, svid, terms, expiry }, config))
    }

    pub(super) async fn run(mut self: Box<Self>, tls: &Tls, stop: CancellationToken) -> io::Result<()> {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.expiry.look(),
                changed = self.updates.changed() => {
                    changed.map_err(io::Error::other)?;
                    self.take_up(tls);
                }
            }
        }
        self.source.shutdown().await;
        Ok(())
    }

    /// Serves new connections with what the source has now.
    fn take_up(&mut self, tls: &Tls) {
        let state = self.source.state();
        let bundles = match state.context() {
            Ok(context) => Arc::clone(context.bundle_set()),
            Err(error) => {
                tls.withdraw();
                tracing::error!(
                    %error,
                    endpoint = self.terms.endpoint,
                    "the SPIFFE Workload API has withdrawn our identity; new connections are refused until it gives one; \
                     check the registration of this workload"
                );
                return;
            }
        };
        match state.svid() {
            Ok(svid) => self.svid = svid,
            Err(error) => self.keep(&error),
        }
        match self.terms.renew(&self.svid, &bundles) {
            Ok(Served { config, validity }) => {
                self.expiry = Expiry::of(validity);
                tls.serve(config);
                tracing::info!(
                    spiffe_id = %self.svid.spiffe_id(),
                    valid_until = validity.ends,
                    "new connections are served with what the SPIFFE Workload API has now"
                );
            }
            // Without the new bundles it would go on trusting the old ones.
            Err(error) => {
                tls.withdraw();
                tracing::error!(
                    %error,
                    "what the SPIFFE Workload API has now cannot be used; new connections are refused until it can"
                );
            }
        }
    }

    fn keep(&self, error: &X509SourceError) {
        tracing::error!(
            %error,
            spiffe_id = %self.svid.spiffe_id(),
            "the SPIFFE Workload API has no usable identity for us; the last one is served until there is another; check \
             the registration of this workload"
        );
    }
}

impl Terms {
    fn no_bundle(&self) -> TlsError {
        let names: Vec<String> = self.trust_domains.iter().map(|domain| format!("`{domain}`")).collect();
        TlsError::NoBundle { domains: names.join(", "), endpoint: self.endpoint.clone() }
    }

    fn renew(&self, svid: &X509Svid, bundles: &X509BundleSet) -> Result<Served, TlsError> {
        // It may be empty now: then no certificate of a client counts any more.
        serve(svid, SvidVerifier::new(bundles, &self.trust_domains, self.clients))
    }
}

fn serve(svid: &X509Svid, verifier: SvidVerifier) -> Result<Served, TlsError> {
    let place = || format!("the SVID `{}`", svid.spiffe_id());
    let chain: Vec<CertificateDer<'static>> =
        svid.cert_chain().iter().map(|each| CertificateDer::from(each.as_bytes().to_vec())).collect();
    let leaf = CertificateDer::from(svid.leaf().as_bytes());
    let validity =
        certificate::validity(&leaf).map_err(|source| TlsError::Certificate { place: place(), source })?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(svid.private_key().as_bytes().to_vec()));
    let config = server_config(chain, key, Arc::new(verifier))
        .map_err(|source| TlsError::Pair { place: place(), source })?;
    Ok(Served { config: Arc::new(config), validity })
}
