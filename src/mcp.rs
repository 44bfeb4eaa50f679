//! MCP messages.

pub mod method;

