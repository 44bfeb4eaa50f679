//! What a bundle consists of, as digests: to see whether it changed, and in which files.
//! Never keeps the files.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::audit::digest::hex;
use crate::diagnostic::File;

/// The digests of a bundle's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// By path: `sha256:` and 64 hexadecimal digits.
    pub(super) files: BTreeMap<String, String>,
}

impl Content {
    pub(super) fn of(files: &[File]) -> Self {
        let digest = |file: &File| format!("sha256:{}", hex(&Sha256::digest(file.text.as_bytes())));
        Self { files: files.iter().map(|file| (file.path.to_string(), digest(file))).collect() }
    }
}
