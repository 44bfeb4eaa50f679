//! gRPC on a unix socket: who gets an answer, whose file it is, and what becomes of it.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use palisade::api::proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::child::{Ended, Process, until};
use super::place::{PERMIT, Place, mode, names};
use super::server::{Client, Server, is_permit, probe};

const PALISADE: &str = env!("CARGO_BIN_EXE_palisade");

/// The small bundle, and a directory for sockets.
fn place() -> Place {
    let place = Place::with(PERMIT);
    fs::create_dir(folder(&place)).unwrap();
    place
}

fn folder(place: &Place) -> PathBuf {
    place.path().join("run")
}

fn socket(place: &Place) -> PathBuf {
    folder(place).join("grpc.sock")
}

/// `palisade serve` with these gRPC addresses.
fn command(place: &Place, addresses: &[&str]) -> Command {
    let mut command = place.bare(Path::new(PALISADE));
    command.args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    for address in addresses {
        command.args(["--grpc", address]);
    }
    command
}

fn ready(process: Process) -> Process {
    process.stdout.wait_for_text("ready\n");
    process
}

/// Serves on the socket alone, and waits until it answers.
fn serve(place: &Place) -> Process {
    let address = format!("unix:{}", socket(place).display());
    let process = ready(Process::spawn(&mut command(place, &[&address])));
    assert!(process.stdout.text().starts_with(&format!("grpc listening on {address}\nhttp listening on ")));
    process
}

/// Serves on a free port and on the socket.
fn serve_both(place: &Place) -> Server {
    let address = format!("unix:{}", socket(place).display());
    Server::started(Process::spawn(&mut command(place, &["127.0.0.1:0", &address])), &place.data())
}

fn stop(process: Process) -> Ended {
    process.signal(rustix::process::Signal::TERM);
    process.end()
}

/// Serves what is refused with these words, and nothing on standard output.
fn check_refused(place: &Place, address: &str, words: &[&str]) {
    let ended = Process::spawn(&mut command(place, &[address])).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
    for part in words {
        assert!(ended.stderr.contains(part), "`{part}` is not in:\n{}", ended.stderr);
    }
    assert!(!place.data().exists(), "a start that cannot listen leaves nothing behind");
}

#[test]
fn a_call_over_a_unix_socket_is_answered_to_the_local_caller() {
    let place = place();
    let server = serve(&place);
    assert!(Client::over(&socket(&place)).may_read());
    assert_eq!(place.records_of("decided")[0]["caller"], "local");
    assert_eq!(stop(server).code, Some(0));
}

#[test]
fn named_callers_show_their_token_over_a_unix_socket_too() {
    let place = place();
    // The digest of `token`.
    place.configure(
        "callers:\n  - name: gateway\n    \
         token_sha256: 3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0\n    \
         roles: [authorize, assert]\n    servers: \"*\"\n",
    );
    let _server = serve(&place);
    let client = Client::over(&socket(&place));
    assert_eq!(client.ask(probe("")).unwrap_err().code(), Code::Unauthenticated);
    assert!(is_permit(&client.ask_with(probe(""), &[("authorization", "Bearer token")]).unwrap()));
    assert_eq!(place.records_of("decided")[0]["caller"], "gateway");
}

#[test]
fn the_socket_is_its_owners_alone_unless_the_configuration_says_otherwise_whatever_the_umask() {
    let place = place();
    for (configured, wanted) in [("", 0o600), ("listen: { grpc_socket_mode: \"0660\" }\n", 0o660)] {
        place.configure(configured);
        for umask in ["000", "022", "077"] {
            let address = format!("unix:{}", socket(&place).display());
            let serve = command(&place, &[&address]);
            let mut shell = Command::new("sh");
            shell.args(["-c", "umask \"$0\" && exec \"$@\"", umask]).arg(serve.get_program());
            shell.args(serve.get_args()).current_dir(place.path()).env_remove("RUST_LOG");
            let server = ready(Process::spawn(&mut shell));
            assert!(fs::symlink_metadata(socket(&place)).unwrap().file_type().is_socket());
            assert_eq!(mode(&socket(&place)), wanted, "umask {umask}");
            assert_eq!(stop(server).code, Some(0));
        }
    }
}

