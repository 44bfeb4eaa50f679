//! The limits of the configuration, as a client meets them: each is answered with a clear status.

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_stream_response::Result::{Error, Response};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::child::until;
use super::place::{PERMIT, Place};
use super::server::{Client, Server, channel, is_permit, probe, probe_with, text, tool_call};

/// A server of the small bundle with these limits.
fn limited(limits: &str) -> (Place, Server) {
    let place = Place::with(PERMIT);
    place.configure(&format!("limits: {{ {limits} }}\n"));
    let server = place.start();
    (place, server)
}

/// Refused for this limit, while what stays below it is answered.
fn check(refused: Result<impl std::fmt::Debug, Status>, code: Code, words: &[&str]) {
    let status = refused.expect_err("it is over the limit");
    assert_eq!(status.code(), code, "{status:?}");
    for part in words {
        assert!(status.message().contains(part), "`{part}` is not in: {status:?}");
    }
}

#[test]
fn a_message_over_its_length_is_refused() {
    let (place, server) = limited("message_bytes_max: 2048");
    let client = server.client();
    let note = |bytes: usize| probe_with([("note".to_owned(), text(&"x".repeat(bytes)))]);
    assert!(is_permit(&client.ask(note(1024)).unwrap()));
    check(client.ask(note(4096)), Code::OutOfRange, &["2048"]);
    assert!(is_permit(&client.ask(note(1024)).unwrap()), "the connection goes on");
    assert_eq!(place.records_of("decided").len(), 2);
}

#[test]
fn a_batch_over_its_length_is_refused_whole() {
    let (place, server) = limited("batch_len_max: 3");
    let client = server.client();
    assert_eq!(client.ask_all(vec![probe(""); 3]).unwrap().responses.len(), 3);
    check(client.ask_all(vec![probe(""); 4]), Code::InvalidArgument, &["`requests`", "batch_len_max", "3"]);
    assert_eq!(place.records_of("decided").len(), 3, "nothing of it was decided");
}

/// Sets in sets, so deep.
fn nested(depth: usize) -> v1::Value {
    (1..depth).fold(text("x"), |inner, _| v1::Value {
        kind: Some(v1::value::Kind::SetValue(v1::ValueSet { items: vec![inner] })),
    })
}

#[test]
fn a_context_that_nests_too_deep_is_refused() {
    let (_place, server) = limited("context_depth_max: 4");
    let client = server.client();
    // Undeclared members are ignored, but they are bounded like all others.
    let deep = |depth: usize| probe_with([("deep".to_owned(), nested(depth))]);
    assert!(is_permit(&client.ask(deep(4)).unwrap()));
    check(client.ask(deep(5)), Code::InvalidArgument, &["access.context", "context_depth_max", "4"]);
}

#[test]
fn a_context_of_too_many_values_is_refused() {
    let (_place, server) = limited("context_nodes_max: 10");
    let client = server.client();
    let many = |count: usize| probe_with((0..count).map(|n| (format!("m{n}"), text("x"))));
    assert!(is_permit(&client.ask(many(10)).unwrap()));
    check(client.ask(many(11)), Code::InvalidArgument, &["access.context", "context_nodes_max", "10"]);
}

#[test]
fn parameters_over_their_limits_are_denied_and_recorded() {
    let place = Place::shipped();
    place.configure("limits: { context_bytes_max: 1024, context_depth_max: 4, context_nodes_max: 20 }\n");
    let server = place.start();
    let client = server.client();
    let lookup = |extra: serde_json::Value| {
        client.ask(tool_call("lookup_customer", &json!({"customer_id": "c-1", "extra": extra}))).unwrap()
    };
    assert!(is_permit(&client.ask(tool_call("lookup_customer", &json!({"customer_id": "c-1"}))).unwrap()));
    for (extra, word) in [
        (json!("x".repeat(2048)), "send at most 1024"),
        (json!([[[[[["deep"]]]]]]), "4"),
        (json!(vec![0; 100]), "20"),
    ] {
        let answer = lookup(extra);
        assert_eq!(answer.reason(), v1::DenyReason::InvalidInput, "{answer:?}");
        assert!(answer.reason_text.contains(word), "{answer:?}");
    }
    assert_eq!(place.records_of("decided").len(), 4);
}

#[test]
fn headers_over_their_length_are_refused() {
    let (place, server) = limited("header_list_bytes_max: 2048");
    let client = server.client();
    assert!(client.ask_with(probe(""), &[("x-note", &"x".repeat(512))]).is_ok());
    let refused = |bytes: usize| client.ask_with(probe(""), &[("x-note", &"x".repeat(bytes))]).unwrap_err();
    // gRPC has no word for 431 (Request Header Fields Too Large); what is far over the limit ends the connection.
    let over = refused(2048);
    assert!(over.message().contains("431"), "{over:?}");
    let far_over = refused(16 * 1024);
    assert_eq!(far_over.code(), Code::ResourceExhausted, "{far_over:?}");
    assert!(client.may_read(), "the next call is answered");
    assert_eq!(place.records_of("decided").len(), 2);
}

