//! Arguments that the policy has taken out of a call: what goes on is what was decided on, without them.

use std::sync::Arc;

use palisade::api::proto::ext_mcp::authorization_error::Code;
use palisade::diagnostic::File;
use palisade::identity::Caller;
use palisade::policy::Snapshot;
use serde_json::json;

use super::ask::{Asked, Does, start_of};
use crate::pdp::{TOKEN, TestPdp, gateway, shipped_files, snapshot};

const REDACTS: &str = "custom: { action: redact, json_pointers: [/arguments/note] }";

/// The shipped bundle, where a refund needs this.
fn needing(obligation: &str) -> Arc<Snapshot> {
    let policy = format!(
        r#"@id("test/note") @obligation("{obligation}")
           permit (principal, action == Action::"crm/issue_refund", resource);"#
    );
    let mut files = shipped_files();
    files.push(File::new("policies/test.cedar", policy));
    snapshot(&files)
}

async fn start(obligation: &str) -> TestPdp {
    start_of(TestPdp::builder().snapshot(needing(obligation)).caller(TOKEN, gateway())).await
}

/// A refund as it was written, with white space and numbers of its own.
fn refund(arguments: &str) -> Asked {
    Asked::of(
        "tools/call",
        format!(r#"{{ "name":"issue_refund", "arguments":{arguments}, "_meta":{{"k":1.0}} }}"#),
    )
}

#[tokio::test]
async fn what_goes_on_is_what_was_decided_on_without_what_is_named() {
    let pdp = start(REDACTS).await;
    let answer = refund(r#"{ "order" : "o\u002d1", "note":"secret", "amount":30 }"#).ask(&pdp).await;
    let left = r#"{"name":"issue_refund","arguments":{"order":"o\u002d1","amount":30},"_meta":{"k":1.0}}"#;
    assert_eq!(answer.does, Does::Instead(left.into()));
    let record = pdp.ledger.last();
    assert_eq!(record["outcome"], "permit");
    assert_eq!(record["obligations"], json!([{"id": "test/note#1", "type": "custom", "sent": true}]));
    assert_eq!(answer.metadata["decision_id"], record["decision"]);
    assert!(!answer.metadata.to_string().contains("secret"));
}

#[tokio::test]
async fn a_redaction_that_cannot_be_made_is_a_deny_that_says_nothing_of_it() {
    let check = async |obligation: &str, asked: Asked| {
        let pdp = start(obligation).await;
        let answer = asked.ask(&pdp).await;
        let Does::Refuse(_, words, data) = &answer.does else { panic!("{obligation}: {answer:?}") };
        let refusal = answer.does.refusal();
        assert_eq!(refusal, (Code::PermissionDenied, "obligation_unsupported"), "{obligation}");
        assert!(!words.contains("note") && !data.to_string().contains("note"), "{words}");
        let record = pdp.ledger.last();
        assert_eq!((&record["outcome"], &record["obligations"][0]["sent"]), (&"deny".into(), &false.into()));
    };
    let whole = r#"{"order":"o-1","note":"x","amount":30}"#;
    check(REDACTS, refund(r#"{"order":"o-1","amount":30}"#)).await;
    // The tool needs its order.
    check("custom: { action: redact, json_pointers: [/arguments/order] }", refund(whole)).await;
    check("custom: { action: redact, json_pointers: [/arguments/note/0] }", refund(whole)).await;
    check("custom: { action: redact, json_pointers: [/arguments/note, /arguments/other] }", refund(whole))
        .await;
    check("custom: { action: redact, json_pointers: [/name] }", refund(whole)).await;
    check("custom: { action: mask, json_pointers: [/arguments/note] }", refund(whole)).await;
    check("custom: { vendor: acme, action: redact, json_pointers: [/arguments/note] }", refund(whole)).await;
    check("notification: { to: finance@acme.example }", refund(whole)).await;
    let both = format!("[{{ {REDACTS} }}, {{ notification: {{ to: finance@acme.example }} }}]");
    check(&both, refund(whole)).await;
}

#[tokio::test]
async fn a_gateway_that_nothing_proves_takes_nothing_out() {
    let local = Caller { name: "local".into(), authenticated: false, ..gateway() };
    let pdp = start_of(TestPdp::builder().snapshot(needing(REDACTS)).caller(TOKEN, local)).await;
    let answer = refund(r#"{"order":"o-1","note":"x","amount":30}"#).ask(&pdp).await;
    assert_eq!(answer.does.refusal(), (Code::PermissionDenied, "obligation_unsupported"));
}

#[tokio::test]
async fn a_deny_stays_a_deny_whatever_it_would_take_out() {
    let policy = format!(
        r#"@id("test/never") @reason("no refunds today") @obligation("{REDACTS}")
           forbid (principal, action == Action::"crm/issue_refund", resource);"#
    );
    let mut files = shipped_files();
    files.push(File::new("policies/test.cedar", policy));
    let pdp = start_of(TestPdp::builder().snapshot(snapshot(&files)).caller(TOKEN, gateway())).await;
    let answer = refund(r#"{"order":"o-1","note":"x","amount":30}"#).ask(&pdp).await;
    assert_eq!(answer.does.refusal(), (Code::PermissionDenied, "forbidden"));
    assert_eq!(pdp.ledger.last()["obligations"][0]["sent"], false);
}

#[tokio::test]
async fn a_header_that_repeats_what_is_taken_out_keeps_the_call_back() {
    let mut files = shipped_files();
    let crm = files.iter_mut().find(|file| &*file.path == "tools/crm.json").unwrap();
    let mut catalog: serde_json::Value = serde_json::from_str(&crm.text).unwrap();
    for tool in catalog["tools"].as_array_mut().unwrap() {
        if tool["name"] == "issue_refund" {
            tool["inputSchema"]["properties"]["note"]["x-mcp-header"] = "Note".into();
        }
    }
    *crm = File::new("tools/crm.json", catalog.to_string());
    let policy = format!(
        r#"@id("test/note") @obligation("{REDACTS}")
           permit (principal, action == Action::"crm/issue_refund", resource);"#
    );
    files.push(File::new("policies/test.cedar", policy));
    let pdp = start_of(TestPdp::builder().snapshot(snapshot(&files)).caller(TOKEN, gateway())).await;
    let asked = refund(r#"{"order":"o-1","note":"x","amount":30}"#)
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "issue_refund")
        .header("mcp-param-note", "x");
    assert_eq!(asked.ask(&pdp).await.does.refusal().1, "obligation_unsupported");
    let silent = refund(r#"{"order":"o-1","note":"x","amount":30}"#).ask(&pdp).await;
    assert!(matches!(silent.does, Does::Instead(_)), "{silent:?}");
}

#[tokio::test]
async fn what_another_permit_allows_without_a_duty_needs_it_all_the_same() {
    // Ana's other permit has no duty; every permit that holds counts.
    let pdp = start(REDACTS).await;
    let small = refund(r#"{"order":"o-1","amount":30}"#).ask(&pdp).await;
    assert_eq!(small.does.refusal().1, "obligation_unsupported");
    let other = Asked::call("lookup_customer", &json!({"customer_id": "c-1"})).ask(&pdp).await;
    assert_eq!(other.does, Does::Pass);
}
