//! Addresses as they are written, and listeners as another process meets them.
//! Never outside a directory of its own.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::Barrier;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// The names in a directory, sorted.
fn names(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What a crash leaves: a socket on which nobody answers.
fn dead_socket(path: &Path) {
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert!(fs::symlink_metadata(path).unwrap().file_type().is_socket());
}

/// Whether somebody answers there: a connection is taken.
async fn answers(socket: &Socket, path: &Path) -> bool {
    let (taken, made) =
        tokio::join!(std::future::poll_fn(|cx| socket.poll_accept(cx)), UnixStream::connect(path));
    taken.is_ok() && made.is_ok()
}

#[test]
fn an_address_is_a_port_or_a_path() {
    let unix = |path: &str| Address::Unix(path.into());
    for (text, address, shown) in [
        ("127.0.0.1:80", Address::Tcp("127.0.0.1:80".parse().unwrap()), "127.0.0.1:80"),
        ("[::1]:0", Address::Tcp("[::1]:0".parse().unwrap()), "[::1]:0"),
        ("unix:/run/p.sock", unix("/run/p.sock"), "unix:/run/p.sock"),
        ("unix:///run/p.sock", unix("/run/p.sock"), "unix:/run/p.sock"),
        ("unix:p.sock", unix("p.sock"), "unix:p.sock"),
        ("unix:a b/ü.sock", unix("a b/ü.sock"), "unix:a b/ü.sock"),
    ] {
        let parsed: Address = text.parse().unwrap();
        assert_eq!((&parsed, parsed.to_string().as_str()), (&address, shown), "{text}");
    }
    assert_eq!("unix:p".parse::<Address>().unwrap().to_string().parse(), Ok(unix("p")));
}

#[test]
fn what_is_no_address_is_refused_with_an_example() {
    for text in ["localhost:80", "127.0.0.1", "/run/p.sock", "unix-abstract:p", "UNIX:p", ""] {
        let refused = text.parse::<Address>().unwrap_err();
        assert_eq!(refused, AddressError::Unknown(text.into()));
        assert!(refused.to_string().contains("`unix:/run/palisade/grpc.sock`"), "{refused}");
    }
    // A host between the slashes; no path; Linux's abstract namespace.
    for text in ["unix://run/p.sock", "unix:", "unix://", "unix:\0p", "unix:/run/\0"] {
        let refused = text.parse::<Address>().unwrap_err();
        assert!(matches!(refused, AddressError::NoPath(_)), "{refused}");
        assert!(!refused.to_string().contains('\0'), "{refused}");
    }
}

#[tokio::test]
async fn the_longest_path_that_is_taken_can_be_bound_and_one_byte_more_is_refused() {
    let directory = TempDir::new().unwrap();
    let folder = directory.path().to_str().unwrap();
    let name = "s".repeat(PATH_BYTES_MAX - folder.len() - 1);
    let longest: Address = format!("unix:{folder}/{name}").parse().unwrap();
    bind_grpc(std::slice::from_ref(&longest), 0o600).await.unwrap();
    let refused = format!("{longest}s").parse::<Address>().unwrap_err();
    assert!(
        matches!(refused, AddressError::LongPath { bytes, .. } if bytes == PATH_BYTES_MAX + 1),
        "{refused}"
    );
    assert!(refused.to_string().contains("choose a shorter one"), "{refused}");
}

#[test]
fn a_unix_socket_and_the_loopback_are_local_and_nothing_else() {
    for (text, local) in [
        ("unix:/run/p.sock", true),
        ("127.0.0.1:1", true),
        ("[::1]:1", true),
        ("0.0.0.0:1", false),
        ("[::]:1", false),
    ] {
        assert_eq!(text.parse::<Address>().unwrap().is_local(), local, "{text}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_advice() {
    let (_first, address) = bind("grpc", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let refused = bind("grpc", address).await.unwrap_err();
    assert!(matches!(&refused, BindError::Tcp { source, .. } if source.kind() == io::ErrorKind::AddrInUse));
    assert!(refused.to_string().contains("--grpc"), "{refused}");
}

#[tokio::test]
async fn a_socket_has_its_permissions_and_goes_with_its_listener() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("s");
    // The umask of a test takes write permission from others.
    for wanted in [0o600, 0o660, 0o666] {
        let socket = Socket::bind(&path, wanted).await.unwrap();
        assert_eq!(mode(&path), wanted);
        assert_eq!(
            (names(&directory), mode(&directory.path().join("s.lock"))),
            (vec!["s".into(), "s.lock".into()], 0o600)
        );
        assert!(answers(&socket, &path).await);
        drop(socket);
        assert_eq!(names(&directory), [""; 0]);
    }
}

#[tokio::test]
async fn a_socket_on_which_nobody_answers_is_replaced() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("s");
    dead_socket(&path);
    // As a crash leaves it.
    fs::write(directory.path().join("s.lock"), "").unwrap();
    let socket = Socket::bind(&path, 0o600).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(answers(&socket, &path).await);
}

#[tokio::test]
async fn a_socket_on_which_somebody_answers_is_refused_and_stays() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("s");
    let first = Socket::bind(&path, 0o600).await.unwrap();
    let refused = Socket::bind(&path, 0o600).await.unwrap_err();
    assert!(matches!(refused, SocketError::Served { .. }), "{refused}");
    assert!(answers(&first, &path).await);
    drop(first);
    // Another program, which lays no lock.
    let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let refused = Socket::bind(&path, 0o600).await.unwrap_err();
    assert!(matches!(refused, SocketError::Served { .. }), "{refused}");
    assert!(refused.to_string().contains("choose another path with `--grpc`"), "{refused}");
    assert_eq!(names(&directory), ["s"]);
}

#[tokio::test]
async fn a_socket_of_another_kind_is_refused_and_stays() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("s");
    let _other = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let refused = Socket::bind(&path, 0o600).await.unwrap_err();
    assert!(matches!(refused, SocketError::Unclear { .. }), "{refused}");
    assert_eq!(names(&directory), ["s"]);
}

