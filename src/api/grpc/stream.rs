//! `AuthorizeStream`: answers in the order of the requests, each with its request's id.
//! Never buffers: a client that does not read its answers is not read from.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use super::Authorization;
use crate::api::proto::v1;
use crate::audit::AuditSink;
use crate::identity::Caller;

pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<v1::AuthorizeStreamResponse, Status>> + Send>>;

pub(super) fn answer<S: AuditSink + 'static>(
    service: Authorization<S>,
    caller: Arc<Caller>,
    trace_id: Option<String>,
    requests: Streaming<v1::AuthorizeStreamRequest>,
    span: tracing::Span,
) -> Answers {
    Box::pin(requests.map(move |request| {
        let _entered = span.enter();
        let v1::AuthorizeStreamRequest { request } = request?;
        let request = request.unwrap_or_default();
        let request_id = request.request_id.clone();
        let result = match service.answer(&caller, request, trace_id.clone()) {
            Ok(response) => v1::authorize_stream_response::Result::Response(response),
            Err(status) => v1::authorize_stream_response::Result::Error(v1::StreamError {
                request_id,
                code: status.code().into(),
                message: status.message().to_owned(),
            }),
        };
        Ok(v1::AuthorizeStreamResponse { result: Some(result) })
    }))
}
