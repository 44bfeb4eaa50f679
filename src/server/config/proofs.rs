//! By what a caller of the configuration is known: its token, its certificate, its user. Each by one caller alone.
//! Never knows a token, only its digest.

use std::collections::HashSet;
use std::hash::Hash;

use serde_saphyr::Spanned;
use spiffe::SpiffeId;

use super::ConfigError;
use super::check::ConfigFile;
use super::typed::Jwt;
use crate::identity::{KnownBy, Subject, TokenDigest, TrustConfig};
use crate::server::data::parse_hex;
use crate::server::listen::Address;
use crate::server::tls::{self, Clients, Source};

/// SHA-256 of nothing.
const EMPTY_TOKEN: TokenDigest = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];
/// How the kernel shows users of another namespace that have no number in ours: many users, one number.
const OVERFLOW_USER: u32 = 65_534;
/// The length of a DNS name (RFC 1035, section 2.3.4) and of one of its labels.
const DNS_NAME_MAX: usize = 253;
const DNS_LABEL_MAX: usize = 63;

/// The part of `callers[]` that says by what it is known.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) token_sha256: Option<Spanned<String>>,
    pub(super) jwt: Option<Spanned<Jwt>>,
    pub(super) spiffe_id: Option<Spanned<String>>,
    pub(super) dns_name: Option<Spanned<String>>,
    pub(super) unix_user: Option<Spanned<u32>>,
}

/// What is taken already.
#[derive(Debug)]
pub(super) struct Known<'a> {
    file: &'a ConfigFile<'a>,
    tls: Option<&'a tls::Config>,
    trust: &'a TrustConfig,
    tokens: HashSet<TokenDigest>,
    subjects: HashSet<(String, String)>,
    spiffe_ids: HashSet<String>,
    dns_names: HashSet<String>,
    users: HashSet<u32>,
}

impl<'a> Known<'a> {
    pub(super) fn new(
        file: &'a ConfigFile<'a>,
        tls: Option<&'a tls::Config>,
        trust: &'a TrustConfig,
    ) -> Self {
        let (tokens, subjects, users) = (HashSet::new(), HashSet::new(), HashSet::new());
        let (spiffe_ids, dns_names) = (HashSet::new(), HashSet::new());
        Self { file, tls, trust, tokens, subjects, spiffe_ids, dns_names, users }
    }

    /// Whether a caller is known to a listener at this address.
    pub(super) fn anybody_at(&self, address: &Address) -> bool {
        let by_certificate = !(self.spiffe_ids.is_empty() && self.dns_names.is_empty());
        let by_token = !(self.tokens.is_empty() && self.subjects.is_empty());
        match address {
            Address::Tcp(_) => by_token || by_certificate,
            Address::Unix(_) => by_token || !self.users.is_empty(),
        }
    }

    /// Whether a caller is known over HTTP with this TLS.
    pub(super) fn anybody_over_http(&self, tls: Option<&tls::Config>) -> bool {
        let by_certificate = !(self.spiffe_ids.is_empty() && self.dns_names.is_empty());
        let by_token = !(self.tokens.is_empty() && self.subjects.is_empty());
        by_token || by_certificate && tls.is_some_and(|tls| tls.clients != Clients::Unasked)
    }

    /// The proofs of the caller at this key, which becomes the only one with them.
    pub(super) fn check<T>(
        &mut self,
        key: &str,
        caller: &Spanned<T>,
        typed: Typed,
    ) -> Result<KnownBy, ConfigError> {
        let Typed { token_sha256, jwt, spiffe_id, dns_name, unix_user } = typed;
        let proofs = KnownBy {
            token: token_sha256
                .map(|typed| self.token(&format!("{key}.token_sha256"), &typed))
                .transpose()?,
            subject: jwt.map(|typed| self.subject(&format!("{key}.jwt"), &typed)).transpose()?,
            spiffe_id: spiffe_id
                .map(|typed| self.spiffe_id(&format!("{key}.spiffe_id"), &typed))
                .transpose()?,
            dns_name: dns_name.map(|typed| self.dns_name(&format!("{key}.dns_name"), &typed)).transpose()?,
            unix_user: unix_user.map(|typed| self.user(&format!("{key}.unix_user"), &typed)).transpose()?,
        };
        if proofs == KnownBy::default() {
            let problem = "nothing says how it is known; give it `token_sha256`, `jwt`, `spiffe_id`, `dns_name` or `unix_user`";
            return Err(self.file.invalid(key, Some(caller), problem));
        }
        Ok(proofs)
    }

    fn token(&mut self, key: &str, typed: &Spanned<String>) -> Result<TokenDigest, ConfigError> {
        let digest = parse_hex(&typed.value).ok_or_else(|| {
            let problem =
                "it must be 64 hexadecimal digits; make them with `printf %s \"$TOKEN\" | sha256sum`";
            self.file.invalid(key, Some(typed), problem)
        })?;
        if digest == EMPTY_TOKEN {
            let problem = "it is the digest of no token at all; was the variable empty?";
            return Err(self.file.invalid(key, Some(typed), problem));
        }
        let problem = "another caller has the same token; give each its own";
        only(&mut self.tokens, digest).ok_or_else(|| self.file.invalid(key, Some(typed), problem))
    }

