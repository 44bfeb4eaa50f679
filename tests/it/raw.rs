//! Bytes as a message, for clients that send what no honest one would.

use prost::bytes::{Buf as _, BufMut as _};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

use crate::pdp::{TOKEN, TestPdp};

/// Sends the bytes as the one message of a call, and gives back the bytes of the answer.
pub async fn call(pdp: &TestPdp, path: &'static str, bytes: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(pdp.channel().await);
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let mut request = Request::new(bytes);
    request.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let answer = client.unary(request, PathAndQuery::from_static(path), Bytes).await?;
    Ok(answer.into_inner())
}

/// Sends each of the bytes as a message of a stream, and gives back the answers until the first error, and that.
pub async fn stream(
    pdp: &TestPdp,
    path: &'static str,
    messages: Vec<Vec<u8>>,
) -> (Vec<Vec<u8>>, Option<Status>) {
    let mut client = tonic::client::Grpc::new(pdp.channel().await);
    client.ready().await.unwrap();
    let mut request = Request::new(tokio_stream::iter(messages));
    request.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let answers = client.streaming(request, PathAndQuery::from_static(path), Bytes).await;
    let mut answers = answers.unwrap().into_inner();
    let mut read = Vec::new();
    loop {
        match answers.message().await {
            Ok(Some(answer)) => read.push(answer),
            Ok(None) => return (read, None),
            Err(status) => return (read, Some(status)),
        }
    }
}

#[derive(Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, bytes: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&bytes);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