#[test]
fn the_socket_of_a_server_that_was_killed_is_taken_over() {
    let place = place();
    for _ in 0..3 {
        let server = serve(&place);
        assert!(Client::over(&socket(&place)).may_read());
        server.signal(rustix::process::Signal::KILL);
        server.end();
        assert!(fs::symlink_metadata(socket(&place)).unwrap().file_type().is_socket(), "it was left behind");
        assert!(UnixStream::connect(socket(&place)).is_err());
    }
    let server = serve(&place);
    assert!(Client::over(&socket(&place)).may_read());
    assert!(server.stderr.text().contains("nobody answers on this socket"), "{}", server.stderr.text());
}

#[test]
fn a_socket_on_which_a_server_answers_is_refused_and_that_server_goes_on() {
    let place = place();
    let server = serve(&place);
    let address = format!("unix:{}", socket(&place).display());
    let words =
        ["cannot listen on", &address, "another process serves there", "choose another path", "--grpc"];
    check_refused(&Place::with(PERMIT), &address, &words);
    assert!(Client::over(&socket(&place)).may_read());
    stop(server);
    let _other = std::os::unix::net::UnixListener::bind(socket(&place)).unwrap();
    check_refused(&Place::with(PERMIT), &address, &words);
    assert!(UnixStream::connect(socket(&place)).is_ok(), "another program keeps its own");
}

#[test]
fn a_file_that_is_no_socket_is_refused_and_stays_as_it_is() {
    let place = place();
    fs::write(socket(&place), "precious").unwrap();
    let address = format!("unix:{}", socket(&place).display());
    check_refused(&place, &address, &[&address, "is not a socket", "left alone", "move it away"]);
    assert_eq!(fs::read_to_string(socket(&place)).unwrap(), "precious");
    assert_eq!(names(&folder(&place)), ["grpc.sock"]);
}

#[test]
fn a_path_that_no_socket_can_have_is_refused() {
    let place = place();
    let long = format!("unix:{}/{}", folder(&place).display(), "s".repeat(108));
    check_refused(&place, &long, &["--grpc", "bytes", "at most", "choose a shorter one"]);
    check_refused(&place, "unix:", &["--grpc", "names no path", "unix:/run/palisade/grpc.sock"]);
    let nowhere = format!("unix:{}/no/grpc.sock", folder(&place).display());
    check_refused(&place, &nowhere, &[&nowhere, "choose a path in a directory that is there"]);
    assert_eq!(names(&folder(&place)), [""; 0]);
}

#[test]
fn the_socket_is_gone_after_a_stop_and_after_a_start_that_fails() {
    let place = place();
    let server = serve(&place);
    assert!(Client::over(&socket(&place)).may_read());
    assert_eq!(stop(server).code, Some(0));
    assert_eq!(names(&folder(&place)), [""; 0]);
    place.write(super::place::POLICY, "permit (");
    let address = format!("unix:{}", socket(&place).display());
    assert_eq!(Process::spawn(&mut command(&place, &[&address])).end().code, Some(1));
    assert_eq!(names(&folder(&place)), [""; 0]);
}

#[test]
fn a_stop_leaves_what_another_has_put_in_the_place_of_the_socket() {
    let place = place();
    let server = serve(&place);
    fs::remove_file(socket(&place)).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(socket(&place)).unwrap();
    assert_eq!(stop(server).code, Some(0));
    assert_eq!(names(&folder(&place)), ["grpc.sock"]);
}

