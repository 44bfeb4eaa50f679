//! Turns the configuration as typed into the one that is used.
//! Never guesses: what does not fit is refused with its key and line.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_saphyr::Spanned;

use super::proofs::{self, Known};
use super::typed::{self, Addresses, Switch, Typed};
use super::{
    ADMIN, ConfigError, Environment, GRPC, GRPC_SOCKET_MODE, Limits, Listen, Overrides, Place, Settings,
    Trust,
};
use crate::catalog::server_id_fault;
use crate::identity::{Caller, Callers, LOCAL, OPERATOR, Role, Servers};
use crate::server::listen::{Address, AddressError};
use crate::server::{journal, reload, telemetry};

/// How long a caller's name may be: it stands in every record.
const NAME_CHARS_MAX: usize = 64;

/// How many addresses gRPC may listen on.
const GRPC_ADDRESSES_MAX: usize = 16;

/// Checks everything.
pub(super) fn settings(
    path: &Path,
    typed: Typed,
    overrides: Overrides,
    environment: Environment,
) -> Result<Settings, ConfigError> {
    let file = ConfigFile(path);
    let Typed { bundle, data, listen, callers, local_caller, trust, reload, audit, log, telemetry, limits } =
        typed;
    let bundle = overrides.bundle.or(bundle).unwrap_or_else(|| PathBuf::from("."));
    let data = overrides.data.or(data).unwrap_or_else(|| PathBuf::from("data"));
    let listen = file.listen(listen, overrides.grpc, overrides.admin)?;
    let journal = journal::Config::default();
    let rotate_bytes =
        file.number("audit.rotate_bytes", audit.rotate_bytes, journal.rotate_bytes, 4096..=1 << 40)?;
    let trust = super::trust::check(&file, trust)?;
    Ok(Settings {
        reload: file.reload(bundle, reload)?,
        data,
        callers: file.callers(callers, &local_caller, &listen, &trust)?,
        trust,
        listen,
        journal: journal::Config { rotate_bytes, ..journal },
        telemetry: file.telemetry(&log, telemetry, environment)?,
        limits: file.limits(limits)?,
    })
}

#[derive(Debug)]
pub(super) struct ConfigFile<'a>(&'a Path);

