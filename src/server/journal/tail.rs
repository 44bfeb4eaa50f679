//! The latest lines of a journal, across its files.
//! Never writes, and never reads more than it was allowed.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::CURRENT;

/// Gives the whole lines within the last `bytes_max` bytes of a journal, the oldest first, without their ends.
///
/// # Errors
/// When the directory or a file of the journal cannot be read.
pub fn for_each_recent_line(directory: &Path, bytes_max: u64, mut line: impl FnMut(&[u8])) -> io::Result<()> {
    for (path, skip) in recent(directory, bytes_max)? {
        let mut file = File::open(&path)?;
        // One byte earlier: if that is a line end, the first line is whole.
        file.seek(SeekFrom::Start(skip.saturating_sub(1)))?;
        let mut reader = BufReader::new(file.take(bytes_max.saturating_add(1)));
        let mut text = Vec::new();
        if skip > 0 {
            reader.read_until(b'\n', &mut text)?;
        }
        loop {
            text.clear();
            if reader.read_until(b'\n', &mut text)? == 0 {
                break;
            }
            if let Some(whole) = text.strip_suffix(b"\n") {
                line(whole);
            }
        }
    }
    Ok(())
}

/// The files to read, the oldest first, with how much to skip of each.
fn recent(directory: &Path, bytes_max: u64) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut left = bytes_max;
    let mut chosen = Vec::new();
    for path in newest_first(directory)? {
        let bytes = fs::metadata(&path)?.len();
        let skip = bytes.saturating_sub(left);
        left = left.saturating_sub(bytes);
        chosen.push((path, skip));
        if left == 0 {
            break;
        }
    }
    chosen.reverse();
    Ok(chosen)
}

fn newest_first(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut earlier = Vec::new();
    let mut current = None;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            continue;
        }
        if name == CURRENT {
            current = Some(path);
        } else if name.starts_with("audit-") && path.extension().is_some_and(|e| e == "jsonl") {
            earlier.push(path);
        }
    }
    // Their names begin with the instant: the order of names is the order of time.
    earlier.sort_unstable_by(|a, b| b.cmp(a));
    Ok(current.into_iter().chain(earlier).collect())
}
