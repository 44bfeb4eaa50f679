//! One question.

use serde_json::json;

use super::ask::evaluate;
use crate::pdp::TestPdp;

#[tokio::test]
async fn a_tool_call_in_terms_of_coaz_is_decided_as_the_message_is() {
    let pdp = TestPdp::start().await;
    let ask = |customer: &str, tool: &str| {
        json!({
            "subject": {"type": "identity", "id": "ana"},
            "action": {"name": "tools/call"},
            "resource": {"type": "tool", "id": tool, "properties": {"arguments": {"customer_id": customer}}},
            "context": {"agent": "support-bot"},
        })
    };
    let permitted = evaluate(&pdp, &ask("c-1", "lookup_customer")).await;
    assert_eq!(permitted.body, r#"{"decision":true}"#);
    assert!(permitted.header("x-palisade-decision-id").is_some());
    let denied = evaluate(&pdp, &ask("c-1", "delete_customer")).await;
    assert_eq!(
        denied.json(),
        json!({"decision": false, "context": {
            "evaluation_id": denied.header("x-palisade-decision-id").unwrap(),
            "reason": "forbidden",
            "reason_user": {"en": "this tool changes things for good: a person must approve the call"},
        }})
    );
}