impl ConfigFile<'_> {
    pub(super) fn invalid<T>(
        &self,
        key: &str,
        at: Option<&Spanned<T>>,
        problem: impl Into<String>,
    ) -> ConfigError {
        let place = at.map(|at| Place { path: self.0.to_owned(), line: at.referenced.line() });
        ConfigError::Invalid { key: key.to_owned(), place, problem: problem.into() }
    }

    pub(super) fn number<N>(
        &self,
        key: &str,
        typed: Option<Spanned<u64>>,
        default: N,
        allowed: RangeInclusive<u64>,
    ) -> Result<N, ConfigError>
    where
        N: TryFrom<u64>,
    {
        let Some(typed) = typed else { return Ok(default) };
        let (least, most) = (allowed.start(), allowed.end());
        let fits = N::try_from(typed.value).ok().filter(|_| allowed.contains(&typed.value));
        fits.ok_or_else(|| {
            let problem = format!("{} is out of range; give a number from {least} to {most}", typed.value);
            self.invalid(key, Some(&typed), problem)
        })
    }

    fn address(
        &self,
        key: &str,
        typed: Option<&Spanned<String>>,
        default: &str,
    ) -> Result<SocketAddr, ConfigError> {
        let text = typed.map_or(default, |typed| &typed.value);
        text.parse().map_err(|_| {
            let problem = format!("`{text}` is not an address with a port; write one like `{default}`");
            self.invalid(key, typed, problem)
        })
    }

    fn listen(
        &self,
        typed: typed::Listen,
        grpc: Vec<Address>,
        admin: Option<SocketAddr>,
    ) -> Result<Listen, ConfigError> {
        let typed::Listen { grpc: typed_grpc, grpc_socket_mode, grpc_tls, admin: typed_admin, admin_hosts } =
            typed;
        let grpc = self.grpc(typed_grpc.as_ref(), grpc)?;
        let grpc_socket_mode = self.socket_mode(grpc_socket_mode.as_ref())?;
        let grpc_tls = super::tls::check(self, grpc_tls)?;
        let admin = admin.map_or_else(|| self.address("listen.admin", typed_admin.as_ref(), ADMIN), Ok)?;
        Ok(Listen { grpc, grpc_socket_mode, grpc_tls, admin, admin_hosts })
    }

    /// Where gRPC listens: what the command line says, else the file, else the default.
    fn grpc(
        &self,
        typed: Option<&Spanned<Addresses>>,
        given: Vec<Address>,
    ) -> Result<Vec<Address>, ConfigError> {
        const KEY: &str = "listen.grpc";
        let refused = |error: AddressError| error.to_string();
        let addresses = match typed.map(|typed| &typed.value) {
            _ if !given.is_empty() => given,
            None => vec![GRPC.parse().map_err(|error| self.invalid(KEY, typed, refused(error)))?],
            Some(Addresses::One(text)) => {
                vec![text.parse().map_err(|error| self.invalid(KEY, typed, refused(error)))?]
            }
            Some(Addresses::Many(texts)) => {
                let parsed = texts.iter().enumerate().map(|(at, text)| {
                    let key = format!("{KEY}[{at}]");
                    text.value.parse().map_err(|error| self.invalid(&key, Some(text), refused(error)))
                });
                parsed.collect::<Result<_, _>>()?
            }
        };
        if addresses.is_empty() || addresses.len() > GRPC_ADDRESSES_MAX {
            let problem = format!("give it 1 to {GRPC_ADDRESSES_MAX} addresses, such as `{GRPC}`");
            return Err(self.invalid(KEY, typed, problem));
        }
        for (at, address) in addresses.iter().enumerate() {
            // Port 0 is another one each time.
            let any = matches!(address, Address::Tcp(address) if address.port() == 0);
            if !any && addresses.iter().take(at).any(|earlier| earlier == address) {
                return Err(self.invalid(
                    KEY,
                    typed,
                    format!("it has `{address}` twice; take one of them out"),
                ));
            }
        }
        Ok(addresses)
    }

    /// The permission bits of a socket's file. The server's own user must always be able to connect: that is how the
    /// next start learns whether a socket is dead.
    fn socket_mode(&self, typed: Option<&Spanned<String>>) -> Result<u32, ConfigError> {
        let Some(typed) = typed else { return Ok(GRPC_SOCKET_MODE) };
        let text = &typed.value;
        let digits = text.len() == 4 && text.starts_with('0') && text.bytes().all(|c| c.is_ascii_digit());
        let mode = if digits { u32::from_str_radix(text, 8).ok() } else { None };
        mode.filter(|mode| mode & 0o600 == 0o600).ok_or_else(|| {
            let problem = format!(
                "`{text}` is no mode that lets the server's own user connect; give four octal digits in quotes, from \
                 \"0600\" (the same user) to \"0660\" (its group) and \"0666\" (everybody on the machine)"
            );
            self.invalid("listen.grpc_socket_mode", Some(typed), problem)
        })
    }

    fn reload(&self, bundle: PathBuf, typed: typed::Reload) -> Result<reload::Config, ConfigError> {
        let usual = reload::Config::new(bundle);
        let typed::Reload { poll_ms, debounce_ms } = typed;
        let poll_ms = self.number("reload.poll_ms", poll_ms, 5_000, 100..=3_600_000)?;
        let debounce_ms = self.number("reload.debounce_ms", debounce_ms, 100, 1..=10_000)?;
        let debounce = Duration::from_millis(debounce_ms);
        let debounce_max = usual.debounce_max.max(debounce);
        Ok(reload::Config { poll: Duration::from_millis(poll_ms), debounce, debounce_max, ..usual })
    }

    fn callers(
        &self,
        typed: Vec<Spanned<typed::Caller>>,
        local: &typed::LocalCaller,
        listen: &Listen,
        trust: &Trust,
    ) -> Result<Callers, ConfigError> {
        let mut known = Known::new(self, listen.grpc_tls.as_ref(), &trust.config);
        let mut callers = Vec::with_capacity(typed.len());
        let mut names = BTreeSet::from([LOCAL.to_owned(), OPERATOR.to_owned()]);
        for (at, typed) in typed.into_iter().enumerate() {
            let key = |member: &str| format!("callers[{at}].{member}");
            let typed::Caller {
                name,
                token_sha256,
                jwt,
                spiffe_id,
                dns_name,
                unix_user,
                roles,
                servers,
                agentless,
            } = typed.value;
            if name.value.is_empty() || name.value.chars().count() > NAME_CHARS_MAX {
                let problem = format!("give it a name of 1 to {NAME_CHARS_MAX} characters");
                return Err(self.invalid(&key("name"), Some(&name), problem));
            }
            if !names.insert(name.value.clone()) {
                let problem = format!("the name `{}` is taken; give it another", name.value);
                return Err(self.invalid(&key("name"), Some(&name), problem));
            }
            let proofs = proofs::Typed { token_sha256, jwt, spiffe_id, dns_name, unix_user };
            let proofs = known.check(&format!("callers[{at}]"), &name, proofs)?;
            if roles.value.is_empty() {
                let problem = "it may do nothing; give it a role, such as `authorize`";
                return Err(self.invalid(&key("roles"), Some(&roles), problem));
            }
            let servers = self.servers(&key("servers"), &servers)?;
            let roles = roles.value.into_iter().collect();
            let caller = Caller { name: name.value.as_str().into(), roles, servers, agentless };
            callers.push((proofs, caller));
        }
        let local =
            self.local(local, &listen.grpc, &known, callers.is_empty() && trust.keys.sources.is_empty())?;
        let alone = Callers::new([], local);
        Ok(callers.into_iter().fold(alone, |all, (proofs, caller)| all.with(proofs, caller)))
    }

    fn servers(&self, key: &str, typed: &Spanned<typed::Servers>) -> Result<Servers, ConfigError> {
        let names = match &typed.value {
            typed::Servers::All => return Ok(Servers::All),
            typed::Servers::Named(names) => names,
        };
        for name in names {
            if let Some((what, help)) = server_id_fault(name) {
                let problem = format!("`{name}` cannot be the id of a server: {what}; {help}");
                return Err(self.invalid(key, Some(typed), problem));
            }
        }
        Ok(Servers::Named(names.iter().cloned().collect()))
    }

    /// The local caller: believed only where no other machine can claim to be it.
    fn local(
        &self,
        typed: &typed::LocalCaller,
        grpc: &[Address],
        known: &Known<'_>,
        nobody_else: bool,
    ) -> Result<Option<Caller>, ConfigError> {
        let reached = grpc.iter().find(|address| !address.is_local());
        let enabled = match typed.enabled.as_ref().map_or(Switch::Auto, |enabled| enabled.value) {
            Switch::Auto => reached.is_none() && nobody_else,
            Switch::Off => false,
            Switch::On => {
                if let Some(address) = reached {
                    let problem = format!(
                        "everybody who reaches {address} would be believed; listen on 127.0.0.1 or a unix socket"
                    );
                    return Err(self.invalid("local_caller.enabled", typed.enabled.as_ref(), problem));
                }
                true
            }
        };
        if let Some(address) = reached
            && !known.anybody_at(address)
        {
            let problem = format!(
                "gRPC listens on {address}, where no caller is known by a token or a certificate; name callers, or use \
                 127.0.0.1 or a unix socket"
            );
            return Err(self.invalid("callers", None::<&Spanned<()>>, problem));
        }
        let roles = BTreeSet::from([Role::Authorize, Role::Assert]);
        let agentless = typed.agentless;
        Ok(enabled.then(|| Caller { name: LOCAL.into(), roles, servers: Servers::All, agentless }))
    }

    fn telemetry(
        &self,
        log: &typed::Log,
        typed: typed::Telemetry,
        environment: Environment,
    ) -> Result<telemetry::Config, ConfigError> {
        let json = match log.format {
            typed::Format::Auto => !environment.terminal,
            typed::Format::Human => false,
            typed::Format::Json => true,
        };
        let typed::Telemetry { otlp_endpoint, service_name, sample_ratio } = typed;
        let filter = match (environment.log, &log.level) {
            (Some(filter), _) => {
                telemetry::check_filter(&filter)
                    .map_err(|problem| self.invalid("RUST_LOG", None::<&Spanned<()>>, problem))?;
                filter
            }
            (None, Some(level)) => {
                telemetry::check_filter(&level.value)
                    .map_err(|problem| self.invalid("log.level", Some(level), problem))?;
                level.value.clone()
            }
            (None, None) => telemetry::USUAL_FILTER.to_owned(),
        };
        if let Some(endpoint) = &otlp_endpoint {
            telemetry::check_endpoint(&endpoint.value)
                .map_err(|problem| self.invalid("telemetry.otlp_endpoint", Some(endpoint), problem))?;
        }
        if let Some(ratio) = &sample_ratio
            && !(0.0..=1.0).contains(&ratio.value)
        {
            let problem = format!("{} is no share; give a number from 0 to 1", ratio.value);
            return Err(self.invalid("telemetry.sample_ratio", Some(ratio), problem));
        }
        Ok(telemetry::Config {
            filter,
            json,
            colours: environment.colours,
            otlp_endpoint: otlp_endpoint.map(|endpoint| endpoint.value),
            service_name: service_name.unwrap_or_else(|| "palisade".to_owned()),
            sample_ratio: sample_ratio.map_or(1.0, |ratio| ratio.value),
        })
    }

    fn limits(&self, typed: typed::Limits) -> Result<Limits, ConfigError> {
        let usual = Limits::default();
        let typed::Limits {
            message_bytes_max,
            batch_len_max,
            context_depth_max,
            context_nodes_max,
            context_bytes_max,
            concurrent_streams_max,
            header_list_bytes_max,
            connections_max,
            open_decisions_max,
            sessions_max,
        } = typed;
        let many = 1..=1_000_000;
        let bytes = 1024..=64 * 1024 * 1024;
        macro_rules! within {
            ($name:ident, $allowed:expr) => {
                self.number(concat!("limits.", stringify!($name)), $name, usual.$name, $allowed)?
            };
        }
        Ok(Limits {
            message_bytes_max: within!(message_bytes_max, bytes.clone()),
            batch_len_max: within!(batch_len_max, 1..=10_000),
            // Deeper values could exhaust the stack of whoever walks them.
            context_depth_max: within!(context_depth_max, 1..=32),
            context_nodes_max: within!(context_nodes_max, many.clone()),
            context_bytes_max: within!(context_bytes_max, bytes),
            concurrent_streams_max: within!(concurrent_streams_max, 1..=10_000),
            header_list_bytes_max: within!(header_list_bytes_max, 1024..=1024 * 1024),
            connections_max: within!(connections_max, many),
            open_decisions_max: within!(open_decisions_max, 0..=10_000_000),
            sessions_max: within!(sessions_max, 1..=10_000_000),
        })
    }
}