/// A stream that is open, and the end of it that keeps it so.
fn open_stream(client: &Client) -> mpsc::Sender<v1::AuthorizeStreamRequest> {
    let (requests, outgoing) = mpsc::channel(1);
    client.runtime().block_on(async {
        requests.send(v1::AuthorizeStreamRequest { request: Some(probe("")) }).await.unwrap();
        let mut answers =
            client.grpc().authorize_stream(ReceiverStream::new(outgoing)).await.unwrap().into_inner();
        answers.message().await.unwrap().expect("an answer");
        tokio::spawn(async move { while let Ok(Some(_)) = answers.message().await {} });
    });
    requests
}

#[test]
fn streams_over_their_number_wait_for_one_that_ends_and_other_connections_do_not() {
    let (_place, server) = limited("concurrent_streams_max: 2");
    let client = server.client();
    let open = [open_stream(&client), open_stream(&client)];
    let mut grpc = client.grpc();
    let third = client.runtime().spawn(async move { grpc.authorize(probe("third")).await });
    assert!(server.client().may_read(), "another connection has streams of its own");
    assert!(!third.is_finished(), "the third waits");
    drop(open);
    let answer = client.runtime().block_on(third).unwrap().unwrap().into_inner();
    assert_eq!(answer.request_id, "third");
}

#[test]
fn connections_over_their_number_wait_for_one_that_ends() {
    let (_place, server) = limited("connections_max: 2");
    let (first, second) = (server.client(), server.client());
    assert!(first.may_read() && second.may_read());
    let waiting = server.client();
    let call = waiting.runtime().spawn({
        let mut grpc = waiting.grpc();
        async move { grpc.authorize(probe("")).await }
    });
    assert!((0..20).all(|_| first.may_read() && second.may_read()));
    assert!(!call.is_finished(), "the third connection waits");
    assert_eq!(server.get("/livez").status, 200, "the administration has places of its own");
    drop(first);
    assert!(is_permit(&waiting.runtime().block_on(call).unwrap().unwrap().into_inner()));
    assert!(second.may_read());
}

#[test]
fn a_connection_that_broke_gives_its_place_back() {
    let (_place, server) = limited("connections_max: 1");
    for _ in 0..20 {
        // Nothing of HTTP/2 comes over these.
        drop(std::net::TcpStream::connect(server.grpc).unwrap());
    }
    until("an honest client has its turn", || server.client().ask(probe("")).is_ok().then_some(()));
}

#[test]
fn only_so_many_decisions_await_their_outcome() {
    let (place, server) = limited("open_decisions_max: 2");
    let (client, token) = (server.client(), server.token());
    let ids: Vec<String> = (0..3)
        .map(|_| client.ask_with(probe(""), &[("authorization", &token)]).unwrap().decision_id)
        .collect();
    assert_eq!(server.metric("palisade_decisions_open"), Some(2.0));
    check(client.report(&ids[0], &token), Code::NotFound, &["awaits an outcome"]);
    client.report(&ids[1], &token).unwrap();
    client.report(&ids[2], &token).unwrap();
    assert_eq!(place.records_of("outcome").len(), 2);
    assert_eq!(server.metric("palisade_decisions_open"), Some(0.0));
}

#[test]
fn a_stream_answers_a_request_over_a_limit_with_an_error_and_goes_on() {
    let (_place, server) = limited("context_depth_max: 2");
    let client = server.client();
    let deep = probe_with([("deep".to_owned(), nested(3))]);
    let steps: Vec<_> = [deep, probe("good")]
        .into_iter()
        .map(|request| v1::AuthorizeStreamRequest { request: Some(request) })
        .collect();
    let (refused, answered) = client.runtime().block_on(async {
        let mut grpc = v1::authorization_client::AuthorizationClient::new(channel(server.grpc));
        let mut answers = grpc.authorize_stream(tokio_stream::iter(steps)).await.unwrap().into_inner();
        let refused = answers.message().await.unwrap().unwrap().result.unwrap();
        let answered = answers.message().await.unwrap().unwrap().result.unwrap();
        assert!(answers.message().await.unwrap().is_none());
        (refused, answered)
    });
    match (refused, answered) {
        (Error(error), Response(answer)) => {
            assert_eq!(Code::from(error.code), Code::InvalidArgument);
            assert!(error.message.contains("context_depth_max"), "{error:?}");
            assert!(is_permit(&answer));
        }
        other => panic!("{other:?}"),
    }
}
