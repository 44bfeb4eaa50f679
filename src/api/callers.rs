//! Who calls, over gRPC and AuthZEN: a bearer token or what the transport proves, the roles, the servers.
//! Never logs a token.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderValue};
use tonic::Status;

use super::{Clock, Peer, peer_of};
use crate::access::Timestamp;
use crate::audit::{Administered, Administration, AuditSink, Face, Record};
use crate::catalog::server_of;
use crate::identity::{Caller, Callers, Claim, Role, Servers, Trust, UnknownCaller};
use crate::pdp::Ask;

/// Why a caller gets no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::api) enum TurnedAway {
    /// It is nobody that is known.
    #[error("{0}")]
    Unknown(UnknownCaller),
    /// It is known, and may not.
    #[error("{0}")]
    Forbidden(String),
}

impl From<TurnedAway> for Status {
    fn from(turned: TurnedAway) -> Self {
        match turned {
            TurnedAway::Unknown(unknown) => Self::unauthenticated(unknown.to_string()),
            TurnedAway::Forbidden(words) => Self::permission_denied(words),
        }
    }
}

/// What a call shows of its caller. Kept where a call lasts: who showed it may be nobody any more.
pub(in crate::api) struct Shown {
    authorization: Option<HeaderValue>,
    peer: Peer,
}

impl Shown {
    pub(in crate::api) fn by(headers: &HeaderMap, extensions: &Extensions) -> Self {
        Self::of(headers, peer_of(extensions))
    }

    pub(in crate::api) fn of(headers: &HeaderMap, peer: Peer) -> Self {
        Self { authorization: headers.get(AUTHORIZATION).cloned(), peer }
    }

    /// Whom it shows now.
    pub(in crate::api) fn caller(
        &self,
        callers: &Callers,
        trust: &Trust,
        now: Timestamp,
    ) -> Result<Arc<Caller>, TurnedAway> {
        // A header that is no text is no bearer token either.
        let authorization = self.authorization.as_ref().map(|header| header.to_str().unwrap_or_default());
        callers.identify(authorization, &self.peer, trust, now.seconds()).cloned().map_err(|unknown| {
            let refused = callers.refused();
            // Whoever guesses must not fill the log.
            if refused.is_power_of_two() {
                tracing::warn!(%unknown, refused, "a call of nobody that is known here was refused");
            }
            TurnedAway::Unknown(unknown)
        })
    }
}

pub(in crate::api) fn require(caller: &Caller, role: Role) -> Result<(), TurnedAway> {
    if caller.may(role) {
        return Ok(());
    }
    let words = format!("the caller `{}` lacks the role `{}`", caller.name, role.name());
    Err(TurnedAway::Forbidden(words))
}

pub(in crate::api) fn require_server(caller: &Caller, server: &str) -> Result<(), TurnedAway> {
    if caller.enforces(server) {
        return Ok(());
    }
    let words =
        format!("the caller `{}` does not enforce the server `{}`", caller.name, server.escape_debug());
    Err(TurnedAway::Forbidden(words))
}

/// For a question in terms of the schema: every server that it names, and that it names one unless the caller stands
/// in front of all.
fn require_servers<'a>(
    caller: &Caller,
    servers: impl IntoIterator<Item = &'a str>,
) -> Result<(), TurnedAway> {
    let mut named = false;
    for server in servers {
        require_server(caller, server)?;
        named = true;
    }
    if named || caller.servers == Servers::All {
        return Ok(());
    }
    let words = format!("the caller `{}` enforces named servers, and the question names none", caller.name);
    Err(TurnedAway::Forbidden(words))
}

/// For everything that a question is about: the caller stands in front of it.
pub(in crate::api) fn require_asked(
    caller: &Caller,
    claim: Option<&Claim>,
    ask: &Ask,
) -> Result<(), TurnedAway> {
    match ask {
        Ask::Mcp(message) => require_server(caller, &message.server),
        // Tasks have a service of their own; what is not clear is denied.
        Ask::Task(_) | Ask::Unclear(_) => Ok(()),
        Ask::Access(question) => {
            let parties = [Some(&question.resource), claim.map(|claim| &claim.principal)];
            require_servers(caller, parties.into_iter().flatten().filter_map(server_of))
        }
    }
}

/// Puts on record what a caller may not do. Refused it is either way.
pub(in crate::api) fn record_refusal(
    sink: &impl AuditSink,
    clock: &dyn Clock,
    face: Face,
    caller: &Caller,
    (call, reason): (&str, &str),
) {
    let (time, caller, outcome) = (clock.now(), &*caller.name, Administration::Refused);
    let refused = Administered { time, face, caller, call, outcome, reason, session: None };
    if let Err(error) = sink.record(&Record::Admin(&refused)) {
        tracing::warn!(%error, "a refusal was not recorded");
    }
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
            let shown = Shown::by(&HeaderMap::new(), &extensions);
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
