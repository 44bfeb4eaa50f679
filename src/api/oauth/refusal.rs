//! Why an OAuth request gets no answer, as clients read it (RFC 6749, section 5.2; RFC 9449, section 5).
//! Never quotes what was sent.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Refusal;

/// What no cache may keep (RFC 6749, section 5.1).
pub(super) const NO_STORE: [(HeaderName, &str); 2] = [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];

/// A refusal on its way to the client.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: &'static str,
    description: String,
    challenge: Option<&'static str>,
}

impl Refused {
    fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), challenge: None }
    }

    /// `invalid_request`
    pub(super) fn request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// `unsupported_grant_type`
    pub(super) fn grant_type() -> Self {
        let text = format!("the grant type here is {}", super::form::TOKEN_EXCHANGE);
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", text)
    }

    /// `invalid_scope`
    pub(super) fn scope() -> Self {
        let text = "a token has what its task has, and no scopes; leave `scope` out";
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", text)
    }

    /// `invalid_target` (RFC 8693, section 2.2.2)
    pub(super) fn target(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_target", description)
    }

    /// `invalid_dpop_proof`
    pub(super) fn proof(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_dpop_proof", description)
    }

    /// `invalid_client`: nobody that is known.
    pub(super) fn client(description: impl Into<String>) -> Self {
        let refused = Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description);
        Self { challenge: Some("Bearer"), ..refused }
    }

    /// A known caller that may not (RFC 6750, section 3.1).
    pub(super) fn role(description: impl Into<String>) -> Self {
        let refused = Self::new(StatusCode::FORBIDDEN, "insufficient_scope", description);
        Self { challenge: Some("Bearer error=\"insufficient_scope\""), ..refused }
    }

    /// With another status.
    pub(super) fn with(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InvalidGrant(why) => Self::new(StatusCode::BAD_REQUEST, "invalid_grant", why),
            // RFC 8693, section 2.2.2: unwilling or unable to issue a token for the target.
            Refusal::InvalidTarget(why) | Refusal::Denied(why) => Self::target(why),
            Refusal::InvalidProof(why) => Self::proof(why),
            Refusal::BindingMissing => Self::proof("the task is bound to a key; send a DPoP proof of it"),
            Refusal::Unavailable => {
                let text = "no token is issued while nothing can be recorded; try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text)
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self { status, error, description, challenge } = self;
        let mut headers = HeaderMap::new();
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let body = json!({ "error": error, "error_description": plain(&description) });
        (status, NO_STORE, headers, Json(body)).into_response()
    }
}

/// The characters that a description may have (RFC 6749, section 5.2).
fn plain(text: &str) -> String {
    let plain = |c: char| match c {
        '"' | '\\' => '\'',
        ' '..='~' => c,
        _ => '?',
    };
    text.chars().map(plain).collect()
}
