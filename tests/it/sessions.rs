//! Sessions over gRPC: bound by their first use, and over when they are ended.

use palisade::api::proto::v1;
use palisade::identity::Caller;
use tonic::Code;

use crate::asks::{by, lookup};
use crate::pdp::{TOKEN, TestPdp, gateway};

const ANA: &str = "Human::\"ana\"";
const BOT: Option<&str> = Some("Agent::\"support-bot\"");

fn within(session: &str, request: v1::AuthorizeRequest) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest { session: session.into(), ..request }
}

async fn ask(pdp: &TestPdp, request: v1::AuthorizeRequest) -> (v1::Decision, v1::DenyReason, String) {
    let answer = pdp.client().await.authorize(request).await.unwrap().into_inner();
    (answer.decision(), answer.reason(), answer.reason_text)
}

#[tokio::test]
async fn a_session_belongs_to_who_used_it_first() {
    let pdp = TestPdp::start().await;
    let permitted = (v1::Decision::Permit, v1::DenyReason::Unspecified, String::new());
    for _ in 0..2 {
        assert_eq!(ask(&pdp, within("s-1", by(ANA, BOT, lookup()))).await, permitted);
    }
    for (principal, actor) in [(ANA, Some("Agent::\"lead-bot\"")), ("Human::\"bo\"", BOT), (ANA, None)] {
        let (decision, reason, text) = ask(&pdp, within("s-1", by(principal, actor, lookup()))).await;
        assert_eq!((decision, reason), (v1::Decision::Deny, v1::DenyReason::SessionMismatch), "{text}");
        assert!(text.contains("another party"), "{text}");
        assert_eq!(pdp.ledger.last()["reason"], "SessionMismatch");
    }
    assert_eq!(ask(&pdp, within("s-2", by(ANA, BOT, lookup()))).await, permitted, "another session");
    assert_eq!(ask(&pdp, within("s-1", by(ANA, BOT, lookup()))).await, permitted, "the first goes on");
}

#[tokio::test]
async fn a_session_of_one_caller_is_nothing_to_another() {
    let other = Caller { name: "other".into(), ..gateway() };
    let pdp = TestPdp::builder().caller(TOKEN, gateway()).caller("t-other", other).start().await;
    assert_eq!(ask(&pdp, within("s", by(ANA, BOT, lookup()))).await.0, v1::Decision::Permit);
    let mut client = pdp.client_of(Some("t-other")).await;
    let request = within("s", by(ANA, Some("Agent::\"lead-bot\""), lookup()));
    let answer = client.authorize(request).await.unwrap().into_inner();
    assert_ne!(answer.reason(), v1::DenyReason::SessionMismatch, "{}", answer.reason_text);
    assert!(
        !client.end_session(v1::EndSessionRequest { session: "x".into() }).await.unwrap().get_ref().was_open
    );
}

#[tokio::test]
async fn an_ended_session_is_over_for_everybody() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.client().await;
    assert_eq!(ask(&pdp, within("s", by(ANA, BOT, lookup()))).await.0, v1::Decision::Permit);
    let end = || v1::EndSessionRequest { session: "s".into() };
    assert!(client.end_session(end()).await.unwrap().get_ref().was_open);
    let record = pdp.ledger.last();
    assert_eq!(
        (&record["type"], &record["call"], &record["session"]),
        (&"admin".into(), &"end_session".into(), &"s".into())
    );
    assert!(!client.end_session(end()).await.unwrap().get_ref().was_open, "once");
    let (_, reason, text) = ask(&pdp, within("s", by(ANA, BOT, lookup()))).await;
    assert_eq!(reason, v1::DenyReason::SessionMismatch);
    assert!(text.contains("has ended"), "{text}");

    for session in [String::new(), "x".repeat(257)] {
        let refused = client.end_session(v1::EndSessionRequest { session }).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_session_goes_on_when_its_end_cannot_be_recorded() {
    let pdp = TestPdp::start().await;
    assert_eq!(ask(&pdp, within("s", by(ANA, BOT, lookup()))).await.0, v1::Decision::Permit);
    pdp.ledger.set_room(0);
    let end = v1::EndSessionRequest { session: "s".into() };
    assert_eq!(pdp.client().await.end_session(end).await.unwrap_err().code(), Code::Unavailable);
    pdp.ledger.set_room(10);
    assert_eq!(ask(&pdp, within("s", by(ANA, BOT, lookup()))).await.0, v1::Decision::Permit);
}
