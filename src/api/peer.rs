//! Where a call comes from, as the listener that took its connection says.
//! Never told by the call itself.

use std::net::IpAddr;

/// The other end of a connection. A listener puts it into the extensions of its requests (tonic's `ConnectInfo`); a
/// call without it counts as coming from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A process on this machine: over the loopback, over a unix socket, or this process itself.
    Here,
    /// Another machine, or nobody knows.
    Elsewhere,
}

impl Peer {
    /// The peer at an address of TCP.
    pub fn at(address: IpAddr) -> Self {
        // An IPv4 address as IPv6 sockets see it is still the loopback.
        if address.to_canonical().is_loopback() { Self::Here } else { Self::Elsewhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_of_either_family_is_here_and_nothing_else() {
        for (address, peer) in [
            ("127.0.0.1", Peer::Here),
            ("127.8.0.1", Peer::Here),
            ("::1", Peer::Here),
            ("::ffff:127.0.0.1", Peer::Here),
            ("10.0.0.1", Peer::Elsewhere),
            ("0.0.0.0", Peer::Elsewhere),
            ("::ffff:10.0.0.1", Peer::Elsewhere),
            ("fe80::1", Peer::Elsewhere),
        ] {
            assert_eq!(Peer::at(address.parse().unwrap()), peer, "{address}");
        }
    }
}
