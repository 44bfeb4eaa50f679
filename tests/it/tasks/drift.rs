//! Policy drift: tasks that would not be granted under the bundle of today.
//! Never more of them, and never fewer.

use std::sync::Arc;
use std::time::Duration;

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::diagnostic::File;
use palisade::lifecycle::DriftRules;
use palisade::policy::Snapshot;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Code;

use super::watches::Watching;
use super::{
    Desk, Held, PERMITTED, a_part, call, names, refund, refund_task, scoped, subject, under, wanted,
    without_support_tasks,
};
use crate::asks::uid;
use crate::pdp::{NOW, shipped, shipped_files, snapshot};

/// An engineer's task for a coder, and a step under it.
fn code_task() -> v1::StartRequest {
    v1::StartRequest {
        subject: subject("Human::\"bo\"", "Agent::\"coder\""),
        purpose: Some(uid("Purpose::\"development\"")),
        ..scoped(v1::Scope { servers: names(["git"]), ..v1::Scope::default() })
    }
}

fn log() -> v1::AuthorizeRequest {
    call("git/git_log", &json!({ "repo_path": "/srv/repo" }))
}

#[tokio::test]
async fn the_very_next_step_of_a_task_that_would_not_start_today_is_denied_and_others_go_on() {
    let desk = Desk::open().await;
    let (task, code) = (desk.refunds().await, desk.lent(code_task()).await);
    assert_eq!((desk.step(&task, refund(1)).await, desk.step(&code, log()).await), (PERMITTED, PERMITTED));
    desk.pdp.pdp.publish(without_support_tasks());
    let (reason, words) = desk.told(under(&task, refund(1))).await;
    assert_eq!(reason, DenyReason::PolicyDrift, "{words}");
    assert_eq!(desk.step(&code, log()).await, PERMITTED);
    assert_eq!(desk.told(super::said(refund(1))).await.0, PERMITTED, "the step itself is not forbidden");
    assert_eq!(desk.refused(refund_task()).await.0, DenyReason::Forbidden);
    let part = desk.tasks.clone().delegate(super::delegate(&task, a_part())).await.unwrap().into_inner();
    assert_eq!(part.decision.unwrap().reason(), DenyReason::PolicyDrift);
    assert_eq!(desk.get(&task.id).await.state(), v1::TaskState::Open, "denied, not revoked");

    desk.pdp.pdp.publish(shipped());
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    assert_eq!(desk.moves(), ["started", "started"]);
}

#[tokio::test]
async fn a_part_drifts_with_the_whole_and_a_drifted_task_can_be_ended() {
    let desk = Desk::open().await;
    let whole = desk.refunds().await;
    let part = desk.part(&whole, a_part()).await;
    // Forbids to start, and not to hand on.
    let starts = r#"@id("test/starts") forbid (principal, action == Action::"tasks/start", resource);"#;
    desk.pdp.pdp.publish(with(starts));
    assert_eq!(desk.step(&whole, refund(1)).await, DenyReason::PolicyDrift);
    assert_eq!(desk.step(&part, refund(1)).await, DenyReason::PolicyDrift);
    assert!(desk.end(&whole, v1::Ending::Cancelled).await.unwrap().was_open);
    desk.pdp.pdp.publish(shipped());
    assert_eq!(desk.step(&part, refund(1)).await, DenyReason::TaskRevoked);
}

#[tokio::test]
async fn a_task_is_decided_again_with_the_facts_of_its_start() {
    let desk = Desk::open().await;
    let long = v1::Wanted { ttl_s: 7200, calls_max: 100, ..wanted() };
    let long = desk.lent(v1::StartRequest { wanted: Some(long), ..refund_task() }).await;
    let short = desk.refunds().await;
    desk.pdp.clock().advance_s(300);
    let brief = r#"@id("test/brief") forbid (principal, action in Action::"lend", resource)
                   when { duration("1h") < context.wanted.ttl || 50 < context.wanted.calls };"#;
    desk.pdp.pdp.publish(with(brief));
    assert_eq!(desk.step(&long, refund(1)).await, DenyReason::PolicyDrift);
    assert_eq!(desk.step(&short, refund(1)).await, PERMITTED);
    // The instant of the start, not that of the step.
    let closed = r#"@id("test/closed") forbid (principal, action in Action::"lend", resource)
                    when { datetime("2026-11-21T10:04:00Z") < context.now };"#;
    desk.pdp.pdp.publish(with(closed));
    assert_eq!(desk.step(&short, refund(1)).await, PERMITTED);
    assert_eq!(desk.refused(refund_task()).await.0, DenyReason::Forbidden);
}

fn with(policy: &str) -> Arc<Snapshot> {
    let mut files = shipped_files();
    files.push(File::new("policies/drift.cedar", policy));
    snapshot(&files)
}

/// Somebody who looks at the open tasks after each publication.
struct Tending {
    published: watch::Sender<u64>,
    _stop: DropGuard,
}

fn tend(desk: &Desk, grace: Duration) -> Tending {
    let (published, receiver) = watch::channel(0);
    let stop = CancellationToken::new();
    let (life, child) = (desk.pdp.life().clone(), stop.child_token());
    let rules = DriftRules { grace, share_max: 1.0 };
    tokio::spawn(async move { life.tend_drift(rules, receiver, || NOW, child).await });
    Tending { published, _stop: stop.drop_guard() }
}

impl Tending {
    fn publish(&self, desk: &Desk, snapshot: Arc<Snapshot>) {
        desk.pdp.pdp.publish(snapshot);
        self.published.send_modify(|count| *count += 1);
    }
}

