//! Obligations where more than one question is asked: batches, tasks, budgets, and callers that nothing proves.
//! Never the wire's own limits; the cases of `tests/cases/obligations.yaml` have the rest.

use std::sync::Arc;

use palisade::api::proto::v1;
use palisade::api::proto::v1::DenyReason;
use palisade::diagnostic::File;
use palisade::policy::Snapshot;
use serde_json::{Value as Json, json};

use crate::authzen::ask::{evaluate, post};
use crate::pdp::{TOKEN, TestPdp, gateway, shipped_files, snapshot};
use crate::search::parties;
use crate::tasks::{Desk, PERMITTED, refund, refund_task, said, under};

/// The shipped bundle and one policy more.
fn with(policy: &str) -> Arc<Snapshot> {
    let mut files = shipped_files();
    files.push(File::new("policies/test.cedar", policy));
    snapshot(&files)
}

/// Who refunds tells the finance team.
fn refunds_are_told() -> Arc<Snapshot> {
    with(
        r#"@id("test/told") @obligation("notification: { to: finance@acme.example }")
           permit (principal, action == Action::"crm/issue_refund", resource);"#,
    )
}

fn opted_in(request: v1::AuthorizeRequest) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest { supported_obligations: vec!["notification".into()], ..request }
}

#[tokio::test]
async fn each_request_of_a_batch_opts_in_for_itself() {
    let desk =
        Desk::of(TestPdp::builder().snapshot(refunds_are_told()).tasks(crate::pdp::task_rules())).await;
    let requests = vec![said(refund(1)), opted_in(said(refund(1))), said(refund(1))];
    let batch = v1::AuthorizeBatchRequest { requests };
    let answers = desk.client.clone().authorize_batch(batch).await.unwrap().into_inner().responses;
    let told: Vec<(DenyReason, usize)> = answers.iter().map(|a| (a.reason(), a.obligations.len())).collect();
    assert_eq!(
        told,
        [(DenyReason::ObligationUnsupported, 0), (PERMITTED, 1), (DenyReason::ObligationUnsupported, 0)]
    );
    let one = &answers[1].obligations[0];
    assert_eq!((one.id.as_str(), one.r#type.as_str()), ("test/told#1", "notification"));
    let properties: serde_json::Value = serde_json::from_str(&one.properties).unwrap();
    assert_eq!(properties, json!({"to": "finance@acme.example"}));
    assert!(
        answers.iter().flat_map(|a| &a.determining).all(|p| !p.annotations.contains_key("obligation")),
        "nobody is told of an obligation in another way"
    );
}

#[tokio::test]
async fn a_step_that_is_denied_for_its_obligation_costs_nothing() {
    let desk =
        Desk::of(TestPdp::builder().snapshot(refunds_are_told()).tasks(crate::pdp::task_rules())).await;
    let task = desk.refunds().await;
    assert_eq!(desk.get(&task.id).await.calls_spent, 0);
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::ObligationUnsupported);
    assert_eq!(desk.get(&task.id).await.calls_spent, 0);
    assert_eq!(desk.told(opted_in(under(&task, refund(1)))).await.0, PERMITTED);
    assert_eq!(desk.get(&task.id).await.calls_spent, 1);
}

#[tokio::test]
async fn a_task_that_needs_an_obligation_is_not_begun_and_drifts_when_its_start_would_need_one() {
    let desk = Desk::open().await;
    let task = desk.refunds().await;
    desk.pdp.pdp.publish(with(
        r#"@id("test/start") @obligation("custom: { say: hello }")
           permit (principal, action == Action::"tasks/start", resource);"#,
    ));
    assert_eq!(desk.refused(refund_task()).await.0, DenyReason::ObligationUnsupported);
    let record = desk.pdp.ledger.last();
    assert_eq!(record["obligations"], json!([{"id": "test/start#1", "type": "custom", "sent": false}]));
    assert_eq!(desk.step(&task, refund(1)).await, DenyReason::PolicyDrift);
}

#[tokio::test]
async fn the_local_caller_cannot_opt_in() {
    let local = palisade::identity::Caller { name: "local".into(), authenticated: false, ..gateway() };
    let pdp = TestPdp::builder().snapshot(refunds_are_told()).gateway().local(local).start().await;
    let request = || opted_in(said(refund(1)));
    let answer = pdp.client_of(None).await.authorize(request()).await.unwrap().into_inner();
    assert_eq!((answer.reason(), answer.obligations.len()), (DenyReason::ObligationUnsupported, 0));
    let answer = pdp.client().await.authorize(request()).await.unwrap().into_inner();
    assert_eq!((answer.reason(), answer.obligations.len()), (PERMITTED, 1));
}

#[tokio::test]
async fn too_many_types_are_refused_and_unknown_ones_are_not() {
    let pdp = TestPdp::builder().snapshot(refunds_are_told()).gateway().start().await;
    let listing =
        |types: Vec<String>| v1::AuthorizeRequest { supported_obligations: types, ..said(refund(1)) };
    let mut client = pdp.client().await;
    let refused = client.authorize(listing(vec!["notification".into(); 65])).await.unwrap_err();
    assert!(refused.message().contains("supported_obligations"), "{refused}");
    let known = client.authorize(listing(vec!["filter".into(), "notification".into()])).await.unwrap();
    assert_eq!(known.into_inner().reason(), PERMITTED);
}

/// A server with two tools that take no arguments, of which one is called with a duty, and one that takes some.
fn lab() -> Arc<Snapshot> {
    let none = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let some =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false});
    let tool = |name: &str, schema: &Json| json!({"name": name, "inputSchema": schema});
    let tools = json!({"tools": [tool("plain", &none), tool("told", &none), tool("asked", &some)]});
    let harmless = "{ data_classes: [public], read_only: true, destructive: false, open_world: false }";
    let facts = ["plain", "told", "asked"].map(|name| format!("  {name}: {harmless}\n")).concat();
    let mut files = shipped_files();
    files.push(File::new("tools/lab.json", tools.to_string()));
    files.push(File::new("tools/lab.facts.yaml", format!("tools:\n{facts}")));
    files.push(File::new(
        "policies/lab.cedar",
        r#"@id("lab/plain") permit (principal == Agent::"night-watch", action == Action::"lab/plain", resource);
           @id("lab/told") @obligation("notification: { to: lab@acme.example }")
           permit (principal == Agent::"night-watch", action in [Action::"lab/told", Action::"lab/asked"], resource);"#,
    ));
    snapshot(&files)
}

