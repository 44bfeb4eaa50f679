//! A unix socket with its file: made with its permissions, taken over from the dead, removed when it is given up.
//! Never removes what is no socket, what somebody answers on, or what another process has put in its place.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// How many connections wait in the kernel's queue. A client that finds it full is refused at once, unlike over TCP.
const BACKLOG: u32 = 1024;
/// The bits of a mode that are permissions.
const PERMISSIONS: u32 = 0o777;

/// Why a unix socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process listens on it.
    #[error(
        "cannot listen on unix:{path}: another process serves there; stop it, or choose another path with `--grpc` or \
         `listen.grpc`"
    )]
    Served {
        /// The socket.
        path: PathBuf,
    },
    /// The path belongs to something else.
    #[error(
        "cannot listen on unix:{path}: what is there is not a socket, and it was left alone; move it away, or choose \
         another path with `--grpc` or `listen.grpc`"
    )]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// A socket is there, and it cannot be found out whether it is dead.
    #[error(
        "cannot listen on unix:{path}: it cannot be told whether another process serves there; remove the socket if \
         none does, or choose another path with `--grpc` or `listen.grpc`"
    )]
    Unclear {
        /// The socket.
        path: PathBuf,
        /// What came of the attempt to connect.
        #[source]
        source: io::Error,
    },
    /// The operating system refuses.
    #[error(
        "cannot listen on unix:{path}: cannot {what}; choose a path in a directory that is there and that this user \
         may write"
    )]
    Io {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What came of it.
        #[source]
        source: io::Error,
    },
}

/// A unix socket that is listened on. Its file goes when it is dropped.
#[derive(Debug)]
pub struct Socket {
    // Before the listener: no client finds a file on which nobody answers.
    _file: SocketFile,
    listener: UnixListener,
}

impl Socket {
    /// Listens on a path, with these permissions on its file. A socket that was left by a crash is replaced.
    ///
    /// # Errors
    /// [`SocketError`].
    pub async fn bind(path: &Path, mode: u32) -> Result<Self, SocketError> {
        let failed = |what| move |source| SocketError::Io { path: path.to_owned(), what, source };
        let claim = Claim::lay(path)?;
        clear(path).await?;
        let socket = UnixSocket::new_stream().map_err(failed("make a socket"))?;
        // Linux makes the file with the permissions of the socket, less the umask: it is never wider, not even for a
        // moment, and no umask of the whole process has to change. Other systems refuse this; there `restrict` narrows
        // the file while nobody can connect yet.
        let _only_on_linux = permit(&socket, mode);
        socket.bind(path).map_err(failed("make the socket's file"))?;
        let file = SocketFile::made(claim).map_err(failed("look at the socket's file"))?;
        file.restrict(mode).map_err(failed("set the permissions of the socket's file"))?;
        let listener = socket.listen(BACKLOG).map_err(failed("listen"))?;
        Ok(Self { _file: file, listener })
    }

    /// The next connection.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        self.listener.poll_accept(cx).map(|accepted| accepted.map(|(stream, _unnamed)| stream))
    }
}

fn permit(socket: &UnixSocket, mode: u32) -> io::Result<()> {
    File::from(socket.as_fd().try_clone_to_owned()?).set_permissions(Permissions::from_mode(mode))
}

/// Makes place at the path: removes a socket on which nobody answers, and refuses everything else.
async fn clear(path: &Path) -> Result<(), SocketError> {
    let failed = |what| move |source| SocketError::Io { path: path.to_owned(), what, source };
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(SocketError::NotASocket { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("look at what is there")(source)),
    }
    match UnixStream::connect(path).await {
        // Would block: so many wait there that it takes no more.
        Ok(_) => Err(SocketError::Served { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(SocketError::Served { path: path.to_owned() })
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "nobody answers on this socket; it is replaced");
            fs::remove_file(path).map_err(failed("remove the dead socket"))
        }
        Err(source) => Err(SocketError::Unclear { path: path.to_owned(), source }),
    }
}

/// A lock beside the socket, `PATH.lock`, for as long as the socket is ours: between asking whether a socket is dead
/// and replacing it, no other server does the same.
#[derive(Debug)]
struct Claim {
    socket: PathBuf,
    lock_path: PathBuf,
    lock: File,
}

impl Claim {
    fn lay(socket: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io {
            path: socket.to_owned(),
            what: "lock the file beside it, with `.lock` behind its name",
            source,
        };
        let mut lock_path = socket.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        loop {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).mode(0o600);
            let lock = options.open(&lock_path).map_err(failed)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(SocketError::Served { path: socket.to_owned() });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // Its last owner may have removed it after we had opened it; then it locks nobody out.
            if lock.metadata().map_err(failed)?.nlink() > 0 {
                return Ok(Self { socket: socket.to_owned(), lock_path, lock });
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let number = |found: fs::Metadata| (found.dev(), found.ino());
        let ours = self.lock.metadata().ok().map(number);
        if ours.is_none() || fs::symlink_metadata(&self.lock_path).ok().map(number) != ours {
            // Somebody removed ours, and another server may have laid its own.
            return;
        }
        // While it is locked.
        if let Err(error) = fs::remove_file(&self.lock_path) {
            tracing::warn!(%error, path = %self.lock_path.display(), "the lock of a socket was not removed");
        }
    }
}

/// The file of a socket that we made: removed when it is dropped, if it is still that one.
#[derive(Debug)]
struct SocketFile {
    // While the socket is open no other file has this number.
    device: u64,
    inode: u64,
    claim: Claim,
}

impl SocketFile {
    fn made(claim: Claim) -> io::Result<Self> {
        let found = fs::symlink_metadata(&claim.socket)?;
        Ok(Self { device: found.dev(), inode: found.ino(), claim })
    }

    /// Gives it these permissions, where making it did not: another system, or a umask that takes some away.
    fn restrict(&self, mode: u32) -> io::Result<()> {
        let path = &self.claim.socket;
        if fs::symlink_metadata(path)?.mode() & PERMISSIONS == mode {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(mode))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let path = &self.claim.socket;
        let ours = fs::symlink_metadata(path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if ours && let Err(error) = fs::remove_file(path) {
            tracing::warn!(%error, path = %path.display(), "a socket was not removed");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_has_its_permissions_from_its_first_moment() {
        let directory = tempfile::tempdir().unwrap();
        let made = |name: &str, mode: Option<u32>| {
            let (path, socket) = (directory.path().join(name), UnixSocket::new_stream().unwrap());
            if let Some(mode) = mode {
                permit(&socket, mode).unwrap();
            }
            socket.bind(&path).unwrap();
            fs::symlink_metadata(path).unwrap().mode() & PERMISSIONS
        };
        assert_eq!(made("narrow", Some(0o600)), 0o600);
        assert_ne!(made("usual", None), 0o600, "a umask alone would not do");
    }
}
