//! Signing keys as files: those that we make in the data directory, and those that an operator gives.
//! Never leaves half a key behind, and never reads one that others may read.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use super::SigningError;
use crate::identity::{Algorithm, SigningKey};
use crate::server::data::{self, DataError, Secret};

/// The endings of files: a key, and one that counts no more.
const KEY: &str = "key";
const RETIRED: &str = "retired";
/// The version of the form in which keys are kept.
const VERSION: u32 = 1;
/// The longest file of an operator's key.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A key with what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) key: Arc<SigningKey>,
    pub(super) algorithm: Algorithm,
    /// When it begins to sign, in seconds.
    pub(super) from_s: i64,
}

/// A key as it lies on the disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    algorithm: String,
    from_s: i64,
    pkcs8: String,
}

/// The folder of the keys.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    /// Every key that counts, in the order in which they sign.
    pub(super) fn read(&self) -> Result<Vec<Kept>, SigningError> {
        let mut keys = Vec::new();
        for path in self.files()? {
            match path.extension().and_then(|ending| ending.to_str()) {
                Some(KEY) => keys.push(read_own(&path)?),
                // What a crash left: nobody has seen anything that it signed.
                Some(data::BESIDE) => {
                    fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
                }
                Some(_) | None => {}
            }
        }
        keys.sort_by(|one, other| (one.from_s, one.key.kid()).cmp(&(other.from_s, other.key.kid())));
        Ok(keys)
    }

    /// Makes a key that begins to sign at this instant.
    pub(super) fn make(&self, algorithm: Algorithm, from_s: i64) -> Result<Kept, SigningError> {
        let der = SigningKey::generate(algorithm)?;
        let key = Arc::new(SigningKey::from_pkcs8(algorithm, &der)?);
        let pkcs8 = BASE64_STANDARD.encode(der);
        let written = Written { version: VERSION, algorithm: algorithm.name().to_owned(), from_s, pkcs8 };
        let path = self.path(key.kid(), KEY);
        let text = serde_json::to_string(&written).map_err(|error| failed("write", &path, error.into()))?;
        data::write_secret(&path, &Secret::new(text))?;
        self.sync()?;
        Ok(Kept { key, algorithm, from_s })
    }

    /// Deletes a key whose tokens have all expired.
    pub(super) fn delete(&self, kid: &str) -> Result<(), SigningError> {
        let path = self.path(kid, KEY);
        fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
        self.sync()
    }

    /// Sets a key of ours aside.
    pub(super) fn set_aside(&self, kid: &str) -> Result<(), SigningError> {
        let path = self.path(kid, KEY);
        fs::rename(&path, self.path(kid, RETIRED)).map_err(|source| failed("rename", &path, source))?;
        self.sync()
    }

    /// Remembers of a key of the operator's that it counts no more.
    pub(super) fn mark_retired(&self, kid: &str) -> Result<(), SigningError> {
        data::write_secret(&self.path(kid, RETIRED), &Secret::new(kid))?;
        self.sync()
    }

    /// Whether a key counts no more.
    pub(super) fn is_retired(&self, kid: &str) -> Result<bool, SigningError> {
        let path = self.path(kid, RETIRED);
        fs::exists(&path).map_err(|source| failed("look for", &path, source))
    }

    fn path(&self, kid: &str, ending: &str) -> PathBuf {
        self.0.join(format!("{kid}.{ending}"))
    }

    fn files(&self) -> Result<Vec<PathBuf>, SigningError> {
        let listed = fs::read_dir(&self.0).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
        });
        listed.map_err(|source| failed("list", &self.0, source))
    }

    /// Makes what happened to names last.
    fn sync(&self) -> Result<(), SigningError> {
        File::open(&self.0)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| failed("sync", &self.0, source))
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> SigningError {
    DataError::Io { what, path: path.to_owned(), source }.into()
}

fn read_own(path: &Path) -> Result<Kept, SigningError> {
    let text = data::read_secret(path)?;
    let kept = serde_json::from_str::<Written>(text.expose()).ok().and_then(|written| {
        let Written { version, algorithm, from_s, pkcs8 } = written;
        let algorithm = Algorithm::named(&algorithm).filter(|_| version == VERSION)?;
        let der = BASE64_STANDARD.decode(pkcs8).ok()?;
        let key = Arc::new(SigningKey::from_pkcs8(algorithm, &der).ok()?);
        Some(Kept { key, algorithm, from_s })
    });
    // Under another name it would be found neither for its deletion nor to be set aside.
    let kept = kept.filter(|kept| path.file_stem().is_some_and(|stem| *stem == *kept.key.kid()));
    let wanted = "a signing key of this name";
    kept.ok_or_else(|| DataError::Garbled { path: path.to_owned(), wanted }.into())
}

/// A key of the operator's: PKCS#8 in PEM or DER, of either kind.
pub(super) fn read_given(path: &Path) -> Result<Kept, SigningError> {
    let unreadable = |source| SigningError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    // A group may: that is how Kubernetes hands secrets to who is not root.
    if mode & 0o007 != 0 {
        return Err(SigningError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    let pem = PrivatePkcs8KeyDer::from_pem_slice(&bytes).ok();
    let der = pem.as_ref().map_or(bytes.as_slice(), |pem| pem.secret_pkcs8_der());
    let of = |algorithm| {
        let key = SigningKey::from_pkcs8(algorithm, der).ok()?;
        Some(Kept { key: Arc::new(key), algorithm, from_s: 0 })
    };
    of(Algorithm::Es256)
        .or_else(|| of(Algorithm::EdDsa))
        .ok_or_else(|| SigningError::NotAKey { path: path.to_owned() })
}
