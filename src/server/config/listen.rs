//! `listen`: where to listen, as it is typed, and checked.
//! Never takes an address that nobody wrote, but for the defaults on loopback.

use std::net::SocketAddr;

use serde_saphyr::Spanned;

use super::check::ConfigFile;
use super::typed::{self, Addresses};
use super::{ADMIN, ConfigError, GRPC, GRPC_SOCKET_MODE, HTTP, Http, Listen, tls};
use crate::server::listen::{Address, AddressError};

/// How many addresses gRPC may listen on.
const GRPC_ADDRESSES_MAX: usize = 16;

/// Checks it; what the command line says wins.
pub(super) fn check(
    file: &ConfigFile<'_>,
    typed: typed::Listen,
    grpc_given: Vec<Address>,
    http_given: Option<SocketAddr>,
    admin_given: Option<SocketAddr>,
) -> Result<Listen, ConfigError> {
    let typed::Listen { grpc, grpc_socket_mode, grpc_tls, http, http_tls, http_hosts, admin, admin_hosts } =
        typed;
    let address = |given: Option<SocketAddr>, key, typed: Option<Spanned<String>>, default| {
        given.map_or_else(|| self::address(file, key, typed.as_ref(), default), Ok)
    };
    let grpc = self::grpc(file, grpc.as_ref(), grpc_given)?;
    let grpc_socket_mode = socket_mode(file, grpc_socket_mode.as_ref())?;
    let grpc_tls = tls::check(file, "listen.grpc_tls", grpc_tls)?;
    let http = Http {
        address: address(http_given, "listen.http", http, HTTP)?,
        tls: tls::check(file, "listen.http_tls", http_tls)?,
        hosts: http_hosts,
    };
    let admin = address(admin_given, "listen.admin", admin, ADMIN)?;
    Ok(Listen { grpc, grpc_socket_mode, grpc_tls, http, admin, admin_hosts })
}

fn address(
    file: &ConfigFile<'_>,
    key: &str,
    typed: Option<&Spanned<String>>,
    default: &str,
) -> Result<SocketAddr, ConfigError> {
    let text = typed.map_or(default, |typed| &typed.value);
    text.parse().map_err(|_| {
        let problem = format!("`{text}` is not an address with a port; write one like `{default}`");
        file.invalid(key, typed, problem)
    })
}

/// Where gRPC listens: what the command line says, else the file, else the default.
fn grpc(
    file: &ConfigFile<'_>,
    typed: Option<&Spanned<Addresses>>,
    given: Vec<Address>,
) -> Result<Vec<Address>, ConfigError> {
    const KEY: &str = "listen.grpc";
    let refused = |error: AddressError| error.to_string();
    let addresses = match typed.map(|typed| &typed.value) {
        _ if !given.is_empty() => given,
        None => vec![GRPC.parse().map_err(|error| file.invalid(KEY, typed, refused(error)))?],
        Some(Addresses::One(text)) => {
            vec![text.parse().map_err(|error| file.invalid(KEY, typed, refused(error)))?]
        }
        Some(Addresses::Many(texts)) => {
            let parsed = texts.iter().enumerate().map(|(at, text)| {
                let key = format!("{KEY}[{at}]");
                text.value.parse().map_err(|error| file.invalid(&key, Some(text), refused(error)))
            });
            parsed.collect::<Result<_, _>>()?
        }
    };
    if addresses.is_empty() || addresses.len() > GRPC_ADDRESSES_MAX {
        let problem = format!("give it 1 to {GRPC_ADDRESSES_MAX} addresses, such as `{GRPC}`");
        return Err(file.invalid(KEY, typed, problem));
    }
    for (at, address) in addresses.iter().enumerate() {
        // Port 0 is another one each time.
        let any = matches!(address, Address::Tcp(address) if address.port() == 0);
        if !any && addresses.iter().take(at).any(|earlier| earlier == address) {
            return Err(file.invalid(KEY, typed, format!("it has `{address}` twice; take one of them out")));
        }
    }
    Ok(addresses)
}

/// The permission bits of a socket's file. The server's own user must always be able to connect: that is how the
/// next start learns whether a socket is dead.
fn socket_mode(file: &ConfigFile<'_>, typed: Option<&Spanned<String>>) -> Result<u32, ConfigError> {
    let Some(typed) = typed else { return Ok(GRPC_SOCKET_MODE) };
    let text = &typed.value;
    let digits = text.len() == 4 && text.starts_with('0') && text.bytes().all(|c| c.is_ascii_digit());
    let mode = if digits { u32::from_str_radix(text, 8).ok() } else { None };
    mode.filter(|mode| mode & 0o600 == 0o600).ok_or_else(|| {
        let problem = format!(
            "`{text}` is no mode that lets the server's own user connect; give four octal digits in quotes, from \
             \"0600\" (the same user) to \"0660\" (its group) and \"0666\" (everybody on the machine)"
        );
        file.invalid("listen.grpc_socket_mode", Some(typed), problem)
    })
}
