//! Where a task's token goes: into a file of its owner's, to standard output if that was asked for, or nowhere.
//! Never onto a screen by accident, and never half into a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::secret;

/// Where to.
#[derive(Debug, Args)]
pub(super) struct Keep {
    /// Where the task's token goes: a file (for its owner alone, written beside and renamed), or `-` for standard output.
    /// Without it the token is not shown.
    #[arg(long, value_name = "FILE", conflicts_with = "preview")]
    token_out: Option<PathBuf>,
}

/// A place for the token.
#[derive(Debug)]
pub(super) enum Place {
    /// Nobody asked for it.
    Nowhere,
    /// Standard output.
    Stdout,
    /// A file that can be written.
    File(Beside),
}

impl Keep {
    /// Makes sure of the place before there is a token: one that cannot be kept should not be made.
    pub(super) fn open(&self) -> Result<Place, String> {
        match self.token_out.as_deref() {
            None => Ok(Place::Nowhere),
            Some(path) if path == Path::new(secret::STDIN) => Ok(Place::Stdout),
            Some(path) => Beside::open(path).map(Place::File),
        }
    }
}

/// A file that becomes another one.
#[derive(Debug)]
pub(super) struct Beside {
    path: PathBuf,
    fresh: PathBuf,
    file: File,
}

impl Beside {
    fn open(path: &Path) -> Result<Self, String> {
        let failed = |why: &dyn std::fmt::Display| {
            format!("the token cannot be written to `{}`: {why}; name another file", path.display())
        };
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => {
                return Err(failed(&"it is no regular file (`-` is standard output)"));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            Ok(_) | Err(_) => {}
        }
        let Some(name) = path.file_name() else { return Err(failed(&"it names no file")) };
        let fresh =
            path.with_file_name(format!(".{}.{}.new", name.to_string_lossy(), uuid::Uuid::now_v7().simple()));
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh);
        let file = file.map_err(|error| failed(&error))?;
        Ok(Self { path: path.to_owned(), fresh, file })
    }

    /// Writes the token; the file has all of it or what it had before. Tells where it is.
    pub(super) fn keep(mut self, token: &str) -> Result<PathBuf, String> {
        let written = writeln!(self.file, "{token}").and_then(|()| self.file.sync_all());
        let renamed = written.and_then(|()| fs::rename(&self.fresh, &self.path));
        let failed = |error| format!("the token could not be written to `{}`: {error}", self.path.display());
        renamed.map_err(failed)?;
        Ok(self.path.clone())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // When it was renamed there is nothing left to remove.
        let _ = fs::remove_file(&self.fresh);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn keep(path: &Path) -> Keep {
        Keep { token_out: Some(path.to_owned()) }
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_token_is_for_its_owner_alone_and_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("task.token");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let Place::File(beside) = keep(&path).open().unwrap() else { panic!("a file") };
        assert_eq!(fs::read_to_string(&path).unwrap(), "old", "until there is a token");
        assert_eq!(beside.keep("secret").unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), 1, "nothing is left beside it");
    }

    #[test]
    fn without_a_token_nothing_changes() {
        let folder = tempfile::tempdir().unwrap();
        drop(keep(&folder.path().join("task.token")).open().unwrap());
        assert_eq!(names(folder.path()), 0);
    }

    #[test]
    fn a_place_that_takes_no_token_is_found_before_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("no/such"), "/dev/null".into(), "..".into()]
        {
            let words = keep(&path).open().unwrap_err();
            assert!(words.contains("cannot be written"), "{words}");
        }
        assert!(matches!(keep(Path::new("-")).open(), Ok(Place::Stdout)));
        assert!(matches!(Keep { token_out: None }.open(), Ok(Place::Nowhere)));
    }
}
