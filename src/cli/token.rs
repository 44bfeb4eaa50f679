//! `palisade token inspect`: why a token is taken or refused, check by check, without a server.
//! Never prints the token, and never fetches a key.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Exit, Format, trouble};
use crate::identity::{Check, KEYS_BYTES_MAX, KeySet, Keys, Token, Trust, inspect};
use crate::server::clock;
use crate::server::config::{self, Environment, Overrides};
use crate::server::keys::Source;

/// The longest file that is read as a token.
const TOKEN_FILE_BYTES_MAX: u64 = 1 << 20;

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
    let token = read_token(&asked.token)?;
    let settings = config::load(asked.config.as_deref(), Overrides::default(), Environment::default())
        .map_err(|error| error.to_string())?;
    let trust = trust(&settings.trust, asked.keys.as_deref())?;
    let now_s = asked.at.unwrap_or_else(|| clock::now().seconds());
    Ok(inspect(&trust, &token, asked.server_audience.as_deref(), now_s))
}

fn read_token(path: &Path) -> Result<Token, String> {
    let mut text = String::new();
    let failed = |error| format!("cannot read the token from `{}`: {error}", path.display());
    if path == Path::new("-") {
        std::io::stdin().take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    }
    let text = text.trim();
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(Token::new(token.map_or(text, |(_, token)| token.trim())))
}

/// The trust of a configuration, with the keys that lie in files, and with those of `further` for everybody else.
fn trust(configured: &config::Trust, further: Option<&Path>) -> Result<Trust, String> {
    let mut sets = BTreeMap::new();
    for source in &configured.keys.sources {
        let path = match (&source.source, further) {
            (Source::File(path), _) => path.as_path(),
            (Source::Url(_) | Source::Discovery(_) | Source::WorkloadApi(_), Some(path)) => path,
            (Source::Url(_) | Source::Discovery(_) | Source::WorkloadApi(_), None) => continue,
        };
        let set = key_set(configured, &source.name, path)?;
        sets.insert(source.name.clone(), set);
    }
    Ok(Trust::new(configured.config.clone(), &sets))
}

fn key_set(configured: &config::Trust, name: &str, path: &Path) -> Result<KeySet, String> {
    let failed = |why: String| format!("cannot take the keys of `{name}` from `{}`: {why}", path.display());
    let mut document = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(KEYS_BYTES_MAX as u64 + 1)
        .read_to_end(&mut document)
        .map_err(|error| failed(error.to_string()))?;
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