#[tokio::test]
async fn a_publication_revokes_exactly_the_tasks_that_drifted_and_a_watch_tells() {
    let desk = Desk::open().await;
    let mut watching = Watching::new(&desk.tasks).await;
    let tending = tend(&desk, Duration::from_millis(1));
    assert_eq!(watching.next().await, format!("published {}", shipped().revision()));
    let (task, code) = (desk.refunds().await, desk.lent(code_task()).await);
    let part = desk.part(&task, a_part()).await;
    watching.some(3).await;

    tending.publish(&desk, without_support_tasks());
    assert_eq!(watching.next().await, format!("published {}", without_support_tasks().revision()));
    let mut ended = watching.some(2).await;
    ended.sort();
    let mut expected = [&task, &part].map(|task: &Held| format!("ended {} revoked drift", task.id));
    expected.sort();
    assert_eq!(ended, expected);
    assert_eq!(desk.step(&code, log()).await, PERMITTED);

    tending.publish(&desk, shipped());
    assert_eq!(watching.next().await, format!("published {}", shipped().revision()));
    for task in [&task, &part] {
        assert_eq!(desk.step(task, refund(1)).await, DenyReason::TaskRevoked, "revoked it stays");
    }
    assert_eq!(desk.step(&code, log()).await, PERMITTED);
    let drifted: Vec<_> =
        desk.records("task").into_iter().filter(|record| record["move"] == "drifted").collect();
    assert_eq!(drifted.len(), 2);
    assert!(drifted.iter().all(|record| record["reason"] == "drift" && record["state"] == "revoked"));
}

#[tokio::test]
async fn within_the_grace_another_bundle_saves_the_tasks() {
    let desk = Desk::open().await;
    let mut watching = Watching::new(&desk.tasks).await;
    let tending = tend(&desk, Duration::from_secs(1));
    let task = desk.refunds().await;
    watching.some(2).await;
    tending.publish(&desk, without_support_tasks());
    assert!(watching.next().await.starts_with("published"));
    // The next one is looked at after the grace of the first.
    tending.publish(&desk, shipped());
    assert_eq!(watching.next().await, format!("published {}", shipped().revision()));
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    assert_eq!(desk.moves(), ["started"]);
}

fn bundle(snapshot_files: &[File]) -> v1::PreviewDriftRequest {
    let file = |file: &File| v1::BundleFile { path: file.path.to_string(), text: file.text.to_string() };
    v1::PreviewDriftRequest { files: snapshot_files.iter().map(file).collect() }
}

#[tokio::test]
async fn a_preview_names_the_tasks_that_a_bundle_would_end_and_ends_none() {
    let desk = Desk::open().await;
    let (task, code) = (desk.refunds().await, desk.lent(code_task()).await);
    let part = desk.part(&task, a_part()).await;
    let mut admin = desk.pdp.admin_of("t-operator").await;
    let mut files = shipped_files();
    let frozen = r#"@id("test/frozen") @reason("support lends nothing")
                    forbid (principal in Team::"support", action in Action::"lend", resource);"#;
    files.push(File::new("policies/frozen.cedar", frozen));
    let answer = admin.preview_drift(bundle(&files)).await.unwrap().into_inner();
    assert_eq!((answer.open, answer.drifting_count), (3, 2));
    assert!(answer.needs_confirmation, "two of three are more than half");
    assert_eq!(answer.revision, snapshot(&files).revision().to_string());
    let mut named: Vec<&str> = answer.drifting.iter().map(|drifting| drifting.task.as_str()).collect();
    named.sort_unstable();
    let mut expected = [task.id.as_str(), part.id.as_str()];
    expected.sort_unstable();
    assert_eq!(named, expected);
    for drifting in &answer.drifting {
        assert_eq!(drifting.reason(), DenyReason::Forbidden);
        assert_eq!(drifting.reason_text, "support lends nothing");
        assert!(drifting.determining.iter().all(|policy| policy.id == "test/frozen"));
        assert_eq!(drifting.purpose, Some(uid("Purpose::\"refund\"")));
        assert_eq!(drifting.subject.clone().unwrap().principal, Some(uid("Human::\"ana\"")));
    }
    assert_eq!(desk.step(&task, refund(1)).await, PERMITTED);
    assert_eq!(desk.step(&code, log()).await, PERMITTED);
    assert_eq!(desk.pdp.pdp.snapshot().revision(), shipped().revision());
    let same = admin.preview_drift(bundle(&shipped_files())).await.unwrap().into_inner();
    assert_eq!((same.open, same.drifting_count, same.needs_confirmation), (3, 0, false));
    let records = desk.records("admin");
    assert!(records.iter().all(|record| record["call"] == "preview_drift" && record["outcome"] == "done"));
    assert_eq!(records.len(), 2);
}

#[tokio::test]
async fn a_preview_of_a_bundle_with_findings_tells_them() {
    let desk = Desk::open().await;
    let mut admin = desk.pdp.admin_of("t-operator").await;
    let mut broken = shipped_files();
    broken.push(File::new("policies/broken.cedar", "permit (principal, action, resource"));
    for (request, words) in [
        (bundle(&broken), "finding(s)"),
        (v1::PreviewDriftRequest { files: vec![] }, "`files` is empty"),
        (
            v1::PreviewDriftRequest {
                files: vec![v1::BundleFile { path: String::new(), text: String::new() }],
            },
            "`files.path`",
        ),
    ] {
        let refused = admin.preview_drift(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(words), "{refused}");
    }
    let mut gateway = desk.pdp.admin_of("t-gateway").await;
    let refused = gateway.preview_drift(bundle(&shipped_files())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(desk.pdp.ledger.last()["outcome"], "refused");
}
