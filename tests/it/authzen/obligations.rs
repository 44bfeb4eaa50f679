//! Obligations over AuthZEN: who opts in, and what comes back.
//! Never more than the face: the cases and `obligations.rs` have the rest.

use std::sync::Arc;

use palisade::diagnostic::File;
use palisade::policy::Snapshot;
use serde_json::{Value as Json, json};

use super::ask::{evaluate, evaluate_all, post, post_with};
use crate::pdp::{TestPdp, caller, shipped_files, snapshot};

/// The shipped bundle, where a look at a customer is told and a leaver's session ends.
fn bundle() -> Arc<Snapshot> {
    let mut files = shipped_files();
    files.push(File::new(
        "policies/test.cedar",
        r#"@id("test/told") @obligation("[step-up: { acr_value: 'urn:acme:loa:3', amr_values: [hwk] }, custom: { n: 1 }]")
           permit (principal, action == Action::"crm/lookup_customer", resource);
           @id("test/leaver") @obligation("session_termination: { subject: mallory }")
           forbid (principal == Human::"mallory", action, resource);"#,
    ));
    snapshot(&files)
}

async fn start() -> TestPdp {
    TestPdp::builder().gateway().snapshot(bundle()).start().await
}

fn opted_in(types: &[&str]) -> Json {
    json!({
        "agent": "support-bot",
        "supported_mandatory_extensions": ["https://example.com/unknown", "obligations"],
        "supported_obligations": types,
    })
}

fn ask(who: &str, context: &Json) -> Json {
    json!({
        "subject": {"type": "identity", "id": who},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": "lookup_customer", "properties": {"arguments": {"customer_id": "c-1"}}},
        "context": context,
    })
}

fn told() -> Json {
    json!([
        {"id": "test/told#1", "type": "step-up", "properties": {"acr_value": "urn:acme:loa:3", "amr_values": ["hwk"]}},
        {"id": "test/told#2", "type": "custom", "properties": {"n": 1}},
    ])
}

#[tokio::test]
async fn a_permit_brings_its_obligations_to_a_pep_that_opted_in_and_nobody_else_gets_it() {
    let pdp = start().await;
    let permitted = evaluate(&pdp, &ask("ana", &opted_in(&["custom", "step-up"]))).await.json();
    assert_eq!(permitted, json!({"decision": true, "context": {"obligations": told()}}));
    let types_alone = json!({"agent": "support-bot", "supported_obligations": ["custom", "step-up"]});
    let extension_alone = json!({"agent": "support-bot", "supported_mandatory_extensions": ["obligations"]});
    let other = json!({
        "agent": "support-bot",
        "supported_mandatory_extensions": ["Obligations"],
        "supported_obligations": ["custom", "step-up"],
    });
    let lacking = opted_in(&["custom", "notification"]);
    for context in [types_alone, extension_alone, other, lacking, json!({"agent": "support-bot"})] {
        let denied = evaluate(&pdp, &ask("ana", &context)).await.json();
        assert_eq!(denied["decision"], false, "{context}");
        assert_eq!(denied["context"]["reason"], "obligation_unsupported", "{context}");
        assert!(denied["context"].get("obligations").is_none(), "{context}");
        let sent = pdp.ledger.last()["obligations"].clone();
        assert_eq!(sent[0], json!({"id": "test/told#1", "type": "step-up", "sent": false}));
    }
}

#[tokio::test]
async fn a_deny_brings_its_obligations_too_or_stays_a_plain_deny() {
    let pdp = start().await;
    let denied = evaluate(&pdp, &ask("mallory", &opted_in(&["session_termination"]))).await.json();
    assert_eq!((&denied["decision"], &denied["context"]["reason"]), (&json!(false), &json!("forbidden")));
    let ends =
        json!([{"id": "test/leaver#1", "type": "session_termination", "properties": {"subject": "mallory"}}]);
    assert_eq!(denied["context"]["obligations"], ends);
    let plain = evaluate(&pdp, &ask("mallory", &json!({"agent": "support-bot"}))).await.json();
    assert_eq!(plain["context"]["reason"], "forbidden");
    assert!(plain["context"].get("obligations").is_none());
    assert_eq!(pdp.ledger.last()["obligations"][0]["sent"], false);
}

#[tokio::test]
async fn an_items_own_context_replaces_the_opt_in_of_the_batch() {
    let pdp = start().await;
    let mut batch = ask("ana", &opted_in(&["step-up", "custom"]));
    batch["evaluations"] =
        json!([{}, {"context": {"agent": "support-bot"}}, {"context": opted_in(&["step-up", "custom"])}]);
    let answers = evaluate_all(&pdp, &batch).await.json()["evaluations"].clone();
    let of = |at: usize| (answers[at]["decision"].clone(), answers[at]["context"]["obligations"].clone());
    assert_eq!(of(0), (json!(true), told()));
    assert_eq!(of(1), (json!(false), Json::Null));
    assert_eq!(of(2), (json!(true), told()));
}

#[tokio::test]
async fn the_local_caller_cannot_opt_in_over_http() {
    let roles = [palisade::identity::Role::Authorize, palisade::identity::Role::Assert];
    let local = palisade::identity::Caller { authenticated: false, ..caller("local", &roles) };
    let pdp = TestPdp::builder().local(local).snapshot(bundle()).start().await;
    let body = ask("ana", &opted_in(&["step-up", "custom"])).to_string();
    let headers = [("Content-Type", "application/json")];
    let answer = post_with(&pdp, "/access/v1/evaluation", &headers, body.as_bytes()).await.json();
    assert_eq!(answer["context"]["reason"], "obligation_unsupported");
}

#[tokio::test]
async fn what_is_no_list_of_texts_is_malformed() {
    let pdp = start().await;
    for (name, wrong) in
        [("supported_obligations", json!("step-up")), ("supported_mandatory_extensions", json!([7]))]
    {
        let mut context = opted_in(&[]);
        context[name] = wrong;
        let answer = evaluate(&pdp, &ask("ana", &context)).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains(name), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_search_leaves_out_what_needs_an_obligation() {
    let search = |context: &Json| {
        let mut search = ask("ana", context);
        search["subject"] = json!({"type": "identity"});
        search
    };
    let found = async |pdp: &TestPdp, context: Json| {
        let answer = post(pdp, "/access/v1/search/subject", &search(&context)).await.json();
        answer["results"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    let plain = TestPdp::start().await;
    assert!(found(&plain, json!({"agent": "support-bot"})).await.contains(&json!("ana")));
    let pdp = start().await;
    for context in [json!({"agent": "support-bot"}), opted_in(&["step-up", "custom"])] {
        assert!(found(&pdp, context).await.is_empty());
    }
}
