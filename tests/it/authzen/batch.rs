//! Several questions at once.

use serde_json::{Value as Json, json};

use super::ask::{Answer, evaluate_all, post_as};
use crate::pdp::{TOKEN, TestPdp, caller};
use palisade::identity::{Caller, Role, Servers};

fn tool(name: &str) -> Json {
    json!({"type": "tool", "id": name, "properties": {"server": "crm", "arguments": {"customer_id": "c-1"}}})
}

/// Ana's calls of these tools through her agent; `?` is one that cannot be read.
fn calls(semantic: &str, tools: &[&str]) -> Json {
    let item = |name: &&str| match *name {
        "?" => json!({"resource": {"id": "lookup_customer"}}),
        name => json!({"resource": tool(name)}),
    };
    json!({
        "subject": {"type": "identity", "id": "ana"},
        "action": {"name": "tools/call"},
        "resource": {},
        "context": {"agent": "support-bot"},
        "options": {"evaluations_semantic": semantic},
        "evaluations": tools.iter().map(item).collect::<Vec<_>>(),
    })
}

fn decisions(answer: &Answer) -> Vec<bool> {
    let said = answer.json();
    said["evaluations"].as_array().unwrap().iter().map(|one| one["decision"].as_bool().unwrap()).collect()
}

const YES: &str = "lookup_customer";
const NO: &str = "delete_customer";

#[tokio::test]
async fn each_semantic_stops_where_it_says() {
    let pdp = TestPdp::start().await;
    for (semantic, tools, wanted) in [
        ("execute_all", &[YES, NO, YES][..], &[true, false, true][..]),
        ("execute_all", &[NO, "?", YES], &[false, false, true]),
        ("deny_on_first_deny", &[YES, NO, YES], &[true, false]),
        ("deny_on_first_deny", &[YES, "?", YES], &[true, false]),
        ("deny_on_first_deny", &[YES, YES], &[true, true]),
        ("permit_on_first_permit", &[NO, YES, NO], &[false, true]),
        ("permit_on_first_permit", &["?", YES, NO], &[false, true]),
        ("permit_on_first_permit", &[NO, NO], &[false, false]),
    ] {
        let before = pdp.ledger.records().len();
        let answer = evaluate_all(&pdp, &calls(semantic, tools)).await;
        assert_eq!(decisions(&answer), wanted, "{semantic} {tools:?}: {}", answer.body);
        assert_eq!(pdp.ledger.records().len() - before, wanted.len(), "one record for each that was asked");
        assert!(answer.json().get("decision").is_none());
    }
}

#[tokio::test]
async fn an_item_that_cannot_be_read_says_so_itself() {
    let pdp = TestPdp::start().await;
    let mut body = calls("execute_all", &[YES]);
    let items = body["evaluations"].as_array_mut().unwrap();
    items.extend([
        json!({"resource": {"type": "tool"}}),
        json!({"resource": "lookup_customer"}),
        json!("lookup_customer"),
        json!({"resource": tool(YES), "subject": {"type": "identity", "id": 7}}),
        json!({"resource": tool(YES), "context": []}),
        json!({}),
    ]);
    let answer = evaluate_all(&pdp, &body).await;
    assert_eq!(decisions(&answer), [true, false, false, false, false, false, false]);
    let said = answer.json();
    for (at, words) in [
        (1, "`resource.id` is required"),
        (2, "`resource` must be an object"),
        (3, "`evaluations` must be an array of objects"),
        (4, "`subject.id` must be a string"),
        (5, "`context` must be an object"),
        (6, "`resource.type` is required"),
    ] {
        let error = &said["evaluations"][at]["context"]["error"];
        assert_eq!(error["status"], 400, "{said}");
        assert!(error["message"].as_str().unwrap().starts_with(words), "{error}");
    }
}

#[tokio::test]
async fn a_member_of_an_item_replaces_the_default_as_a_whole() {
    let pdp = TestPdp::start().await;
    let mut body = calls("execute_all", &[]);
    body["resource"] = tool(YES);
    body["evaluations"] = json!([
        {},
        {"context": {}},
        {"context": {"agent": "coder"}},
        {"context": null},
        {"subject": {"type": "identity", "id": "bo"}},
        {"resource": {"type": "tool", "id": YES}},
    ]);
    let answer = evaluate_all(&pdp, &body).await;
    // Without its agent a person is denied, and without arguments a call does not fit.
    assert_eq!(decisions(&answer), [true, false, false, true, false, false], "{}", answer.body);
    let records = pdp.ledger.records();
    assert_eq!(records[records.len() - 5]["reason"], "ActorMissing");
}

