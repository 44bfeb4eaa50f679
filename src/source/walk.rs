//! Lists the files of a bundle, and everything by which a later look can tell that they changed.
//! Never opens a file.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Limits, SourceError};

/// What a file is to a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A part of it.
    Content,
    /// A test of it.
    Test,
}

/// A file of a bundle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Below the bundle's root, with `/` between the parts.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: Kind,
    /// Which file it was, in which state.
    pub(super) stamp: Stamp,
}

/// A file's identity and state: a change of the file is a change of this.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// The files of a bundle, sorted by path, and the directories that decide which they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) found: Vec<Found>,
    pub(super) directories: BTreeSet<PathBuf>,
}

/// A folder of a bundle.
struct Folder {
    name: &'static str,
    /// Whether folders within it count.
    nested: bool,
    /// The ends of the names that count, and what such files are.
    ends: &'static [(&'static str, Kind)],
}

/// What a bundle consists of.
const FOLDERS: [Folder; 4] = [
    Folder { name: "schemas", nested: false, ends: &[(".cedarschema", Kind::Content)] },
    Folder { name: "policies", nested: true, ends: &[(".cedar", Kind::Content), ("_test.yaml", Kind::Test)] },
    Folder { name: "entities", nested: true, ends: &[(".json", Kind::Content)] },
    Folder {
        name: "tools",
        nested: false,
        ends: &[(".json", Kind::Content), (".facts.yaml", Kind::Content)],
    },
];

/// Whether a change of this name in the bundle's root can change the bundle. Names that begin with `..` are how
/// Kubernetes swaps a volume.
pub(crate) fn matters_in_root(name: &OsStr) -> bool {
    FOLDERS.iter().any(|folder| name == folder.name) || name.as_encoded_bytes().starts_with(b"..")
}

/// Lists a bundle.
pub(super) fn list(bundle: &Path, limits: &Limits) -> Result<Listing, SourceError> {
    match fs::metadata(bundle) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(SourceError::NotADirectory { path: bundle.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(SourceError::Missing { path: bundle.to_owned() });
        }
        Err(source) => return Err(SourceError::Unreadable { path: bundle.to_owned(), source }),
    }
    let listing = Listing { found: Vec::new(), directories: BTreeSet::new() };
    let mut walk = Walk { bundle, limits, listing, above: Vec::new() };
    for folder in &FOLDERS {
        if !is_absent(&bundle.join(folder.name)) {
            walk.enter(folder, folder.name)?;
        }
    }
    walk.listing.found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.listing)
}

/// Whether there is no such name at all; a link that leads nowhere is there.
fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Why a part of a bundle that should be there cannot be looked at.
fn unseen(path: &Path, source: Error) -> SourceError {
    let path = path.to_owned();
    if source.kind() == ErrorKind::NotFound && !is_absent(&path) {
        return SourceError::LeadsNowhere { path };
    }
    SourceError::Unreadable { path, source }
}

struct Walk<'a> {
    bundle: &'a Path,
    limits: &'a Limits,
    listing: Listing,
    /// The directories that the walk is in, links resolved.
    above: Vec<PathBuf>,
}

impl Walk<'_> {
    /// Lists a directory. One that cannot be looked at is refused: what it holds may be what forbids.
    fn enter(&mut self, folder: &Folder, relative: &str) -> Result<(), SourceError> {
        let path = self.bundle.join(relative);
        let unreadable = |source| SourceError::Unreadable { path: path.clone(), source };
        let real = fs::canonicalize(&path).map_err(|error| unseen(&path, error))?;
        if self.above.contains(&real) {
            return Err(SourceError::Loop { path });
        }
        if self.above.len() >= self.limits.depth_max {
            return Err(SourceError::TooDeep { path, limit: self.limits.depth_max });
        }
        self.listing.directories.insert(real.clone());
        self.above.push(real);
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let Some(name) = name.to_str() else {
                return Err(SourceError::NameNotUtf8 { path: path.join(name) });
            };
            self.entry(folder, &format!("{relative}/{name}"))?;
        }
        self.above.pop();
        Ok(())
    }

    fn entry(&mut self, folder: &Folder, relative: &str) -> Result<(), SourceError> {
        let path = self.bundle.join(relative);
        let kind = folder.ends.iter().find(|(end, _)| relative.ends_with(end)).map(|(_, kind)| *kind);
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            // Neither as a file nor as a folder would it be read.
            Err(_) if kind.is_none() && !folder.nested => return Ok(()),
            // It may be a folder of guards. What vanished just now is not in the next listing, which `read` makes.
            Err(error) => return Err(unseen(&path, error)),
        };
        if found.is_dir() {
            return if folder.nested { self.enter(folder, relative) } else { Ok(()) };
        }
        let Some(kind) = kind else { return Ok(()) };
        if !found.is_file() {
            return Err(SourceError::NotAFile { path });
        }
        if self.listing.found.len() >= self.limits.files_max {
            let (path, limit) = (self.bundle.to_owned(), self.limits.files_max);
            return Err(SourceError::TooManyFiles { path, limit });
        }
        if fs::symlink_metadata(&path).is_ok_and(|link| link.is_symlink())
            && let Ok(real) = fs::canonicalize(&path)
            && let Some(directory) = real.parent()
        {
            self.listing.directories.insert(directory.to_owned());
        }
        self.listing.found.push(Found { path: relative.to_owned(), kind, stamp: Stamp::from(&found) });
        Ok(())
    }
}
