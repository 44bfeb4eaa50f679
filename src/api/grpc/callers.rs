//! Who calls: the bearer token of the metadata or what the transport proves, the roles, the servers.
//! Never logs a token.

use std::sync::Arc;

use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Extensions, Status};

use crate::access::Timestamp;
use crate::api::Peer;
use crate::identity::{Caller, Callers, Role, Servers, Trust};

/// What a call shows of its caller. Kept where a call lasts: who showed it may be nobody any more.
pub(in crate::api) struct Shown {
    authorization: Option<AsciiMetadataValue>,
    peer: Peer,
}

impl Shown {
    pub(in crate::api) fn by(metadata: &MetadataMap, extensions: &Extensions) -> Self {
        // Nobody counts as local by accident: a call without a peer came through no listener that says so.
        let peer = extensions.get().cloned().unwrap_or_else(Peer::elsewhere);
        Self { authorization: metadata.get("authorization").cloned(), peer }
    }

    /// Whom it shows now.
    pub(in crate::api) fn caller(
        &self,
        callers: &Callers,
        trust: &Trust,
        now: Timestamp,
    ) -> Result<Arc<Caller>, Status> {
        // A header that is no text is no bearer token either.
        let authorization = self.authorization.as_ref().map(|header| header.to_str().unwrap_or_default());
        callers.identify(authorization, &self.peer, trust, now.seconds()).cloned().map_err(|unknown| {
            let refused = callers.refused();
            // Whoever guesses must not fill the log.
            if refused.is_power_of_two() {
                tracing::warn!(%unknown, refused, "a call of nobody that is known here was refused");
            }
            Status::unauthenticated(unknown.to_string())
        })
    }
}

pub(in crate::api) fn require(caller: &Caller, role: Role) -> Result<(), Status> {
    if caller.may(role) {
        return Ok(());
    }
    let words = format!("the caller `{}` lacks the role `{}`", caller.name, role.name());
    Err(Status::permission_denied(words))
}

pub(super) fn require_server(caller: &Caller, server: &str) -> Result<(), Status> {
    if caller.enforces(server) {
        return Ok(());
    }
    let words =
        format!("the caller `{}` does not enforce the server `{}`", caller.name, server.escape_debug());
    Err(Status::permission_denied(words))
}

/// For a question in terms of the schema: every server that it names, and that it names one unless the caller stands
/// in front of all.
pub(super) fn require_servers<'a>(
    caller: &Caller,
    servers: impl IntoIterator<Item = &'a str>,
) -> Result<(), Status> {
    let mut named = false;
    for server in servers {
        require_server(caller, server)?;
        named = true;
    }
    if named || caller.servers == Servers::All {
        return Ok(());
    }
    let words = format!("the caller `{}` enforces named servers, and the question names none", caller.name);
    Err(Status::permission_denied(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(servers: Servers, named: &[&str]) -> bool {
        let caller = Caller {
            name: "gw".into(),
            roles: Role::ALL.into(),
            servers,
            agentless: false,
            authenticated: true,
        };
        require_servers(&caller, named.iter().copied()).is_ok()
    }

    #[test]
    fn only_a_call_whose_listener_says_so_is_of_the_local_caller() {
        let local = Caller {
            name: "local".into(),
            roles: Role::ALL.into(),
            servers: Servers::All,
            agentless: false,
            authenticated: false,
        };
        let callers = Callers::new([], Some(local));
        let known = |extensions| {
            let shown = Shown::by(&MetadataMap::new(), &extensions);
            shown.caller(&callers, &Trust::nobody(), Timestamp(0)).is_ok()
        };
        let with = |peer: Peer| {
            let mut extensions = Extensions::new();
            extensions.insert(peer);
            extensions
        };
        assert!(known(with(Peer::here())));
        assert!(!known(with(Peer::elsewhere())));
        assert!(!known(Extensions::new()));
    }

    #[test]
    fn a_caller_of_named_servers_asks_about_those_and_about_nothing_else() {
        let crm = || Servers::Named(["crm".to_owned()].into());
        assert!(asks(crm(), &["crm"]));
        assert!(!asks(crm(), &["git"]));
        assert!(!asks(crm(), &["crm", "git"]));
        assert!(!asks(crm(), &[]));
        assert!(asks(Servers::All, &[]));
    }
}