#[tokio::test]
async fn what_is_no_socket_is_refused_and_stays() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "precious").unwrap();
    fs::create_dir(at("folder")).unwrap();
    // Even one to a dead socket: what a link leads to is somebody else's.
    dead_socket(&at("dead"));
    std::os::unix::fs::symlink(at("dead"), at("link")).unwrap();
    for name in ["file", "folder", "link"] {
        let refused = Socket::bind(&at(name), 0o600).await.unwrap_err();
        assert!(matches!(refused, SocketError::NotASocket { .. }), "{refused}");
        assert!(refused.to_string().contains("left alone; move it away"), "{refused}");
    }
    assert_eq!(names(&directory), ["dead", "file", "folder", "link"]);
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "precious");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_refused_and_not_made() {
    let directory = TempDir::new().unwrap();
    let refused = Socket::bind(&directory.path().join("no/s"), 0o600).await.unwrap_err();
    assert!(refused.to_string().contains("a directory that is there"), "{refused}");
    assert_eq!(names(&directory), [""; 0]);
}

#[tokio::test]
async fn what_has_taken_the_place_of_a_socket_is_not_removed_with_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("s");
    let first = Socket::bind(&path, 0o600).await.unwrap();
    fs::remove_file(&path).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(first);
    assert_eq!(names(&directory), ["s"]);
    drop(other);
}

#[tokio::test]
async fn an_address_that_cannot_be_had_gives_up_those_before_it() {
    let directory = TempDir::new().unwrap();
    let (_other, taken) = bind("grpc", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addresses = [Address::Unix(directory.path().join("s")), Address::Tcp(taken)];
    let refused = bind_grpc(&addresses, 0o600).await.unwrap_err();
    assert!(matches!(refused, BindError::Tcp { address, .. } if address == taken), "{refused}");
    assert_eq!(names(&directory), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_servers_that_start_at_once_on_a_dead_socket_one_has_it() {
    const ROUNDS: usize = 100;
    const SERVERS: usize = 4;
    for _ in 0..ROUNDS {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("s");
        dead_socket(&path);
        let together = Arc::new(Barrier::new(SERVERS));
        let starts: Vec<_> = (0..SERVERS)
            .map(|_| {
                let (path, together) = (path.clone(), Arc::clone(&together));
                tokio::spawn(async move {
                    together.wait().await;
                    Socket::bind(&path, 0o600).await
                })
            })
            .collect();
        let mut winners = Vec::new();
        for start in starts {
            match start.await.unwrap() {
                Ok(socket) => winners.push(socket),
                Err(refused) => assert!(matches!(refused, SocketError::Served { .. }), "{refused}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert!(answers(&winners[0], &path).await);
    }
}
