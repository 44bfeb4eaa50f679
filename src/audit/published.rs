//! The record that another bundle comes into force, and what is different in it.
//! Never holds the text of a file, only its digest.

use std::collections::BTreeMap;

use serde::Serialize;

use super::instant;
use crate::access::{Revision, Timestamp};

/// What set a publication off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The process started.
    Start,
    /// The file system told of a change.
    Event,
    /// A regular look found a change.
    Poll,
    /// SIGHUP.
    Signal,
    /// An operator asked at the admin port.
    Admin,
}

/// Another bundle comes into force. Written before it does.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "published")]
pub struct Published<'a> {
    /// When.
    #[serde(serialize_with = "instant::serialize")]
    pub time: Timestamp,
    /// The revision that comes into force.
    pub revision: &'a Revision,
    /// The revision that was in force; none at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<&'a Revision>,
    /// The bundle's place, as it was configured.
    pub bundle: &'a str,
    /// What set it off.
    pub cause: Cause,
    /// The files that differ.
    pub changes: &'a Changes,
    /// How much is in the bundle.
    pub counts: Counts,
}

/// The files by which two bundles differ, ordered by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Files that are new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Change>,
    /// Files that have another content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Change>,
    /// Files that are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Change>,
}

/// One file of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its path within the bundle.
    pub path: String,
    /// The digest of its content (of the former one if the file is gone): `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

impl Changes {
    /// What is different in `new`; both are digests by path.
    pub fn between(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Self {
        let change =
            |(path, digest): (&String, &String)| Change { path: path.clone(), digest: digest.clone() };
        Self {
            added: new.iter().filter(|(path, _)| !old.contains_key(*path)).map(change).collect(),
            changed: new
                .iter()
                .filter(|(path, digest)| old.get(*path).is_some_and(|former| former != *digest))
                .map(change)
                .collect(),
            removed: old.iter().filter(|(path, _)| !new.contains_key(*path)).map(change).collect(),
        }
    }
}

/// How much is in a bundle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Files.
    pub files: usize,
    /// Policies.
    pub policies: usize,
    /// Entities.
    pub entities: usize,
    /// MCP servers of the catalog.
    pub servers: usize,
    /// Tools of the catalog.
    pub tools: usize,
}
