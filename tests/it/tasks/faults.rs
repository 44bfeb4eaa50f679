//! Tokens of tasks that do not count: each fault with its own reason.
//! Never a step that passes.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::api::proto::v1::credentials::Proof;
use palisade::task::{For, Lent, TaskId, sign};
use serde_json::{Value as Json, json};

use super::{Desk, Held, KEY, PART_KEY, PERMITTED, refund, refund_task, subject, under, wanted};
use crate::pdp::own_issuer;

/// The credentials of a step under a task, changed.
fn shown(task: &Held, change: impl FnOnce(&mut v1::Credentials)) -> v1::AuthorizeRequest {
    let mut step = under(task, refund(1));
    change(step.credentials.as_mut().unwrap());
    step
}

async fn denied(desk: &Desk, step: v1::AuthorizeRequest, reason: DenyReason, words: &str) {
    let (found, text) = desk.told(step).await;
    assert_eq!(found, reason, "{text}");
    assert!(text.contains(words), "{text}");
}

#[tokio::test]
async fn a_step_needs_the_proof_of_the_tasks_own_key() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let without = shown(&task, |credentials| credentials.proof = None);
    denied(&desk, without, DenyReason::BindingMissing, "no proof of it").await;
    assert_eq!(desk.pdp.ledger.last()["task"], task.id.as_str(), "whose token it was is on record");
    let another = shown(&task, |credentials| credentials.proof = Some(Proof::KeyThumbprint(PART_KEY.into())));
    denied(&desk, another, DenyReason::Unauthenticated, "the proof").await;
    let certificate =
        shown(&task, |credentials| credentials.proof = Some(Proof::CertificateSha256(KEY.into())));
    denied(&desk, certificate, DenyReason::BindingMissing, "no proof of it").await;
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
}

#[tokio::test]
async fn an_expired_task_is_over_to_the_second() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    desk.pdp.clock().advance_s(599);
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    desk.pdp.clock().advance_s(1);
    denied(&desk, under(&task, refund(1)), DenyReason::TaskExpired, "has expired").await;
    assert_eq!(desk.get(&task.id).await.state(), v1::TaskState::Expired);
    desk.pdp.clock().advance_s(3600);
    denied(&desk, under(&task, refund(1)), DenyReason::TaskExpired, "has expired").await;
}

#[tokio::test]
async fn a_revoked_task_is_denied_at_once_with_the_same_token() {
    let desk = Desk::open().await;
    let (task, other) = (desk.refunds().await, desk.refunds().await);
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    let revoked = desk.revoke(v1::target::Target::Task(task.id.clone())).await;
    assert_eq!(revoked.tasks, 1);
    denied(&desk, under(&task, refund(1)), DenyReason::TaskRevoked, "was revoked").await;
    assert_eq!(desk.step(&other, refund(1)).await, PERMITTED);
}

#[tokio::test]
async fn a_token_that_was_changed_in_any_part_is_no_token() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let parts: Vec<&str> = task.token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    let read = |part: &str| -> Json {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let write = |json: &Json| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let mut wider = read(claims);
    wider["task"]["scope"]["bounds"] = json!([]);
    let mut longer = read(claims);
    longer["exp"] = (longer["exp"].as_i64().unwrap() + 3600).into();
    let mut free = read(claims);
    free.as_object_mut().unwrap().remove("cnf");
    let mut unsigned = read(header);
    unsigned["alg"] = "none".into();
    for token in [
        format!("{header}.{}.{signature}", write(&wider)),
        format!("{header}.{}.{signature}", write(&longer)),
        format!("{header}.{}.{signature}", write(&free)),
        format!("{}.{claims}.{signature}", write(&unsigned)),
        format!("{}.{claims}.", write(&unsigned)),
        format!("{header}.{claims}.{}", signature.chars().rev().collect::<String>()),
        format!("{header}.{claims}"),
        format!("{}x", task.token),
        "no token".to_owned(),
    ] {
        let forged = Held { token, ..task.clone() };
        denied(&desk, under(&forged, refund(1)), DenyReason::Unauthenticated, "token").await;
    }
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
}

#[tokio::test]
async fn a_token_of_another_issuer_or_of_no_known_task_is_refused() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    let tasks = desk.pdp.life().tasks().clone();
    let lent = tasks.find(task.id.parse().unwrap()).unwrap().lent();
    let held = |token: String| Held { token, ..task.clone() };
    assert_eq!(desk.step(&held(sign(&lent, For::Us, &tasks.issuer()).unwrap()), refund(1)).await, PERMITTED);

    let stranger = held(sign(&lent, For::Us, &own_issuer()).unwrap());
    denied(&desk, under(&stranger, refund(1)), DenyReason::Unauthenticated, "the task's token").await;
    let mut unknown = Lent::clone(&lent);
    unknown.grant.id = TaskId(7);
    let unknown = held(sign(&unknown, For::Us, &tasks.issuer()).unwrap());
    denied(&desk, under(&unknown, refund(1)), DenyReason::TaskRevoked, "not open here").await;
}

#[tokio::test]
async fn a_tasks_token_comes_alone_and_for_its_own_parties() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    for beside in [
        shown(&task, |credentials| credentials.subject_token = "a.b.c".into()),
        shown(&task, |credentials| credentials.actor_token = "a.b.c".into()),
    ] {
        denied(&desk, beside, DenyReason::Unauthenticated, "send it alone").await;
    }
    for (principal, actor) in
        [("Human::\"lea\"", "Agent::\"support-bot\""), ("Human::\"ana\"", "Agent::\"lead-bot\"")]
    {
        let step = v1::AuthorizeRequest { subject: subject(principal, actor), ..under(&task, refund(1)) };
        denied(&desk, step, DenyReason::Unauthenticated, "is another than").await;
    }
    let same = subject("Human::\"ana\"", "Agent::\"support-bot\"");
    assert_eq!(
        desk.told(v1::AuthorizeRequest { subject: same, ..under(&task, refund(1)) }).await.0,
        PERMITTED
    );
}

#[tokio::test]
async fn a_bearer_task_is_used_without_a_proof_only_where_that_is_configured() {
    let rules = palisade::task::Rules { bearer: true, ..crate::pdp::task_rules() };
    let mut files = crate::pdp::shipped_files();
    files.retain(|file| *file.path != *"policies/guard/tasks.cedar");
    let builder = crate::pdp::TestPdp::builder().tasks(rules).snapshot(crate::pdp::snapshot(&files));
    let desk = Desk::of(builder).await;
    let wanted = v1::Wanted { key_thumbprint: String::new(), ..wanted() };
    let task = desk.lent(v1::StartRequest { wanted: Some(wanted), ..refund_task() }).await;
    let bearer = shown(&task, |credentials| credentials.proof = None);
    assert_eq!(desk.told(bearer).await.0, PERMITTED);
    assert_eq!(desk.records("task")[0]["key"], "none", "as every record says");
    let bound = desk.refunds().await;
    let without = shown(&bound, |credentials| credentials.proof = None);
    denied(&desk, without, DenyReason::BindingMissing, "no proof").await;
}
