//! `trust`: whose tokens are believed, and where their keys come from.
//! Never guesses what a claim means: what is not configured names nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::ConfigError;
use super::check::ConfigFile;
use crate::identity::{
    Algorithm, Describe, Domain, HumanClaims, Issuer, LEEWAY_S_MAX, ParentClaim, REVOKED_BYTES_MAX,
    TokenKind, TrustConfig, Use, is_trust_domain,
};
use crate::json;
use crate::server::keys::{self, Address, Agent, Named, Source};

/// How many issuers and trust domains there may be.
const ISSUERS_MAX: u64 = 1000;

/// How long past its time a token is believed unless told otherwise, in seconds.
const LEEWAY_S: i64 = 30;
/// How many actors a token may name unless told otherwise.
const ACTOR_DEPTH_MAX: usize = 4;

/// Whose tokens are believed, with the sources of their keys.
#[derive(Debug, Clone)]
pub struct Trust {
    /// What tokens mean.
    pub config: Arc<TrustConfig>,
    /// Where keys come from: a source for each issuer and trust domain, by its name.
    pub keys: keys::Config,
}

/// The name of the list of revoked tokens among the sources. No issuer has it: it has a space.
pub const REVOKED: &str = "revoked tokens";

impl Trust {
    /// What the keys of this issuer or trust domain are for, and what they may sign with.
    pub fn keys_use(&self, name: &str) -> (Use, &[Algorithm]) {
        if let Some(issuer) = self.config.issuers.iter().find(|issuer| *issuer.name == *name) {
            return (Use::Signatures, &issuer.algorithms);
        }
        let source = self.keys.sources.iter().find(|source| *source.name == *name);
        match source.map(|source| &source.source) {
            Some(Source::WorkloadApi(_)) => (Use::JwtBundle, &Algorithm::ALL),
            Some(Source::Url(_) | Source::Discovery(_) | Source::File(_)) | None => {
                (Use::JwtSvid, &Algorithm::ALL)
            }
        }
    }
}

/// `trust`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Typed {
    audience: Vec<String>,
    leeway_s: Option<Spanned<u64>>,
    actor_depth_max: Option<Spanned<u64>>,
    refresh_s: Option<Spanned<u64>>,
    ca_file: Option<PathBuf>,
    revoked_file: Option<PathBuf>,
    issuers: Vec<Spanned<TypedIssuer>>,
    spiffe: Vec<Spanned<TypedDomain>>,
}

/// `trust.issuers[]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedIssuer {
    issuer: Spanned<String>,
    #[serde(default)]
    keys: Keys,
    algorithms: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    audience: Vec<String>,
    tokens: Option<Spanned<Vec<String>>>,
    lifetime_max_s: Option<Spanned<u64>>,
    human: Option<Human>,
    agent: Option<String>,
}

/// `keys`: one of them; the issuer's own metadata when none is given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    url: Option<Spanned<String>>,
    file: Option<PathBuf>,
    workload_api: Option<Spanned<String>>,
    discovery: Option<bool>,
}

/// `trust.issuers[].human`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Human {
    #[serde(default = "sub")]
    claim: String,
    #[serde(default = "human", rename = "type")]
    kind: String,
    unregistered: Option<Unregistered>,
}

/// `trust.issuers[].human.unregistered`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unregistered {
    #[serde(default)]
    parents: Vec<Parent>,
    #[serde(default)]
    attributes: BTreeMap<String, Spanned<serde_json::Value>>,
}

/// `trust.issuers[].human.unregistered.parents[]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parent {
    claim: String,
    #[serde(rename = "type")]
    kind: String,
}

/// `trust.spiffe[]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedDomain {
    trust_domain: Spanned<String>,
    keys: Keys,
    #[serde(default)]
    audience: Vec<String>,
}

fn sub() -> String {
    "sub".to_owned()
}

fn human() -> String {
    "Human".to_owned()
}

