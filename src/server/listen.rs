//! Where to listen: TCP addresses and unix sockets, and the listeners on them.
//! Never chooses another address than it was given.

mod socket;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::either::Either;

pub use self::socket::{Socket, SocketError};
use super::tls::Tls;
use crate::api::{Peer, peer_at};
use crate::identity::UnixUser;

/// What an address of a unix socket begins with.
const UNIX: &str = "unix:";
/// The bytes of a unix socket's path: what a `sockaddr_un` holds, without the zero at its end.
const PATH_BYTES_MAX: usize = if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

/// Where gRPC listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `IP:PORT`; port 0 takes a free one.
    Tcp(SocketAddr),
    /// `unix:PATH`; a relative path is relative to the current directory.
    Unix(PathBuf),
}

impl Address {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => peer_at(address.ip()).is_here(),
            Self::Unix(_) => true,
        }
    }
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither form.
    #[error(
        "`{0}` is not an address with a port, nor a unix socket; write one like `127.0.0.1:8180` or \
         `unix:/run/palisade/grpc.sock`"
    )]
    Unknown(String),
    /// `unix:` with something behind it that is no path.
    #[error("`{0}` names no path; write one like `unix:/run/palisade/grpc.sock`")]
    NoPath(String),
    /// The path is longer than the operating system takes.
    #[error(
        "the path in `{text}` has {bytes} bytes, and a unix socket's has at most {PATH_BYTES_MAX}; choose a shorter one"
    )]
    LongPath {
        /// The text.
        text: String,
        /// The length of the path.
        bytes: usize,
    },
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some(path) = text.strip_prefix(UNIX) else {
            return text.parse().map(Self::Tcp).map_err(|_| AddressError::Unknown(text.to_owned()));
        };
        // As gRPC's clients write it: `unix:PATH` and `unix:///PATH`, but no host between the slashes.
        let path = match path.strip_prefix("//") {
            Some(absolute) if absolute.starts_with('/') => absolute,
            Some(_) => return Err(AddressError::NoPath(text.to_owned())),
            None => path,
        };
        // A path that begins with a zero would be a name in Linux's abstract namespace, where no file guards it.
        if path.is_empty() || path.contains('\0') {
            return Err(AddressError::NoPath(text.escape_debug().to_string()));
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(AddressError::LongPath { text: text.to_owned(), bytes: path.len() });
        }
        Ok(Self::Unix(path.into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Over TCP.
    #[error(
        "cannot listen on {address} for {name}; stop what uses it, or choose another with `--{name}` or `listen.{name}`"
    )]
    Tcp {
        /// For what: `grpc`, `admin`.
        name: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// On a unix socket.
    #[error(transparent)]
    Unix(#[from] SocketError),
}

/// A listener for gRPC.
#[derive(Debug)]
pub enum Listener {
    /// On a TCP address.
    Tcp(TcpListener),
    /// On a TCP address, with TLS.
    Tls(TcpListener, Tls),
    /// On a unix socket.
    Unix(Socket),
}

/// A connection of either kind.
pub type Accepted = Either<TcpStream, UnixStream>;

/// A connection that a listener has accepted.
#[derive(Debug)]
pub enum Arrival {
    /// Its first bytes are HTTP's.
    Plain(Accepted),
    /// Its first bytes are those of a handshake.
    Tls(TcpStream, Tls),
}

impl Listener {
    /// With TLS on a TCP address; a unix socket stays as it is: no other machine reaches it.
    #[must_use]
    pub fn secured(self, tls: Tls) -> Self {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => Self::Tls(listener, tls),
            Self::Unix(socket) => Self::Unix(socket),
        }
    }

    /// The next connection, and where it comes from.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Arrival, Peer)>> {
        match self {
            Self::Tcp(listener) => poll_tcp(listener, cx)
                .map(|accepted| accepted.map(|(stream, peer)| (Arrival::Plain(Either::Left(stream)), peer))),
            Self::Tls(listener, tls) => poll_tcp(listener, cx)
                .map(|accepted| accepted.map(|(stream, peer)| (Arrival::Tls(stream, tls.clone()), peer))),
            Self::Unix(socket) => socket.poll_accept(cx).map(|accepted| {
                let stream = accepted?;
                // Whoever may open the file is on this machine.
                let peer = match stream.peer_cred() {
                    Ok(user) => Peer::here().with_user(UnixUser { uid: user.uid(), gid: user.gid() }),
                    Err(_) => Peer::here(),
                };
                Ok((Arrival::Plain(Either::Right(stream)), peer))
            }),
        }
    }
}

fn poll_tcp(listener: &TcpListener, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Peer)>> {
    listener.poll_accept(cx).map(|accepted| {
        let (stream, address) = accepted?;
        // A connection that was reset meanwhile has no options any more: whoever reads from it learns that.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer_at(address.ip())))
    })
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// Listens for gRPC on every address, in their order; each comes back as it was bound. The files of unix sockets get
/// these permission bits.
///
/// # Errors
/// [`BindError`] of the first that cannot be had; the others are given up.
pub async fn bind_grpc(
    addresses: &[Address],
    socket_mode: u32,
) -> Result<Vec<(Listener, Address)>, BindError> {
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        bound.push(match address {
            Address::Tcp(address) => {
                let (listener, address) = bind("grpc", *address).await?;
                (Listener::Tcp(listener), Address::Tcp(address))
            }
            Address::Unix(path) => {
                (Listener::Unix(Socket::bind(path, socket_mode).await?), Address::Unix(path.clone()))
            }
        });
    }
    Ok(bound)
}

/// Listens on an address; port 0 takes a free one, which is given back.
///
/// # Errors
/// [`BindError::Tcp`] when it cannot be had.
pub async fn bind(name: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |source| BindError::Tcp { name, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

#[cfg(test)]
mod tests;
