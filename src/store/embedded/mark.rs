//! `state.mark`: the revision that was acknowledged last, beside the file that holds the commits.
//! Never ahead of what is durable; so a state that ends before its mark has lost something.
//!
//! redb goes back to the transaction before when the last one is not whole. That is right after a loss of power, and
//! wrong when what is not whole was acknowledged: only the mark tells the two apart. It costs no fsync: it outlives the
//! process at once, and a loss of power takes it back at most.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::StateRevision;
use super::file::FileError;

/// More than any mark: twenty digits and the end of the line.
const BYTES_MAX: u64 = 64;

/// The mark, locked: one store at a time.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    file: File,
}

impl Mark {
    /// Opens and locks it, and makes it when there is none.
    pub(super) fn open(path: PathBuf) -> Result<Self, FileError> {
        let mut options = OpenOptions::new();
        let opened = options.create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let file = opened.map_err(|source| FileError::Io { what: "open", path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, file }),
            Err(TryLockError::WouldBlock) => Err(FileError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(FileError::Io { what: "lock", path, source }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was acknowledged; 0 where nobody wrote it down yet.
    pub(super) fn read(&self) -> Result<StateRevision, FileError> {
        let mut bytes = Vec::new();
        let mut file = &self.file;
        io::Seek::rewind(&mut file)
            .and_then(|()| file.take(BYTES_MAX).read_to_end(&mut bytes))
            .map_err(|source| FileError::Io { what: "read", path: self.path.clone(), source })?;
        if bytes.is_empty() {
            return Ok(StateRevision(0));
        }
        let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let revision = text.and_then(|digits| digits.parse().ok());
        revision.map(StateRevision).ok_or_else(|| FileError::Mark { path: self.path.clone() })
    }

    /// Writes it in place, always as long as before, so that it needs no room.
    pub(super) fn write(&self, revision: StateRevision) -> io::Result<()> {
        self.file.write_all_at(format!("{:020}\n", revision.0).as_bytes(), 0)
    }

    /// Brings it to the disk, for an orderly end.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
