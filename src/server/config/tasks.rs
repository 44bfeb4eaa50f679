//! `tasks`: what a task may have at most, who may start one, and the keys of its token, as typed and checked.
//! Never loosens a bound that it does not understand.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;
use url::Url;

use super::check::ConfigFile;
use super::{ConfigError, Http, Trust};
use crate::identity::Algorithm;
use crate::server::signing;
use crate::task::{DEPTH_MAX, Required};

/// The longest name of this server as an issuer, and the longest URL of it.
const NAME_BYTES_MAX: usize = 256;
/// How many files of keys may be named.
const KEY_FILES_MAX: usize = 16;
/// A week, in seconds: no task lives longer.
const TTL_S_MAX: u64 = 604_800;
const DAY_S: i64 = 86_400;

/// What holds of tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Tasks {
    /// Whether there are any.
    pub enabled: bool,
    /// `iss` and audience of this server's own tokens.
    pub issuer: String,
    /// Where clients reach the HTTP listener, without a slash at its end; none: at the address that it is bound to.
    pub public_url: Option<String>,
    /// How long a task lives that asks for no time, in seconds.
    pub ttl_default_s: i64,
    /// How long any task may live, in seconds.
    pub ttl_max_s: i64,
    /// How often a task may be handed on.
    pub depth_max: usize,
    /// How many calls a task may make; also what it has if it asks for no number.
    pub calls_max: u64,
    /// How many calls the tasks of one human, agent and purpose may make together within the window.
    pub calls_window_max: u64,
    /// The length of that window, in seconds.
    pub calls_window_s: i64,
    /// Whether tasks may be started without a key that their tokens are bound to.
    pub bearer: bool,
    /// Whether a caller with the role `assert` may start tasks for parties that no token shows.
    pub asserted: bool,
    /// Which calls need a task.
    pub required: Required,
    /// How long open tasks go on that another bundle would not grant, before they are revoked.
    pub drift_grace: Duration,
    /// The share of open tasks, from 0 to 1, that a publication may end without being confirmed.
    pub drift_share_max: f64,
    /// How many tasks may be open at once.
    pub open_max: usize,
    /// The keys that sign.
    pub signing: signing::Config,
}

/// `tasks`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Typed {
    enabled: Option<bool>,
    issuer: Option<Spanned<String>>,
    public_url: Option<Spanned<String>>,
    ttl_default_s: Option<Spanned<u64>>,
    ttl_max_s: Option<Spanned<u64>>,
    depth_max: Option<Spanned<u64>>,
    calls_max: Option<Spanned<u64>>,
    calls_window_max: Option<Spanned<u64>>,
    calls_window_s: Option<Spanned<u64>>,
    bearer: bool,
    asserted: Option<bool>,
    required: Required,
    drift_grace_ms: Option<Spanned<u64>>,
    drift_share_max: Option<Spanned<f64>>,
    open_max: Option<Spanned<u64>>,
    signing: TypedSigning,
}

/// `tasks.signing`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TypedSigning {
    algorithm: Option<Spanned<String>>,
    rotate_days: Option<Spanned<u64>>,
    key_files: Vec<Spanned<PathBuf>>,
}

/// Checks it. `http` is where HTTP will listen.
pub(super) fn check(
    file: &ConfigFile<'_>,
    typed: Typed,
    http: &Http,
    trust: &Trust,
) -> Result<Tasks, ConfigError> {
    let Typed {
        enabled,
        issuer,
        public_url,
        ttl_default_s,
        ttl_max_s,
        depth_max,
        calls_max,
        calls_window_max,
        calls_window_s,
        bearer,
        asserted,
        required,
        drift_grace_ms,
        drift_share_max,
        open_max,
        signing,
    } = typed;
    let public_url = self::public_url(file, public_url.as_ref(), issuer.as_ref())?;
    let issuer = self::issuer(file, issuer.as_ref(), http, trust)?;
    let within = |key: &str, typed, default: i64, allowed| {
        file.number(&format!("tasks.{key}"), typed, default, allowed)
    };
    let ttl_max_s = within("ttl_max_s", ttl_max_s, 28_800, 1..=TTL_S_MAX)?;
    let most = u64::try_from(ttl_max_s).unwrap_or(TTL_S_MAX);
    let ttl_default_s = within("ttl_default_s", ttl_default_s, ttl_max_s.min(900), 1..=most)?;
    let depth_most = u64::try_from(DEPTH_MAX).unwrap_or(u64::MAX);
    let many = 1..=1_000_000_000;
    Ok(Tasks {
        enabled: enabled.unwrap_or(true),
        issuer,
        public_url,
        ttl_default_s,
        ttl_max_s,
        depth_max: file.number("tasks.depth_max", depth_max, 3, 0..=depth_most)?,
        calls_max: file.number("tasks.calls_max", calls_max, 1000, many.clone())?,
        calls_window_max: file.number("tasks.calls_window_max", calls_window_max, 100_000, many)?,
        calls_window_s: within("calls_window_s", calls_window_s, DAY_S, 1..=31_536_000)?,
        bearer,
        // Where nobody's tokens are believed, nobody could start anything otherwise.
        asserted: asserted.unwrap_or(trust.config.issuers.is_empty() && trust.config.domains.is_empty()),
        required,
        drift_grace: Duration::from_millis(file.number(
            "tasks.drift_grace_ms",
            drift_grace_ms,
            5000,
            0..=3_600_000,
        )?),
        drift_share_max: share(file, drift_share_max.as_ref())?,
        open_max: file.number("tasks.open_max", open_max, 1_000_000, 1..=10_000_000)?,
        signing: self::signing(file, signing, ttl_max_s)?,
    })
}

