//! `palisade token inspect`: why a token is taken or refused, check by check, without a server.
//! Never prints the token, and never fetches a key.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Exit, Format, secret, trouble};
use crate::identity::{
    Check, KEYS_BYTES_MAX, KeySet, Keys, REVOKED_BYTES_MAX, Revoked, Token, Trust, TrustConfig, inspect,
};
use crate::server::clock;
use crate::server::config::{self, Environment, Overrides};
use crate::server::keys::Source;

/// What to do with a token.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Explain every check that a token would go through. Nothing is sent anywhere.
    Inspect(Inspect),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 the token would be taken · 1 it would be refused, or a check could not be made · 2 usage or I/O error

The token is read from a file or from standard input, never from the command line, where others could see it.

Examples:
  palisade token inspect token.txt --config palisade.yaml --keys jwks.json
  pbpaste | palisade token inspect - --server-audience https://crm.acme.example/mcp")]
struct Inspect {
    /// The file with the token, `-` for standard input.
    #[arg(value_name = "FILE")]
    token: PathBuf,
    /// The configuration, whose `trust` is used [default: palisade.yaml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A JSON Web Key Set for issuers whose keys the server fetches.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The audience of the MCP server that the token is to be used for.
    #[arg(long, value_name = "URL")]
    server_audience: Option<String>,
    /// The instant to look at it, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    at: Option<i64>,
    /// How to print the checks.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

pub(super) fn run(options: &Options) -> Exit {
    let Options { command: Command::Inspect(asked) } = options;
    match checks(asked) {
        Ok(checks) => {
            match asked.format {
                Format::Human => print_for_people(&checks),
                Format::Json => print_json(&checks),
            }
            if checks.iter().all(|check| check.passed == Some(true)) { Exit::Ok } else { Exit::Findings }
        }
        Err(problem) => trouble(problem),
    }
}

fn checks(asked: &Inspect) -> Result<Vec<Check>, String> {
    let token = Token::new(secret::read("the token", &asked.token)?);
    let settings = config::load(asked.config.as_deref(), Overrides::default(), Environment::default())
        .map_err(|error| error.to_string())?;
    if settings.trust.keys.sources.is_empty() {
        return Err(nobody_is_trusted(asked.config.as_deref()));
    }
    let trust = trust(&settings.trust, asked.keys.as_deref())?;
    let now_s = asked.at.unwrap_or_else(|| clock::now().seconds());
    Ok(inspect(&trust, &token, asked.server_audience.as_deref(), now_s))
}

fn nobody_is_trusted(named: Option<&Path>) -> String {
    let file = named.unwrap_or(Path::new(config::FILE)).display();
    match named {
        None if !Path::new(config::FILE).exists() => {
            format!(
                "there is no `{file}` here, so nobody's tokens are trusted; name the server's configuration with --config FILE"
            )
        }
        None | Some(_) => {
            format!(
                "`{file}` trusts nobody's tokens; name their issuer in its `trust.issuers`, or their trust domain in `trust.spiffe`"
            )
        }
    }
}

/// The trust of a configuration, with the keys that lie in files, and with those of `further` for everybody else whom they
/// fit.
fn trust(configured: &config::Trust, further: Option<&Path>) -> Result<Trust, String> {
    let mut sets = BTreeMap::new();
    let mut fetched = Vec::new();
    let mut revoked = Revoked::default();
    for source in &configured.keys.sources {
        match &source.source {
            Source::File(path) if *source.name == *config::REVOKED => {
                revoked = self::revoked(path, &configured.config)?;
            }
            Source::File(path) => {
                sets.insert(source.name.clone(), key_set(configured, &source.name, path)?);
            }
            Source::Url(_) | Source::Discovery(_) | Source::WorkloadApi(_) => fetched.push(&source.name),
        }
    }
    if let Some(path) = further {
        // The keys of one issuer are often none for another, such as for a trust domain.
        let fitting = fetched.iter().map(|name| Ok((Arc::clone(name), key_set(configured, name, path)?)));
        let (fit, unfit): (Vec<_>, Vec<_>) = fitting.partition(Result::is_ok);
        if fit.is_empty() {
            let none_fetched = || {
                "--keys is for issuers whose keys the server fetches, and all of the configuration's lie in files; leave \
                 it out"
                    .to_owned()
            };
            return Err(unfit.into_iter().find_map(Result::err).unwrap_or_else(none_fetched));
        }
        sets.extend(fit.into_iter().flatten());
    }
    Ok(Trust::new(configured.config.clone(), &sets).without(Arc::new(revoked)))
}

fn revoked(path: &Path, config: &TrustConfig) -> Result<Revoked, String> {
    let failed = |why: String| format!("cannot take the revoked tokens from `{}`: {why}", path.display());
    let document = read(path, REVOKED_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
    Revoked::parse(&document, |issuer| config.names(issuer)).map_err(|fault| failed(format!("they {fault}")))
}

/// No more of a file than it may have, and one more byte.
fn read(path: &Path, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut document = Vec::new();
    std::fs::File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut document)?;
    Ok(document)
}

fn key_set(configured: &config::Trust, name: &str, path: &Path) -> Result<KeySet, String> {
    let failed = |why: String| format!("cannot take the keys of `{name}` from `{}`: {why}", path.display());
    let document = read(path, KEYS_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
    let (keys_use, algorithms) = configured.keys_use(name);
    let keys =
        Keys::parse(&document, keys_use, algorithms).map_err(|fault| failed(format!("they {fault}")))?;
    Ok(KeySet { keys: Arc::new(keys), digest: Sha256::digest(&document).into() })
}

fn print_for_people(checks: &[Check]) {
    for Check { name, passed, words } in checks {
        let mark = match passed {
            Some(true) => "ok  ",
            Some(false) => "no  ",
            None => "?   ",
        };
        anstream::println!("{mark}{name:<10} {words}");
    }
}

fn print_json(checks: &[Check]) {
    let taken = checks.iter().all(|check| check.passed == Some(true));
    let checks: Vec<_> = checks
        .iter()
        .map(|Check { name, passed, words }| json!({ "check": name, "passed": passed, "words": words }))
        .collect();
    anstream::println!("{:#}", json!({ "taken": taken, "checks": checks }));
}
