//! The configuration as it is typed.
//! Never believed: every value is checked before it is used.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::{ConfigError, Place};
use crate::identity::Role;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Typed {
    pub(super) bundle: Option<PathBuf>,
    pub(super) data: Option<PathBuf>,
    pub(super) listen: Listen,
    pub(super) callers: Vec<Spanned<Caller>>,
    pub(super) local_caller: LocalCaller,
    pub(super) trust: super::trust::Typed,
    pub(super) tasks: super::tasks::Typed,
    pub(super) authzen: super::authzen::Typed,
    pub(super) ext_authz: super::ext_authz::Typed,
    pub(super) reload: Reload,
    pub(super) audit: Audit,
    pub(super) log: Log,
    pub(super) telemetry: Telemetry,
    pub(super) limits: Limits,
}

/// `listen`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Listen {
    pub(super) grpc: Option<Spanned<Addresses>>,
    pub(super) grpc_socket_mode: Option<Spanned<String>>,
    pub(super) grpc_tls: Option<Spanned<super::tls::Typed>>,
    pub(super) http: Option<Spanned<String>>,
    pub(super) http_tls: Option<Spanned<super::tls::Typed>>,
    pub(super) http_hosts: Vec<String>,
    pub(super) admin: Option<Spanned<String>>,
    pub(super) admin_hosts: Vec<String>,
}

/// One address or a list of them.
#[derive(Debug)]
pub(super) enum Addresses {
    One(String),
    Many(Vec<Spanned<String>>),
}

/// `callers[]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Caller {
    pub(super) name: Spanned<String>,
    pub(super) token_sha256: Option<Spanned<String>>,
    pub(super) jwt: Option<Spanned<Jwt>>,
    pub(super) spiffe_id: Option<Spanned<String>>,
    pub(super) dns_name: Option<Spanned<String>>,
    pub(super) unix_user: Option<Spanned<u32>>,
    pub(super) roles: Spanned<Vec<Role>>,
    pub(super) servers: Spanned<Servers>,
    #[serde(default)]
    pub(super) agentless: bool,
}

/// `callers[].jwt`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jwt {
    pub(super) issuer: String,
    pub(super) sub: String,
    pub(super) client_id: Option<String>,
}

/// `"*"` or a list of ids.
#[derive(Debug)]
pub(super) enum Servers {
    All,
    Named(Vec<String>),
}

/// `local_caller`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LocalCaller {
    pub(super) enabled: Option<Spanned<Switch>>,
    pub(super) agentless: bool,
}

/// `auto`, `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    Auto,
    On,
    Off,
}

/// `reload`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reload {
    pub(super) poll_ms: Option<Spanned<u64>>,
    pub(super) debounce_ms: Option<Spanned<u64>>,
}

/// `audit`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Audit {
    pub(super) rotate_bytes: Option<Spanned<u64>>,
}

/// `log`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: Format,
    pub(super) level: Option<Spanned<String>>,
}

/// `log.format`
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Auto,
    Human,
    Json,
}

/// `telemetry`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Telemetry {
    pub(super) otlp_endpoint: Option<Spanned<String>>,
    pub(super) service_name: Option<String>,
    pub(super) sample_ratio: Option<Spanned<f64>>,
}

/// `limits`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "a limit is named for what it bounds")]
pub(super) struct Limits {
    pub(super) message_bytes_max: Option<Spanned<u64>>,
    pub(super) batch_len_max: Option<Spanned<u64>>,
    pub(super) context_depth_max: Option<Spanned<u64>>,
    pub(super) context_nodes_max: Option<Spanned<u64>>,
    pub(super) context_bytes_max: Option<Spanned<u64>>,
    pub(super) concurrent_streams_max: Option<Spanned<u64>>,
    pub(super) header_list_bytes_max: Option<Spanned<u64>>,
    pub(super) connections_max: Option<Spanned<u64>>,
    pub(super) open_decisions_max: Option<Spanned<u64>>,
    pub(super) sessions_max: Option<Spanned<u64>>,
}

/// Reads the text of a configuration file.
pub(super) fn parse(path: &Path, text: &str) -> Result<Typed, ConfigError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Typed::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |at| at.line());
        // Rust's name of a type tells nothing to whoever writes a configuration.
        let words = error.without_snippet().to_string();
        let problem = words
            .replace("invalid u64", "this is no whole number from 0 on,")
            .replace("invalid u32", "this is no whole number from 0 on,");
        ConfigError::Typed { place: Place { path: path.to_owned(), line }, problem }
    })
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Switch;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto`, `true` or `false`")
            }
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Switch, E> {
                Ok(if on { Switch::On } else { Switch::Off })
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Switch, E> {
                match word {
                    "auto" => Ok(Switch::Auto),
                    "true" => Ok(Switch::On),
                    "false" => Ok(Switch::Off),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Addresses;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a list of addresses")
            }
            fn visit_str<E: de::Error>(self, address: &str) -> Result<Addresses, E> {
                Ok(Addresses::One(address.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Addresses, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = items.next_element()? {
                    addresses.push(address);
                }
                Ok(Addresses::Many(addresses))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl<'de> Deserialize<'de> for Servers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StarOrList;
        impl<'de> Visitor<'de> for StarOrList {
            type Value = Servers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"*\" or a list of server ids")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Servers, E> {
                match word {
                    "*" => Ok(Servers::All),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Servers, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = items.next_element()? {
                    names.push(name);
                }
                Ok(Servers::Named(names))
            }
        }
        deserializer.deserialize_any(StarOrList)
    }
}
