//! Binds addresses, and says what to do when one cannot be had.
//! Never chooses another address than it was given.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} for {name}; stop what uses it, or choose another with `--{name}` or `listen.{name}`"
)]
pub struct BindError {
    /// For what: `grpc`, `admin`.
    pub name: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Listens on an address; port 0 takes a free one, which is given back.
///
/// # Errors
/// [`BindError`] when it cannot be had.
pub async fn bind(name: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |source| BindError { name, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_refused_with_advice() {
        let (_first, address) = bind("grpc", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let refused = bind("grpc", address).await.unwrap_err();
        assert_eq!(refused.source.kind(), io::ErrorKind::AddrInUse);
        assert!(refused.to_string().contains("--grpc"), "{refused}");
    }
}
