//! What the question brings to prove who asks: tokens and a proof, from files or standard input.
//! Never looks into them: the server does.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::proto::v1;
use crate::cli::secret;

/// Tokens, and proof of the key that the first is bound to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials (files; `-` is standard input)")]
pub(super) struct Credentials {
    /// The token of the party whose authority is used. It names the parties, so that --human and --agent can be left out;
    /// when they are there too they must agree with it.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    subject_token: Option<PathBuf>,
    /// The token of the agent that acts, when the subject's does not name it.
    #[arg(long, value_name = "FILE", requires = "subject_token", conflicts_with = "bundle")]
    actor_token: Option<PathBuf>,
    /// A `DPoP` proof of the key that the subject's token is bound to. Each is taken once.
    #[arg(long, value_name = "FILE", requires_all = ["subject_token", "dpop_url"], conflicts_with = "bundle")]
    dpop_proof: Option<PathBuf>,
    /// The HTTP method that the proof was made for.
    #[arg(long, value_name = "METHOD", requires = "dpop_proof", default_value = "POST")]
    dpop_method: String,
    /// The URL that the proof was made for.
    #[arg(long, value_name = "URL", requires = "dpop_proof")]
    dpop_url: Option<String>,
}

impl Credentials {
    /// Reads them; none when nothing is brought.
    pub(super) fn read(&self) -> Result<Option<v1::Credentials>, String> {
        let Self { subject_token, actor_token, dpop_proof, dpop_method, dpop_url } = self;
        let files = [subject_token, actor_token, dpop_proof];
        if files.iter().filter(|file| file.as_deref() == Some(Path::new(secret::STDIN))).count() > 1 {
            return Err("standard input holds one of the tokens; put the others into files".into());
        }
        let read = |what: &str, file: &Option<PathBuf>| {
            file.as_deref().map(|path| secret::read(what, path)).transpose()
        };
        let Some(subject_token) = read("the subject's token", subject_token)? else { return Ok(None) };
        let actor_token = read("the actor's token", actor_token)?.unwrap_or_default();
        let proof = read("the proof", dpop_proof)?.map(|proof| {
            let (method, url) = (dpop_method.clone(), dpop_url.clone().unwrap_or_default());
            v1::credentials::Proof::Dpop(v1::DpopProof { proof, method, url })
        });
        Ok(Some(v1::Credentials { subject_token, actor_token, proof, task_token: String::new() }))
    }
}
