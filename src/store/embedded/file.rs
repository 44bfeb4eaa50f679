//! `state.redb`: where it comes from, when it is believed, and how a group gets into it.
//! Never repairs what was acknowledged away, and never begins a new file in place of one that was lost.

mod error;
mod pages;
mod tables;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Database, DatabaseError};
use rustix::fs::{Advice, fadvise};

use super::super::ledger::{History, Ledger};
use super::super::{Committed, Snapshot, StateRevision};
use super::mark::Mark;
use tables::Content;

pub use error::FileError;
pub(super) use pages::Pages;

/// The file's name within the data directory.
const STATE: &str = "state.redb";
/// The mark's name within the data directory.
const MARK: &str = "state.mark";
/// A file that is being made.
const BEGUN: &str = "state.redb.new";
/// What redb may keep of the file in memory, where the ledger has all of it already.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// How many commits are cut off the history at once: a commit that cuts writes a page or two more.
const CUT_AT_ONCE: u64 = 16;

/// Makes a database of a file. Tests have one that fails.
pub(super) type OpenDatabase = Box<dyn Fn(File) -> Result<Database, DatabaseError> + Send>;

/// Every page's checksum is verified: redb trusts the file of an orderly end otherwise, and may panic over it.
pub(super) fn open_database(file: File) -> Result<Database, DatabaseError> {
    builder().create_with_backend(Pages::of(FileBackend::new(file)?))
}

pub(super) fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// The file of a store and its mark.
pub(super) struct StateFile {
    path: PathBuf,
    mark: Mark,
    open: OpenDatabase,
    /// None during an outage.
    database: Option<Open>,
}

/// A database, how far its history is cut, and which file it is in.
struct Open {
    database: Database,
    cut: StateRevision,
    device: u64,
    inode: u64,
}

