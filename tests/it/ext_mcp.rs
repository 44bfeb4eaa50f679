//! agentgateway: what goes through it to servers, and what of their lists comes back.
//! Never through our own decoding: questions are protobuf as the gateway writes it.

pub mod ask;
mod fan_out;
mod lists;
mod malformed;
mod parties;
mod redaction;
mod requests;
pub mod say;
