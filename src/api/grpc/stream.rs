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
use crate::api::callers::Shown;
use crate::api::proto::v1;
use crate::api::together::TOGETHER_MAX;
use crate::audit::AuditSink;

/// How many goes of requests one stream may have under way, on as many cores as there are.
const GOES_MAX: usize = 8;

pub(super) type Answers = Pin<Box<dyn Stream<Item = Answered> + Send>>;

type Asked = Result<v1::AuthorizeStreamRequest, Status>;
type Answered = Result<v1::AuthorizeStreamResponse, Status>;

/// One client's stream: who asks, and under which trace.
struct Conversation<S> {
    service: Authorization<S>,
    shown: Shown,
    trace_id: Option<String>,
    span: tracing::Span,
}

pub(super) fn answer<S: AuditSink + 'static>(
    service: Authorization<S>,
    shown: Shown,
    trace_id: Option<String>,
    requests: Streaming<v1::AuthorizeStreamRequest>,
    span: tracing::Span,
) -> Answers {
    let conversation = Arc::new(Conversation { service, shown, trace_id, span });
    let answers = requests
        .ready_chunks(TOGETHER_MAX)
        .map(move |chunk| conversation.clone().answer_all(chunk))
        .buffered(GOES_MAX)
        .flat_map(tokio_stream::iter);
    Box::pin(answers)
}

impl<S: AuditSink + 'static> Conversation<S> {
    /// The answers to requests that came together: one is answered sooner than another core is woken.
    fn answer_all(self: Arc<Self>, asked: Vec<Asked>) -> impl Future<Output = Vec<Answered>> + Send {
        let alone = asked.len() <= 1;
        let answers = move || self.answer(asked);
        if alone {
            return Either::Left(ready(answers()));
        }
        let decided = AbortOnDropHandle::new(tokio::spawn(async move { answers() }));
        Either::Right(decided.map(|answers| answers.unwrap_or_else(|_| vec![Err(super::defect())])))
    }

    fn answer(&self, asked: Vec<Asked>) -> Vec<Answered> {
        let _entered = self.span.enter();
        let mut requests = Vec::with_capacity(asked.len());
        let mut broken = None;
        for request in asked {
            match request {
                Ok(v1::AuthorizeStreamRequest { request }) => requests.push(request.unwrap_or_default()),
                // Nothing follows an error of the connection.
                Err(status) => broken = Some(Err(status)),
            }
        }
        let ids: Vec<String> = requests.iter().map(|request| request.request_id.clone()).collect();
        // A stream may outlast the token that it began with.
        let answers = match self.service.identify(&self.shown) {
            Ok(caller) => self.service.answer_together(&caller, requests, self.trace_id.as_deref()),
            Err(nobody) => requests.iter().map(|_| Err(nobody.clone())).collect(),
        };
        ids.into_iter().zip(answers).map(|(id, answer)| Ok(told(id, answer))).chain(broken).collect()
    }
}

fn told(request_id: String, answer: Result<v1::AuthorizeResponse, Status>) -> v1::AuthorizeStreamResponse {
    let result = match answer {
        Ok(response) => v1::authorize_stream_response::Result::Response(response),
        Err(status) => v1::authorize_stream_response::Result::Error(v1::StreamError {
            request_id,
            code: status.code().into(),
            message: status.message().to_owned(),
        }),
    };
    v1::AuthorizeStreamResponse { result: Some(result) }
}
