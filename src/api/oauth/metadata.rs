//! What this server says of itself as an authorization server (RFC 8414, section 2).
//! Never names an endpoint that does not answer.

use serde_json::json;

use super::{INTROSPECT, JWKS, Names, TOKEN, form};
use crate::identity::Algorithm;

/// The metadata as JSON. `issues`: whether tokens are issued and inspected.
pub(super) fn of(names: &Names, issues: bool) -> String {
    let mut metadata = json!({
        "issuer": names.issuer,
        "jwks_uri": names.url(JWKS),
        "response_types_supported": [],
        "grant_types_supported": [],
    });
    if let (true, Some(members)) = (issues, metadata.as_object_mut()) {
        let algorithms = Algorithm::ALL.map(Algorithm::name);
        members.insert("grant_types_supported".into(), json!([form::TOKEN_EXCHANGE]));
        members.insert("token_endpoint".into(), names.url(TOKEN).into());
        // Who has the task's key needs no other credentials; a caller of this server may show its token.
        members.insert("token_endpoint_auth_methods_supported".into(), json!(["none"]));
        members.insert("introspection_endpoint".into(), names.url(INTROSPECT).into());
        members.insert("introspection_endpoint_auth_methods_supported".into(), json!(["Bearer"]));
        // RFC 9449, section 5.1.
        members.insert("dpop_signing_alg_values_supported".into(), json!(algorithms));
    }
    metadata.to_string()
}
