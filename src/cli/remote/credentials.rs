//! What a question brings to prove who asks: tokens and a proof, from files or standard input.
//! Never looks into them: the server does.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Proof, on_stdin_once};
use crate::api::proto::v1;
use crate::cli::secret;

/// Tokens, and proof of the key that the first is bound to.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Credentials (files; `-` is standard input)",
    mut_arg("dpop_proof", |proof| proof.requires("shown"))
)]
pub(in crate::cli) struct Credentials {
    /// The token of the party whose authority is used. It names the parties, so that --human and --agent can be left out;
    /// when they are there too they must agree with it.
    #[arg(long, value_name = "FILE", group = "shown")]
    subject_token: Option<PathBuf>,
    /// The token of the agent that acts, when the subject's does not name it.
    #[arg(long, value_name = "FILE", requires = "subject_token")]
    actor_token: Option<PathBuf>,
    #[command(flatten)]
    proof: Proof,
}

impl Credentials {
    /// Reads them; none when nothing is brought.
    pub(in crate::cli) fn read(&self) -> Result<Option<v1::Credentials>, String> {
        self.read_beside(None, None)
    }

    /// Reads them, or a task's token in their place, with the thumbprint of a key whose proof the caller has seen.
    pub(in crate::cli) fn read_beside(
        &self,
        task_token: Option<&Path>,
        proven_key: Option<&str>,
    ) -> Result<Option<v1::Credentials>, String> {
        let Self { subject_token, actor_token, proof } = self;
        on_stdin_once([task_token, subject_token.as_deref(), actor_token.as_deref(), proof.file()])?;
        if let Some(task_token) = task_token {
            let task_token = secret::read("the task's token", task_token)?;
            let dpop = proof.read()?.map(v1::credentials::Proof::Dpop);
            let proven = proven_key.map(|key| v1::credentials::Proof::KeyThumbprint(key.to_owned()));
            return Ok(Some(v1::Credentials { task_token, proof: dpop.or(proven), ..Default::default() }));
        }
        let read = |what: &str, file: &Option<PathBuf>| {
            file.as_deref().map(|path| secret::read(what, path)).transpose()
        };
        let Some(subject_token) = read("the subject's token", subject_token)? else { return Ok(None) };
        let actor_token = read("the actor's token", actor_token)?.unwrap_or_default();
        let proof = proof.read()?.map(v1::credentials::Proof::Dpop);
        Ok(Some(v1::Credentials { subject_token, actor_token, proof, task_token: String::new() }))
    }
}
