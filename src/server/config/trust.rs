//! `trust`: whose tokens are believed, and where their keys come from.
//! Never guesses what a claim means: what is not configured names nobody.

mod human;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::ConfigError;
use super::check::ConfigFile;
use crate::identity::{
    Algorithm, Domain, Issuer, LEEWAY_S_MAX, REVOKED_BYTES_MAX, TokenKind, TrustConfig, Use, is_trust_domain,
};
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
    audience: Vec<Spanned<String>>,
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
    keys: Option<Spanned<Keys>>,
    algorithms: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    audience: Vec<Spanned<String>>,
    tokens: Option<Spanned<Vec<String>>>,
    lifetime_max_s: Option<Spanned<u64>>,
    human: Option<human::Typed>,
    agent: Option<Spanned<String>>,
}

/// `keys`: one of them; the issuer's own metadata when none is given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Keys {
    url: Option<Spanned<String>>,
    file: Option<Spanned<PathBuf>>,
    workload_api: Option<Spanned<String>>,
    discovery: Option<bool>,
}

impl Keys {
    const NONE: Self = Self { url: None, file: None, workload_api: None, discovery: None };
}

/// `trust.spiffe[]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedDomain {
    trust_domain: Spanned<String>,
    keys: Spanned<Keys>,
    #[serde(default)]
    audience: Vec<Spanned<String>>,
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
        audience: audiences(file, "trust", &audience)?,
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
    let source = source(file, &format!("{key}.keys"), &issuer, keys.as_ref(), true)?;
    let audience = audiences(file, key, &audience)?;
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
    let agent = agent.map(|claim| named(file, &format!("{key}.agent"), &claim, "`client_id`")).transpose()?;
    let human = human.map(|typed| human::check(file, &format!("{key}.human"), typed)).transpose()?;
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
    let source = source(file, &format!("{key}.keys"), &trust_domain, Some(&keys), false)?;
    let audience = audiences(file, key, &audience)?;
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
    typed: Option<&Spanned<Keys>>,
    discovers: bool,
) -> Result<Source, ConfigError> {
    let refused = |at: Option<&Spanned<Keys>>, problem: String| match at {
        Some(at) => file.invalid(key, Some(at), problem),
        None => file.invalid(key, Some(name), problem),
    };
    let Keys { url, file: path, workload_api, discovery } = typed.map_or(&Keys::NONE, |typed| &typed.value);
    match (url, path, workload_api, discovery) {
        (Some(url), None, None, None | Some(false)) => match Address::parse(&url.value) {
            Ok(address) => Ok(Source::Url(address)),
            Err(error) => Err(file.invalid(&format!("{key}.url"), Some(url), error.to_string())),
        },
        (None, Some(path), None, None | Some(false)) if path.value.as_os_str().is_empty() => {
            Err(file.invalid(&format!("{key}.file"), Some(path), "it is empty; write the path of a key set"))
        }
        (None, Some(path), None, None | Some(false)) => Ok(Source::File(path.value.clone())),
        (None, None, Some(agent), None | Some(false)) if !discovers => {
            Agent::parse(&agent.value, &name.value)
                .map(Source::WorkloadApi)
                .map_err(|error| file.invalid(&format!("{key}.workload_api"), Some(agent), error.to_string()))
        }
        (None, None, None, Some(false)) if discovers => {
            let problem = "`discovery: false` leaves no way to its keys; say where they are: `url` or `file`";
            Err(refused(typed, problem.to_owned()))
        }
        (None, None, None, None | Some(true)) if discovers => match keys::Issuer::parse(&name.value) {
            Ok(issuer) => Ok(Source::Discovery(issuer)),
            Err(error) => {
                let problem = format!("{error}; or say where its keys are: `url` or `file`");
                Err(refused(typed, problem))
            }
        },
        (Some(_) | None, _, _, _) => {
            let ways =
                if discovers { "`url`, `file`, `discovery: true`" } else { "`url`, `file`, `workload_api`" };
            Err(refused(typed, format!("say in one way where its keys come from: {ways}")))
        }
    }
}

/// A name that is not empty. Advice: such as what.
pub(super) fn named(
    file: &ConfigFile<'_>,
    key: &str,
    typed: &Spanned<String>,
    such_as: &str,
) -> Result<String, ConfigError> {
    if typed.value.is_empty() {
        return Err(file.invalid(key, Some(typed), format!("it is empty; write a name such as {such_as}")));
    }
    Ok(typed.value.clone())
}

fn audiences(
    file: &ConfigFile<'_>,
    key: &str,
    typed: &[Spanned<String>],
) -> Result<Vec<String>, ConfigError> {
    let each = typed.iter().enumerate();
    each.map(|(at, name)| named(file, &format!("{key}.audience[{at}]"), name, "`https://pdp.acme.example`"))
        .collect()
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
