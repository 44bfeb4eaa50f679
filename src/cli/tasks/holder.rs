//! A task's token and the proof that its holder brings.
//! Never takes the token from the command line, where others could see it.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::proto::v1;
use crate::api::proto::v1::handle;
use crate::cli::remote::{Proof, on_stdin_once};
use crate::cli::secret;

/// The task by its token.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Credentials (files; `-` is standard input)",
    mut_arg("dpop_proof", |proof| proof.requires("task_token"))
)]
pub(super) struct Holder {
    /// The task's token.
    #[arg(long, value_name = "FILE")]
    task_token: Option<PathBuf>,
    #[command(flatten)]
    proof: Proof,
    /// The thumbprint of the key whose proof you verified yourself, in place of a proof; for callers with the role `attest`.
    #[arg(long, value_name = "THUMBPRINT", requires = "task_token", conflicts_with = "dpop_proof")]
    proven_key: Option<String>,
}

impl Holder {
    /// Reads them; none when there is no token. `other` is a further file that the command reads.
    pub(super) fn read(&self, other: Option<&Path>) -> Result<Option<v1::Handle>, String> {
        let Self { task_token, proof, proven_key } = self;
        on_stdin_once([task_token.as_deref(), proof.file(), other])?;
        let Some(file) = task_token else { return Ok(None) };
        let token = secret::read("the task's token", file)?;
        let proof = match (proof.read()?, proven_key) {
            (Some(proof), _) => Some(handle::Proof::Dpop(proof)),
            (None, Some(key)) => Some(handle::Proof::KeyThumbprint(key.clone())),
            (None, None) => None,
        };
        Ok(Some(v1::Handle { task: Some(handle::Task::Token(token)), proof }))
    }
}
