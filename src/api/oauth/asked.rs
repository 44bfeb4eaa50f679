//! Requests of OAuth clients: read, checked for their form, and given to the authority.
//! Never believes a parameter to say who calls.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use url::Url;

use super::form::{Form, TOKEN_EXCHANGE};
use super::inspected::Answer;
use super::issued::ACCESS_TOKEN;
use super::refusal::Refused;
use super::{Exchange, Face, Issued, TOKEN};
use crate::api::Peer;
use crate::api::trace::request_id;
use crate::identity::{Caller, Proof, Role, Token};

/// The types that the token of a task may be called by (RFC 8693, section 3).
const SUBJECT_TYPES: [&str; 2] = ["urn:ietf:params:oauth:token-type:jwt", ACCESS_TOKEN];
/// The header of a proof (RFC 9449, section 4.1).
const DPOP: &str = "dpop";
/// The longest name of a server.
const TARGET_BYTES_MAX: usize = 2048;

/// `POST /oauth2/token`
pub(super) async fn exchange(State(face): State<Arc<Face>>, request: Request) -> Result<Issued, Refused> {
    let (parts, mut form) = Form::read(request).await?;
    if form.need("grant_type")? != TOKEN_EXCHANGE {
        return Err(Refused::grant_type());
    }
    let subject_token = Token::new(form.need("subject_token")?);
    if !SUBJECT_TYPES.contains(&form.need("subject_token_type")?.as_str()) {
        return Err(Refused::request(format!(
            "`subject_token` is the token of a task, of type {}",
            SUBJECT_TYPES.join(" or ")
        )));
    }
    if form.take("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN) {
        return Err(Refused::request(format!("what is issued is {ACCESS_TOKEN}")));
    }
    if form.take("actor_token").or_else(|| form.take("actor_token_type")).is_some() {
        return Err(Refused::request("the task says who acts; leave `actor_token` out"));
    }
    if form.take("scope").is_some() {
        return Err(Refused::scope());
    }
    if ["client_secret", "client_assertion"].into_iter().any(|name| form.take(name).is_some()) {
        return Err(Refused::client("clients have no secrets here; show the task's key with a DPoP proof"));
    }
    let target = target(&mut form)?;
    let proof = proof(&face, &parts.headers)?;
    let caller = who_shows_it(&face, &parts)?;
    let request_id = request_id(&parts.headers);
    let asked = Exchange { subject_token, target: &target, proof, caller, request_id };
    Ok(face.authority.exchange(&asked)?)
}

/// `POST /oauth2/introspect`
pub(super) async fn introspect(State(face): State<Arc<Face>>, request: Request) -> Result<Answer, Refused> {
    let (parts, mut form) = Form::read(request).await?;
    let caller = who(&face, &parts)?;
    if !caller.may(Role::Authorize) && !caller.may(Role::Tasks) {
        let text = format!("the caller `{}` has neither the role `authorize` nor `tasks`", caller.name);
        face.authority.turned_away(&caller, "introspect", &text);
        return Err(Refused::role(text));
    }
    let token = Token::new(form.need("token")?);
    Ok(Answer(face.authority.introspect(&caller, &token)))
}

/// The server that a token is asked for.
fn target(form: &mut Form) -> Result<String, Refused> {
    let target = match (form.take("resource"), form.take("audience")) {
        // RFC 8707, section 2: an absolute URI without fragment.
        (Some(resource), None) if Url::parse(&resource).is_err() || resource.contains('#') => {
            return Err(Refused::target("`resource` is no absolute URI without fragment"));
        }
        (Some(target), None) | (None, Some(target)) => target,
        (Some(_), Some(_)) | (None, None) => {
            return Err(Refused::request("say in one way for which server: `resource` or `audience`"));
        }
    };
    if target.len() > TARGET_BYTES_MAX || target.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Refused::target("no server is called so"));
    }
    Ok(target)
}

/// The proof of a key, made for this very route.
fn proof(face: &Face, headers: &HeaderMap) -> Result<Option<Proof>, Refused> {
    let mut sent = headers.get_all(DPOP).iter();
    let Some(header) = sent.next() else { return Ok(None) };
    // RFC 9449, section 4.3: not more than one.
    if sent.next().is_some() {
        return Err(Refused::proof("send one DPoP proof"));
    }
    let proof = header.to_str().map_err(|_| Refused::proof("the DPoP proof is no JWT"))?;
    let (proof, method) = (Token::new(proof), "POST".to_owned());
    Ok(Some(Proof::Dpop { proof, method, url: face.names.url(TOKEN) }))
}

/// The caller, if it shows who it is: a client of a task need not be one.
fn who_shows_it(face: &Face, parts: &Parts) -> Result<Option<Arc<Caller>>, Refused> {
    let shows = parts.headers.contains_key(AUTHORIZATION) || peer(parts).certificate().is_some();
    if shows { who(face, parts).map(Some) } else { Ok(None) }
}

fn who(face: &Face, parts: &Parts) -> Result<Arc<Caller>, Refused> {
    let mut sent = parts.headers.get_all(AUTHORIZATION).iter();
    // A header that is no text is no bearer token either.
    let header = sent.next().map(|header| header.to_str().unwrap_or_default());
    if sent.next().is_some() {
        return Err(Refused::request("send one `Authorization`"));
    }
    face.authority.caller(header, &peer(parts)).map_err(|unknown| Refused::client(unknown.to_string()))
}

/// Nobody counts as local by accident: a request without a peer came through no listener that says so.
fn peer(parts: &Parts) -> Peer {
    parts.extensions.get().cloned().unwrap_or_else(Peer::elsewhere)
}
