//! Who asks, before anything is decided: tokens, assertions, the session.
//! Never decides, and never lets one party go on in the session of another.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Ask, Pdp, Request};
use crate::access::{DenyReason, Entity, Facts, Timestamp};
use crate::catalog::server_of;
use crate::identity::{Asks, Principal, Trust, Unauthenticated, Verified, authenticate};
use crate::policy::Snapshot;

#[cfg(test)]
mod tests;

/// Why a request is denied before anything is decided.
pub(super) struct Refused {
    pub(super) reason: DenyReason,
    pub(super) words: String,
    /// Who it was, where that is known.
    pub(super) principal: Option<Box<Principal>>,
    /// The subject's token, when it is its issuer's and was refused for something else.
    pub(super) token: Option<Arc<Verified>>,
}

/// The parties to a request, in their session; or why there are none.
pub(super) fn establish<S>(
    pdp: &Pdp<S>,
    snapshot: &Snapshot,
    trust: &Trust,
    request: &Request,
    now: Timestamp,
) -> Result<Principal, Refused> {
    let server = match &request.ask {
        Ask::Mcp(message) => snapshot.catalog().server(&message.server),
        Ask::Access(question) => server_of(&question.resource).and_then(|id| snapshot.catalog().server(id)),
    };
    let asks = Asks {
        caller: &request.caller,
        claim: request.claim.as_ref(),
        credentials: &request.credentials,
        server_audience: server.and_then(|server| server.audience.as_deref()),
        now_s: now.seconds(),
    };
    let principal = authenticate(trust, snapshot, &pdp.proofs, &asks).map_err(|nobody| {
        let reason = match nobody {
            Unauthenticated::BindingMissing | Unauthenticated::ActorBound => DenyReason::BindingMissing,
            _ => DenyReason::Unauthenticated,
        };
        let token = request.credentials.subject.as_ref().and_then(|token| trust.known(token));
        Refused { reason, words: nobody.to_string(), principal: None, token }
    })?;
    let Some(session) = &request.session else { return Ok(principal) };
    match pdp.sessions.enter(&request.caller, session, &principal, now.seconds()) {
        Ok(()) => Ok(principal),
        // Whose token it was that came with somebody else's session is what an investigator asks first.
        Err(fault) => Err(Refused {
            reason: DenyReason::SessionMismatch,
            words: fault.to_string(),
            principal: Some(Box::new(principal)),
            token: None,
        }),
    }
}

/// What is established about a request.
pub(super) fn facts(principal: &Principal, request: &Request, now: Timestamp) -> Facts {
    let earlier = i64::try_from(principal.earlier_actors().len()).unwrap_or(i64::MAX);
    Facts {
        principal: principal.subject().clone(),
        actor: principal.actor().cloned(),
        actor_depth: i64::from(principal.actor().is_some()).saturating_add(earlier),
        session: request.session.clone(),
        described: principal.described().map(|described| Entity {
            uid: principal.subject().clone(),
            attributes: described.attributes.clone(),
            parents: described.parents.clone(),
        }),
        token: principal.token().cloned(),
        established: BTreeMap::new(),
        now,
    }
}