#[tokio::test]
async fn without_items_it_is_one_question() {
    let pdp = TestPdp::start().await;
    let mut body = calls("execute_all", &[]);
    body["resource"] = tool(YES);
    assert_eq!(evaluate_all(&pdp, &body).await.body, r#"{"decision":true}"#);
    for none in [Json::Null, json!([])] {
        body["evaluations"] = none;
        assert_eq!(evaluate_all(&pdp, &body).await.body, r#"{"decision":true}"#);
    }
    body.as_object_mut().unwrap().remove("evaluations");
    assert_eq!(evaluate_all(&pdp, &body).await.body, r#"{"decision":true}"#);
    body["resource"] = json!({});
    assert_eq!(evaluate_all(&pdp, &body).await.status, 400);
}

#[tokio::test]
async fn what_is_wrong_with_the_whole_is_an_error() {
    let pdp = TestPdp::builder().gateway().limits(|limits| limits.batch_len_max = 3).start().await;
    for (change, status) in [
        (json!({"options": {"evaluations_semantic": "first_come"}}), 400),
        (json!({"options": {"evaluations_semantic": 1}}), 400),
        (json!({"options": []}), 400),
        (json!({"evaluations": {}}), 400),
        (json!({"evaluations": "all"}), 400),
        (json!({"evaluations": [{}, {}, {}, {}]}), 413),
        (json!({"evaluations": [{}, {}, {}]}), 200),
        (json!({"options": {"evaluations_semantic": null, "other": 1}}), 200),
    ] {
        let mut body = calls("execute_all", &[YES]);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(evaluate_all(&pdp, &body).await.status, status, "{change}");
    }
}

#[tokio::test]
async fn a_short_body_does_not_become_a_long_one_by_its_defaults() {
    let pdp = TestPdp::builder().gateway().limits(|limits| limits.message_bytes_max = 20_000).start().await;
    let mut body = calls("execute_all", &[]);
    body["context"]["padding"] = "a".repeat(3000).into();
    let ask = |items: usize| {
        let mut body = body.clone();
        body["evaluations"] = vec![json!({"resource": tool(YES)}); items].into();
        body
    };
    assert_eq!(decisions(&evaluate_all(&pdp, &ask(5)).await), [true; 5]);
    let answer = evaluate_all(&pdp, &ask(7)).await;
    assert_eq!((answer.status, answer.body.contains("message_bytes_max")), (413, true), "{answer:?}");
}

#[tokio::test]
async fn many_items_keep_their_order_and_name_one_revision() {
    let pdp = TestPdp::start().await;
    let tools: Vec<&str> = (0..100).map(|at| if at % 3 == 0 { YES } else { NO }).collect();
    let answer = evaluate_all(&pdp, &calls("execute_all", &tools)).await;
    assert_eq!(decisions(&answer), tools.iter().map(|name| *name == YES).collect::<Vec<_>>());
    let revision = answer.header("x-palisade-revision").unwrap().to_owned();
    assert!(pdp.ledger.records().iter().all(|record| record["revision"] == *revision));
    // Who reports outcomes finds the id of each decision.
    let said = answer.json();
    let first = &said["evaluations"][0]["context"]["evaluation_id"];
    assert_eq!(*first, pdp.ledger.records()[0]["decision"]);
}

#[tokio::test]
async fn an_item_about_a_server_of_somebody_else_spoils_no_other() {
    let crm = Servers::Named(["crm".to_owned()].into());
    let gateway = Caller { servers: crm, ..caller("crm-gateway", &[Role::Authorize, Role::Assert]) };
    let pdp = TestPdp::builder().caller(TOKEN, gateway).start().await;
    let mut body = calls("execute_all", &[YES, YES]);
    body["evaluations"][0]["resource"]["properties"]["server"] = "git".into();
    let answer = post_as(&pdp, TOKEN, "/access/v1/evaluations", &body).await;
    assert_eq!(decisions(&answer), [false, true]);
    let said = answer.json();
    assert_eq!(said["evaluations"][0]["context"]["error"]["status"], 403);
    assert_eq!(said["evaluations"][1], json!({"decision": true}));
}

#[tokio::test]
async fn without_a_record_there_is_no_answer() {
    let pdp = TestPdp::start().await;
    pdp.ledger.set_room(1);
    let answer = evaluate_all(&pdp, &calls("execute_all", &[YES, YES])).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    assert!(!answer.body.contains("true"), "{}", answer.body);
}
