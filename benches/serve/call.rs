//! One unary call that is made again and again, over a connection.
//! Never takes an answer for good that was not the expected one.

use std::sync::Arc;

use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::codec::Shared;
use crate::trouble::{Outcome, Trouble};

/// Says whether an answer is the expected one, and if not, what is wrong with it.
pub type Judge<A> = Arc<dyn Fn(&A) -> Result<(), String> + Send + Sync>;

/// A question that can be asked again and again. Clones share a connection.
pub trait Ask: Clone + Send + 'static {
    /// Asks once, and judges the answer.
    fn ask(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

impl<Q, A> Ask for Call<Q, A>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    async fn ask(&mut self) -> Result<(), String> {
        self.make().await.map(drop)
    }
}

/// A question and where to ask it.
pub struct Call<Q, A> {
    grpc: Grpc<Channel>,
    path: &'static str,
    token: Option<MetadataValue<Ascii>>,
    question: Arc<Q>,
    judge: Judge<A>,
}

impl<Q, A> Clone for Call<Q, A> {
    fn clone(&self) -> Self {
        Self {
            grpc: self.grpc.clone(),
            path: self.path,
            token: self.token.clone(),
            question: self.question.clone(),
            judge: self.judge.clone(),
        }
    }
}

impl<Q, A> Call<Q, A>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    /// A question over one connection.
    pub fn new(
        channel: Channel,
        path: &'static str,
        token: Option<MetadataValue<Ascii>>,
        question: Q,
        judge: Judge<A>,
    ) -> Self {
        Self { grpc: Grpc::new(channel), path, token, question: Arc::new(question), judge }
    }

    /// The same with another judge.
    pub fn judged(mut self, judge: Judge<A>) -> Self {
        self.judge = judge;
        self
    }

    /// Asks once.
    pub async fn make(&mut self) -> Result<A, String> {
        let words = |status: Status| format!("{:?}: {}", status.code(), status.message());
        self.grpc.ready().await.map_err(|error| format!("no connection: {error}"))?;
        let mut request = Request::new(self.question.clone());
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        let path = http::uri::PathAndQuery::from_static(self.path);
        let answer = self.grpc.unary(request, path, Shared::<Q, A>::new()).await.map_err(words)?.into_inner();
        (self.judge)(&answer).map(|()| answer)
    }
}

/// A connection to `http://host:port` or `unix:/path`.
pub async fn connect(uri: &str) -> Outcome<Channel> {
    let failed = |error: tonic::transport::Error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Trouble::Call(format!("cannot connect to {uri}: {error}{cause}"))
    };
    let endpoint = Endpoint::from_shared(uri.to_owned()).map_err(failed)?;
    endpoint.tcp_nodelay(true).connect().await.map_err(failed)
}