impl StateFile {
    /// Opens what is there, or begins a new file where nothing was ever acknowledged.
    pub(super) fn open(
        directory: &Path,
        history: History,
        open: OpenDatabase,
    ) -> Result<(Self, Ledger), FileError> {
        let mark = Mark::open(directory.join(MARK))?;
        let path = directory.join(STATE);
        let acknowledged = mark.read()?;
        let mut file = Self { path, mark, open, database: None };
        let exists = fs::exists(&file.path).map_err(|source| FileError::Io {
            what: "look for",
            path: file.path.clone(),
            source,
        })?;
        if !exists {
            if acknowledged > StateRevision(0) {
                return Err(FileError::Missing { path: file.path, acknowledged });
            }
            file.begin(directory)?;
        }
        let Content { revision, floor, entries, past, format: _ } = file.load(acknowledged)?;
        // Once, so that it has its length on the disk: from now on it is written in place.
        file.mark.sync().map_err(|source| file.io("sync the mark of", source))?;
        Ok((file, Ledger::restored(history, Snapshot { revision, entries }, floor, past)))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a group in one transaction. When this returns, it is on the disk; when it fails, nobody knows.
    pub(super) fn write(&mut self, group: &[Arc<Committed>], floor: StateRevision) -> Result<(), FileError> {
        let Some(last) = group.last() else { return Ok(()) };
        // The last commit stays, whatever the floor.
        let cut = floor.min(StateRevision(last.revision.0.saturating_sub(1)));
        guarded(&self.path, || {
            let Some(open) = &mut self.database else { return Err(redb::Error::DatabaseClosed) };
            let due = (cut.0 >= open.cut.0.saturating_add(CUT_AT_ONCE)).then_some(cut);
            tables::write(&open.database, group, due)?;
            open.cut = due.unwrap_or(open.cut);
            Ok(())
        })?;
        self.look()?;
        self.note(last.revision)
    }

    /// The next start reads what the path leads to: that must be what was written to.
    fn look(&self) -> Result<(), FileError> {
        let found = fs::metadata(&self.path).map_err(|source| self.io("find", source))?;
        match &self.database {
            Some(Open { device, inode, .. }) if (found.dev(), found.ino()) == (*device, *inode) => Ok(()),
            Some(_) | None => Err(self.io("find", io::Error::other("another file is in its place"))),
        }
    }

    /// Drops the database, and all that it believes of the file.
    pub(super) fn let_go(&mut self) {
        let database = self.database.take();
        // What it still tried to write, and why it could not, is no news.
        let _failed = guarded(&self.path, move || {
            drop(database);
            Ok(())
        });
    }

    /// Opens the file again, and gives the commits after `known` that it turns out to hold.
    pub(super) fn reopen(&mut self, known: StateRevision) -> Result<Vec<Arc<Committed>>, FileError> {
        self.let_go();
        let content = self.load(known)?;
        Ok(content.past.into_iter().filter(|committed| committed.revision > known).collect())
    }

    /// Ends in order, so that the file says of itself that it is whole.
    pub(super) fn close(&mut self) -> Result<(), FileError> {
        let Some(Open { database, .. }) = self.database.take() else { return Ok(()) };
        guarded(&self.path, move || database.close().map_err(redb::Error::from))?;
        self.mark.sync().map_err(|source| self.io("sync the mark of", source))
    }

    /// Opens the database and reads all of it. It must hold what was acknowledged.
    fn load(&mut self, acknowledged: StateRevision) -> Result<Content, FileError> {
        let file = self.file_on_disk()?;
        let found = file.metadata().map_err(|source| self.io("look at", source))?;
        let open = &self.open;
        let (database, content) = guarded(&self.path, || {
            let database = open(file)?;
            let content = tables::read(&database)?;
            Ok((database, content))
        })?;
        let content = content.checked(&self.path)?;
        let cut = content.floor;
        if content.revision < acknowledged {
            return Err(FileError::Behind {
                path: self.path.clone(),
                mark: self.mark.path().to_owned(),
                held: content.revision,
                acknowledged,
            });
        }
        // From now on it is shown.
        self.note(content.revision)?;
        self.database = Some(Open { database, cut, device: found.dev(), inode: found.ino() });
        Ok(content)
    }

    /// The file as the disk has it. What a failed fsync left in the page cache would look as good as what was
    /// written, so it is written first, and then forgotten.
    fn file_on_disk(&self) -> Result<File, FileError> {
        let opened = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = opened.map_err(|source| self.io("open", source))?;
        let length = file.metadata().map_err(|source| self.io("look at", source))?.len();
        if length == 0 {
            // redb would begin a new database in it.
            return Err(FileError::damaged(&self.path, "it is empty".into()));
        }
        file.set_permissions(Permissions::from_mode(0o600)).map_err(|source| self.io("protect", source))?;
        file.sync_all().map_err(|source| self.io("sync", source))?;
        fadvise(&file, 0, None, Advice::DontNeed).map_err(|errno| self.io("read", errno.into()))?;
        Ok(file)
    }

    /// Makes a file beside and renames it, so that a crash leaves no half of one.
    fn begin(&self, directory: &Path) -> Result<(), FileError> {
        let beside = directory.join(BEGUN);
        let failed = |source| FileError::Io { what: "begin", path: beside.clone(), source };
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true).mode(0o600);
        let file = options.open(&beside).map_err(failed)?;
        let open = &self.open;
        guarded(&beside, || {
            let database = open(file)?;
            tables::begin(&database)?;
            Ok(database.close()?)
        })?;
        let place = |()| fs::rename(&beside, &self.path).and_then(|()| File::open(directory)?.sync_all());
        File::open(&beside).and_then(|file| file.sync_all()).and_then(place).map_err(failed)
    }

    fn note(&self, revision: StateRevision) -> Result<(), FileError> {
        let written = self.mark.write(revision);
        written.map_err(|source| FileError::Io { what: "write", path: self.mark.path().to_owned(), source })
    }

    fn io(&self, what: &'static str, source: io::Error) -> FileError {
        FileError::Io { what, path: self.path.clone(), source }
    }
}

/// redb may panic over a file that it did not write. That is a fault of the file and not the end of the thread.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, FileError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| FileError::of(path, error)),
        Err(_) => Err(FileError::damaged(path, "reading it ended in a panic".into())),
    }
}