/// Checks all of it.
pub(super) fn check(file: &ConfigFile<'_>, typed: Typed) -> Result<Trust, ConfigError> {
    let Typed { audience, leeway_s, actor_depth_max, refresh_s, ca_file, revoked_file, issuers, spiffe } =
        typed;
    let count = u64::try_from(issuers.len() + spiffe.len()).unwrap_or(u64::MAX);
    if count > ISSUERS_MAX {
        let problem = format!("{count} issuers and trust domains are more than {ISSUERS_MAX}");
        return Err(file.invalid("trust", None::<&Spanned<()>>, problem));
    }
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    let mut config = TrustConfig {
        audience,
        leeway_s: file.number("trust.leeway_s", leeway_s, LEEWAY_S, 0..=LEEWAY_S_MAX.unsigned_abs())?,
        actor_depth_max: file.number("trust.actor_depth_max", actor_depth_max, ACTOR_DEPTH_MAX, 0..=8)?,
        issuers: Vec::with_capacity(issuers.len()),
        domains: Vec::with_capacity(spiffe.len()),
    };
    for (at, typed) in issuers.into_iter().enumerate() {
        let (issuer, source) = issuer(file, &format!("trust.issuers[{at}]"), typed.value, &mut names)?;
        sources.push(Named { name: issuer.name.clone(), source, bytes_max: None });
        config.issuers.push(issuer);
    }
    for (at, typed) in spiffe.into_iter().enumerate() {
        let (domain, source) = domain(file, &format!("trust.spiffe[{at}]"), typed.value, &mut names)?;
        sources.push(Named { name: domain.name.clone(), source, bytes_max: None });
        config.domains.push(domain);
    }
    sources.extend(revoked_file.map(|path| Named {
        name: REVOKED.into(),
        source: Source::File(path),
        bytes_max: Some(REVOKED_BYTES_MAX),
    }));
    let usual = keys::Config::new(sources);
    let refresh_s = file.number("trust.refresh_s", refresh_s, usual.refresh.as_secs(), 30..=86_400)?;
    let keys = keys::Config { refresh: Duration::from_secs(refresh_s), ca_file, ..usual };
    Ok(Trust { config: Arc::new(config), keys })
}

fn issuer(
    file: &ConfigFile<'_>,
    key: &str,
    typed: TypedIssuer,
    names: &mut BTreeSet<String>,
) -> Result<(Issuer, Source), ConfigError> {
    let TypedIssuer { issuer, keys, algorithms, audience, tokens, lifetime_max_s, human, agent } = typed;
    named_once(file, &format!("{key}.issuer"), &issuer, names)?;
    let source = source(file, &format!("{key}.keys"), &issuer, keys, true)?;
    let algorithms = match algorithms {
        None => vec![Algorithm::Es256, Algorithm::Rs256],
        Some(typed) => each(file, &format!("{key}.algorithms"), &typed, Algorithm::named, || {
            Algorithm::ALL.map(Algorithm::name).join(", ")
        })?,
    };
    let kinds = match tokens {
        None => vec![TokenKind::AccessToken],
        Some(typed) => {
            let known = [TokenKind::AccessToken, TokenKind::IdJag, TokenKind::Jwt];
            let kind_of = |name: &str| known.into_iter().find(|kind| kind.name() == name);
            each(file, &format!("{key}.tokens"), &typed, kind_of, || known.map(TokenKind::name).join(", "))?
        }
    };
    let lifetime_max_s = match lifetime_max_s {
        None => None,
        some => Some(file.number(&format!("{key}.lifetime_max_s"), some, 0, 1..=31_536_000)?),
    };
    if human.is_none() && agent.is_none() {
        let problem = "its tokens name nobody; say which claim names people (`human`), which one agents (`agent`), or both";
        return Err(file.invalid(key, Some(&issuer), problem));
    }
    let human = human.map(|typed| self::human_claims(file, &format!("{key}.human"), typed)).transpose()?;
    let name = issuer.value.as_str().into();
    Ok((Issuer { name, algorithms, audience, kinds, lifetime_max_s, human, agent_claim: agent }, source))
}

fn domain(
    file: &ConfigFile<'_>,
    key: &str,
    typed: TypedDomain,
    names: &mut BTreeSet<String>,
) -> Result<(Domain, Source), ConfigError> {
    let TypedDomain { trust_domain, keys, audience } = typed;
    if !is_trust_domain(&trust_domain.value) {
        let problem = "it is no trust domain; write it in small letters and without `spiffe://`, such as `acme.example`";
        return Err(file.invalid(&format!("{key}.trust_domain"), Some(&trust_domain), problem));
    }
    named_once(file, &format!("{key}.trust_domain"), &trust_domain, names)?;
    let source = source(file, &format!("{key}.keys"), &trust_domain, keys, false)?;
    Ok((Domain { name: trust_domain.value.as_str().into(), audience }, source))
}

