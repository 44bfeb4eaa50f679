//! The body of a request: its type, its bytes within limits of size and time, and its JSON.
//! Never repairs anything: what two readers could read in two ways is refused.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::refusal::Refused;
use super::tuple::{Members, Tuple};
use crate::api::Limits;
use crate::json;
use crate::value::Value;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const JSON: &str = "application/json";
/// How much deeper a body nests than a context in it: the body, the list of a batch, an item, the context, and what the
/// arguments of a tool stand in.
const DEPTH_AROUND: usize = 6;
/// How many values the largest body may hold, whatever its limits are otherwise.
const NODES_MAX: usize = 1 << 16;

/// Reads the bytes of a body that says it is JSON.
pub(in crate::api) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Refused> {
    if !is_json(headers) {
        return Err(Refused::malformed("`Content-Type` must be application/json"));
    }
    // What says that it is too long need not be read first.
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > bytes_max {
        return Err(too_large(bytes_max));
    }
    timeout(BODY_TIMEOUT, whole(body, bytes_max)).await.map_err(|_late| Refused::late())?
}

async fn whole(body: Body, bytes_max: usize) -> Result<Bytes, Refused> {
    let mut pieces = body.into_data_stream();
    let broken = |_| Refused::malformed("the body broke off");
    let Some(first) = pieces.next().await.transpose().map_err(broken)? else { return Ok(Bytes::new()) };
    let Some(second) = pieces.next().await.transpose().map_err(broken)? else {
        return if first.len() > bytes_max { Err(too_large(bytes_max)) } else { Ok(first) };
    };
    let mut all = [first, second].concat();
    while all.len() <= bytes_max {
        match pieces.next().await.transpose().map_err(broken)? {
            Some(piece) => all.extend_from_slice(&piece),
            None => return Ok(all.into()),
        }
    }
    Err(too_large(bytes_max))
}

fn too_large(bytes_max: usize) -> Refused {
    Refused::too_large("message_bytes_max", bytes_max)
}

/// `application/json`, with or without parameters; said once, of a body that is not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let mut sent = headers.get_all(CONTENT_TYPE).iter();
    let Some(Ok(only)) = sent.next().map(|value| value.to_str()) else { return false };
    let media_type = only.split(';').next().unwrap_or_default().trim();
    let charset = only.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    let utf_8 = |(name, value): (&str, &str)| {
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    sent.next().is_none()
        && media_type.eq_ignore_ascii_case(JSON)
        && charset.map(|(name, value)| (name.trim(), value.trim())).all(utf_8)
        && headers.get(CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity")
}

/// The members of the JSON object that a body is. `questions_max` is how many questions it may hold.
pub(in crate::api) fn members(
    bytes: &[u8],
    limits: &Limits,
    questions_max: usize,
) -> Result<Members, Refused> {
    match json::parse(bytes, within(bytes, limits, questions_max)?)? {
        Value::Record(members) => Ok(members),
        other => Err(no_object(&other)),
    }
}

/// The one question that a body is.
pub(super) fn question<'b>(bytes: &'b [u8], limits: &Limits) -> Result<Tuple<'b>, Refused> {
    let within = within(bytes, limits, 1)?;
    json::read(bytes, within, |body| Tuple::read(body, bytes))?.map_err(|other| no_object(&other))
}

fn no_object(found: &Value) -> Refused {
    Refused::malformed(format!("the body must be a JSON object, found {}", found.kind()))
}

/// What is read of a body, if there is one.
fn within(bytes: &[u8], limits: &Limits, questions_max: usize) -> Result<json::Limits, Refused> {
    if bytes.is_empty() {
        return Err(Refused::malformed("the body is empty; send a JSON object"));
    }
    Ok(json::Limits {
        bytes_max: limits.body_bytes_max,
        depth_max: limits.context_depth_max.saturating_add(DEPTH_AROUND),
        nodes_max: limits.context_nodes_max.saturating_mul(questions_max).min(NODES_MAX),
    })
}
