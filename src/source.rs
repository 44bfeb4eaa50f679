//! Reads a bundle from a directory, whole and at one moment, as far as a file system has moments.
//! Never interprets a file, and never reads one that a bundle has no place for.

mod walk;

use std::collections::BTreeSet;
use std::fs::File as Handle;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::diagnostic::File;
pub(crate) use walk::matters_in_root;
use walk::{Found, Kind, Listing};

/// How often a directory that changes while it is read is read again.
const TRIES: usize = 5;

/// What a bundle may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The length of one file.
    pub file_bytes_max: u64,
    /// The length of all files together.
    pub total_bytes_max: u64,
    /// The number of files.
    pub files_max: usize,
    /// How deep folders may nest within `policies` and `entities`.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes_max: 16 * 1024 * 1024,
            total_bytes_max: 256 * 1024 * 1024,
            files_max: 10_000,
            depth_max: 16,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The bundle itself, sorted by path: `schemas/*.cedarschema`, `policies/**/*.cedar`, `entities/**/*.json`,
    /// `tools/*.json`, `tools/*.facts.yaml`.
    pub files: Vec<File>,
    /// Its tests, sorted by path: `policies/**/*_test.yaml`. They are no part of the revision.
    pub tests: Vec<File>,
    /// The directories, symbolic links resolved, in which a change may change the bundle.
    pub directories: BTreeSet<PathBuf>,
}

/// Why a bundle was not read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such directory.
    #[error("there is no bundle directory `{path}`; create it, or name another one")]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// It is a file.
    #[error("`{path}` is not a directory; a bundle is a directory with a folder `schemas`")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A file or directory cannot be read.
    #[error("cannot read `{path}`; check who may read it")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A symbolic link leads to nothing: to what was moved, removed or is not mounted.
    #[error("`{path}` is a link that leads nowhere; mend what it names, or remove the link")]
    LeadsNowhere {
        /// The link.
        path: PathBuf,
    },
    /// A name is not UTF-8.
    #[error("the name of `{path}` is not UTF-8; rename it")]
    NameNotUtf8 {
        /// The path, as far as it can be shown.
        path: PathBuf,
    },
    /// A file is not UTF-8.
    #[error("`{path}` is not UTF-8 text (byte {offset}); save it as UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Where the first other byte is.
        offset: usize,
    },
    /// What should be a file is a pipe, a socket or a device.
    #[error("`{path}` is not a regular file; remove it from the bundle")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file is too long.
    #[error("`{path}` is longer than {limit_bytes} bytes; split it, or move it out of the bundle")]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// The longest that is allowed.
        limit_bytes: u64,
    },
    /// All files together are too long.
    #[error("the bundle `{path}` holds more than {limit_bytes} bytes; is it the right directory?")]
    TooLarge {
        /// The bundle.
        path: PathBuf,
        /// The most that is allowed.
        limit_bytes: u64,
    },
    /// There are too many files.
    #[error("the bundle `{path}` holds more than {limit} files; is it the right directory?")]
    TooManyFiles {
        /// The bundle.
        path: PathBuf,
        /// The most that is allowed.
        limit: usize,
    },
    /// Folders nest too deep.
    #[error("`{path}` lies more than {limit} folders deep; move it up")]
    TooDeep {
        /// The folder.
        path: PathBuf,
        /// The deepest that is allowed.
        limit: usize,
    },
    /// A symbolic link leads back to a folder that holds it.
    #[error("`{path}` leads back to a folder that it lies in; remove the link")]
    Loop {
        /// The link.
        path: PathBuf,
    },
    /// It changed again and again while it was read.
    #[error("the bundle `{path}` changes faster than it can be read; it is tried again")]
    Unsettled {
        /// The bundle.
        path: PathBuf,
    },
}

/// Reads the bundle in a directory. Symbolic links are followed, names that begin with a dot passed over, so that a
/// mounted Kubernetes `ConfigMap` reads like a plain folder. When the directory changes meanwhile it is read again,
/// so that no mixture of two states is given back.
///
/// # Errors
/// [`SourceError`], naming the file and what to do.
pub fn read(bundle: &Path, limits: &Limits) -> Result<Sources, SourceError> {
    let mut outcome = Err(SourceError::Unsettled { path: bundle.to_owned() });
    for _ in 0..TRIES {
        match read_once(bundle, limits) {
            Ok(Some(sources)) => return Ok(sources),
            Ok(None) => {}
            Err(error) if error.may_pass() => outcome = Err(error),
            Err(error) => return Err(error),
        }
    }
    outcome
}

impl SourceError {
    /// Whether a file may just have been replaced by another, or a mounted volume by its next state.
    fn may_pass(&self) -> bool {
        matches!(self, Self::LeadsNowhere { .. })
            || matches!(self, Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads the bundle unless it changes meanwhile.
fn read_once(bundle: &Path, limits: &Limits) -> Result<Option<Sources>, SourceError> {
    let listing = walk::list(bundle, limits)?;
    let read = read_listed(bundle, &listing, limits);
    if walk::list(bundle, limits)? != listing {
        return Ok(None);
    }
    let (files, tests) = read?;
    Ok(Some(Sources { files, tests, directories: listing.directories }))
}

fn read_listed(
    bundle: &Path,
    listing: &Listing,
    limits: &Limits,
) -> Result<(Vec<File>, Vec<File>), SourceError> {
    let (mut files, mut tests) = (Vec::new(), Vec::new());
    let mut total_bytes = 0;
    for Found { path, kind, stamp: _ } in &listing.found {
        let text = read_text(&bundle.join(path), limits.file_bytes_max)?;
        total_bytes += text.len() as u64;
        if total_bytes > limits.total_bytes_max {
            return Err(SourceError::TooLarge {
                path: bundle.to_owned(),
                limit_bytes: limits.total_bytes_max,
            });
        }
        match kind {
            Kind::Content => files.push(File::new(path.as_str(), text)),
            Kind::Test => tests.push(File::new(path.as_str(), text)),
        }
    }
    Ok((files, tests))
}

fn read_text(path: &Path, limit_bytes: u64) -> Result<String, SourceError> {
    let unreadable = |source| SourceError::Unreadable { path: path.to_owned(), source };
    let file = Handle::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(SourceError::FileTooLarge { path: path.to_owned(), limit_bytes });
    }
    String::from_utf8(bytes).map_err(|error| SourceError::NotUtf8 {
        path: path.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })
}

#[cfg(test)]
mod tests;
