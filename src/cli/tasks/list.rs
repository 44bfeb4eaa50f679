//! `palisade tasks list`: the open tasks, page after page, and what is revoked.
//! Never shows a part as the whole: where more is left it says so.

use clap::Args;
use serde_json::json;

use super::{Format, client, document, paper};
use crate::api::proto::v1;
use crate::cli::Exit;
use crate::cli::paint::print;
use crate::cli::remote::{Server, wire_uid};
use crate::server::clock;
use crate::value::Uid;

/// How many tasks stand on a page at most.
const PAGE_MAX: u32 = 1000;

/// Which tasks.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 they are shown · 2 usage or I/O error

Examples:
  palisade tasks list --party 'Agent::\"support-bot\"'
  palisade tasks list --all --format json")]
pub(super) struct Options {
    /// Those of this human or agent alone, wherever it stands in them: `Human::"ana"`.
    #[arg(long, value_name = "UID")]
    party: Option<Uid>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// All of them.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// How to print them.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    server: Server,
}

/// What was listed.
struct Listed {
    tasks: Vec<v1::Task>,
    revocations: Vec<v1::Revocation>,
    state_revision: u64,
    /// Whether there are further tasks.
    more: bool,
}

pub(super) async fn run(options: &Options) -> Result<Exit, String> {
    let listed = listed(options).await?;
    let text = match options.format {
        Format::Table => listed.for_people(clock::now().seconds()),
        Format::Json => {
            let Listed { tasks, revocations, state_revision, more } = &listed;
            let document = json!({
                "tasks": tasks.iter().map(document::task).collect::<Vec<_>>(),
                "revocations": revocations.iter().map(document::revocation).collect::<Vec<_>>(),
                "more": more,
                "state_revision": state_revision,
            });
            format!("{document:#}\n")
        }
    };
    print(&text)?;
    if listed.more && options.format == Format::Table {
        anstream::eprintln!("note: there are more; show them with --all, or some with --limit N");
    }
    Ok(Exit::Ok)
}

async fn listed(options: &Options) -> Result<Listed, String> {
    let server = options.server.dial("").await?;
    let mut client = client(&server);
    let mut listed = Listed { tasks: vec![], revocations: vec![], state_revision: 0, more: false };
    let mut page_token = String::new();
    loop {
        let left = usize::try_from(options.limit).unwrap_or(usize::MAX).saturating_sub(listed.tasks.len());
        let wanted = if options.all { PAGE_MAX } else { u32::try_from(left).unwrap_or(PAGE_MAX) };
        let party = options.party.as_ref().map(wire_uid);
        let request =
            v1::ListRequest { page_size: wanted.min(PAGE_MAX), page_token: page_token.clone(), party };
        let page = client.list(server.message(request)).await;
        let page = page.map_err(|status| server.words(&status))?.into_inner();
        let v1::ListResponse { tasks, next_page_token, revocations, state_revision } = page;
        // A token that leads to itself would lead there for ever.
        if !next_page_token.is_empty() && next_page_token == page_token {
            return Err("the server's pages lead nowhere: one names itself as the next".into());
        }
        listed.tasks.extend(tasks);
        listed.revocations.extend(revocations);
        listed.state_revision = state_revision;
        listed.more = !next_page_token.is_empty();
        page_token = next_page_token;
        let enough =
            !options.all && listed.tasks.len() >= usize::try_from(options.limit).unwrap_or(usize::MAX);
        if enough || !listed.more {
            return Ok(listed);
        }
    }
}

impl Listed {
    fn for_people(&self, now_s: i64) -> String {
        let mut text = match self.tasks.as_slice() {
            [] => "no open task\n".to_owned(),
            tasks => paper::tasks(tasks, now_s),
        };
        if !self.revocations.is_empty() {
            text.push('\n');
            text.push_str(&paper::revocations(&self.revocations));
        }
        text
    }
}
