//! A request of MCP as the gateway passes it on: a message for each of its targets.
//! Never takes a part of what is asked for the whole of it.

use crate::api::Limits;
use crate::api::gateway::{Brought, Call, Headers, Spoken, TASK_TOKEN, Unreadable, unambiguous};
use crate::api::proto::ext_mcp as wire;
use crate::json;
use crate::mcp::Message;
use crate::mcp::method::{self, Direction, Era, Target as About};

use super::names;
use super::setting::{Setting, Target};

/// What is asked: the same of each target.
pub(super) struct Asked {
    pub(super) messages: Vec<Message>,
    pub(super) session: Option<String>,
}

/// The headers of a request.
pub(super) fn headers(sent: Vec<wire::McpHeader>) -> Headers {
    sent.into_iter().map(|wire::McpHeader { key, value }| (key, String::from_utf8(value).ok())).collect()
}

pub(super) fn read(
    (method, params): (&str, Option<&[u8]>),
    setting: &Setting,
    targets: &[Target],
    headers: &Headers,
    limits: &Limits,
) -> Result<Asked, Unreadable> {
    let call = call(method, params, limits)?;
    let about = method::method(method).map(|method| (method.direction(), method.target));
    match (about, targets) {
        (Some((Direction::FromServer, _)), _) => {
            return Err(Unreadable::request("the method is sent by servers, and this came from a client"));
        }
        (Some((_, About::Subscriptions)), _) if params.is_none() => {
            return Err(Unreadable::request("the gateway does not say which resources are subscribed to"));
        }
        (Some((_, About::Nothing | About::Server)), _) | (_, [_]) => {}
        (Some(_) | None, _) => {
            return Err(Unreadable::request("this method goes to one target, and the gateway names several"));
        }
    }
    let mut spoken = Spoken::read(headers)?;
    if spoken.headers.is_empty() && headers.all(":method").is_empty() {
        // Without HTTP in front there are no headers to say it.
        spoken.version.clone_from(&call.version);
    }
    if setting.may_prefix()
        && let ([target], Some((_, about)), Some(own)) = (targets, about, &call.named)
        && let Some(shown) = names::shown(&target.name, about, own)
    {
        spoken.rename(&shown, own);
    }
    spoken.agree(&call)?;
    // In the other era there are none, whatever a header says.
    let said = setting.session.as_ref().filter(|_| spoken.era() == Some(Era::Legacy));
    let session = match (&spoken.session, said) {
        (Some(sent), Some(said)) if sent != said => {
            return Err(Unreadable::header(
                "`Mcp-Session-Id` and `metadata.session` name different sessions",
            ));
        }
        (Some(session), _) | (None, Some(session)) => Some(session.clone()),
        (None, None) => None,
    };
    let message = |target: &Target| Message {
        server: target.server.clone(),
        method: call.method.clone(),
        params: call.params.clone().into(),
        protocol_version: spoken.version.clone(),
        headers: spoken.headers.clone(),
        tool_definition: None,
        arguments_unseen: false,
    };
    Ok(Asked { messages: targets.iter().map(message).collect(), session })
}

fn call(method: &str, params: Option<&[u8]>, limits: &Limits) -> Result<Call, Unreadable> {
    let Some(bytes) = params else { return Call::read(method.to_owned(), None) };
    let json_limits = json::Limits {
        bytes_max: limits.body_bytes_max,
        depth_max: limits.context_depth_max,
        nodes_max: limits.context_nodes_max,
    };
    let value =
        json::parse(bytes, json_limits).map_err(|error| Unreadable::request(format!("`params`: {error}")))?;
    unambiguous(&value)?;
    Call::read(method.to_owned(), Some((&value, bytes)))
}

/// What says who asks: headers, and what the operator has the gateway say. `headers` are there for requests alone.
pub(super) fn brought<'a>(
    setting: &'a Setting,
    headers: Option<&'a Headers>,
) -> Result<Brought<'a>, Unreadable> {
    let header = |name: &str| headers.map_or(Ok(None), |headers| headers.one(name));
    let one = |name: &str, said: &'a Option<String>| match (header(name)?, said.as_deref()) {
        (Some(sent), Some(said)) if sent != said => {
            Err(Unreadable::header(format!("header `{name}` and `metadata` say different things")))
        }
        (Some(text), _) | (None, Some(text)) => Ok(Some(text)),
        (None, None) => Ok(None),
    };
    let dpop = header("dpop")?;
    let part = |name: &str| match header(name)? {
        Some(part) => Ok(part),
        None if dpop.is_none() => Ok(""),
        None => {
            Err(Unreadable::header(format!("a proof is for a URL, and the gateway does not send `{name}`")))
        }
    };
    let path = part(":path")?.split('?').next().unwrap_or_default();
    let url = format!("{}://{}{path}", part(":scheme")?, part(":authority")?);
    Ok(Brought {
        authorization: one("authorization", &setting.authorization)?,
        task: one(TASK_TOKEN, &setting.task)?,
        dpop,
        method: part(":method")?,
        url,
        certificate: "",
        workload: setting.workload.as_deref().unwrap_or_default(),
        claims: setting.claims.iter().collect(),
    })
}