    fn subject(&mut self, key: &str, typed: &Spanned<Jwt>) -> Result<Subject, ConfigError> {
        let refused = |problem: String| self.file.invalid(key, Some(typed), problem);
        let Jwt { issuer, sub, client_id } = &typed.value;
        if !self.trust.names(issuer) {
            let problem =
                format!("`{issuer}` is neither in `trust.issuers` nor in `trust.spiffe`; add it there");
            return Err(refused(problem));
        }
        if sub.is_empty() {
            return Err(refused("`sub` is empty; write it exactly as the tokens have it".to_owned()));
        }
        if self.trust.audience.is_empty() {
            let problem =
                "a caller's token is made for this server; say in `trust.audience` what it is called there";
            return Err(refused(problem.to_owned()));
        }
        let problem = "another caller has the same issuer and `sub`; give each its own";
        if client_id.as_ref().is_some_and(String::is_empty) {
            return Err(refused(
                "`client_id` is empty; leave it out, or write it as the tokens have it".to_owned(),
            ));
        }
        let of_issuer = (issuer.clone(), sub.clone());
        only(&mut self.subjects, of_issuer).ok_or_else(|| self.file.invalid(key, Some(typed), problem))?;
        Ok(Subject { issuer: issuer.clone(), subject: sub.clone(), client: client_id.clone() })
    }

    fn spiffe_id(&mut self, key: &str, typed: &Spanned<String>) -> Result<String, ConfigError> {
        let refused = |problem: String| self.file.invalid(key, Some(typed), problem);
        let text = &typed.value;
        let id = SpiffeId::new(text).ok().filter(|id| !id.path().is_empty());
        let id = id.filter(|id| id.to_string() == *text).ok_or_else(|| {
            refused(format!(
                "`{text}` is no SPIFFE ID of a workload; write one like `spiffe://acme.example/gateway`"
            ))
        })?;
        self.verified().map_err(|problem| refused(problem.to_owned()))?;
        if let Some(Source::Workload { trust_domains, .. }) = self.tls.map(|tls| &tls.source)
            && !trust_domains.is_empty()
            && !trust_domains.contains(id.trust_domain())
        {
            let domain = id.trust_domain();
            let problem = format!(
                "no client of `{domain}` is verified; add it to `listen.grpc_tls.spiffe.trust_domains`"
            );
            return Err(refused(problem));
        }
        let problem = "another caller has the same SPIFFE ID; give each its own";
        only(&mut self.spiffe_ids, text.clone()).ok_or_else(|| self.file.invalid(key, Some(typed), problem))
    }

    fn dns_name(&mut self, key: &str, typed: &Spanned<String>) -> Result<String, ConfigError> {
        let refused = |problem: String| self.file.invalid(key, Some(typed), problem);
        let text = &typed.value;
        if !is_dns_name(text) {
            let problem =
                format!("`{text}` is no DNS name in lower case; write one like `gateway.acme.example`");
            return Err(refused(problem));
        }
        self.verified().map_err(|problem| refused(problem.to_owned()))?;
        if matches!(self.tls.map(|tls| &tls.source), Some(Source::Workload { .. })) {
            let problem = "bundles of SPIFFE vouch for no DNS name; use `spiffe_id`";
            return Err(refused(problem.to_owned()));
        }
        let problem = "another caller has the same DNS name; give each its own";
        only(&mut self.dns_names, text.clone()).ok_or_else(|| self.file.invalid(key, Some(typed), problem))
    }

    fn user(&mut self, key: &str, typed: &Spanned<u32>) -> Result<u32, ConfigError> {
        // The last number is none: system calls use it for "leave as it is".
        if [OVERFLOW_USER, u32::MAX].contains(&typed.value) {
            let problem = format!(
                "{} stands for users that have no number here, and may be many; run the caller as another",
                typed.value
            );
            return Err(self.file.invalid(key, Some(typed), problem));
        }
        let problem = "another caller has the same user; run each as its own";
        only(&mut self.users, typed.value).ok_or_else(|| self.file.invalid(key, Some(typed), problem))
    }

    /// Whether any certificate of a client is verified.
    fn verified(&self) -> Result<(), &'static str> {
        match self.tls.map(|tls| tls.clients) {
            Some(Clients::Optional | Clients::Required) => Ok(()),
            Some(Clients::Unasked) | None => Err(
                "no certificate of a client is verified; give `listen.grpc_tls` a `client_ca` or `spiffe`, or take this \
                 out",
            ),
        }
    }
}

fn only<T: Clone + Eq + Hash>(taken: &mut HashSet<T>, value: T) -> Option<T> {
    taken.insert(value.clone()).then_some(value)
}

/// A name of a host in lower case, without wildcards and without the root's dot.
fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        (1..=DNS_LABEL_MAX).contains(&label.len())
            && label.bytes().all(known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= DNS_NAME_MAX && text.split('.').all(label)
}
