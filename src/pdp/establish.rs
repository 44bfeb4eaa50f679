//! Who asks, before anything is decided: tokens, assertions, the session.
//! Never decides, and never lets one party go on in the session of another.

use std::collections::BTreeMap;

use super::{Ask, Pdp, Request};
use crate::access::{DenyReason, Entity, Facts, Timestamp};
use crate::catalog::server_of;
use crate::identity::{Asks, Principal, TokenFacts, Trust, Unauthenticated, authenticate};
use crate::policy::Snapshot;
use crate::value::{Extension, Value};

#[cfg(test)]
mod tests;

/// The parties to a request, in their session; or why there are none.
pub(super) fn establish<S>(
    pdp: &Pdp<S>,
    snapshot: &Snapshot,
    trust: &Trust,
    request: &Request,
    now: Timestamp,
) -> Result<Principal, (DenyReason, String)> {
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
            Unauthenticated::BindingMissing { .. } => DenyReason::BindingMissing,
            _ => DenyReason::Unauthenticated,
        };
        (reason, nobody.to_string())
    })?;
    if let Some(session) = &request.session {
        pdp.sessions
            .enter(&request.caller, session, &principal, now.seconds())
            .map_err(|fault| (DenyReason::SessionMismatch, fault.to_string()))?;
    }
    Ok(principal)
}

/// What is established about a request.
pub(super) fn facts(principal: &Principal, request: &Request, now: Timestamp) -> Facts {
    let earlier = i64::try_from(principal.earlier_actors().len()).unwrap_or(i64::MAX);
    let token = principal.token().map(|facts| ("token".to_owned(), token_value(facts)));
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
        established: token.into_iter().collect::<BTreeMap<_, _>>(),
        now,
    }
}

/// The token as policies see it: `context.token`.
fn token_value(facts: &TokenFacts) -> Value {
    let TokenFacts { token, audience, binding } = facts;
    let texts = |texts: &[String]| Value::Set(texts.iter().cloned().map(Value::String).collect());
    let text = |text: &str| Value::String(text.to_owned());
    let mut members = BTreeMap::from([
        ("issuer".to_owned(), text(&token.issuer)),
        ("audience".to_owned(), text(audience)),
        ("scopes".to_owned(), texts(&token.scopes)),
        ("binding".to_owned(), text(binding.name())),
    ]);
    if let Some(acr) = &token.acr {
        members.insert("acr".to_owned(), text(acr));
    }
    if !token.amr.is_empty() {
        members.insert("amr".to_owned(), texts(&token.amr));
    }
    if let Some(issued_s) = token.issued_s {
        let issued = Timestamp(issued_s.saturating_mul(1000)).to_string();
        members.insert("issued".to_owned(), Value::Extension(Extension::Datetime, issued));
    }
    Value::Record(members)
}
