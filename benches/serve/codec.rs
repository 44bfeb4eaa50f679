//! Messages that are encoded again and again without a copy, by prost as everywhere else.
//! Never encodes in advance: what both sides pay for the bytes is paid for each call.

use std::marker::PhantomData;
use std::sync::Arc;

use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

/// Sends a shared `T`, receives a `U` of its own.
pub struct Shared<T, U>(PhantomData<fn() -> (T, U)>);

impl<T, U> Shared<T, U> {
    /// One for one call.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Shared<T, U>
where
    T: Message + 'static,
    U: Message + Default + 'static,
{
    type Encode = Arc<T>;
    type Decode = U;
    type Encoder = SharedEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        SharedEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::default()
    }
}

/// Encodes a shared message.
pub struct SharedEncoder<T>(PhantomData<fn() -> T>);

impl<T: Message> Encoder for SharedEncoder<T> {
    type Item = Arc<T>;
    type Error = Status;

    fn encode(&mut self, message: Arc<T>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}
