//! What goes to several targets at once, and how targets are named.

use palisade::api::proto::ext_mcp::authorization_error::Code;
use serde_json::json;

use super::ask::{Asked, Does, start};

#[tokio::test]
async fn what_goes_to_several_targets_is_permitted_by_all_of_them_or_goes_nowhere() {
    let pdp = start().await;
    let before = pdp.ledger.records().len();
    let answer = Asked::plain("tools/list").to(&["crm", "git", "everything"]).ask(&pdp).await;
    assert_eq!(answer.does, Does::Pass);
    assert_eq!(answer.metadata["decision_ids"].as_array().unwrap().len(), 3);
    let records = pdp.ledger.records().split_off(before);
    let servers: Vec<_> = records.iter().map(|record| record["server"].as_str().unwrap()).collect();
    assert_eq!(servers, ["crm", "git", "everything"]);
    assert!(records.iter().all(|record| record["revision"] == records[0]["revision"]));
    let answer = Asked::plain("tools/list").to(&["crm", "nobody"]).ask(&pdp).await;
    assert_eq!(answer.does.refusal(), (Code::PermissionDenied, "unknown_tool"));
}

#[tokio::test]
async fn what_goes_to_one_target_goes_to_no_two() {
    let pdp = start().await;
    let check = async |asked: Asked| {
        assert_eq!(asked.clone().ask(&pdp).await.does.refusal().0, Code::Invalid, "{asked:?}");
        assert_eq!(pdp.ledger.last()["outcome"], "deny");
    };
    check(Asked::refund(30).to(&["crm", "git"])).await;
    check(Asked::of("prompts/get", r#"{"name":"x"}"#).to(&["crm", "git"])).await;
    check(Asked::plain("tools/list").to(&[])).await;
    check(Asked::plain("tools/list").to(&["crm", "crm"])).await;
    check(Asked::plain("tools/list").to(&["a", "b"]).metadata("servers", json!({"a": "crm", "b": "crm"})))
        .await;
    let many: Vec<String> = (0..300).map(|at| format!("s{at}")).collect();
    check(Asked { targets: many, ..Asked::plain("tools/list") }).await;
}

#[tokio::test]
async fn the_operator_says_which_servers_the_targets_are() {
    let pdp = start().await;
    let named =
        |target: &str| Asked::refund(30).to(&[target]).metadata("servers", json!({"customers": "crm"}));
    assert_eq!(named("customers").ask(&pdp).await.does, Does::Pass);
    assert_eq!(pdp.ledger.last()["server"], "crm");
    // Who names some names all, always.
    let unnamed = named("crm").metadata("servers", serde_json::Value::Null);
    assert_eq!(unnamed.ask(&pdp).await.does.refusal().0, Code::Invalid);
    assert_eq!(named("crm").ask(&pdp).await.does.refusal().0, Code::Invalid);
    // With several targets the gateway shows names with the target in front, and clients send them back.
    let header = |servers: serde_json::Value| {
        let asked = Asked::refund(30).to(&["customers"]).metadata("servers", servers);
        asked.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call")
    };
    let only = header(json!({"customers": "crm"})).header("mcp-name", "customers_issue_refund");
    assert_eq!(only.ask(&pdp).await.does.refusal().0, Code::Invalid);
    let header = header(json!({"customers": "crm", "repos": "git"}));
    assert_eq!(header.clone().header("mcp-name", "customers_issue_refund").ask(&pdp).await.does, Does::Pass);
    assert_eq!(header.header("mcp-name", "crm_issue_refund").ask(&pdp).await.does.refusal().0, Code::Invalid);
}
