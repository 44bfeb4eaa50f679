//! The keys that sign our own tokens: made, published ahead of their use, rotated, retired.
//! Never signs with a key that was not published first, but for the very first one and for that in place of a retired one.

mod files;
mod plan;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use self::files::{Folder, Kept};
use self::plan::{Age, Periods};
use super::data::{DataDir, DataError};
use crate::identity::{Algorithm, KeysFault, OwnIssuer, SigningFault, SigningKey};

/// The folder of the keys, within the data directory.
const FOLDER: &str = "keys";
/// How long to wait at least between two looks, whatever is due.
const LOOK_MIN: Duration = Duration::from_mins(1);
/// How long at most: a clock that was set does not move the timers of a runtime.
const LOOK_MAX: Duration = Duration::from_hours(1);

/// Which keys sign, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What they sign with.
    pub algorithm: Algorithm,
    /// How long each signs, in seconds.
    pub rotate_s: i64,
    /// How long each verifies after that, in seconds: as long as a token may live.
    pub overlap_s: i64,
    /// Files with keys in PKCS#8, of which the first signs and all verify. When there are any, none is made or rotated.
    pub key_files: Vec<PathBuf>,
}

/// Why there is no key to sign with, or why it is not retired.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A key cannot be made.
    #[error("a signing key cannot be made; see that this machine gives randomness")]
    Made(#[from] SigningFault),
    /// The public keys are no set.
    #[error("the public signing keys {0}; give `tasks.signing` other ones")]
    Set(#[from] KeysFault),
    /// A file of `key_files` cannot be read.
    #[error("cannot read the signing key `{path}`; create it, and let this user read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Anybody could read a file of `key_files`.
    #[error("`{path}` may be read by everybody (mode {mode:o}); run `chmod o-rwx` on it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file of `key_files` is something else.
    #[error(
        "`{path}` is no private key for ES256 or EdDSA in PKCS#8, as PEM or DER; make one with `openssl genpkey -algorithm \
         EC -pkeyopt ec_paramgen_curve:P-256`"
    )]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// Two of `key_files` are the same key.
    #[error("`{path}` is the same key as one before it in `tasks.signing.key_files`; take it out")]
    Twice {
        /// The later file.
        path: PathBuf,
    },
    /// Nothing of `key_files` is left.
    #[error("no key of `tasks.signing.key_files` is left that was not retired; put another one first")]
    NoneLeft,
    /// There is no such key.
    #[error("no signing key is called `{kid}`; `/.well-known/jwks.json` names those that count")]
    Unknown {
        /// Its name.
        kid: String,
    },
}

/// Takes a changed issuer into use.
pub type Publish = Box<dyn Fn(Arc<OwnIssuer>) + Send + Sync>;

/// The signing keys of a running server.
pub struct Signing {
    name: Arc<str>,
    config: Config,
    folder: Folder,
    keys: Mutex<Vec<Kept>>,
    current: ArcSwap<OwnIssuer>,
    publish: Publish,
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Signing {
    /// Reads the keys, makes the first one when there is none, and publishes. `name` is the issuer's.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn open(
        data: &DataDir,
        name: impl Into<Arc<str>>,
        config: Config,
        now_s: i64,
        publish: Publish,
    ) -> Result<Self, SigningError> {
        let folder = Folder(data.folder(FOLDER)?);
        let mut keys = if config.key_files.is_empty() { folder.read()? } else { given(&config, &folder)? };
        let name = name.into();
        arrange(&config, &folder, &mut keys, now_s)?;
        let issuer = Arc::new(issuer(&config, &name, &keys, now_s)?);
        publish(issuer.clone());
        Ok(Self { name, config, folder, keys: Mutex::new(keys), current: ArcSwap::new(issuer), publish })
    }

    /// The issuer as it is now.
    pub fn issuer(&self) -> Arc<OwnIssuer> {
        self.current.load_full()
    }

