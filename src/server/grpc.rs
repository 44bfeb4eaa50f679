//! gRPC on its listeners: the service beside health and reflection, behind the limits of HTTP/2.
//! Never decides, and never outlives the token that stops it.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::config::Limits;
use super::incoming::{Deadlines, Door};
use super::listen::Listener;
use crate::api::proto::envoy::service::auth::v3::authorization_server::AuthorizationServer as ExtAuthzServer;
use crate::api::proto::ext_mcp::ext_mcp_server::ExtMcpServer;
use crate::api::proto::v1::admin_server::AdminServer;
use crate::api::proto::v1::authorization_server::AuthorizationServer;
use crate::api::proto::v1::search_server::SearchServer;
use crate::api::proto::v1::tasks_server::TasksServer;
use crate::api::{Administrator, Authorization, ExtAuthz, ExtMcp, TaskService, proto};
use crate::audit::AuditSink;
use crate::store::StateStore;

/// The longest message that holds a bundle.
const BUNDLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How often an idle connection is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What is served.
pub struct Services<S, T> {
    /// `palisade.v1.Authorization` and `palisade.v1.Search`.
    pub authorization: Authorization<S>,
    /// `envoy.service.auth.v3.Authorization`.
    pub ext_authz: ExtAuthz<S>,
    /// `agentgateway.dev.ext_mcp.ExtMcp`.
    pub ext_mcp: ExtMcp<S>,
    /// `palisade.v1.Tasks`.
    pub tasks: TaskService<S, T>,
    /// `palisade.v1.Admin`.
    pub administrator: Administrator<S, T>,
}

/// Serves on all `listeners` until `stop`; calls that have begun are answered.
///
/// # Errors
/// A listener failed, or the descriptors for reflection cannot be read.
pub async fn serve<S: AuditSink + 'static, T: StateStore>(
    listeners: Vec<Listener>,
    services: Services<S, T>,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<AuthorizationServer<Authorization<S>>>().await;
    health.set_serving::<ExtAuthzServer<ExtAuthz<S>>>().await;
    health.set_serving::<ExtMcpServer<ExtMcp<S>>>().await;
    health.set_serving::<SearchServer<Authorization<S>>>().await;
    health.set_serving::<TasksServer<TaskService<S, T>>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(io::Error::other)?;
    let Services { authorization, ext_authz, ext_mcp, tasks, administrator } = services;
    let bytes_max = limits.message_bytes_max;
    let search = SearchServer::new(authorization.clone()).max_decoding_message_size(bytes_max);
    let authorization = AuthorizationServer::new(authorization).max_decoding_message_size(bytes_max);
    let ext_authz = ExtAuthzServer::new(ext_authz).max_decoding_message_size(bytes_max);
    let ext_mcp = ExtMcpServer::new(ext_mcp).max_decoding_message_size(bytes_max);
    let tasks = TasksServer::new(tasks).max_decoding_message_size(bytes_max);
    // A bundle is longer than a question.
    let administrator =
        AdminServer::new(administrator).max_decoding_message_size(BUNDLE_BYTES_MAX.max(bytes_max));
    let connections = Door::new(listeners, limits.connections_max).incoming(Deadlines::default());
    Server::builder()
        .max_concurrent_streams(limits.concurrent_streams_max)
        .http2_max_header_list_size(limits.header_list_bytes_max)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(authorization)
        .add_service(ext_authz)
        .add_service(ext_mcp)
        .add_service(search)
        .add_service(tasks)
        .add_service(administrator)
        .serve_with_incoming_shutdown(connections, async move {
            stop.cancelled().await;
            // Who watches our health learns of the end before the connections close.
            health.set_not_serving::<AuthorizationServer<Authorization<S>>>().await;
            health.set_not_serving::<ExtAuthzServer<ExtAuthz<S>>>().await;
            health.set_not_serving::<ExtMcpServer<ExtMcp<S>>>().await;
            health.set_not_serving::<SearchServer<Authorization<S>>>().await;
            health.set_not_serving::<TasksServer<TaskService<S, T>>>().await;
        })
        .await
        .map_err(io::Error::other)
}
