//! Reads a key document from a file.
//! Never more of it than a document may hold, and never from what is no file.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use super::fault::Fault;

/// Reads on a thread of its own: a file may lie on a network.
pub(super) async fn read(path: PathBuf, bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let reading = tokio::task::spawn_blocking(move || read_here(&path, bytes_max));
    reading.await.map_err(|error| Fault::File(std::io::Error::other(error)))?
}

pub(super) fn read_here(path: &std::path::Path, bytes_max: usize) -> Result<Vec<u8>, Fault> {
    // To open a pipe would wait for a writer.
    if !fs::metadata(path).map_err(Fault::File)?.is_file() {
        return Err(Fault::NoFile);
    }
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut document = Vec::new();
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut document)).map_err(Fault::File)?;
    if document.len() > bytes_max {
        return Err(Fault::TooLong(bytes_max));
    }
    Ok(document)
}