fn named_once(
    file: &ConfigFile<'_>,
    key: &str,
    name: &Spanned<String>,
    names: &mut BTreeSet<String>,
) -> Result<(), ConfigError> {
    if name.value.is_empty() {
        return Err(file.invalid(key, Some(name), "it is empty; write it exactly as its tokens have it"));
    }
    if names.insert(name.value.clone()) {
        return Ok(());
    }
    let problem = format!("`{}` stands there twice; take one of them out", name.value);
    Err(file.invalid(key, Some(name), problem))
}

/// Where keys come from.
fn source(
    file: &ConfigFile<'_>,
    key: &str,
    name: &Spanned<String>,
    typed: Keys,
    discovers: bool,
) -> Result<Source, ConfigError> {
    let Keys { url, file: path, workload_api, discovery } = typed;
    match (url, path, workload_api, discovery) {
        (Some(url), None, None, None | Some(false)) => match Address::parse(&url.value) {
            Ok(address) => Ok(Source::Url(address)),
            Err(error) => Err(file.invalid(&format!("{key}.url"), Some(&url), error.to_string())),
        },
        (None, Some(path), None, None | Some(false)) => Ok(Source::File(path)),
        (None, None, Some(agent), None | Some(false)) if !discovers => {
            Agent::parse(&agent.value, &name.value).map(Source::WorkloadApi).map_err(|error| {
                file.invalid(&format!("{key}.workload_api"), Some(&agent), error.to_string())
            })
        }
        (None, None, None, None | Some(true)) if discovers => match keys::Issuer::parse(&name.value) {
            Ok(issuer) => Ok(Source::Discovery(issuer)),
            Err(error) => {
                let problem = format!("{error}; or say where its keys are: `url` or `file`");
                Err(file.invalid(key, Some(name), problem))
            }
        },
        _ => {
            let ways =
                if discovers { "`url`, `file`, `discovery: true`" } else { "`url`, `file`, `workload_api`" };
            Err(file.invalid(key, Some(name), format!("say in one way where its keys come from: {ways}")))
        }
    }
}

fn human_claims(file: &ConfigFile<'_>, key: &str, typed: Human) -> Result<HumanClaims, ConfigError> {
    let Human { claim, kind, unregistered } = typed;
    if claim.is_empty() || kind.is_empty() {
        return Err(file.invalid(
            key,
            None::<&Spanned<()>>,
            "`claim` and `type` are names; leave them out for `sub` and `Human`",
        ));
    }
    let describe = |Unregistered { parents, attributes }| {
        let parents = parents.into_iter().map(|Parent { claim, kind }| ParentClaim { claim, kind }).collect();
        let value = |(name, typed): (String, Spanned<serde_json::Value>)| match json::parse(
            typed.value.to_string().as_bytes(),
            json::Limits::default(),
        ) {
            Ok(value) => Ok((name, value)),
            Err(error) => {
                let key = format!("{key}.unregistered.attributes.{name}");
                Err(file.invalid(&key, Some(&typed), error.to_string()))
            }
        };
        let attributes = attributes.into_iter().map(value).collect::<Result<_, _>>()?;
        Ok::<_, ConfigError>(Describe { parents, attributes })
    };
    Ok(HumanClaims { claim, kind, unregistered: unregistered.map(describe).transpose()? })
}

/// Each of the names as what it stands for; none of them unknown, and at least one.
fn each<T>(
    file: &ConfigFile<'_>,
    key: &str,
    typed: &Spanned<Vec<String>>,
    named: impl Fn(&str) -> Option<T>,
    known: impl Fn() -> String,
) -> Result<Vec<T>, ConfigError> {
    let all: Vec<T> = typed
        .value
        .iter()
        .map(|name| {
            named(name).ok_or_else(|| {
                file.invalid(key, Some(typed), format!("`{name}` is not known; take some of {}", known()))
            })
        })
        .collect::<Result<_, _>>()?;
    if all.is_empty() {
        return Err(file.invalid(key, Some(typed), format!("it is empty; take some of {}", known())));
    }
    Ok(all)
}
