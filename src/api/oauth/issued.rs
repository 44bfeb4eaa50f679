//! The answer to a token exchange (RFC 8693, section 2.2.1).
//! Never kept by a cache.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Issued;
use super::refusal::NO_STORE;

/// The type of an access token (RFC 8693, section 3).
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

#[derive(Serialize)]
struct Body {
    access_token: String,
    issued_token_type: &'static str,
    token_type: &'static str,
    expires_in: i64,
}

/// What a token is presented as (RFC 6750; RFC 9449, section 5).
pub(super) fn token_type(bound: bool) -> &'static str {
    if bound { "DPoP" } else { "Bearer" }
}

impl IntoResponse for Issued {
    fn into_response(self) -> Response {
        let Self { token, expires_in_s, bound } = self;
        let body = Body {
            access_token: token,
            issued_token_type: ACCESS_TOKEN,
            token_type: token_type(bound),
            expires_in: expires_in_s,
        };
        (NO_STORE, Json(body)).into_response()
    }
}
