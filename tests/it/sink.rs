//! No record, no answer: what callers see while records cannot be written, and when they can be again.

use palisade::api::proto::v1;
use palisade::api::proto::v1::authorize_stream_response::Result as Item;
use palisade::pdp::Error;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::asks::{delete, lookup, named, streamed};
use crate::cases;
use crate::pdp::TestPdp;

#[tokio::test]
async fn without_a_record_there_is_neither_a_permit_nor_a_deny() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    pdp.ledger.set_room(0);
    for request in [lookup(), delete(), v1::AuthorizeRequest { subject: None, ..lookup() }] {
        let refused = client.authorize(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(refused.message().contains("recorded"), "{refused}");
        assert!(!refused.message().contains("memory"), "it tells the caller where records go: {refused}");
    }
    assert_eq!(pdp.ledger.records().len(), 0);
    pdp.ledger.set_room(usize::MAX);
    assert_eq!(client.authorize(lookup()).await.unwrap().into_inner().decision(), v1::Decision::Permit);
    assert_eq!(pdp.ledger.records().len(), 1);
}

#[tokio::test]
async fn a_batch_of_which_one_record_is_missing_has_no_answer() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let batch = || v1::AuthorizeBatchRequest { requests: vec![lookup(), delete(), lookup()] };
    pdp.ledger.set_room(2);
    assert_eq!(client.authorize_batch(batch()).await.unwrap_err().code(), Code::Unavailable);
    pdp.ledger.set_room(3);
    assert_eq!(client.authorize_batch(batch()).await.unwrap().into_inner().responses.len(), 3);
}

#[tokio::test]
async fn a_stream_goes_on_when_records_can_be_written_again() {
    let pdp = TestPdp::start().await;
    let (requests, receiver) = mpsc::channel(1);
    let first = streamed(named("a", lookup()));
    requests.send(first).await.unwrap();
    let mut client = pdp.client().await;
    let mut answers = client.authorize_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let mut said = Vec::new();
    for (next, room) in [(Some("b"), 0), (Some("c"), usize::MAX), (None, 0)] {
        match answers.message().await.unwrap().unwrap().result.unwrap() {
            Item::Response(answer) => said.push((answer.request_id, Code::Ok)),
            Item::Error(error) => said.push((error.request_id, Code::from(error.code))),
        }
        pdp.ledger.set_room(room);
        if let Some(id) = next {
            requests.send(streamed(named(id, lookup()))).await.unwrap();
        }
    }
    let wanted = [("a", Code::Ok), ("b", Code::Unavailable), ("c", Code::Ok)];
    assert_eq!(said, wanted.map(|(id, code)| (id.to_owned(), code)));
    drop(requests);
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn an_outcome_that_was_not_recorded_may_be_reported_again() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    let decision_id = client.authorize(lookup()).await.unwrap().into_inner().decision_id;
    let status = v1::OutcomeStatus::Succeeded.into();
    let outcome = v1::ReportOutcomeRequest { decision_id, status, ..v1::ReportOutcomeRequest::default() };
    pdp.ledger.set_room(0);
    assert_eq!(client.report_outcome(outcome.clone()).await.unwrap_err().code(), Code::Unavailable);
    pdp.ledger.set_room(usize::MAX);
    client.report_outcome(outcome).await.unwrap();
    assert_eq!(pdp.ledger.last()["type"], "outcome");
}

#[tokio::test]
async fn the_embedded_pdp_gives_no_answer_without_a_record_either() {
    let pdp = TestPdp::start().await;
    let request = cases::all()[0].cases[0].request();
    assert!(pdp.embedded(&request).is_ok());
    pdp.ledger.set_room(0);
    assert!(matches!(pdp.embedded(&request), Err(Error::AuditUnavailable(_))));
}