    /// Does what is due at this instant, and publishes what has changed. It writes to the disk.
    ///
    /// # Errors
    /// [`SigningError`]; then as much was done as could be, and what was published stays.
    pub fn look(&self, now_s: i64) -> Result<(), SigningError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let arranged = arrange(&self.config, &self.folder, &mut keys, now_s);
        // Also when no key could be made: one that is there may begin to sign.
        self.show(&keys, now_s)?;
        arranged
    }

    /// Makes a key neither sign nor verify from now on; its file is kept beside. Where it was the one that signs, another
    /// signs at once. It writes to the disk. A key that was retired before stays so.
    ///
    /// # Errors
    /// [`SigningError`]; then the key counts as before.
    pub fn retire(&self, kid: &str, now_s: i64) -> Result<(), SigningError> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = keys.iter().position(|kept| kept.key.kid() == kid) else {
            let known = is_name(kid) && self.folder.is_retired(kid)?;
            return if known { Ok(()) } else { Err(SigningError::Unknown { kid: kid.to_owned() }) };
        };
        let mut left = keys.clone();
        left.remove(at);
        if self.config.key_files.is_empty() {
            if periods(&self.config).plan(&ages(&self.config, &keys), now_s).signs == Some(at) {
                let made = self.folder.make(self.config.algorithm, now_s)?;
                // It lies on the disk, whatever becomes of the other.
                for all in [&mut left, &mut *keys] {
                    let place = all.partition_point(|kept| kept.from_s <= now_s);
                    all.insert(place, made.clone());
                }
            }
            self.folder.set_aside(kid)?;
        } else if left.is_empty() {
            return Err(SigningError::NoneLeft);
        } else {
            self.folder.mark_retired(kid)?;
        }
        *keys = left;
        tracing::warn!(kid, "a signing key was retired; what it signed counts no more");
        self.show(&keys, now_s)
    }

    /// Looks whenever something is due, until `stop`.
    ///
    /// # Errors
    /// When the runtime is gone.
    pub async fn run(
        self: Arc<Self>,
        now_s: impl Fn() -> i64 + Send,
        stop: CancellationToken,
    ) -> io::Result<()> {
        loop {
            let wait = self.wait(now_s());
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Ok(());
            }
            let (keys, now_s) = (Arc::clone(&self), now_s());
            let looked = tokio::task::spawn_blocking(move || keys.look(now_s)).await;
            if let Err(error) = looked.map_err(io::Error::other)? {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the signing keys cannot be rotated; those that count go on, and it is tried again in a minute"
                );
            }
        }
    }

    /// How long nothing is due.
    fn wait(&self, now_s: i64) -> Duration {
        if !self.config.key_files.is_empty() {
            return LOOK_MAX;
        }
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let next_s = periods(&self.config).plan(&ages(&self.config, &keys), now_s).next_s;
        let seconds = next_s.and_then(|at| u64::try_from(at.saturating_sub(now_s)).ok());
        seconds.map_or(LOOK_MIN, Duration::from_secs).clamp(LOOK_MIN, LOOK_MAX)
    }

    /// Publishes if anything is another than before. The keys are held meanwhile, so that the later of two wins.
    fn show(&self, keys: &[Kept], now_s: i64) -> Result<(), SigningError> {
        let issuer = Arc::new(issuer(&self.config, &self.name, keys, now_s)?);
        // The key that signs comes first in it.
        if issuer.jwks() != self.current.load().jwks() {
            self.current.store(issuer.clone());
            (self.publish)(issuer);
        }
        Ok(())
    }
}

/// Deletes and makes what is due.
fn arrange(config: &Config, folder: &Folder, keys: &mut Vec<Kept>, now_s: i64) -> Result<(), SigningError> {
    if !config.key_files.is_empty() {
        return Ok(());
    }
    let plan = periods(config).plan(&ages(config, keys), now_s);
    if let Some(from_s) = plan.make_from_s {
        let made = folder.make(config.algorithm, from_s)?;
        tracing::info!(kid = made.key.kid(), from_s, "a signing key was made");
        keys.push(made);
    }
    for _ in 0..plan.gone {
        if let Some(first) = keys.first() {
            folder.delete(first.key.kid())?;
            tracing::info!(kid = first.key.kid(), "a former signing key is gone: what it signed has expired");
            keys.remove(0);
        }
    }
    Ok(())
}

fn issuer(config: &Config, name: &Arc<str>, keys: &[Kept], now_s: i64) -> Result<OwnIssuer, SigningError> {
    let signs = if config.key_files.is_empty() {
        periods(config).plan(&ages(config, keys), now_s).signs
    } else {
        Some(0)
    };
    let signing = signs.and_then(|at| keys.get(at)).ok_or(SigningError::NoneLeft)?.key.clone();
    let others: Vec<&SigningKey> =
        keys.iter().map(|kept| &*kept.key).filter(|key| key.kid() != signing.kid()).collect();
    Ok(OwnIssuer::new(name.clone(), signing, others)?)
}

fn periods(config: &Config) -> Periods {
    Periods { rotate_s: config.rotate_s, overlap_s: config.overlap_s }
}

fn ages(config: &Config, keys: &[Kept]) -> Vec<Age> {
    let age = |kept: &Kept| Age { from_s: kept.from_s, fits: kept.algorithm == config.algorithm };
    keys.iter().map(age).collect()
}

/// The operator's keys in their order, without those that were retired.
fn given(config: &Config, folder: &Folder) -> Result<Vec<Kept>, SigningError> {
    let mut keys: Vec<Kept> = Vec::new();
    for path in &config.key_files {
        let kept = files::read_given(path)?;
        let kid = kept.key.kid();
        if keys.iter().any(|earlier| earlier.key.kid() == kid) {
            return Err(SigningError::Twice { path: path.clone() });
        }
        if folder.is_retired(kid)? {
            tracing::warn!(kid, path = %path.display(), "a signing key was retired, and is passed over");
            continue;
        }
        keys.push(kept);
    }
    if keys.is_empty() { Err(SigningError::NoneLeft) } else { Ok(keys) }
}

/// Whether it could be the name of a key of ours, and so of a file.
fn is_name(kid: &str) -> bool {
    kid.len() == 43 && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests;
