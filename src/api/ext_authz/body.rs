//! The messages of a body: one, or the batch that one revision of MCP has.
//! Never takes a body that another reader could read in another way: some servers run what others refuse.

use crate::api::gateway::{Call, Unreadable, unambiguous};
use crate::json;
use crate::value::Value;

/// The members that a message may have (JSON-RPC 2.0, sections 4 and 5).
const MEMBERS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
/// The longest id that is a text, in bytes: it goes back in the answer.
const ID_BYTES_MAX: usize = 256;

/// What a body holds.
#[derive(Debug)]
pub(super) enum Body {
    /// One message.
    One(Piece),
    /// A batch, with at least one.
    Batch(Vec<Piece>),
}

/// One message.
#[derive(Debug)]
pub(super) struct Piece {
    /// The id of a request, to be sent back; null for what has none.
    pub(super) id: serde_json::Value,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// A request or a notification.
    Call(Call),
    /// The answer to a request of the server.
    Response,
}

/// Reads a body. `batch_len_max` is 0 where there are no batches.
pub(super) fn read(bytes: &[u8], limits: json::Limits, batch_len_max: usize) -> Result<Body, Unreadable> {
    let value = json::parse(bytes, limits)?;
    unambiguous(&value)?;
    match &value {
        Value::Record(_) => Ok(Body::One(piece(&value, bytes)?)),
        Value::Set(_) if batch_len_max == 0 => {
            Err(Unreadable::request("this revision of the protocol has no batches; send one message"))
        }
        Value::Set(items) if items.is_empty() => Err(Unreadable::request("the batch is empty")),
        Value::Set(items) if items.len() > batch_len_max => {
            let words = format!("the batch has more than {batch_len_max} messages");
            Err(Unreadable::request(words))
        }
        Value::Set(items) => {
            let bytes = json::items_bytes(bytes).unwrap_or_default();
            if bytes.len() != items.len() {
                return Err(Unreadable::request("the batch cannot be read"));
            }
            let pieces = items.iter().zip(bytes).map(|(item, bytes)| piece(item, bytes));
            pieces.collect::<Result<Vec<_>, _>>().map(Body::Batch)
        }
        other => Err(not_a_message(other)),
    }
}

fn not_a_message(value: &Value) -> Unreadable {
    Unreadable::request(format!("a message must be an object, found {}", value.kind()))
}

fn piece(value: &Value, bytes: &[u8]) -> Result<Piece, Unreadable> {
    let Value::Record(members) = value else { return Err(not_a_message(value)) };
    if members.keys().any(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(Unreadable::request("the message has a member that JSON-RPC does not have"));
    }
    if members.get("jsonrpc") != Some(&Value::String("2.0".into())) {
        return Err(Unreadable::request("`jsonrpc` must be \"2.0\""));
    }
    let id = members.get("id").map(id).transpose()?;
    let answers = members.contains_key("result") || members.contains_key("error");
    let method = match members.get("method") {
        Some(Value::String(method)) if !answers => method.to_string(),
        Some(Value::String(_)) => {
            return Err(Unreadable::request("the message is a request and an answer at once"));
        }
        Some(_) => return Err(Unreadable::request("`method` must be a string")),
        None => {
            is_response(members, id.is_some())?;
            // It has the id of a request of the server's, which nobody here may answer.
            return Ok(Piece { id: serde_json::Value::Null, kind: Kind::Response });
        }
    };
    // A method that does something must not come as a notification: some servers run it all the same.
    if id.is_some() == method.starts_with("notifications/") {
        return Err(Unreadable::request("requests have an `id`, and notifications have none"));
    }
    let params = match members.get("params") {
        None => None,
        Some(params) => {
            let bytes = json::member_bytes(bytes, "params")
                .ok_or_else(|| Unreadable::request("`params` cannot be read"))?;
            Some((params, bytes))
        }
    };
    let kind = Kind::Call(Call::read(method, params)?);
    Ok(Piece { id: id.unwrap_or_default(), kind })
}

use crate::value::Members;

fn is_response(members: &Members, has_id: bool) -> Result<(), Unreadable> {
    let has_one = members.contains_key("result") != members.contains_key("error");
    if has_one && has_id && !members.contains_key("params") {
        return Ok(());
    }
    Err(Unreadable::request("the message is neither a request with a `method` nor an answer to one"))
}

/// An id: a text, or a whole number (MCP, "Messages"; not null).
fn id(value: &Value) -> Result<serde_json::Value, Unreadable> {
    match value {
        Value::String(text) if text.len() <= ID_BYTES_MAX => Ok(text.as_str().into()),
        Value::String(_) => Err(Unreadable::request(format!("`id` is longer than {ID_BYTES_MAX} bytes"))),
        Value::Long(number) => Ok((*number).into()),
        _ => Err(Unreadable::request("`id` must be a string or a whole number")),
    }
}
