//! OAuth 2.0 over HTTP for tasks: keys, metadata, token exchange (RFC 8693), introspection (RFC 7662).
//! Never issues or reads a token itself: that is for the authority behind it.

mod asked;
mod form;
mod inspected;
mod issued;
mod metadata;
mod refusal;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::api::Peer;
use crate::identity::{Caller, Proof, Token, UnknownCaller};
use crate::task::TASK_TOKEN;
pub use form::BODY_BYTES_MAX;

/// Where the keys are.
pub(super) const JWKS: &str = "/.well-known/jwks.json";
/// Where the metadata is (RFC 8414, section 3).
const METADATA: &str = "/.well-known/oauth-authorization-server";
const TOKEN: &str = "/oauth2/token";
const INTROSPECT: &str = "/oauth2/introspect";

/// What OAuth clients may ask about tasks.
pub trait TaskAuthority: Send + Sync + 'static {
    /// The published keys: a JSON Web Key Set.
    fn jwks(&self) -> Arc<str>;

    /// An access token for one MCP server, under a task. On the record before it is given.
    ///
    /// # Errors
    /// [`Refusal`].
    fn exchange(&self, asked: &Exchange<'_>) -> Result<Issued, Refusal>;

    /// A JSON object as the claims of a JWT that our key signs; none when that fails. No token: nobody is its audience.
    fn sign(&self, claims: &[u8]) -> Option<String>;

    /// What a token of ours says, if it is in force.
    fn introspect(&self, caller: &Caller, token: &Token) -> Option<Inspected>;

    /// Puts on record that a caller may not make this call. Refused it is either way.
    fn turned_away(&self, caller: &Caller, call: &str, words: &str);

    /// Who calls.
    ///
    /// # Errors
    /// [`UnknownCaller`] when it is nobody that is known.
    fn caller(&self, authorization: Option<&str>, peer: &Peer) -> Result<Arc<Caller>, UnknownCaller>;
}

/// A token exchange that is asked for.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The token of the task.
    pub subject_token: Token,
    /// The audience of the MCP server that the new token is for, as it was sent.
    pub target: &'a str,
    /// That the client has the key of the task, if it showed it.
    pub proof: Option<Proof>,
    /// Who asks, if it showed who it is. Who shows something that nobody has does not come this far.
    pub caller: Option<Arc<Caller>>,
    /// The client's own id for the request (`X-Request-Id`), or nothing.
    pub request_id: &'a str,
}

/// A token that was issued.
pub struct Issued {
    /// The token. Never to be shown but to who asked.
    pub token: String,
    /// How long it counts, in seconds.
    pub expires_in_s: i64,
    /// Whether it is bound to a key.
    pub bound: bool,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token: _, expires_in_s, bound } = self;
        let mut shown = f.debug_struct("Issued");
        shown.field("expires_in_s", expires_in_s).field("bound", bound).finish_non_exhaustive()
    }
}

/// Why no token is issued. The words are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The task's token is not good, or its task does not count any more.
    InvalidGrant(String),
    /// The server is not known, or is outside the task.
    InvalidTarget(String),
    /// The proof is not good.
    InvalidProof(String),
    /// The task is bound to a key, and no proof of it was sent.
    BindingMissing,
    /// A policy says no.
    Denied(String),
    /// There is no answer now: nothing can be recorded.
    Unavailable,
}

/// What a token says that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `aud`
    pub audience: String,
    /// `exp`, in seconds.
    pub expires_s: i64,
    /// `iat`, in seconds.
    pub issued_s: i64,
    /// `txn`: the id of the task.
    pub task: String,
    /// The agent that acts; none when the subject acts itself.
    pub agent: Option<String>,
    /// Who acted before, the most recent first.
    pub earlier_actors: Vec<String>,
    /// The RFC 7638 thumbprint of the key that it is bound to.
    pub key_thumbprint: Option<String>,
    /// What it is.
    pub kind: Kind,
}

/// What a token of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The token of a task, for this server.
    Task,
    /// An access token under a task, for an MCP server.
    Access,
}

impl Kind {
    /// The `typ` of its header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Task => TASK_TOKEN,
            Self::Access => "at+jwt",
        }
    }
}

/// Gives the published keys: a JSON Web Key Set.
pub type Jwks = Arc<dyn Fn() -> Arc<str> + Send + Sync>;

/// What stands behind the routes.
pub enum Behind {
    /// Keys alone: no token is issued or inspected here.
    Keys(Jwks),
    /// Tasks.
    Tasks(Arc<dyn TaskAuthority>),
}

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys(_) => "Keys",
            Self::Tasks(_) => "Tasks",
        })
    }
}

/// How this server is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `iss` of its tokens.
    pub issuer: String,
    /// Where clients reach the routes, without a slash at its end.
    pub public_url: String,
}

impl Names {
    /// The URL of a route.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }
}

/// What the routes of tasks share.
struct Face {
    names: Names,
    authority: Arc<dyn TaskAuthority>,
}

/// The routes. A request counts as from elsewhere unless its extensions have a [`Peer`].
pub fn router(names: Names, behind: Behind) -> Router {
    let issues = matches!(behind, Behind::Tasks(_));
    let metadata: Arc<str> = metadata::of(&names, issues).into();
    let router = Router::new().route(METADATA, get(move || async move { public(&metadata) }));
    match behind {
        Behind::Keys(jwks) => router.route(JWKS, get(move || async move { public(&jwks()) })),
        Behind::Tasks(authority) => {
            let keys = Arc::clone(&authority);
            let face = Arc::new(Face { names, authority });
            router
                .route(JWKS, get(move || async move { public(&keys.jwks()) }))
                .merge(
                    Router::new()
                        .route(TOKEN, post(asked::exchange))
                        .route(INTROSPECT, post(asked::introspect))
                        .with_state(face),
                )
                .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        }
    }
}

/// JSON that anybody may have and keep for a while.
pub(super) fn public(json: &str) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, json.to_owned()).into_response()
}

#[cfg(test)]
mod tests;
