//! `listen.grpc_tls` and `listen.http_tls`: as they are typed, and checked.
//! Never opens a file: what is in them is found out at the start.

use std::path::PathBuf;

use serde::Deserialize;
use serde_saphyr::Spanned;
use spiffe::TrustDomain;
use spiffe::transport::Endpoint;

use super::ConfigError;
use super::check::ConfigFile;
use crate::server::tls::{Clients, Config, Files, Source};

/// How many trust domains may be named.
const TRUST_DOMAINS_MAX: usize = 64;

/// `listen.grpc_tls`, `listen.http_tls`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Typed {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    client_certificates: Option<Spanned<ClientCertificates>>,
    spiffe: Option<Spanned<Spiffe>>,
}

/// `client_certificates` of it
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClientCertificates {
    Required,
    Optional,
}

/// `spiffe` of it
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spiffe {
    workload_api: Spanned<String>,
    #[serde(default)]
    trust_domains: Vec<Spanned<String>>,
}

/// Checks it.
pub(super) fn check(
    file: &ConfigFile<'_>,
    place: &str,
    typed: Option<Spanned<Typed>>,
) -> Result<Option<Config>, ConfigError> {
    let Some(typed) = typed else { return Ok(None) };
    let refused = |key: &str, problem: &str| file.invalid(key, Some(&typed), problem);
    let Typed { certificate, key, client_ca, client_certificates, spiffe } = &typed.value;
    let source = match (certificate, key, spiffe) {
        (Some(certificate), Some(key), None) => Source::Files(Files {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: client_ca.clone(),
        }),
        (None, None, Some(_)) if client_ca.is_some() => {
            let problem =
                "with `spiffe`, clients are verified by the bundles of the Workload API; take this out";
            return Err(refused(&format!("{place}.client_ca"), problem));
        }
        (None, None, Some(spiffe)) => workload(file, place, &spiffe.value)?,
        (Some(_), None, None) | (None, Some(_), None) => {
            return Err(refused(place, "a certificate needs its key; give it both `certificate` and `key`"));
        }
        (None, None, None) => {
            return Err(refused(
                place,
                "it has no certificate; give it `certificate` and `key`, or `spiffe`",
            ));
        }
        (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            let problem = "the certificate comes from files or from SPIFFE; take out `certificate` and `key`, or `spiffe`";
            return Err(refused(place, problem));
        }
    };
    let verified = client_ca.is_some() || spiffe.is_some();
    let clients = match client_certificates {
        Some(asked) if !verified => {
            let problem = "nothing says whose certificates count; give `client_ca` the file of their roots";
            return Err(file.invalid(&format!("{place}.client_certificates"), Some(asked), problem));
        }
        None if !verified => Clients::Unasked,
        None => Clients::Required,
        Some(asked) => match asked.value {
            ClientCertificates::Required => Clients::Required,
            ClientCertificates::Optional => Clients::Optional,
        },
    };
    Ok(Some(Config { source, clients }))
}

fn workload(file: &ConfigFile<'_>, place: &str, typed: &Spiffe) -> Result<Source, ConfigError> {
    let Spiffe { workload_api, trust_domains } = typed;
    let endpoint = &workload_api.value;
    // Over TCP the private key would travel in the clear.
    if !matches!(Endpoint::parse(endpoint), Ok(Endpoint::Unix(_))) {
        let problem = format!(
            "`{endpoint}` is no unix socket; write one like `unix:///run/spire/agent-sockets/spire-agent.sock`"
        );
        return Err(file.invalid(&format!("{place}.spiffe.workload_api"), Some(workload_api), problem));
    }
    if let Some(further) = trust_domains.get(TRUST_DOMAINS_MAX) {
        let problem = format!("give it at most {TRUST_DOMAINS_MAX} trust domains");
        return Err(file.invalid(&format!("{place}.spiffe.trust_domains"), Some(further), problem));
    }
    let domain = |(at, typed): (usize, &Spanned<String>)| {
        // With a path it would look as if it named a workload.
        let domain = TrustDomain::new(&typed.value).ok().filter(|domain| domain.as_str() == typed.value);
        domain.ok_or_else(|| {
            let problem = format!("`{}` is no trust domain; write one like `acme.example`", typed.value);
            file.invalid(&format!("{place}.spiffe.trust_domains[{at}]"), Some(typed), problem)
        })
    };
    let trust_domains = trust_domains.iter().enumerate().map(domain).collect::<Result<_, _>>()?;
    Ok(Source::Workload { endpoint: endpoint.clone(), trust_domains })
}
