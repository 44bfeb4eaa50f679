//! Reads a key document from a file.
//! Never more of it than a document may hold, never from what is no file, and never twice at once.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use tokio::task::{JoinHandle, spawn_blocking};

use super::fault::Fault;

/// The reading of one file, on a thread of its own. Whoever waits for it may give up; the thread cannot, when the file
/// lies on a network that is gone: then the next wait is for the same one.
#[derive(Debug, Default)]
pub(super) struct Reading(Option<JoinHandle<Result<Vec<u8>, Fault>>>);

impl Reading {
    pub(super) async fn read(&mut self, path: &Path, bytes_max: usize) -> Result<Vec<u8>, Fault> {
        let path = path.to_owned();
        let thread = self.0.get_or_insert_with(|| spawn_blocking(move || read(&path, bytes_max)));
        let document = thread.await;
        self.0 = None;
        document.map_err(|error| Fault::File(io::Error::other(error)))?
    }
}

/// Reads a file here and now.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Fault> {
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_file_that_hangs_holds_one_thread_however_often_it_is_tried() {
        let (release, hanging) = channel::<Vec<u8>>();
        let mut reading = Reading(Some(spawn_blocking(move || Ok(hanging.recv().unwrap()))));
        let nowhere = Path::new("/nowhere");
        for _ in 0..3 {
            let mut attempt = Box::pin(reading.read(nowhere, 10));
            assert!(futures_util::poll!(attempt.as_mut()).is_pending());
        }
        release.send(b"late".to_vec()).unwrap();
        assert_eq!(reading.read(nowhere, 10).await.unwrap(), b"late");
        assert!(matches!(reading.read(nowhere, 10).await, Err(Fault::File(_))), "a new one");
    }
}
