//! `ext_authz`: how gateways that ask as Envoy does are answered, as typed and checked.
//! Never a status that lets a denied request on.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::ConfigError;
use super::check::ConfigFile;
use super::trust::Trust;
use crate::api::ext_authz::{Settings, Telling};

/// The statuses that a deny may have.
const STATUSES: [u64; 4] = [200, 400, 403, 404];
/// The codes that JSON-RPC leaves to servers (JSON-RPC 2.0, section 5.1).
const CODES: std::ops::RangeInclusive<i64> = -32099..=-32000;

/// `ext_authz`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Typed {
    deny_status: Option<Spanned<u64>>,
    deny_code: Option<Spanned<i64>>,
    claims_of: Vec<Spanned<String>>,
}

/// Checks it.
pub(super) fn check(file: &ConfigFile<'_>, typed: Typed, trust: &Trust) -> Result<Settings, ConfigError> {
    let Typed { deny_status, deny_code, claims_of } = typed;
    let mut telling = Telling::default();
    if let Some(status) = deny_status {
        let fits = u16::try_from(status.value).ok().filter(|_| STATUSES.contains(&status.value));
        telling.deny_status = fits.ok_or_else(|| {
            let problem = format!("{} is none of 200, 400, 403 and 404; give one of these", status.value);
            file.invalid("ext_authz.deny_status", Some(&status), problem)
        })?;
    }
    if let Some(code) = deny_code {
        if !CODES.contains(&code.value) {
            let problem = format!("{} is out of range; give a code from -32099 to -32000", code.value);
            return Err(file.invalid("ext_authz.deny_code", Some(&code), problem));
        }
        telling.deny_code = code.value;
    }
    for (at, issuer) in claims_of.iter().enumerate() {
        if !trust.config.names(&issuer.value) {
            let problem = format!(
                "`{}` is none of `trust.issuers`; add it there, which says what its claims mean",
                issuer.value
            );
            return Err(file.invalid(&format!("ext_authz.claims_of[{at}]"), Some(issuer), problem));
        }
    }
    let issuers = claims_of.into_iter().map(|issuer| issuer.value).collect();
    Ok(Settings { telling, issuers })
}