#[tokio::test]
async fn no_search_finds_a_tool_without_arguments_that_is_called_with_a_duty() {
    let pdp = TestPdp::builder().gateway().snapshot(lab()).start().await;
    let subject = json!({"type": "agent", "id": "night-watch"});
    let tool = |name: &str| json!({"type": "tool", "id": name, "properties": {"server": "lab"}});
    let opted_in =
        json!({"supported_mandatory_extensions": ["obligations"], "supported_obligations": ["notification"]});
    for context in [json!({}), opted_in.clone()] {
        let asked = json!({"subject": subject, "action": {"name": "tools/call"}, "context": context,
            "resource": {"type": "tool", "properties": {"server": "lab"}}});
        let found = post(&pdp, "/access/v1/search/resource", &asked).await.json();
        let found: Vec<&Json> = found["results"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        // Some arguments may need no duty; what takes none needs it for certain.
        assert_eq!(found, ["asked", "plain"], "{context}");
        for (name, actions) in [
            ("plain", json!([{"name": "tools/call"}])),
            ("told", json!([])),
            ("asked", json!([{"name": "tools/call"}])),
        ] {
            let asked = json!({"subject": subject, "resource": tool(name), "context": context});
            let found = post(&pdp, "/access/v1/search/action", &asked).await.json();
            assert_eq!(found["results"], actions, "{name}: {context}");
        }
    }
    let list = v1::ListToolsRequest {
        parties: parties("Agent::\"night-watch\"", None),
        server: "lab".into(),
        tools_list: vec![],
    };
    let listed = pdp.search_of(TOKEN).await.list_tools(list).await.unwrap().into_inner();
    assert_eq!(listed.names, ["asked", "plain"]);
    // Who fulfils the duty calls it; a list is a courtesy.
    let call = |context: &Json| json!({"subject": subject, "action": {"name": "tools/call"}, "resource": tool("told"), "context": context});
    let (with, without) = (evaluate(&pdp, &call(&opted_in)).await, evaluate(&pdp, &call(&json!({}))).await);
    assert_eq!((with.decision(), without.decision()), (true, false), "{with:?}");
}
