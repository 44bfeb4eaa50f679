//! Answers as gateways take them: whether the request goes on, and what its client gets when it does not.
//! Never a deny without a status and a body, and never more of a decision than an agent may see.

use serde_json::{Value as Json, json};

use crate::access::{DenyReason, Determining, Effect, Outcome};
use crate::api::gateway::{PARAMS, metadata, snake};
use crate::api::proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use crate::api::proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use crate::api::proto::envoy::service::auth::v3::check_response::HttpResponse;
use crate::api::proto::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use crate::api::proto::envoy::r#type::v3::HttpStatus;
use crate::api::proto::google::rpc::Status;
use crate::pdp::Answer;

/// The words for a message of a batch that was itself permitted.
const ANOTHER: &str = "another message of the batch was denied";
/// The annotation of a policy that names the scopes with which it would not have forbidden.
const SCOPE: &str = "scope";

/// How a deny is told to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    /// The status of HTTP when a policy denies.
    pub deny_status: u16,
    /// The code of JSON-RPC when a policy denies.
    pub deny_code: i64,
}

impl Default for Telling {
    /// 403, and -32001 as COAZ has it.
    fn default() -> Self {
        Self { deny_status: 403, deny_code: -32001 }
    }
}

/// What is known of a request beside its answers.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The ids of the messages, in the order of the answers.
    pub(super) ids: Vec<Json>,
    pub(super) is_batch: bool,
    /// Whether it is no message: its client reads no JSON-RPC.
    pub(super) is_plain: bool,
    /// The code for what cannot be read.
    pub(super) code: Option<i64>,
    /// Whether a token was shown.
    pub(super) shows_token: bool,
    /// The resource identifier of the server.
    pub(super) audience: Option<String>,
    /// The headers that must not go on.
    pub(super) remove: Vec<String>,
}

/// The answer to a request, all of whose questions must be permitted.
pub(super) fn encode(answers: &[Answer], asked: Asked, telling: Telling) -> CheckResponse {
    let denied = answers.iter().find_map(|answer| match answer.decision.outcome {
        Outcome::Permit => None,
        Outcome::Deny(reason) => Some((answer, reason)),
    });
    let told = denied.map(|(answer, _)| answer).or(answers.first());
    let dynamic_metadata = told.map(|first| metadata(first, answers));
    match denied {
        None if !answers.is_empty() => {
            let response = OkHttpResponse { headers: vec![], headers_to_remove: asked.remove };
            let status = Some(Status { code: tonic::Code::Ok.into(), message: String::new() });
            CheckResponse {
                status,
                http_response: Some(HttpResponse::OkResponse(response)),
                dynamic_metadata,
            }
        }
        denied => {
            let reason = denied.map_or(DenyReason::InvalidInput, |(_, reason)| reason);
            let body = body(answers, &asked, telling);
            let mut headers =
                vec![header("content-type", "application/json"), header("cache-control", "no-store")];
            let scopes = denied.and_then(|(answer, _)| scopes(&answer.decision.determining));
            let (status, code) = if is_unproven(reason) {
                (401, tonic::Code::Unauthenticated)
            } else if reason == DenyReason::InvalidInput {
                (400, tonic::Code::PermissionDenied)
            } else if scopes.is_some() {
                // A challenge is read where the status says so (RFC 6750, section 3.1).
                (403, tonic::Code::PermissionDenied)
            } else {
                (telling.deny_status, tonic::Code::PermissionDenied)
            };
            headers.extend(challenge(status, &asked, scopes).map(|text| header("www-authenticate", &text)));
            let response = DeniedHttpResponse {
                status: Some(HttpStatus { code: i32::from(status) }),
                headers,
                body: body.to_string(),
            };
            let message = told.map(|answer| answer.decision.reason.clone()).unwrap_or_default();
            CheckResponse {
                status: Some(Status { code: code.into(), message }),
                http_response: Some(HttpResponse::DeniedResponse(response)),
                dynamic_metadata,
            }
        }
    }
}

