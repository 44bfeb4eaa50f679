//! What this server says of itself as a policy decision point (AuthZEN 1.0, section "PDP metadata").
//! Never names an endpoint that does not answer.

use std::sync::Arc;

use axum::Router;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Map, Value as Json, json};
use url::Url;

use super::refusal::Refused;
use super::search::For;
use super::{EVALUATION, EVALUATIONS, SEARCHES};
use crate::access::ObligationType;
use crate::api::oauth::{JWKS, public};

/// Where the metadata is: the string goes between the host of the public URL and its path.
const METADATA: &str = "/.well-known/authzen-configuration";
/// What a policy demands is told to who opted in.
const OBLIGATIONS: &str = "urn:openid:authzen:capability:obligations";

/// Signs a JSON object as the claims of a JWT; none when that fails.
pub type Sign = Arc<dyn Fn(&[u8]) -> Option<String> + Send + Sync>;

/// How this server is called, and what it can show.
pub struct Metadata {
    /// Where clients reach the routes, without a slash at its end: the identifier of this policy decision point.
    pub public_url: String,
    /// Whether keys are published.
    pub keys: bool,
    /// Who signs (`iss`), and with what; none when the metadata is not signed.
    pub signed: Option<(String, Sign)>,
}

impl Metadata {
    /// The route.
    pub fn routes(self) -> Router {
        let path = Url::parse(&self.public_url).map(|url| url.path().trim_end_matches('/').to_owned());
        let path = path.unwrap_or_default();
        // A path is compared and not routed: it may hold what the router reads as more than text.
        let route = if path.is_empty() { METADATA.to_owned() } else { format!("{METADATA}/{{*identifier}}") };
        let wanted = format!("{METADATA}{path}");
        let face = Arc::new(self);
        let answer = move |uri: Uri| async move {
            if uri.path() == wanted { face.answer() } else { Refused::not_found().into_response() }
        };
        Router::new().route(&route, get(answer))
    }

    fn answer(&self) -> Response {
        let mut members = self.members();
        if let Some((issuer, sign)) = &self.signed {
            let mut claims = members.clone();
            claims.insert("iss".to_owned(), issuer.as_str().into());
            let Some(token) = sign(Json::Object(claims).to_string().as_bytes()) else {
                return Refused::defect().into_response();
            };
            members.insert("signed_metadata".to_owned(), token.into());
        }
        public(&Json::Object(members).to_string())
    }

    fn members(&self) -> Map<String, Json> {
        let url = |path: &str| Json::from(format!("{}{path}", self.public_url));
        let mut members = Map::from_iter([
            ("policy_decision_point".to_owned(), self.public_url.as_str().into()),
            ("access_evaluation_endpoint".to_owned(), url(EVALUATION)),
            ("access_evaluations_endpoint".to_owned(), url(EVALUATIONS)),
            ("capabilities".to_owned(), json!([OBLIGATIONS])),
            ("supported_obligations".to_owned(), json!(ObligationType::ALL.map(ObligationType::name))),
        ]);
        members.extend(SEARCHES.map(|(path, sought)| {
            let name = match sought {
                For::Subject => "search_subject_endpoint",
                For::Resource => "search_resource_endpoint",
                For::Action => "search_action_endpoint",
            };
            (name.to_owned(), url(path))
        }));
        members.extend(self.keys.then(|| ("jwks_uri".to_owned(), url(JWKS))));
        members
    }
}

#[cfg(test)]
mod tests;
