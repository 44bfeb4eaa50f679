//! gRPC on its listeners: the service beside health and reflection, behind the limits of HTTP/2.
//! Never decides, and never outlives the token that stops it.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::config::Limits;
use super::incoming;
use super::listen::Listener;
use crate::api::proto::v1::authorization_server::AuthorizationServer;
use crate::api::{Authorization, proto};
use crate::audit::AuditSink;

/// How often an idle connection is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Serves on all `listeners` until `stop`; calls that have begun are answered.
///
/// # Errors
/// A listener failed, or the descriptors for reflection cannot be read.
pub async fn serve<S: AuditSink + 'static>(
    listeners: Vec<Listener>,
    service: Authorization<S>,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<AuthorizationServer<Authorization<S>>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(io::Error::other)?;
    let authorization = AuthorizationServer::new(service).max_decoding_message_size(limits.message_bytes_max);
    let connections = incoming::incoming(listeners, limits.connections_max, incoming::Deadlines::default());
    Server::builder()
        .max_concurrent_streams(limits.concurrent_streams_max)
        .http2_max_header_list_size(limits.header_list_bytes_max)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(authorization)
        .serve_with_incoming_shutdown(connections, async move {
            stop.cancelled().await;
            // Who watches our health learns of the end before the connections close.
            health.set_not_serving::<AuthorizationServer<Authorization<S>>>().await;
        })
        .await
        .map_err(io::Error::other)
}
