//! The data directory: who uses it, and the secrets in it.
//! Never shares it: one server at a time, and files that only their owner may read.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::audit::DigestKey;
use crate::audit::digest::{KEY_BYTES, hex};

/// The file that holds the key of the argument digests, within the data directory.
const DIGEST_KEY: &str = "digest.key";
/// The file that holds the operator's token, within the data directory.
const ADMIN_TOKEN: &str = "admin.token";
/// The file that is locked, within the data directory.
const LOCK: &str = "lock";
/// The ending of a file that is being written, until it gets its name.
pub(super) const BESIDE: &str = "new";
/// More than any file of ours that holds a secret.
const SECRET_FILE_BYTES_MAX: u64 = 4096;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Something about it failed.
    #[error("cannot {what} `{path}`; give `data` a directory that this user may write")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What came of it.
        #[source]
        source: io::Error,
    },
    /// Another server runs on it.
    #[error("another palisade uses the data directory `{path}`; stop it, or give this one another `data`")]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// A secret is readable by others.
    #[error(
        "`{path}` may be read by others (mode {mode:o}); run `chmod 600` on it, or delete it for a new one"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A secret is not what we wrote.
    #[error("`{path}` does not hold {wanted}; restore it, or delete it for a new one")]
    Garbled {
        /// The file.
        path: PathBuf,
        /// What belongs into it.
        wanted: &'static str,
    },
    /// The machine has no randomness to give.
    #[error("no randomness for `{path}`")]
    Randomness {
        /// The file that was to be made.
        path: PathBuf,
        /// Why.
        #[source]
        source: getrandom::Error,
    },
}

/// A text that gives power to whoever has it. Prints as `‹redacted›`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Guards a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to compare or to send, never to show.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹redacted›")
    }
}

/// The data directory of a running server, locked until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory when there is none (mode 0700), and locks it.
    ///
    /// # Errors
    /// [`DataError`] when it cannot be made or locked.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        make_directory(path)?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|source| DataError::Io { what: "open", path: lock_path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(DataError::Io { what: "lock", path: lock_path, source }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory within it, made when there is none (mode 0700).
    ///
    /// # Errors
    /// [`DataError::Io`] when it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf, DataError> {
        let path = self.path.join(name);
        make_directory(&path)?;
        Ok(path)
    }

    /// The key of the argument digests, made at the first start.
    ///
    /// # Errors
    /// [`DataError`] when it cannot be made or read, or when others may read it.
    pub fn digest_key(&self) -> Result<DigestKey, DataError> {
        let path = self.path.join(DIGEST_KEY);
        let text = read_or_make(&path, hex)?;
        let wanted = "64 hexadecimal digits";
        let key = parse_hex(text.expose()).ok_or(DataError::Garbled { path, wanted })?;
        Ok(DigestKey::new(&key))
    }

    /// The operator's token, made at the first start.
    ///
    /// # Errors
    /// [`DataError`] when it cannot be made or read, or when others may read it.
    pub fn admin_token(&self) -> Result<Secret, DataError> {
        let path = self.path.join(ADMIN_TOKEN);
        read_or_make(&path, |bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes))?;
        admin_token(&self.path)
    }
}

/// The operator's token of the server that uses this data directory, for commands on the same machine.
///
/// # Errors
/// [`DataError`] when there is none, when it cannot be read, or when others may read it.
pub fn admin_token(data: &Path) -> Result<Secret, DataError> {
    let path = data.join(ADMIN_TOKEN);
    let token = read_secret(&path)?;
    let wanted = "a token of 43 characters";
    match BASE64_URL_SAFE_NO_PAD.decode(token.expose()) {
        Ok(bytes) if bytes.len() == KEY_BYTES => Ok(token),
        Ok(_) | Err(_) => Err(DataError::Garbled { path, wanted }),
    }
}

/// Decodes exactly 64 hexadecimal digits of either case.
pub(super) fn parse_hex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect::<Option<_>>()?;
    bytes.try_into().ok()
}

fn make_directory(path: &Path) -> Result<(), DataError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| DataError::Io {
        what: "make the directory",
        path: path.to_owned(),
        source,
    })
}

fn read_or_make(path: &Path, encode: impl Fn(&[u8]) -> String) -> Result<Secret, DataError> {
    match fs::exists(path) {
        Ok(true) => read_secret(path),
        Ok(false) => make_secret(path, encode),
        Err(source) => Err(DataError::Io { what: "look for", path: path.to_owned(), source }),
    }
}

/// A secret out of a file that only its owner may read.
pub(super) fn read_secret(path: &Path) -> Result<Secret, DataError> {
    let failed = |source| DataError::Io { what: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(DataError::Exposed { path: path.to_owned(), mode });
    }
    let text = io::read_to_string(io::Read::take(file, SECRET_FILE_BYTES_MAX)).map_err(failed)?;
    Ok(Secret::new(text.trim_end()))
}

fn make_secret(path: &Path, encode: impl Fn(&[u8]) -> String) -> Result<Secret, DataError> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|source| DataError::Randomness { path: path.to_owned(), source })?;
    let secret = Secret::new(encode(&bytes));
    write_secret(path, &secret)?;
    Ok(secret)
}

/// Writes beside and renames, so that a crash leaves no half of a secret.
pub(super) fn write_secret(path: &Path, secret: &Secret) -> Result<(), DataError> {
    let beside = path.with_extension(BESIDE);
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        writeln!(file, "{}", secret.expose())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|source| DataError::Io { what: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::audit::digest::digest;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn secrets_are_made_once_and_only_for_their_owner() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let (token, sample) = {
            let data = DataDir::open(&path).unwrap();
            (data.admin_token().unwrap(), digest(&data.digest_key().unwrap(), b"x"))
        };
        assert_eq!(
            (mode(&path), mode(&path.join(ADMIN_TOKEN)), mode(&path.join(DIGEST_KEY))),
            (0o700, 0o600, 0o600)
        );
        let data = DataDir::open(&path).unwrap();
        assert_eq!(data.admin_token().unwrap(), token);
        assert_eq!(admin_token(&path).unwrap(), token);
        assert_eq!(digest(&data.digest_key().unwrap(), b"x"), sample);
        assert_eq!(format!("{token:?}"), "‹redacted›");
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(directory.path()).unwrap();
        data.admin_token().unwrap();
        fs::set_permissions(directory.path().join(ADMIN_TOKEN), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(data.admin_token(), Err(DataError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_garbled_secret_is_refused_and_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(directory.path()).unwrap();
        data.digest_key().unwrap();
        fs::write(directory.path().join(DIGEST_KEY), "abc\n").unwrap();
        assert!(matches!(data.digest_key(), Err(DataError::Garbled { .. })));
    }

    #[test]
    fn a_second_server_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDir::open(directory.path()).unwrap();
        let refused = DataDir::open(directory.path()).unwrap_err();
        assert!(matches!(refused, DataError::InUse { .. }), "{refused}");
        drop(first);
        DataDir::open(directory.path()).unwrap();
    }
}
