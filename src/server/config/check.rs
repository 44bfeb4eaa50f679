//! Turns the configuration as typed into the one that is used.
//! Never guesses: what does not fit is refused with its key and line.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_saphyr::Spanned;

use super::proofs::{self, Known};
use super::typed::{self, Switch, Typed};
use super::{ConfigError, Environment, Limits, Listen, Overrides, Place, Settings, Trust, listen, tasks};
use crate::catalog::server_id_fault;
use crate::identity::{Caller, Callers, LOCAL, OPERATOR, Role, Servers};
use crate::server::{journal, reload, telemetry};

/// How long a caller's name may be: it stands in every record.
const NAME_CHARS_MAX: usize = 64;

/// Checks everything.
pub(super) fn settings(
    path: &Path,
    typed: Typed,
    overrides: Overrides,
    environment: Environment,
) -> Result<Settings, ConfigError> {
    let file = ConfigFile(path);
    let Typed {
        bundle,
        data,
        listen,
        callers,
        local_caller,
        trust,
        tasks,
        authzen,
        ext_authz,
        reload,
        audit,
        log,
        telemetry,
        limits,
    } = typed;
    let Overrides { bundle: bundle_given, data: data_given, grpc, http, admin } = overrides;
    let bundle = bundle_given.or(bundle).unwrap_or_else(|| PathBuf::from("."));
    let data = data_given.or(data).unwrap_or_else(|| PathBuf::from("data"));
    let listen = listen::check(&file, listen, grpc, http, admin)?;
    let journal = journal::Config::default();
    let rotate_bytes =
        file.number("audit.rotate_bytes", audit.rotate_bytes, journal.rotate_bytes, 4096..=1 << 40)?;
    let trust = super::trust::check(&file, trust)?;
    let tasks = tasks::check(&file, tasks, &listen.http, &trust)?;
    let authzen = super::authzen::check(&file, authzen, &tasks)?;
    Ok(Settings {
        reload: file.reload(bundle, reload)?,
        data,
        callers: file.callers(callers, &local_caller, &listen, &trust)?,
        ext_authz: super::ext_authz::check(&file, ext_authz, &trust)?,
        trust,
        tasks,
        authzen,
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
            let caller =
                Caller { name: name.value.as_str().into(), roles, servers, agentless, authenticated: true };
            callers.push((proofs, caller));
        }
        let local = self.local(local, listen, &known, callers.is_empty() && trust.keys.sources.is_empty())?;
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
        listen: &Listen,
        known: &Known<'_>,
        nobody_else: bool,
    ) -> Result<Option<Caller>, ConfigError> {
        let reached = listen.grpc.iter().find(|address| !address.is_local());
        let http = Some(&listen.http).filter(|http| !http.is_local());
        let anywhere = reached.map(ToString::to_string).or_else(|| http.map(|http| http.address.to_string()));
        let enabled = match typed.enabled.as_ref().map_or(Switch::Auto, |enabled| enabled.value) {
            Switch::Auto => anywhere.is_none() && nobody_else,
            Switch::Off => false,
            Switch::On => {
                if let Some(address) = anywhere {
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
        if let Some(http) = http
            && !known.anybody_over_http(http.tls.as_ref())
        {
            let problem = format!(
                "HTTP listens on {}, where no caller is known by a token or a certificate; name callers, or use 127.0.0.1",
                http.address
            );
            return Err(self.invalid("callers", None::<&Spanned<()>>, problem));
        }
        let roles = BTreeSet::from([Role::Authorize, Role::Assert]);
        let agentless = typed.agentless;
        Ok(enabled.then(|| Caller {
            name: LOCAL.into(),
            roles,
            servers: Servers::All,
            agentless,
            authenticated: false,
        }))
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
