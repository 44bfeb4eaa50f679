//! What is wanted of a task, as it is typed and sent.
//! Never widens: what is not named is left to the server.

use clap::Args;

use super::{bounds, duration};
use crate::api::proto::v1;

/// What the task is to be.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is wanted (what is left out is not limited by the task)")]
pub(super) struct Wanted {
    /// A server that it may use, by its id in the catalog. Again for another.
    #[arg(long, value_name = "ID")]
    server: Vec<String>,
    /// A tool that it may use. Again for another.
    #[arg(long, value_name = "SERVER/TOOL", value_parser = bounds::tool_name)]
    tool: Vec<String>,
    /// A class of data that it may touch, with those below it. Again for another.
    #[arg(long, value_name = "ID")]
    data_class: Vec<String>,
    /// What an argument must be: `crm/issue_refund:amount<=100`, `crm/issue_refund:order.total>=1`,
    /// `crm/lookup_customer:customer_id=c-1|c-2`. A backslash takes a `.`, `|` or `=` as it is. Again for another; all hold.
    #[arg(long, value_name = "BOUND", value_parser = bounds::parse)]
    bound: Vec<v1::Bound>,
    /// How many steps may be permitted under it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    calls: Option<u64>,
    /// How long it is to last: 90s, 15m, 2h.
    #[arg(long, value_name = "LENGTH", value_parser = duration::parse)]
    ttl: Option<u64>,
    /// The RFC 7638 thumbprint of the agent's key: the token counts only with proof of it.
    #[arg(long, value_name = "THUMBPRINT")]
    key: Option<String>,
}

impl Wanted {
    pub(super) fn to_wire(&self) -> v1::Wanted {
        let Self { server, tool, data_class, bound, calls, ttl, key } = self;
        let names = |names: &[String]| (!names.is_empty()).then(|| v1::Names { names: names.to_vec() });
        let scope = v1::Scope {
            servers: names(server),
            tools: names(tool),
            data_classes: names(data_class),
            bounds: bound.clone(),
        };
        v1::Wanted {
            scope: Some(scope),
            calls_max: calls.unwrap_or_default(),
            ttl_s: ttl.unwrap_or_default(),
            key_thumbprint: key.clone().unwrap_or_default(),
        }
    }
}
