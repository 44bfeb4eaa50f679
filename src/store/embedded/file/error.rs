//! Why the state's file cannot be used, in words that say what to do.
//! Never quotes a key or a value.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use super::super::super::StateRevision;

/// Why the state's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused something.
    #[error("cannot {what} `{path}`")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What came of it.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("another process uses the state in `{path}`; stop it, or give this one another `data`")]
    InUse {
        /// The file that is locked.
        path: PathBuf,
    },
    /// It is not what was written.
    #[error(
        "the state file `{path}` is damaged; stop the server, move it aside, and restore it from a backup; what was \
         committed since that backup is lost, and without one all of it"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It is no state of ours, or one of another version.
    #[error(
        "`{path}` is no state file of this version ({found}); run the version that wrote it, or stop the server, move it \
         aside, and restore one from a backup; what was committed since that backup is lost"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// It ends before what was acknowledged: damaged at its end, or restored from a backup.
    #[error(
        "the state file `{path}` ends at revision {held}, but {acknowledged} was acknowledged; restore a newer one, or \
         stop the server and delete `{mark}` to go on without the commits between, which are lost then"
    )]
    Behind {
        /// The file.
        path: PathBuf,
        /// The file that says what was acknowledged.
        mark: PathBuf,
        /// The last commit in it.
        held: StateRevision,
        /// The last commit that was acknowledged.
        acknowledged: StateRevision,
    },
    /// It is gone.
    #[error(
        "the state file `{path}` is gone, but its commits up to {acknowledged} were acknowledged; restore it from a \
         backup, or delete `state.mark` beside it to begin with an empty state: all commits are lost then"
    )]
    Missing {
        /// Where it was.
        path: PathBuf,
        /// The last commit that was acknowledged.
        acknowledged: StateRevision,
    },
    /// The mark is not what was written.
    #[error(
        "`{path}` does not hold a revision; restore it, or delete it to believe the state file beside it as it is"
    )]
    Mark {
        /// The mark.
        path: PathBuf,
    },
}

impl FileError {
    pub(super) fn damaged(path: &Path, source: Box<dyn Error + Send + Sync>) -> Self {
        Self::Damaged { path: path.to_owned(), source }
    }

    pub(super) fn of(path: &Path, error: redb::Error) -> Self {
        let path = path.to_owned();
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse { path },
            redb::Error::UpgradeRequired(version) => {
                Self::Format { path, found: format!("redb's file format {version}") }
            }
            redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. } => {
                Self::Format { path, found: "a redb database of something else".into() }
            }
            redb::Error::Io(source) if !is_about_content(&source) => Self::Io { what: "use", path, source },
            other => Self::Damaged { path, source: other.into() },
        }
    }
}

fn is_about_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