fn share(file: &ConfigFile<'_>, typed: Option<&Spanned<f64>>) -> Result<f64, ConfigError> {
    let share = typed.map_or(0.5, |typed| typed.value);
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    let problem = format!("{share} is no share; give a number from 0 to 1");
    Err(file.invalid("tasks.drift_share_max", typed, problem))
}

/// The name in the tokens: what is written, else where HTTP is to listen.
fn issuer(
    file: &ConfigFile<'_>,
    typed: Option<&Spanned<String>>,
    http: &Http,
    trust: &Trust,
) -> Result<String, ConfigError> {
    const KEY: &str = "tasks.issuer";
    let Some(typed) = typed else {
        return Ok(format!("{}://{}", http.scheme(), http.address));
    };
    let text = &typed.value;
    if !is_url(text) && !is_urn(text) {
        let problem = format!(
            "`{text}` can be no issuer; write a URL without query and fragment or a URN, of at most {NAME_BYTES_MAX} \
             characters, such as `https://pdp.acme.example`"
        );
        return Err(file.invalid(KEY, Some(typed), problem));
    }
    if trust.config.names(text) {
        let problem = format!(
            "`{text}` is somebody else's name in `trust`; give this server another, since it signs with its own keys"
        );
        return Err(file.invalid(KEY, Some(typed), problem));
    }
    Ok(text.clone())
}

/// Where clients reach us: what is written, else the issuer that is written if it is a URL.
fn public_url(
    file: &ConfigFile<'_>,
    typed: Option<&Spanned<String>>,
    issuer: Option<&Spanned<String>>,
) -> Result<Option<String>, ConfigError> {
    let trimmed = |text: &str| text.trim_end_matches('/').to_owned();
    let Some(typed) = typed else {
        return Ok(issuer.filter(|issuer| is_url(&issuer.value)).map(|issuer| trimmed(&issuer.value)));
    };
    if !is_url(&typed.value) {
        let problem = format!(
            "`{}` is no URL of a server; write how clients reach `listen.http`, such as `https://pdp.acme.example`",
            typed.value
        );
        return Err(file.invalid("tasks.public_url", Some(typed), problem));
    }
    Ok(Some(trimmed(&typed.value)))
}

fn is_url(text: &str) -> bool {
    let plain = !text.contains(['?', '#', '@', '\\']);
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    is_name(text) && plain && url.is_some()
}

/// `urn:NAMESPACE:NAME` (RFC 8141, section 2).
fn is_urn(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let scheme = parts.next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn"));
    is_name(text) && scheme && (0..2).all(|_| parts.next().is_some_and(|part| !part.is_empty()))
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn signing(
    file: &ConfigFile<'_>,
    typed: TypedSigning,
    ttl_max_s: i64,
) -> Result<signing::Config, ConfigError> {
    const KEY: &str = "tasks.signing";
    let TypedSigning { algorithm, rotate_days, key_files } = typed;
    let useless = "the keys of `key_files` are as they are, and none is made; take this or them out";
    if let (Some(algorithm), false) = (&algorithm, key_files.is_empty()) {
        return Err(file.invalid(&format!("{KEY}.algorithm"), Some(algorithm), useless));
    }
    if let (Some(days), false) = (&rotate_days, key_files.is_empty()) {
        return Err(file.invalid(&format!("{KEY}.rotate_days"), Some(days), useless));
    }
    if let Some(further) = key_files.get(KEY_FILES_MAX) {
        let problem = format!("give it at most {KEY_FILES_MAX} files");
        return Err(file.invalid(&format!("{KEY}.key_files"), Some(further), problem));
    }
    for (at, path) in key_files.iter().enumerate() {
        if path.value.as_os_str().is_empty() {
            let problem = "it is empty; write the path of a private key in PKCS#8";
            return Err(file.invalid(&format!("{KEY}.key_files[{at}]"), Some(path), problem));
        }
    }
    let named = algorithm.as_ref().map(|typed| {
        let known = [Algorithm::Es256, Algorithm::EdDsa];
        known.into_iter().find(|algorithm| algorithm.name() == typed.value).ok_or_else(|| {
            let problem = format!("tokens are not signed with `{}`; take `ES256` or `EdDSA`", typed.value);
            file.invalid(&format!("{KEY}.algorithm"), Some(typed), problem)
        })
    });
    let rotate_days: i64 = file.number(&format!("{KEY}.rotate_days"), rotate_days, 30, 1..=3650)?;
    Ok(signing::Config {
        algorithm: named.transpose()?.unwrap_or(Algorithm::Es256),
        rotate_s: rotate_days * DAY_S,
        overlap_s: ttl_max_s,
        key_files: key_files.into_iter().map(|path| path.value).collect(),
    })
}
