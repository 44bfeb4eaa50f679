//! The service as a client sees it: answers, batches, streams, health, reflection, traces.

use std::collections::BTreeSet;

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_stream_response::Result as Item;
use palisade::server::clock::now;
use tokio::task::JoinSet;
use tokio_stream::{StreamExt as _, iter};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::asks::{access, by, delete, lookup, mcp, message, named, streamed};
use crate::pdp::{TestPdp, shipped};

const SERVICE: &str = "palisade.v1.Authorization";

#[tokio::test]
async fn an_answer_names_everything_that_decided() {
    let pdp = TestPdp::start().await;
    let answer = pdp.client().await.authorize(named("r-7", lookup())).await.unwrap().into_inner();
    assert_eq!(answer.request_id, "r-7");
    assert_eq!((answer.decision(), answer.reason()), (v1::Decision::Permit, v1::DenyReason::Unspecified));
    assert_eq!(answer.revision, *shipped().revision().0);
    let id = uuid::Uuid::parse_str(&answer.decision_id).unwrap();
    assert_eq!(id.get_version_num(), 7);
    let policies: Vec<_> = answer.determining.iter().map(|p| (p.id.as_str(), p.effect(), p.half())).collect();
    let (permit, actor, principal) = (v1::Effect::Permit, v1::Half::Actor, v1::Half::Principal);
    assert_eq!(policies, [("support/bots", permit, actor), ("support/crm", permit, principal)]);
    assert_eq!(answer.determining[0].annotations["control"], "OWASP-ASI03,NIST-AC-6");
    assert!(answer.arguments_digest.starts_with("hmac-sha256:"), "{}", answer.arguments_digest);
    assert_eq!(answer.resource.unwrap().id, "crm/lookup_customer");
    assert!(answer.explanation.is_empty() && answer.errors.is_empty());
    assert_eq!(pdp.ledger.last()["decision"], answer.decision_id.as_str());
}

#[tokio::test]
async fn a_deny_is_an_answer() {
    let pdp = TestPdp::start().await;
    let answer = pdp.client().await.authorize(delete()).await.unwrap().into_inner();
    assert_eq!((answer.decision(), answer.reason()), (v1::Decision::Deny, v1::DenyReason::Forbidden));
    assert_eq!(answer.reason_text, "this tool changes things for good: a person must approve the call");
    assert_eq!(answer.determining.len(), 2, "once for each half");
}

#[tokio::test]
async fn a_batch_is_answered_in_order_on_one_revision() {
    let pdp = TestPdp::start().await;
    let asked = (0..256).map(|at| named(at, if at % 3 == 0 { delete() } else { lookup() }));
    let batch = v1::AuthorizeBatchRequest { requests: asked.collect() };
    let answers = pdp.client().await.authorize_batch(batch).await.unwrap().into_inner().responses;
    assert_eq!(answers.len(), 256);
    for (at, answer) in answers.iter().enumerate() {
        let wanted = if at % 3 == 0 { v1::Decision::Deny } else { v1::Decision::Permit };
        assert_eq!((&answer.request_id, answer.decision()), (&at.to_string(), wanted));
        assert_eq!(answer.revision, answers[0].revision);
    }
    let ids: BTreeSet<&String> = answers.iter().map(|answer| &answer.decision_id).collect();
    assert_eq!(ids.len(), 256, "each decision has an id of its own");
    assert_eq!(pdp.ledger.records().len(), 256);
}

/// On a runtime of one thread: who is not let in between sees no record of the batch, or all of them.
#[tokio::test]
async fn a_batch_lets_others_in_between_its_items() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let batch = v1::AuthorizeBatchRequest { requests: vec![lookup(); 64] };
    let answers = tokio::spawn(async move { client.authorize_batch(batch).await });
    let mut seen = BTreeSet::new();
    while !answers.is_finished() {
        seen.insert(pdp.ledger.records().len());
        tokio::task::yield_now().await;
    }
    assert_eq!(answers.await.unwrap().unwrap().into_inner().responses.len(), 64);
    assert!(seen.iter().any(|records| (1..64).contains(records)), "{seen:?}");
}

