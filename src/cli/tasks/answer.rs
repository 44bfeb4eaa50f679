//! Whether a task may be: the answer on paper, and its token in its place.
//! Never shows a token unless somebody asked for it.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value as Json, json};

use super::keep::{Keep, Place};
use super::{Format, document, paper};
use crate::api::proto::v1;
use crate::cli::Exit;
use crate::cli::paint::{DIM, GREEN, RED, RESET, print};
use crate::cli::words::{plain, policies, policy, reason, word};

/// How it is asked and shown.
#[derive(Debug, Args)]
pub(super) struct Manner {
    /// Ask only whether it would be granted; nothing begins.
    #[arg(long)]
    preview: bool,
    #[command(flatten)]
    keep: Keep,
    /// How to print the answer.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Manner {
    pub(super) fn mode(&self) -> v1::Mode {
        if self.preview { v1::Mode::Preview } else { v1::Mode::Enforce }
    }

    pub(super) fn place(&self) -> Result<Place, String> {
        self.keep.open()
    }
}

/// A name for the request, by which it can be asked again.
#[derive(Debug, Args)]
pub(super) struct Once {
    /// A name of your own for this: the same request with the same name is answered with the same task [default: a new one]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    idempotency_key: Option<String>,
}

impl Once {
    /// The name; a new one, unless there is nothing to be had again.
    pub(super) fn key(&self, manner: &Manner) -> String {
        match &self.idempotency_key {
            Some(key) => key.clone(),
            None if manner.preview => String::new(),
            None => uuid::Uuid::now_v7().to_string(),
        }
    }

    /// How to ask once more under a name: `start it`.
    pub(super) fn again(verb: &str, key: &str) -> String {
        match key {
            "" => format!("{verb} again"),
            key => format!("{verb} again with --idempotency-key '{key}' and --token-out FILE"),
        }
    }
}

/// What a command asked for.
pub(super) struct Asked<'a> {
    pub(super) manner: &'a Manner,
    pub(super) place: Place,
    /// What became of the task: `started`.
    pub(super) verb: &'a str,
    /// Empty when there is none.
    pub(super) key: &'a str,
    /// How to get the token after all.
    pub(super) again: &'a str,
    pub(super) now_s: i64,
}

/// What the server says.
pub(super) struct Answer {
    decision: v1::TaskDecision,
    task: Option<v1::Task>,
    token: String,
    state_revision: u64,
}

macro_rules! answers {
    ($($response:ident),*) => {$(
        impl From<v1::$response> for Answer {
            fn from(v1::$response { decision, task, token, state_revision }: v1::$response) -> Self {
                Self { decision: decision.unwrap_or_default(), task, token, state_revision }
            }
        }
    )*};
}

answers!(StartResponse, DelegateResponse, RenewResponse);

impl Answer {
    /// Puts the token in its place and prints the rest.
    pub(super) fn show(mut self, asked: Asked<'_>) -> Result<Exit, String> {
        let Asked { manner, place, verb, key, again, now_s } = asked;
        let granted = self.decision.decision() == v1::Decision::Permit;
        let token = std::mem::take(&mut self.token);
        let expected = granted && !manner.preview;
        let (mut file, mut shown, mut note) = (None, None, None);
        match place {
            Place::Nowhere | Place::Stdout | Place::File(_) if !expected => {}
            Place::File(_) | Place::Stdout if token.is_empty() => {
                return Err("the server granted it and sent no token; is it older than this palisade?".into());
            }
            Place::File(beside) => {
                file = Some(beside.keep(&token).map_err(|words| format!("{words}; it is granted: {again}"))?);
            }
            Place::Stdout => shown = Some(token),
            Place::Nowhere => note = Some(format!("the token was not shown; {again}")),
        }
        let text = match manner.format {
            Format::Table => self.for_people(verb, manner.preview, shown.as_deref(), now_s),
            Format::Json => {
                format!("{:#}\n", self.for_programs(manner.preview, shown.as_deref(), file.as_deref(), key))
            }
        };
        print(&text)?;
        if let (Some(file), Format::Table) = (&file, manner.format) {
            anstream::eprintln!("the token is in `{}`", file.display());
        }
        if let Some(note) = note {
            anstream::eprintln!("note: {note}");
        }
        Ok(if granted { Exit::Ok } else { Exit::Findings })
    }

    pub(super) fn for_people(&self, verb: &str, is_preview: bool, token: Option<&str>, now_s: i64) -> String {
        let decision = &self.decision;
        let mut lines = match (decision.decision(), is_preview) {
            (v1::Decision::Permit, true) => format!("{GREEN}would be {verb}{RESET}\n"),
            (v1::Decision::Permit, false) => format!("{GREEN}{verb}{RESET}\n"),
            (v1::Decision::Deny | v1::Decision::Unspecified, _) => {
                let reason = reason(decision.reason());
                format!("{RED}DENY{RESET} {reason}: {}\n", plain(&decision.reason_text))
            }
        };
        if let Some(task) = &self.task {
            lines.push_str(&paper::task(task, now_s));
        }
        for determining in &decision.determining {
            let _ = writeln!(lines, "  {}", plain(&policy(determining, true)));
        }
        let v1::TaskDecision { decision_id, revision, .. } = decision;
        let state =
            if self.state_revision == 0 { String::new() } else { format!("  state {}", self.state_revision) };
        let ids = format!("decision {}  revision {}{state}", plain(decision_id), plain(revision));
        let _ = writeln!(lines, "{DIM}{ids}{RESET}");
        if let Some(token) = token {
            lines.push_str(token);
            lines.push('\n');
        }
        lines
    }

    pub(super) fn for_programs(
        &self,
        is_preview: bool,
        token: Option<&str>,
        file: Option<&Path>,
        key: &str,
    ) -> Json {
        let decision = &self.decision;
        json!({
            "decision": word(decision.decision().as_str_name(), "DECISION_"),
            "reason": reason(decision.reason()),
            "reason_text": decision.reason_text,
            "decision_id": decision.decision_id,
            "revision": decision.revision,
            "determining": policies(&decision.determining),
            "preview": is_preview,
            "task": self.task.as_ref().map(document::task),
            "token": token,
            "token_file": file.map(|path| path.display().to_string()),
            "idempotency_key": document::text(key),
            "state_revision": self.state_revision,
        })
    }
}
