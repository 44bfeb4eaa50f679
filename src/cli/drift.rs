//! `palisade drift`: which live tasks a new bundle would end, asked of a running server.
//! Never publishes: nothing changes by asking.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};

use super::paint::{BOLD, GREEN, RED, RESET, aligned, counted, print};
use super::tasks::{Format, MESSAGE_BYTES_MAX, parties};
use super::words::{entity, plain, policies, policy, reason, uid};
use super::{Exit, bundle, remote, trouble};
use crate::api::proto::v1;
use crate::api::proto::v1::admin_client::AdminClient;
use crate::diagnostic::File;

/// How many files a server takes.
const FILES_MAX: usize = 4096;

/// Which bundle, and whom to ask.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the role `admin`. Policy tests are not sent.

Exit codes: 0 every live task keeps its authority · 1 some would lose it · 2 usage or I/O error, or the bundle has findings

Examples:
  palisade drift                                       the bundle in the current directory
  palisade drift --bundle new-policies --format json   for CI, before the bundle is published")]
pub(super) struct Options {
    /// The bundle that is not in force yet.
    #[arg(long, value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// How to print the answer.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    // What has a heading of its own comes last: everything behind it would stand below it.
    #[command(flatten)]
    server: remote::Server,
}

pub(super) fn run(options: &Options) -> Exit {
    let files = match bundle::read(&options.bundle) {
        Ok(sources) => sources.files,
        Err(exit) => return exit,
    };
    if files.len() > FILES_MAX {
        return trouble(format!("the bundle has {} files, and a server takes {FILES_MAX}", files.len()));
    }
    let file = |File { path, text }: File| v1::BundleFile { path: path.to_string(), text: text.to_string() };
    let request = v1::PreviewDriftRequest { files: files.into_iter().map(file).collect() };
    let shown = remote::wait(preview(&options.server, request)).and_then(|preview| {
        print(&match options.format {
            Format::Table => for_people(&preview),
            Format::Json => format!("{:#}\n", for_programs(&preview)),
        })?;
        Ok(if preview.drifting_count == 0 { Exit::Ok } else { Exit::Findings })
    });
    shown.unwrap_or_else(trouble)
}

async fn preview(
    server: &remote::Server,
    request: v1::PreviewDriftRequest,
) -> Result<v1::PreviewDriftResponse, String> {
    let server = server.dial("").await?;
    let mut client = AdminClient::new(server.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let answer = client.preview_drift(server.message(request)).await;
    let words = |status: &tonic::Status| {
        let words = server.words(status);
        match status.code() {
            tonic::Code::InvalidArgument => format!("{words} (`palisade check DIR` shows all findings)"),
            tonic::Code::OutOfRange => format!("{words}; raise the server's `limits.message_bytes_max`"),
            tonic::Code::ResourceExhausted => format!("{words}; ask again when it is done"),
            _ => words,
        }
    };
    answer.map(tonic::Response::into_inner).map_err(|status| words(&status))
}

fn for_people(preview: &v1::PreviewDriftResponse) -> String {
    let v1::PreviewDriftResponse { revision, open, drifting, drifting_count, needs_confirmation } = preview;
    let open = counted(usize::try_from(*open).unwrap_or(usize::MAX), "open task");
    if *drifting_count == 0 {
        return format!(
            "{GREEN}ok{RESET}: {open}, none would lose its authority\nrevision {}\n",
            plain(revision)
        );
    }
    let mut rows = vec![["TASK", "WHO", "AGENT", "PURPOSE", "REASON", "WORDS"].map(str::to_owned).to_vec()];
    for v1::Drifting { task, subject, purpose, reason: why, reason_text, determining } in drifting {
        let [who, agent] = parties(subject.as_ref());
        let why = reason(v1::DenyReason::try_from(*why).unwrap_or_default());
        let is_delegated = subject.as_ref().is_some_and(|subject| subject.actor.is_some());
        let mut words = plain(reason_text);
        for determining in determining {
            words.push_str("; ");
            words.push_str(&plain(&policy(determining, is_delegated)));
        }
        rows.push(vec![plain(task), who, agent, uid(purpose.as_ref()), why, words]);
    }
    let mut text = aligned(&rows);
    let shown = u64::try_from(drifting.len()).unwrap_or(u64::MAX);
    if *drifting_count > shown {
        let _ = writeln!(text, "… and {} more", drifting_count - shown);
    }
    let lost = format!("{RED}{drifting_count}{RESET} of {open} would lose authority");
    let _ = writeln!(text, "{lost}\nrevision {}", plain(revision));
    if *needs_confirmation {
        let _ = writeln!(text, "{BOLD}publishing this bundle would wait for a confirmation{RESET}");
    }
    text
}

fn for_programs(preview: &v1::PreviewDriftResponse) -> Json {
    let v1::PreviewDriftResponse { revision, open, drifting, drifting_count, needs_confirmation } = preview;
    let drifting = drifting.iter().map(|drifting| {
        let v1::Drifting { task, subject, purpose, reason: _, reason_text, determining } = drifting;
        let subject = subject.clone().unwrap_or_default();
        json!({
            "task": task,
            "principal": subject.principal.as_ref().map(entity),
            "actor": subject.actor.as_ref().map(entity),
            "purpose": purpose.as_ref().map(entity),
            "reason": reason(drifting.reason()),
            "reason_text": reason_text,
            "determining": policies(determining),
        })
    });
    json!({
        "revision": revision,
        "open": open,
        "drifting": drifting.collect::<Vec<_>>(),
        "drifting_count": drifting_count,
        "needs_confirmation": needs_confirmation,
    })
}

#[cfg(test)]
mod tests;