/// Whether another credential is what is missing.
fn is_unproven(reason: DenyReason) -> bool {
    match reason {
        DenyReason::Unauthenticated | DenyReason::BindingMissing => true,
        DenyReason::NoPermit
        | DenyReason::Forbidden
        | DenyReason::PolicyError
        | DenyReason::InvalidInput
        | DenyReason::ActorMissing
        | DenyReason::SessionMismatch
        | DenyReason::TaskRequired
        | DenyReason::TaskExpired
        | DenyReason::TaskRevoked
        | DenyReason::PolicyDrift
        | DenyReason::OutOfScope
        | DenyReason::OverBudget
        | DenyReason::ApprovalRequired
        | DenyReason::ObligationUnsupported
        | DenyReason::UnknownTool
        | DenyReason::ToolDrift
        | DenyReason::Stale => false,
    }
}

fn body(answers: &[Answer], asked: &Asked, telling: Telling) -> Json {
    let error = |answer: &Answer| {
        let (words, reason) = match answer.decision.outcome {
            Outcome::Permit => (ANOTHER, None),
            Outcome::Deny(reason) => (answer.decision.reason.as_str(), Some(reason)),
        };
        let code = match (reason, asked.code) {
            (Some(DenyReason::InvalidInput), code) => code.unwrap_or(PARAMS),
            (Some(_) | None, _) => telling.deny_code,
        };
        let id = answer.id.to_string();
        let data = match reason {
            Some(reason) => json!({"decision_id": id, "reason": snake(reason.name())}),
            None => json!({"decision_id": id}),
        };
        json!({"code": code, "message": words, "data": data})
    };
    let id = |at: usize| asked.ids.get(at).cloned().unwrap_or_default();
    let mut errors = answers.iter().map(error).enumerate();
    if asked.is_plain {
        return json!({"error": errors.next().map(|(_, error)| error)});
    }
    let message = |(at, error)| json!({"jsonrpc": "2.0", "id": id(at), "error": error});
    if asked.is_batch {
        // Notifications and answers get none (JSON-RPC 2.0, section 6).
        let all: Vec<Json> = errors.filter(|(at, _)| !id(*at).is_null()).map(message).collect();
        if !all.is_empty() {
            return all.into();
        }
        return json!({"jsonrpc": "2.0", "id": null, "error": {"code": telling.deny_code, "message": ANOTHER}});
    }
    errors.next().map(message).unwrap_or_default()
}

/// The scopes that the policies which forbid ask for.
fn scopes(determining: &[Determining]) -> Option<String> {
    let forbids = determining.iter().filter(|policy| policy.effect == Effect::Forbid);
    let asked = forbids.filter_map(|policy| policy.annotations.get(SCOPE));
    // RFC 6749, section 3.3: nothing that could end the quoted text.
    let fits = |scope: &&str| scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    let mut scopes: Vec<&str> = asked.flat_map(|text| text.split_whitespace()).filter(fits).collect();
    scopes.sort_unstable();
    scopes.dedup();
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// What the client needs (RFC 6750, section 3; RFC 9728, section 5.1; MCP, "Scope Challenge Handling").
fn challenge(status: u16, asked: &Asked, scopes: Option<String>) -> Option<String> {
    let error = match (status, scopes) {
        (401, _) if asked.shows_token => Some("error=\"invalid_token\"".to_owned()),
        (401, _) => None,
        (_, Some(scopes)) => Some(format!("error=\"insufficient_scope\", scope=\"{scopes}\"")),
        (_, None) => return None,
    };
    let place = asked.audience.as_deref().and_then(resource_metadata);
    let place = place.map(|url| format!("resource_metadata=\"{url}\""));
    let parts: Vec<String> = error.into_iter().chain(place).collect();
    Some(if parts.is_empty() {
        "Bearer realm=\"mcp\"".to_owned()
    } else {
        format!("Bearer {}", parts.join(", "))
    })
}

/// Where a server says who issues tokens for it (RFC 9728, section 3.1).
fn resource_metadata(audience: &str) -> Option<String> {
    let rest = audience.strip_prefix("https://")?;
    let (host, path) =
        rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\?#".contains(&byte));
    let path = if path == "/" { String::new() } else { path };
    plain.then(|| format!("https://{host}/.well-known/oauth-protected-resource{path}"))
}

fn header(name: &str, value: &str) -> HeaderValueOption {
    let header = HeaderValue { key: name.to_owned(), value: value.to_owned(), raw_value: vec![] };
    HeaderValueOption {
        header: Some(header),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
    }
}