#[test]
fn a_stopping_server_gives_the_socket_to_its_successor_and_ends_what_was_begun() {
    let (place, successor) = (place(), Place::with(PERMIT));
    let server = serve(&place);
    let client = Client::over(&socket(&place));
    let ask = || v1::AuthorizeStreamRequest { request: Some(probe("")) };
    let (requests, outgoing) = mpsc::channel(1);
    let mut answers = client.runtime().block_on(async {
        requests.send(ask()).await.unwrap();
        client.grpc().authorize_stream(ReceiverStream::new(outgoing)).await.unwrap().into_inner()
    });
    assert!(client.runtime().block_on(answers.message()).unwrap().is_some());
    server.signal(rustix::process::Signal::TERM);
    until("the socket is free", || names(&folder(&place)).is_empty().then_some(()));
    let address = format!("unix:{}", socket(&place).display());
    let next = ready(Process::spawn(&mut command(&successor, &[&address])));
    assert!(Client::over(&socket(&place)).may_read());
    client.runtime().block_on(requests.send(ask())).unwrap();
    assert!(
        client.runtime().block_on(answers.message()).unwrap().is_some(),
        "a stream that was begun goes on"
    );
    drop(requests);
    assert_eq!(server.end().code, Some(0));
    assert!(Client::over(&socket(&place)).may_read(), "the old one does not take the new one's socket away");
    assert_eq!(stop(next).code, Some(0));
}

#[test]
fn a_port_and_a_socket_are_served_at_once_and_announced_in_their_order() {
    let place = place();
    let path = socket(&place);
    place.configure(&format!(
        "listen:\n  admin: 127.0.0.1:0\n  http: 127.0.0.1:0\n  grpc:\n    - unix:{}\n    - 127.0.0.1:0\n",
        path.display()
    ));
    let server = Server::started(Process::spawn(&mut place.bare(Path::new(PALISADE))), &place.data());
    assert_eq!(
        server.process().stdout.text(),
        format!(
            "grpc listening on unix:{}\ngrpc listening on {}\nhttp listening on {}\nadmin listening on {}\nready\n",
            path.display(),
            server.grpc,
            server.http,
            server.admin
        )
    );
    assert!(server.client().may_read() && Client::over(&path).may_read());
    assert_eq!(place.records_of("decided").len(), 2);
    server.process().signal(rustix::process::Signal::TERM);
    let (address, ended) = (server.grpc, server.end());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(TcpStream::connect(address).is_err() && !path.exists());
}

#[test]
fn ports_and_sockets_share_the_places_for_connections() {
    let place = place();
    place.configure("limits: { connections_max: 1 }\n");
    let server = serve_both(&place);
    // Neither keeps a place while nobody comes.
    for _ in 0..3 {
        assert!(server.client().may_read());
        assert!(Client::over(&socket(&place)).may_read());
    }
    let first = Client::over(&socket(&place));
    assert!(first.may_read());
    let waiting = server.client();
    let call = waiting.runtime().spawn({
        let mut grpc = waiting.grpc();
        async move { grpc.authorize(probe("")).await }
    });
    assert!((0..20).all(|_| first.may_read()));
    assert!(!call.is_finished(), "the connection over TCP waits for the one over the socket");
    drop(first);
    assert!(is_permit(&waiting.runtime().block_on(call).unwrap().unwrap().into_inner()));
}

/// `palisade authorize` in the place, of the server at this address.
fn authorize(place: &Place, address: &str) -> Ended {
    let mut command = Command::new(PALISADE);
    command.current_dir(place.path()).env("NO_COLOR", "1").args(["authorize", "--grpc", address]);
    command.args([
        "--principal",
        "Agent::\"bot\"",
        "--action",
        "Action::\"read\"",
        "--resource",
        "Doc::\"a\"",
    ]);
    Process::spawn(&mut command).end()
}

#[test]
fn a_question_is_asked_over_a_socket_named_from_the_current_directory() {
    let place = place();
    let server = ready(Process::spawn(&mut command(&place, &["unix:run/grpc.sock"])));
    assert!(server.stdout.text().contains("grpc listening on unix:run/grpc.sock\n"));
    for address in ["unix:run/grpc.sock".to_owned(), format!("unix://{}", socket(&place).display())] {
        let ended = authorize(&place, &address);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // The token of the data directory was shown: this server is of this machine.
        assert!(ended.stdout.contains("PERMIT") && ended.stdout.contains("why:"), "{ended:?}");
    }
    stop(server);
    let ended = authorize(&place, "unix:run/grpc.sock");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("no server answers at unix:run/grpc.sock"), "{ended:?}");
    let ended = authorize(&place, "unix:");
    assert!(ended.code == Some(2) && ended.stderr.contains("names no path"), "{ended:?}");
}
