//! What a transport proves of the other end of a connection.
//! Never what the call itself says.

use std::sync::Arc;

/// The SHA-256 of a certificate in DER (RFC 8705, section 3.1, `x5t#S256` before its base64).
pub type Thumbprint = [u8; 32];

/// How the name of a SPIFFE ID begins, in any case.
const SPIFFE: &str = "spiffe://";

/// The other end of a connection. A listener puts it into the extensions of its requests (tonic's `ConnectInfo`); a
/// call without it counts as [`Peer::elsewhere`]. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    here: bool,
    user: Option<UnixUser>,
    certificate: Option<Arc<Certificate>>,
}

impl Peer {
    /// A process on this machine: over the loopback, over a unix socket, or this process itself.
    pub fn here() -> Self {
        Self { here: true, user: None, certificate: None }
    }

    /// Another machine, or nobody knows.
    pub fn elsewhere() -> Self {
        Self { here: false, user: None, certificate: None }
    }

    /// As the operating system says of a unix socket's client.
    #[must_use]
    pub fn with_user(self, user: UnixUser) -> Self {
        Self { user: Some(user), ..self }
    }

    /// As a handshake of TLS has verified it.
    #[must_use]
    pub fn with_certificate(self, certificate: Certificate) -> Self {
        Self { certificate: Some(Arc::new(certificate)), ..self }
    }

    /// Whether it is on this machine.
    pub fn is_here(&self) -> bool {
        self.here
    }

    /// Whose process it is, over a unix socket.
    pub fn user(&self) -> Option<UnixUser> {
        self.user
    }

    /// The verified certificate that it showed.
    pub fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.certificate.as_ref()
    }
}

/// The user of a process on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixUser {
    /// Its number.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
}

/// What a client's certificate says, after it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The URIs among its alternative names, all of them, as they stand there.
    pub uris: Vec<String>,
    /// The DNS names among them, in lower case.
    pub dns_names: Vec<String>,
    /// Its digest.
    pub thumbprint: Thumbprint,
}

impl Certificate {
    /// The SPIFFE IDs among its URIs. A proper SVID has one, and no other URI.
    pub fn spiffe_ids(&self) -> impl Iterator<Item = &str> {
        self.uris.iter().map(String::as_str).filter(|uri| is_spiffe(uri))
    }
}

/// The scheme of a URI is compared without regard to case (RFC 3986, section 3.1).
fn is_spiffe(uri: &str) -> bool {
    uri.get(..SPIFFE.len()).is_some_and(|start| start.eq_ignore_ascii_case(SPIFFE))
}
