//! `palisade tasks revoke` and `lift`: authority taken back at once, and let through again.
//! Never brings a revoked task back.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::target::{Target, document, written};
use super::{Format, client};
use crate::api::proto::v1;
use crate::cli::Exit;
use crate::cli::paint::{counted, print};
use crate::cli::remote::Server;

/// What, and why.
#[derive(Debug, Args)]
#[command(after_help = "\
A task or a session of your own needs the role `tasks`, anything else, and every `lift`, the role `admin`.

Exit codes: 0 done · 2 usage or I/O error, or the server refused

Examples:
  palisade tasks revoke --task tsk_0190a4e2f7c87d3b9a51c0de12345678 --reason 'asked by its owner'
  palisade tasks revoke --tool crm/issue_refund --reason 'incident 42'
  palisade tasks lift --tool crm/issue_refund --reason 'incident 42 is over'")]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) target: Target,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// How to print the answer.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn revoke(options: &Options) -> Result<Exit, String> {
    let Options { target, reason, format, server } = options;
    let (server, target) = (server.dial("").await?, target.to_wire());
    let (request_id, reason) = (String::new(), reason.clone());
    let request = v1::RevokeRequest { target: Some(target.clone()), reason, request_id };
    let answer = client(&server).revoke(server.message(request)).await;
    let answer = answer.map_err(|status| server.undone(&status, "revoke it again"))?;
    let v1::RevokeResponse { state_revision, tasks } = answer.into_inner();
    print(&match format {
        Format::Table => {
            let (kind, name) = written(Some(&target));
            let open = counted(usize::try_from(tasks).unwrap_or(usize::MAX), "open task");
            format!("revoked {kind} {name}: {open} (state {state_revision})\n")
        }
        Format::Json => {
            let target = document(Some(&target));
            format!("{:#}\n", json!({ "target": target, "tasks": tasks, "state_revision": state_revision }))
        }
    })?;
    Ok(Exit::Ok)
}

pub(super) async fn lift(options: &Options) -> Result<Exit, String> {
    let Options { target, reason, format, server } = options;
    let (server, target) = (server.dial("").await?, target.to_wire());
    let (request_id, reason) = (String::new(), reason.clone());
    let request = v1::LiftRequest { target: Some(target.clone()), reason, request_id };
    let answer = client(&server).lift(server.message(request)).await;
    let answer = answer.map_err(|status| server.undone(&status, "lift it again"))?;
    let v1::LiftResponse { state_revision } = answer.into_inner();
    print(&match format {
        Format::Table => {
            let (kind, name) = written(Some(&target));
            format!("lifted {kind} {name} (state {state_revision})\n")
        }
        Format::Json => {
            let target = document(Some(&target));
            format!("{:#}\n", json!({ "target": target, "state_revision": state_revision }))
        }
    })?;
    Ok(Exit::Ok)
}
