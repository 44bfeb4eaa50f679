//! `AuthorizeStream`: answers in the order of the requests, each with its request's id.
//! Never reads on without end: a client that does not read its answers is not read from.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::Either;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio_stream::Stream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};

use super::Authorization;
use crate::api::proto::v1;
use crate::audit::AuditSink;
use crate::identity::Caller;

/// How many requests that have come already are decided in one go, on one core.
const CHUNK_LEN_MAX: usize = 16;
/// How many such goes one stream may have under way, on as many cores as there are.
const CHUNKS_MAX: usize = 8;

pub(super) type Answers = Pin<Box<dyn Stream<Item = Answered> + Send>>;

type Asked = Result<v1::AuthorizeStreamRequest, Status>;
type Answered = Result<v1::AuthorizeStreamResponse, Status>;

/// One client's stream: who asks, and under which trace.
struct Conversation<S> {
    service: Authorization<S>,
    caller: Arc<Caller>,
    trace_id: Option<String>,
    span: tracing::Span,
}

pub(super) fn answer<S: AuditSink + 'static>(
    service: Authorization<S>,
    caller: Arc<Caller>,
    trace_id: Option<String>,
    requests: Streaming<v1::AuthorizeStreamRequest>,
    span: tracing::Span,
) -> Answers {
    let conversation = Arc::new(Conversation { service, caller, trace_id, span });
    let answers = requests
        .ready_chunks(CHUNK_LEN_MAX)
        .map(move |chunk| conversation.clone().answer_all(chunk))
        .buffered(CHUNKS_MAX)
        .flat_map(tokio_stream::iter);
    Box::pin(answers)
}

impl<S: AuditSink + 'static> Conversation<S> {
    /// The answers to requests that came together: one is answered sooner than another core is woken.
    fn answer_all(self: Arc<Self>, chunk: Vec<Asked>) -> impl Future<Output = Vec<Answered>> + Send {
        let alone = chunk.len() <= 1;
        let answers = move || chunk.into_iter().map(|asked| self.answer(asked)).collect::<Vec<_>>();
        if alone {
            return Either::Left(ready(answers()));
        }
        let decided = AbortOnDropHandle::new(tokio::spawn(async move { answers() }));
        Either::Right(decided.map(|answers| answers.unwrap_or_else(|_| vec![Err(defect())])))
    }

    fn answer(&self, asked: Asked) -> Answered {
        let _entered = self.span.enter();
        let v1::AuthorizeStreamRequest { request } = asked?;
        let request = request.unwrap_or_default();
        let request_id = request.request_id.clone();
        let result = match self.service.answer(&self.caller, request, self.trace_id.clone()) {
            Ok(response) => v1::authorize_stream_response::Result::Response(response),
            Err(status) => v1::authorize_stream_response::Result::Error(v1::StreamError {
                request_id,
                code: status.code().into(),
                message: status.message().to_owned(),
            }),
        };
        Ok(v1::AuthorizeStreamResponse { result: Some(result) })
    }
}

fn defect() -> Status {
    Status::internal("deciding failed; please report it")
}
