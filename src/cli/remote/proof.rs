//! Proof of a key: a `DPoP` proof in a file, with the request that it was made for.
//! Never makes one: that needs the key.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::proto::v1;
use crate::cli::secret;

/// A `DPoP` proof. A command says with which token it goes.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "an option is called as its field")]
pub(in crate::cli) struct Proof {
    /// A `DPoP` proof of the key that the token is bound to. Each is taken once.
    #[arg(long, value_name = "FILE", requires = "dpop_url")]
    dpop_proof: Option<PathBuf>,
    /// The HTTP method that the proof was made for.
    #[arg(long, value_name = "METHOD", requires = "dpop_proof", default_value = "POST")]
    dpop_method: String,
    /// The URL that the proof was made for.
    #[arg(long, value_name = "URL", requires = "dpop_proof")]
    dpop_url: Option<String>,
}

impl Proof {
    /// Where it lies.
    pub(in crate::cli) fn file(&self) -> Option<&Path> {
        self.dpop_proof.as_deref()
    }

    pub(in crate::cli) fn read(&self) -> Result<Option<v1::DpopProof>, String> {
        let Self { dpop_proof, dpop_method, dpop_url } = self;
        let Some(file) = dpop_proof else { return Ok(None) };
        let (method, url) = (dpop_method.clone(), dpop_url.clone().unwrap_or_default());
        Ok(Some(v1::DpopProof { proof: secret::read("the proof", file)?, method, url }))
    }
}

/// Refuses two secrets from standard input: the first would take all of it.
pub(in crate::cli) fn on_stdin_once<'a>(
    files: impl IntoIterator<Item = Option<&'a Path>>,
) -> Result<(), String> {
    if files.into_iter().filter(|file| *file == Some(Path::new(secret::STDIN))).count() > 1 {
        return Err("standard input holds one of the tokens; put the others into files".into());
    }
    Ok(())
}
