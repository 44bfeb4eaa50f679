//! An exchange with an MCP server: its messages as questions, and what is no message as one about the server.
//! Never lets on what some server could take for another message.

use prost_types::value::Kind as PlainKind;

use crate::access::Question;
use crate::api::Limits;
use crate::api::gateway::{Call, Spoken, Unreadable, folded};
use crate::json;
use crate::mcp::Message;
use crate::mcp::method::{self, Direction, Era, Version};
use crate::pdp::Ask;
use crate::value::Uid;

use super::answer::Asked;
use super::body::{self, Body, Kind, Piece};
use super::exchange::Exchange;

/// How much deeper a body nests than `params`: the batch and the message.
const DEPTH_AROUND: usize = 2;
/// How many values stand around `params` in a message.
const NODES_AROUND: usize = 8;
/// What opening a stream, ending a session and answering a server ask for: to speak with the server at all.
const SPEAK: &str = "initialize";
/// Where gateways put what they have read of a message themselves.
const FILTERS: [&str; 2] = ["envoy.filters.http.mcp", "mcp_proxy"];

/// What an exchange asks, in the session that it belongs to. All must be permitted.
pub(super) struct Understood {
    pub(super) asks: Vec<Ask>,
    pub(super) session: Option<String>,
}

pub(super) fn read(
    exchange: &Exchange,
    server: &str,
    limits: &Limits,
    asked: &mut Asked,
) -> Result<Understood, Unreadable> {
    exchange.check_method()?;
    // Some servers split at semicolons too.
    let query = exchange.query().replace(';', "&");
    if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| folded(&name) == "access_token") {
        // MCP, "Access Token Usage": a server that took it would act for somebody else than is decided on.
        return Err(Unreadable::request("send the token in `Authorization`, not in the query"));
    }
    let spoken = Spoken::read(&exchange.headers)?;
    let asks = match exchange.method.as_str() {
        "POST" => messages(exchange, &spoken, server, limits, asked)?,
        "GET" | "DELETE" if spoken.era() != Some(Era::Legacy) => {
            return Err(Unreadable::request(
                "this revision of the protocol has neither streams nor sessions to name",
            ));
        }
        "GET" | "DELETE" if exchange.has_body() => {
            return Err(Unreadable::request("a body came along where none has a meaning"));
        }
        "GET" => vec![speak(server)],
        "DELETE" if spoken.session.is_some() => vec![speak(server)],
        "DELETE" => return Err(Unreadable::request("`Mcp-Session-Id` does not say which session is to end")),
        _ => return Err(Unreadable::request("MCP is spoken with POST, GET and DELETE alone")),
    };
    Ok(Understood { asks, session: spoken.session })
}

fn messages(
    exchange: &Exchange,
    spoken: &Spoken,
    server: &str,
    limits: &Limits,
    asked: &mut Asked,
) -> Result<Vec<Ask>, Unreadable> {
    // The one revision that has batches names itself in no header.
    let batch_len_max = if spoken.revision() == Some(Version::V20250326) { limits.batch_len_max } else { 0 };
    let json_limits = json::Limits {
        bytes_max: limits.body_bytes_max,
        depth_max: limits.context_depth_max.saturating_add(DEPTH_AROUND),
        nodes_max: limits.context_nodes_max.saturating_add(NODES_AROUND.saturating_mul(batch_len_max.max(1))),
    };
    let pieces = match body::read(exchange.json_body()?, json_limits, batch_len_max)? {
        Body::One(piece) => vec![piece],
        Body::Batch(pieces) => {
            asked.is_batch = true;
            pieces
        }
    };
    asked.ids = pieces.iter().map(|piece| piece.id.clone()).collect();
    let mut asks = Vec::with_capacity(pieces.len());
    for Piece { id: _, kind } in pieces {
        asks.push(match kind {
            Kind::Response => answer(spoken, server)?,
            Kind::Call(call) if asked.is_batch && call.method == SPEAK => {
                return Err(Unreadable::request("`initialize` must not be part of a batch"));
            }
            Kind::Call(call) => Ask::Mcp(self::call(exchange, spoken, server, call)?),
        });
    }
    Ok(asks)
}

/// A request or notification of the client.
fn call(exchange: &Exchange, spoken: &Spoken, server: &str, call: Call) -> Result<Message, Unreadable> {
    if method::method(&call.method).is_some_and(|method| method.direction() == Direction::FromServer) {
        return Err(Unreadable::request("the method is sent by servers, and this came from a client"));
    }
    spoken.agree(&call)?;
    for filter in FILTERS.into_iter().filter_map(|name| exchange.metadata.get(name)) {
        let told = |object: &prost_types::Struct, name: &str| match object.fields.get(name)?.kind.as_ref()? {
            PlainKind::StringValue(text) => Some(text.clone()),
            _ => None,
        };
        let params = match filter.fields.get("params").and_then(|params| params.kind.as_ref()) {
            Some(PlainKind::StructValue(params)) => Some(params),
            _ => None,
        };
        let named =
            params.and_then(|params| ["name", "uri", "taskId"].iter().find_map(|name| told(params, name)));
        let differs = told(filter, "method").is_some_and(|method| method != call.method)
            || (named.is_some() && call.named.is_some() && named != call.named);
        if differs {
            return Err(Unreadable::request("the gateway has read another message than the one in the body"));
        }
    }
    Ok(Message {
        server: server.to_owned(),
        method: call.method,
        params: call.params.into(),
        protocol_version: spoken.version.clone(),
        headers: spoken.headers.clone(),
        tool_definition: None,
        arguments_unseen: false,
    })
}

/// An answer of the client's side to a question of the server: it belongs to the session in which that was asked.
fn answer(spoken: &Spoken, server: &str) -> Result<Ask, Unreadable> {
    if spoken.session.is_none() {
        return Err(Unreadable::request("an answer to a server belongs to a session; send `Mcp-Session-Id`"));
    }
    Ok(speak(server))
}

fn speak(server: &str) -> Ask {
    Ask::Access(Question::new(Uid::new("Action", SPEAK), Uid::new("Server", server)))
}
