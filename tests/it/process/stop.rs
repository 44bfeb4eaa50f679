//! How a server stops: what was begun ends, what is new is refused, nothing is lost.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::net::TcpStream;
use std::os::unix::net::UnixListener;

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_stream_response::Result as StreamResult;
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::child::{Ended, Process, until};
use super::load::{Load, SINGLES};
use super::place::{PERMIT, Place};
use super::server::{is_permit, probe};

/// Whether the client itself says so, of a connection that is gone or takes no more, and not the service. tonic has
/// several codes for that: a connection that waited to be accepted is reset, one that was told to go away is not used,
/// a new one is refused.
fn never_taken(status: &Status) -> bool {
    status.source().is_some() || matches!(status.code(), Code::Unavailable | Code::Cancelled)
}

#[test]
fn a_stop_under_load_ends_every_call_that_was_begun_and_loses_no_line() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let load = Load::on(server.grpc);
    load.wait_for_more(200);
    server.process().signal(Signal::TERM);
    // The calls one by one and in batches end by being refused; the stream ends when it is asked to.
    load.wait_until_refused();
    let tally = load.end();
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("SIGTERM"), "{ended:?}");
    let lines: BTreeSet<String> =
        place.records_of("decided").iter().map(|line| line["decision"].to_string()).collect();
    let answers: BTreeSet<String> = tally.ids.iter().map(|id| format!("\"{id}\"")).collect();
    assert_eq!(lines.len(), place.records_of("decided").len());
    assert_eq!(answers.len(), tally.ids.len(), "every id is unique");
    assert_eq!(lines, answers, "a line for each answer, an answer for each line");
    for status in &tally.failed {
        assert!(never_taken(status), "{status:?}");
    }
    assert_eq!(tally.failed.len(), SINGLES + 1, "the stream went on until its end: {:?}", tally.failed);
    println!("stopped under load: {} answers, {} lines", answers.len(), lines.len());
}

#[test]
fn a_stopping_server_refuses_what_is_new_says_so_and_ends_what_was_begun() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let client = server.client();
    let ask = |id: &str| v1::AuthorizeStreamRequest { request: Some(probe(id)) };
    let (requests, outgoing) = mpsc::channel(4);
    let mut answers = client.runtime().block_on(async {
        requests.send(ask("before")).await.unwrap();
        client.grpc().authorize_stream(ReceiverStream::new(outgoing)).await.unwrap().into_inner()
    });
    let mut next = || {
        let answer = client.runtime().block_on(answers.message()).unwrap()?;
        match answer.result {
            Some(StreamResult::Response(answer)) => Some((answer.request_id.clone(), is_permit(&answer))),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(next(), Some(("before".into(), true)));

    server.process().signal(Signal::TERM);
    server.log().wait_for_text("stopping");
    until("new connections are refused", || TcpStream::connect(server.grpc).is_err().then_some(()));
    assert_eq!(server.client().ask(probe("new")).unwrap_err().code(), Code::Unavailable);
    // The connection learns of it a little later.
    let refused = until("the old connection takes no new call", || client.ask(probe("late")).err());
    assert!(never_taken(&refused), "{refused:?}");
    let ready = server.get("/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (503, "stopping\n"));
    assert_eq!(server.get("/livez").status, 200);

    client.runtime().block_on(requests.send(ask("after"))).unwrap();
    assert_eq!(next(), Some(("after".into(), true)), "a stream that was begun goes on");
    drop(requests);
    assert_eq!(next(), None);
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let asked = |id: &str| place.records_of("decided").iter().filter(|line| line["request_id"] == id).count();
    assert_eq!((asked("before"), asked("after"), asked("new")), (1, 1, 0));
}

#[test]
fn a_stopping_server_that_is_full_refuses_new_connections_too() {
    let place = Place::with(PERMIT);
    place.configure("limits: { connections_max: 1 }\n");
    let server = place.start();
    let client = server.client();
    let (requests, outgoing) = mpsc::channel(1);
    let mut answers = client.runtime().block_on(async {
        requests.send(v1::AuthorizeStreamRequest { request: Some(probe("")) }).await.unwrap();
        client.grpc().authorize_stream(ReceiverStream::new(outgoing)).await.unwrap().into_inner()
    });
    assert!(client.runtime().block_on(answers.message()).unwrap().is_some());
    server.process().signal(Signal::TERM);
    until("new connections are refused", || TcpStream::connect(server.grpc).is_err().then_some(()));
    assert_eq!(server.get("/readyz").body, "stopping\n", "the stream still holds it up");
    drop(requests);
    assert!(client.runtime().block_on(answers.message()).unwrap().is_none());
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn an_interrupt_stops_like_a_terminate_even_with_idle_connections() {
    let place = Place::with(PERMIT);
    let server = place.start();
    let clients: Vec<_> = (0..3).map(|_| server.client()).collect();
    assert!(clients.iter().all(super::server::Client::may_read));
    server.process().signal(Signal::INT);
    assert_eq!(server.end().code, Some(0));
    // The data directory is free again, at once.
    assert!(place.start().client().may_read());
}

/// A Workload API that takes connections and says nothing. It tells the process to stop once that waits for it.
fn check_stopped_while_waiting(configuration: impl FnOnce(&str) -> String) -> (Place, Ended) {
    let place = Place::with(PERMIT);
    let socket = place.path().join("agent.sock");
    let silent = UnixListener::bind(&socket).unwrap();
    place.configure(&configuration(&format!("unix://{}", socket.display())));
    let process = Process::spawn(&mut place.command());
    let (_kept, _) = silent.accept().unwrap();
    process.signal(Signal::TERM);
    let ended = process.end();
    // A wait that came to its end would be a failure of TLS, and an answering server without keys.
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stderr.contains("SIGTERM") && ended.stderr.contains("stopping"), "{ended:?}");
    (place, ended)
}

#[test]
fn a_start_that_waits_for_its_identity_ends_when_it_is_told_to_and_leaves_nothing() {
    let (place, _) = check_stopped_while_waiting(|endpoint| {
        format!("listen:\n  grpc_tls: {{ spiffe: {{ workload_api: \"{endpoint}\" }} }}\n")
    });
    assert!(!place.data().exists());
}

#[test]
fn a_start_that_waits_for_keys_ends_when_it_is_told_to() {
    let (place, ended) = check_stopped_while_waiting(|endpoint| {
        format!(
            "trust:\n  audience: [pdp]\n  spiffe:\n  - trust_domain: acme.example\n    \
             keys: {{ workload_api: \"{endpoint}\" }}\n"
        )
    });
    assert!(!ended.stderr.contains("WARN"), "it did not come to a failure: {ended:?}");
    // The data directory is free again.
    place.configure("");
    assert!(place.start().client().may_read());
}
