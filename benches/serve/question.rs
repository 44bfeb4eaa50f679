//! The question that is asked: the delegated refund of `benches/decide.rs`, over gRPC.
//! Never a denied one: a deny would be cheaper to answer.

use std::sync::Arc;

use palisade::api::proto::v1;
use sha2::{Digest as _, Sha256};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::call::{Call, Judge};
use crate::trouble::{Outcome, Trouble};

/// The method of single questions.
pub const AUTHORIZE: &str = "/palisade.v1.Authorization/Authorize";
/// The method of streams.
pub const AUTHORIZE_STREAM: &str = "/palisade.v1.Authorization/AuthorizeStream";
/// What is refunded.
pub const AMOUNT: u32 = 30;

/// The token of the benchmark's caller. It opens nothing but a server that lives for a few seconds.
const TOKEN: &str = "serve-bench-serve-bench-serve-bench-serve-bench";

/// A call of Palisade's `Authorize`.
pub type Authorize = Call<v1::AuthorizeRequest, v1::AuthorizeResponse>;

/// The support bot refunds 30 euros on behalf of Ana.
pub fn request() -> v1::AuthorizeRequest {
    let uid = |kind: &str, id: &str| Some(v1::EntityUid { r#type: kind.into(), id: id.into() });
    let message = v1::McpMessage {
        server: "crm".into(),
        method: "tools/call".into(),
        params: format!(r#"{{"name":"issue_refund","arguments":{{"order":"o-1","amount":{AMOUNT}}}}}"#)
            .into(),
        ..v1::McpMessage::default()
    };
    v1::AuthorizeRequest {
        subject: Some(v1::Subject {
            principal: uid("Human", "ana"),
            actor: uid("Agent", "support-bot"),
            earlier_actors: vec![],
        }),
        question: Some(v1::authorize_request::Question::Mcp(message)),
        ..v1::AuthorizeRequest::default()
    }
}

/// The same over AuthZEN.
pub fn evaluation() -> String {
    serde_json::json!({
        "subject": {"type": "identity", "id": "ana"},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": "issue_refund", "properties": {
            "server": "crm", "arguments": {"order": "o-1", "amount": AMOUNT},
        }},
        "context": {"agent": "support-bot"},
    })
    .to_string()
}

/// The expected answer is a permit.
pub fn permitted(answer: &v1::AuthorizeResponse) -> Result<(), String> {
    if is_permit(answer) {
        return Ok(());
    }
    Err(format!("the answer is {:?} for {:?}: {}", answer.decision(), answer.reason(), answer.reason_text))
}

/// Whether the step may be taken.
pub fn is_permit(answer: &v1::AuthorizeResponse) -> bool {
    answer.decision() == v1::Decision::Permit
}

/// What the caller sends with each call.
pub fn token() -> Outcome<MetadataValue<Ascii>> {
    bearer().parse().map_err(|_| Trouble::Call("the token is no header".into()))
}

/// The same as a header of HTTP.
pub fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

/// What the configuration knows of it.
pub fn token_sha256() -> String {
    Sha256::digest(TOKEN).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The question over one connection.
pub fn authorize(channel: Channel) -> Outcome<Authorize> {
    let judge: Judge<v1::AuthorizeResponse> = Arc::new(permitted);
    Ok(Call::new(channel, AUTHORIZE, Some(token()?), request(), judge))
}
