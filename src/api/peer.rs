//! Where a call comes from, as the listener that took its connection says.
//! Never told by the call itself.

use std::net::IpAddr;

use http::Extensions;

pub use crate::identity::Peer;

/// The peer at an address of TCP.
pub fn peer_at(address: IpAddr) -> Peer {
    // An IPv4 address as IPv6 sockets see it is still the loopback.
    if address.to_canonical().is_loopback() { Peer::here() } else { Peer::elsewhere() }
}

/// The peer that a listener put beside a call. Nobody counts as local by accident: a call without one came through no listener
/// that says so.
pub(super) fn peer_of(extensions: &Extensions) -> Peer {
    extensions.get().cloned().unwrap_or_else(Peer::elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_of_either_family_is_here_and_nothing_else() {
        for (address, peer) in [
            ("127.0.0.1", Peer::here()),
            ("127.8.0.1", Peer::here()),
            ("::1", Peer::here()),
            ("::ffff:127.0.0.1", Peer::here()),
            ("10.0.0.1", Peer::elsewhere()),
            ("0.0.0.0", Peer::elsewhere()),
            ("::ffff:10.0.0.1", Peer::elsewhere()),
            ("fe80::1", Peer::elsewhere()),
        ] {
            assert_eq!(peer_at(address.parse().unwrap()), peer, "{address}");
        }
    }
}