#[tokio::test]
async fn a_batch_over_the_limit_is_refused_by_the_name_of_the_limit() {
    let pdp = TestPdp::builder().gateway().limits(|limits| limits.batch_len_max = 3).start().await;
    let batch = |len| v1::AuthorizeBatchRequest { requests: vec![lookup(); len] };
    let mut client = pdp.client().await;
    assert_eq!(client.authorize_batch(batch(3)).await.unwrap().into_inner().responses.len(), 3);
    let refused = client.authorize_batch(batch(4)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for word in ["batch_len_max", "4", "3"] {
        assert!(refused.message().contains(word), "{refused}");
    }
    assert_eq!(pdp.ledger.records().len(), 3, "nothing of the refused batch was decided");
    assert!(client.authorize_batch(batch(0)).await.unwrap().into_inner().responses.is_empty());
}

#[tokio::test]
async fn one_request_that_cannot_be_answered_fails_the_whole_batch() {
    let pdp = TestPdp::start().await;
    let requests = vec![lookup(), v1::AuthorizeRequest::default(), lookup()];
    let refused =
        pdp.client().await.authorize_batch(v1::AuthorizeBatchRequest { requests }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("question"), "{refused}");
    assert_eq!(pdp.ledger.records().len(), 0, "none of them was decided");
}

#[tokio::test]
async fn a_stream_answers_many_requests_in_flight_each_under_its_id() {
    let pdp = TestPdp::start().await;
    let asked = (0..1000).map(|at| streamed(named(at, if at % 2 == 0 { lookup() } else { delete() })));
    let requests = iter(asked.collect::<Vec<_>>());
    let mut answers = pdp.client().await.authorize_stream(requests).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        let Some(Item::Response(answer)) = answer.result else { panic!("{answer:?}") };
        let wanted = if count % 2 == 0 { v1::Decision::Permit } else { v1::Decision::Deny };
        assert_eq!((&answer.request_id, answer.decision()), (&count.to_string(), wanted));
        count += 1;
    }
    assert_eq!((count, pdp.ledger.records().len()), (1000, 1000));
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_does_not_end_the_stream() {
    let pdp = TestPdp::start().await;
    let mut too_long = named("c", lookup());
    too_long.intent = "x".repeat(1025);
    let requests = iter([
        streamed(named("a", lookup())),
        streamed(named("b", v1::AuthorizeRequest::default())),
        streamed(too_long),
        v1::AuthorizeStreamRequest { request: None },
        streamed(v1::AuthorizeRequest { explain: true, ..named("e", lookup()) }),
        streamed(named("f", lookup())),
    ]);
    let answers = pdp.client().await.authorize_stream(requests).await.unwrap().into_inner();
    let items: Vec<_> = answers.map(|item| item.unwrap().result.unwrap()).collect().await;
    let said: Vec<(&str, Code)> = items
        .iter()
        .map(|item| match item {
            Item::Response(answer) => (answer.request_id.as_str(), Code::Ok),
            Item::Error(error) => (error.request_id.as_str(), Code::from(error.code)),
        })
        .collect();
    let (bad, no) = (Code::InvalidArgument, Code::PermissionDenied);
    assert_eq!(said, [("a", Code::Ok), ("b", bad), ("c", bad), ("", bad), ("e", no), ("f", Code::Ok)]);
    let Item::Error(error) = &items[2] else { panic!("{:?}", items[2]) };
    assert!(error.message.contains("intent"), "{}", error.message);
    let decided = pdp.ledger.records().iter().filter(|record| record["type"] == "decided").count();
    assert_eq!(decided, 2);
}

#[tokio::test]
async fn calls_at_once_on_one_connection_do_not_disturb_each_other() {
    let pdp = TestPdp::start().await;
    let client = pdp.client().await;
    let mut calls = JoinSet::new();
    for at in 0..300 {
        let mut client = client.clone();
        let request = named(at, if at % 2 == 0 { lookup() } else { delete() });
        calls.spawn(async move { (at, client.authorize(request).await.unwrap().into_inner()) });
    }
    let mut count = 0;
    while let Some(call) = calls.join_next().await {
        let (at, answer) = call.unwrap();
        let wanted = if at % 2 == 0 { v1::Decision::Permit } else { v1::Decision::Deny };
        assert_eq!((answer.request_id.clone(), answer.decision()), (at.to_string(), wanted));
        count += 1;
    }
    assert_eq!(count, 300);
}

#[tokio::test]
async fn the_trace_of_the_caller_stands_in_the_record() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let traced = |request: v1::AuthorizeRequest, parent: &'static str| {
        let mut request = tonic::Request::new(request);
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
        request
    };
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    client.authorize(traced(lookup(), parent)).await.unwrap();
    assert_eq!(pdp.ledger.last()["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    client.authorize(traced(lookup(), "00-nonsense-01")).await.unwrap();
    assert!(pdp.ledger.last().get("trace_id").is_none());
    client.authorize(lookup()).await.unwrap();
    assert!(pdp.ledger.last().get("trace_id").is_none());

    let mut batch = tonic::Request::new(v1::AuthorizeBatchRequest { requests: vec![lookup(), delete()] });
    batch.metadata_mut().insert("traceparent", parent.parse().unwrap());
    client.authorize_batch(batch).await.unwrap();
    let records = pdp.ledger.records();
    assert!(records[3..].iter().all(|record| record["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[tokio::test]
async fn the_record_bears_the_instant_of_the_decision() {
    let fixed = TestPdp::start().await;
    fixed.client().await.authorize(lookup()).await.unwrap();
    assert_eq!(fixed.ledger.last()["time"], "2026-11-21T10:00:00.000Z");

    let real = TestPdp::builder().gateway().real_clock().start().await;
    let before = now().to_string();
    real.client().await.authorize(lookup()).await.unwrap();
    let (record, after) = (real.ledger.last(), now().to_string());
    let time = record["time"].as_str().unwrap();
    assert!(before.as_str() <= time && time <= after.as_str(), "{before} {time} {after}");
}

#[tokio::test]
async fn a_request_in_terms_of_the_schema_is_answered_too() {
    let pdp = TestPdp::start().await;
    let asked = access("Action::\"tools/list\"", "Server::\"crm\"");
    let asked = by("Human::\"ana\"", Some("Agent::\"support-bot\""), asked);
    let answer = pdp.client().await.authorize(asked).await.unwrap().into_inner();
    assert_eq!(answer.decision(), v1::Decision::Permit);
    assert_eq!(answer.arguments_digest, "");
    assert_eq!(pdp.ledger.last()["resource"]["id"], "crm");
}

#[tokio::test]
async fn the_answer_gives_the_resource_in_its_canonical_form() {
    let pdp = TestPdp::start().await;
    let params = serde_json::json!({ "uri": "DEMO://resource/static/document/%61.md" });
    let asked = by("Human::\"bo\"", Some("Agent::\"coder\""), mcp("everything", "resources/read", &params));
    let answer = pdp.client().await.authorize(asked).await.unwrap().into_inner();
    assert_eq!(answer.resource.unwrap().id, "everything/demo://resource/static/document/a.md");
}

#[tokio::test]
async fn the_digest_is_of_the_arguments_bytes_and_of_nothing_else() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let mut digests = Vec::new();
    for params in [
        r#"{"name": "lookup_customer", "arguments": {"customer_id": "c-1"}}"#,
        r#"{"arguments": {"customer_id": "c-1"}, "_meta": {"x": 1}, "name": "lookup_customer"}"#,
        r#"{"name": "lookup_customer", "arguments": {"customer_id":"c-1"}}"#,
        r#"{"name": "lookup_customer", "arguments": {"customer_id": "c-2"}}"#,
    ] {
        let mut asked = lookup();
        message(&mut asked).params = params.into();
        digests.push(client.authorize(asked).await.unwrap().into_inner().arguments_digest);
    }
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
    assert_ne!(digests[0], digests[3]);
}

#[tokio::test]
async fn health_tells_who_is_served_and_when_it_ends() {
    let pdp = TestPdp::start().await;
    let mut health = HealthClient::new(pdp.channel().await);
    let asked = |service: &str| HealthCheckRequest { service: service.into() };
    for service in ["", SERVICE] {
        let answer = health.check(asked(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    assert_eq!(health.check(asked("nobody")).await.unwrap_err().code(), Code::NotFound);
    let mut watch = health.watch(asked(SERVICE)).await.unwrap().into_inner();
    let status = |answer: Option<HealthCheckResponse>| answer.unwrap().status();
    assert_eq!(status(watch.message().await.unwrap()), ServingStatus::Serving);
    pdp.stop();
    assert_eq!(status(watch.message().await.unwrap()), ServingStatus::NotServing);
}

#[tokio::test]
async fn reflection_lists_the_services_and_describes_ours() {
    let pdp = TestPdp::start().await;
    let mut reflection = ServerReflectionClient::new(pdp.channel().await);
    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(SERVICE.into())),
        ask(MessageRequest::FileContainingSymbol("palisade.v1.Nothing".into())),
    ];
    let answers = reflection.server_reflection_info(iter(asked)).await.unwrap().into_inner();
    let answers: Vec<Result<ServerReflectionResponse, _>> = answers.collect().await;
    let message = |at: usize| answers[at].as_ref().unwrap().message_response.as_ref().unwrap();
    let MessageResponse::ListServicesResponse(services) = message(0) else { panic!("{:?}", message(0)) };
    let names: BTreeSet<&str> = services.service.iter().map(|service| service.name.as_str()).collect();
    for name in [SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
        assert!(names.contains(name), "{names:?}");
    }
    let MessageResponse::FileDescriptorResponse(file) = message(1) else { panic!("{:?}", message(1)) };
    assert!(!file.file_descriptor_proto.is_empty());
    let unknown = match &answers[2] {
        Ok(answer) => matches!(answer.message_response, Some(MessageResponse::ErrorResponse(_))),
        Err(status) => status.code() == Code::NotFound,
    };
    assert!(unknown, "{:?}", answers[2]);
}
