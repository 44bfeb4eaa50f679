//! The answer to an introspection (RFC 7662, section 2.2).
//! Never says why a token is not in force.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Inspected;
use super::issued::token_type;
use super::refusal::NO_STORE;

/// What is known of a token that was asked about.
pub(super) struct Answer(pub(super) Option<Inspected>);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = self.0.map_or_else(|| json!({ "active": false }), encode);
        (NO_STORE, Json(body)).into_response()
    }
}

pub(super) fn encode(inspected: Inspected) -> Value {
    let Inspected {
        issuer,
        subject,
        audience,
        expires_s,
        issued_s,
        task,
        agent,
        earlier_actors,
        key_thumbprint,
        kind,
    } = inspected;
    let mut body = json!({
        "active": true,
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "exp": expires_s,
        "iat": issued_s,
        "txn": task,
        "typ": kind.name(),
        "token_type": token_type(key_thumbprint.is_some()),
    });
    if let Some(members) = body.as_object_mut() {
        // RFC 8693, section 4.1: who acts, and inside who acted before.
        let earlier = earlier_actors.into_iter().rev();
        let mut act = None;
        for actor in earlier.chain(agent.clone()) {
            act = Some(match act {
                Some(before) => json!({ "sub": actor, "act": before }),
                None => json!({ "sub": actor }),
            });
        }
        members.extend(act.map(|act| ("act".to_owned(), act)));
        members.extend(agent.map(|agent| ("client_id".to_owned(), agent.into())));
        members.extend(key_thumbprint.map(|jkt| ("cnf".to_owned(), json!({ "jkt": jkt }))));
    }
    body
}
