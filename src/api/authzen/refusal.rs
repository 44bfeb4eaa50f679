//! Why a request over AuthZEN gets no answer, as its client reads it: a status and a short text (AuthZEN 1.0, section
//! "Error responses").
//! Never quotes a value that was sent, and never stands for a decision.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api::callers::TurnedAway;
use crate::api::wire::Malformed;
use crate::json::JsonError;
use crate::pdp;

/// A refusal on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Refused {
    pub(super) status: StatusCode,
    pub(in crate::api) words: String,
    header: Option<(HeaderName, &'static str)>,
}

impl Refused {
    fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), header: None }
    }

    /// The request is malformed.
    pub(in crate::api) fn malformed(words: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, words)
    }

    /// The request is too large, by the limit of this name.
    pub(super) fn too_large(limit: &str, max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the request is over the limit `{limit}` of {max}"))
    }

    /// The body did not come in time.
    pub(super) fn late() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
    }

    /// The route takes another method.
    pub(in crate::api) fn method() -> Self {
        let refused = Self::new(StatusCode::METHOD_NOT_ALLOWED, "send the request with POST");
        Self { header: Some((ALLOW, "POST")), ..refused }
    }

    /// There is no such route.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing here")
    }

    /// Deciding failed. There is no answer.
    pub(in crate::api) fn defect() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "deciding failed; please report it")
    }
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::malformed(malformed.to_string())
    }
}

impl From<JsonError> for Refused {
    fn from(error: JsonError) -> Self {
        Self::malformed(format!("the body is not JSON as it is taken here: {error}"))
    }
}

impl From<TurnedAway> for Refused {
    fn from(turned: TurnedAway) -> Self {
        let words = turned.to_string();
        match turned {
            TurnedAway::Unknown(_) => {
                let challenge = Some((WWW_AUTHENTICATE, "Bearer realm=\"palisade\""));
                Self { header: challenge, ..Self::new(StatusCode::UNAUTHORIZED, words) }
            }
            TurnedAway::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, words),
        }
    }
}

impl From<pdp::Error> for Refused {
    fn from(error: pdp::Error) -> Self {
        match error {
            pdp::Error::AuditUnavailable(cause) => {
                tracing::debug!(error = %cause, "no answer: its record was not written");
                let words = "the decision could not be recorded, so there is none; ask again";
                let refused = Self::new(StatusCode::SERVICE_UNAVAILABLE, words);
                Self { header: Some((RETRY_AFTER, "1")), ..refused }
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self { status, words, header } = self;
        let mut response = Response::new(Body::from(words));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.extend(header.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}
