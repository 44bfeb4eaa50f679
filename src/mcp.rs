//! MCP messages.

pub mod method;
pub mod uri;
