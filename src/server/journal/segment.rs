//! One file of the journal: appending whole lines, and mending a last line that a crash tore.
//! Never loses a whole line, and never leaves a part of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How much is read at once when looking for the end of the last whole line.
const CHUNK_BYTES: u64 = 64 * 1024;

/// Whether the file still has a name after a line was appended to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linked {
    /// It does.
    Yes,
    /// It was deleted: the line will vanish with it.
    No,
}

/// An open file of the journal.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    device: u64,
    inode: u64,
    bytes: u64,
}

impl Segment {
    /// Opens the file, or makes it (mode 0600), and mends its last line. What it tore off goes to `aside`, and is
    /// given back as its length.
    pub(super) fn open(path: &Path, aside: &Path) -> io::Result<(Self, Option<u64>)> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)?;
        let metadata = file.metadata()?;
        let torn = if metadata.is_file() { mend(&mut file, metadata.len(), aside)? } else { None };
        let bytes = file.metadata()?.len();
        Ok((Self { file, device: metadata.dev(), inode: metadata.ino(), bytes }, torn))
    }

    /// Its length.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the path still leads to this file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode))
    }

    /// Appends lines, their ends included, with one write(2). After an error nothing of it remains.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<Linked> {
        let written = loop {
            match self.file.write(line) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let metadata = self.file.metadata()?;
        if written < line.len() {
            let whole = metadata.len().saturating_sub(written as u64);
            self.file.set_len(whole)?;
            let text = format!("only {written} of {} bytes fitted", line.len());
            return Err(io::Error::new(ErrorKind::StorageFull, text));
        }
        self.bytes = metadata.len();
        Ok(if metadata.nlink() == 0 { Linked::No } else { Linked::Yes })
    }
}

/// Ends the file with a whole line. A last line that lacks only its end gets it; a part of a line is copied to
/// `aside` and cut off.
fn mend(file: &mut File, length: u64, aside: &Path) -> io::Result<Option<u64>> {
    let whole = end_of_last_line(file, length)?;
    if whole == length {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(whole))?;
    let mut rest = Vec::new();
    Read::take(&mut *file, length - whole).read_to_end(&mut rest)?;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&rest).is_ok() {
        file.write_all(b"\n")?;
        return Ok(None);
    }
    let mut kept = OpenOptions::new().create_new(true).write(true).mode(0o600).open(aside)?;
    kept.write_all(&rest)?;
    kept.sync_all()?;
    file.set_len(whole)?;
    Ok(Some(length - whole))
}

/// The position after the last line end, 0 when there is none.
fn end_of_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES);
        file.seek(SeekFrom::Start(start))?;
        chunk.clear();
        Read::take(&mut *file, end - start).read_to_end(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// A name in the directory that nothing has yet: `<stem>-<instant>-<n>.<extension>`, in the order of making.
pub(super) fn unused_name(
    directory: &Path,
    stem: &str,
    instant: &str,
    extension: &str,
) -> io::Result<PathBuf> {
    for n in 1..=999 {
        let path = directory.join(format!("{stem}-{instant}-{n:03}.{extension}"));
        if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(path);
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, format!("too many files named {stem}-{instant}")))
}
