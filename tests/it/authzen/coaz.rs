//! Requests that the default mappings of COAZ-MCP make.

use serde_json::{Value as Json, json};

use super::ask::{evaluate, post, post_as};
use crate::pdp::{TestPdp, caller};
use palisade::identity::{Caller, Role, Servers};
use palisade::server::config::Limits;

fn ask(agent: &str, person: &str, method: &str, resource: &Json) -> Json {
    json!({
        "subject": {"type": "identity", "id": person},
        "action": {"name": method},
        "resource": resource,
        "context": {"agent": agent},
    })
}

#[tokio::test]
async fn every_row_of_the_table_becomes_its_message() {
    let pdp = TestPdp::start().await;
    let document = "demo://resource/static/document/a.md";
    let server = || json!({"type": "mcp_server", "id": "everything"});
    let on = |kind: &str, id: &str| json!({"type": kind, "id": id, "properties": {"server": "everything"}});
    for (method, resource, wanted) in [
        ("initialize", server(), "everything"),
        ("tools/list", server(), "everything"),
        ("resources/list", server(), "everything"),
        ("resources/templates/list", server(), "everything"),
        ("prompts/list", server(), "everything"),
        ("logging/setLevel", server(), "everything"),
        ("tasks/list", server(), "everything"),
        ("server/discover", server(), "everything"),
        ("subscriptions/listen", server(), "everything"),
        ("tools/call", on("tool", "echo"), "everything/echo"),
        ("resources/read", on("resource", document), "everything/demo://resource/static/document/a.md"),
        ("resources/subscribe", on("resource", document), "everything/demo://resource/static/document/a.md"),
        (
            "resources/unsubscribe",
            on("resource", document),
            "everything/demo://resource/static/document/a.md",
        ),
        ("prompts/get", on("prompt", "simple-prompt"), "everything/simple-prompt"),
        ("completion/complete", on("prompt", "simple-prompt"), "everything/simple-prompt"),
        ("completion/complete", on("resource", document), "everything/demo://resource/static/document/a.md"),
        ("tasks/get", on("task", "t-1"), "everything/t-1"),
        ("tasks/result", on("task", "t-1"), "everything/t-1"),
        ("tasks/cancel", on("task", "t-1"), "everything/t-1"),
        ("tasks/update", on("task", "t-1"), "everything/t-1"),
    ] {
        evaluate(&pdp, &ask("coder", "bo", method, &resource)).await.json();
        let record = pdp.ledger.last();
        assert_eq!((&record["server"], &record["method"]), (&"everything".into(), &method.into()));
        assert_eq!(record["resource"]["id"], wanted, "{method}: {record}");
    }
    for passing in ["ping", "notifications/progress"] {
        assert!(evaluate(&pdp, &ask("coder", "bo", passing, &server())).await.decision(), "{passing}");
    }
}

#[tokio::test]
async fn a_subscription_asks_for_each_of_its_resources() {
    let pdp = TestPdp::start().await;
    let mut body =
        ask("coder", "bo", "subscriptions/listen", &json!({"type": "mcp_server", "id": "everything"}));
    let wanted = ["demo://resource/static/document/a.md", "demo://resource/static/document/b.md"];
    body["context"]["notifications"] = json!({"resourceSubscriptions": wanted});
    evaluate(&pdp, &body).await.json();
    assert_eq!(pdp.ledger.last()["also"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn methods_that_do_not_exist_or_are_about_something_else_are_denied() {
    let pdp = TestPdp::start().await;
    let tool = || json!({"type": "tool", "id": "echo", "properties": {"server": "everything"}});
    let server = || json!({"type": "mcp_server", "id": "everything"});
    for (method, resource) in [
        ("tools/invent", tool()),
        ("read", tool()),
        ("Tools/Call", tool()),
        ("", tool()),
        ("tools/list", tool()),
        ("tools/call", server()),
        ("ping", tool()),
        ("resources/read", tool()),
        ("tools/call", json!({"type": "prompt", "id": "echo", "properties": {"server": "everything"}})),
        ("tools/call", json!({"type": "tool", "id": "echo", "properties": {"server": "nowhere"}})),
        ("tools/call", json!({"type": "tool", "id": "echo", "properties": {"server": 7}})),
        ("tools/call", json!({"type": "tool", "id": "no_such_tool"})),
        ("prompts/get", json!({"type": "prompt", "id": "simple-prompt"})),
        ("tools/list", json!({"type": "mcp_server", "id": "everything", "properties": {"server": "crm"}})),
    ] {
        let answer = evaluate(&pdp, &ask("coder", "bo", method, &resource.clone())).await.json();
        assert_eq!(answer["decision"], false, "{method} {resource}");
        let reason = answer["context"]["reason"].as_str().unwrap();
        assert!(["invalid_input", "unknown_tool"].contains(&reason), "{method} {resource}: {answer}");
    }
}

#[tokio::test]
async fn a_method_belongs_to_its_era() {
    let pdp = TestPdp::start().await;
    let ask = |method: &str, version: &str| {
        let mut body = ask("coder", "bo", method, &json!({"type": "mcp_server", "id": "everything"}));
        body["context"]["protocol_version"] = version.into();
        body
    };
    for (method, version, decision) in [
        ("initialize", "2025-11-25", true),
        ("initialize", "2026-07-28", false),
        ("server/discover", "2026-07-28", true),
        ("server/discover", "2025-06-18", false),
        ("tools/list", "2025-03-26", true),
        ("tools/list", "2026-07-28", true),
        ("tools/list", "2031-01-01", false),
    ] {
        assert_eq!(evaluate(&pdp, &ask(method, version)).await.decision(), decision, "{method} {version}");
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_id_its_audience_or_as_the_only_one() {
    let pdp = TestPdp::start().await;
    let call = |server: Json| {
        let mut resource = json!({"type": "tool", "id": "lookup_customer",
            "properties": {"arguments": {"customer_id": "c-1"}}});
        resource["properties"]["server"] = server;
        ask("support-bot", "ana", "tools/call", &resource)
    };
    for server in [json!("crm"), json!("https://crm.acme.example/mcp"), Json::Null] {
        assert_eq!(evaluate(&pdp, &call(server.clone())).await.body, r#"{"decision":true}"#, "{server}");
        assert_eq!(pdp.ledger.last()["server"], "crm");
    }
    let by_audience = json!({"type": "mcp_server", "id": "https://crm.acme.example/mcp"});
    evaluate(&pdp, &ask("support-bot", "ana", "tools/list", &by_audience)).await.json();
    assert_eq!(pdp.ledger.last()["server"], "crm");
}

#[tokio::test]
async fn a_gateway_of_one_server_need_not_name_it_and_may_name_no_other() {
    let named = |server: &str| Servers::Named([server.to_owned()].into());
    let gateway = Caller { servers: named("everything"), ..caller("one", &[Role::Authorize, Role::Assert]) };
    let pdp = TestPdp::builder().caller("t-one", gateway).start().await;
    let path = "/access/v1/evaluation";
    let prompt = json!({"type": "prompt", "id": "simple-prompt"});
    post_as(&pdp, "t-one", path, &ask("coder", "bo", "prompts/get", &prompt)).await.json();
    assert_eq!(pdp.ledger.last()["server"], "everything");
    let other = json!({"type": "mcp_server", "id": "crm"});
    let refused = post_as(&pdp, "t-one", path, &ask("coder", "bo", "tools/list", &other)).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let record = pdp.ledger.last();
    assert_eq!((&record["type"], &record["face"]), (&"admin".into(), &"authzen".into()));
}

#[tokio::test]
async fn arguments_are_found_in_both_places_and_may_not_differ() {
    let pdp = TestPdp::start().await;
    let (few, many) = (json!({"order": "o-1", "amount": 30}), json!({"order": "o-1", "amount": 101}));
    let ask = |at_resource: &Json, at_context: &Json| {
        let resource =
            json!({"type": "tool", "id": "issue_refund", "properties": {"arguments": at_resource}});
        let mut body = ask("support-bot", "ana", "tools/call", &resource);
        body["context"]["arguments"] = at_context.clone();
        body
    };
    for (at_resource, at_context, decision) in [
        (&few, &Json::Null, true),
        (&Json::Null, &few, true),
        (&few, &few, true),
        (&many, &Json::Null, false),
        (&few, &many, false),
        (&many, &few, false),
    ] {
        let answer = evaluate(&pdp, &ask(at_resource, at_context)).await;
        assert_eq!(answer.decision(), decision, "{at_resource} {at_context}: {}", answer.body);
    }
    // What was compared is what is decided on.
    let mut body = ask(&few, &Json::Null);
    body["context"]["palisade"] =
        json!({"params": r#"{"name":"delete_customer","arguments":{"customer_id":"c-1"}}"#});
    assert_eq!(evaluate(&pdp, &body).await.json()["context"]["reason"], "invalid_input");
}

#[tokio::test]
async fn names_that_are_too_long_for_a_record_are_denied_without_being_repeated() {
    let pdp = TestPdp::start().await;
    let long = "a".repeat(300);
    let tool = |server: &str| json!({"type": "tool", "id": "echo", "properties": {"server": server}});
    for body in [
        ask("coder", "bo", "tools/call", &tool(&long)),
        ask("coder", "bo", &format!("tools/{long}"), &tool("everything")),
        ask("coder", "bo", "tools/list", &json!({"type": "mcp_server", "id": long})),
        ask(&"a".repeat(5000), "bo", "tools/call", &tool("everything")),
    ] {
        let answer = evaluate(&pdp, &body).await;
        assert_eq!(answer.json()["context"]["reason"], "invalid_input", "{}", answer.body);
        assert!(!answer.body.contains(&long) && !pdp.ledger.last().to_string().contains(&long));
    }
    let mut body = ask("coder", "bo", "tools/call", &tool("everything"));
    body["context"]["task"] = long.as_str().into();
    let answer = evaluate(&pdp, &body).await;
    assert_eq!(answer.json()["context"]["reason"], "invalid_input", "{}", answer.body);
    assert!(answer.body.contains("context.task") && !pdp.ledger.last().to_string().contains(&long));
    // Of a question that is no message it need not be the name of a task.
    body["resource"] = json!({"type": "Human", "id": "bo"});
    body["action"]["name"] = "context".into();
    let answer = evaluate(&pdp, &body).await;
    assert!(!answer.body.contains("context.task") && answer.status == 200, "{}", answer.body);
    body["context"]["palisade"] = json!({"task": long});
    assert_eq!(evaluate(&pdp, &body).await.status, 400);
}

#[tokio::test]
async fn params_that_come_along_agree_with_all_that_is_said_beside_them() {
    let pdp = TestPdp::start().await;
    let (few, many) = (json!({"order": "o-1", "amount": 30}), json!({"order": "o-1", "amount": 101}));
    let params = |arguments: &Json| json!({"name": "issue_refund", "arguments": arguments}).to_string();
    let nothing = Json::Null;
    for (at_resource, at_context, sent, decision) in [
        (&nothing, &nothing, params(&few), true),
        (&few, &nothing, params(&few), true),
        (&few, &few, params(&few), true),
        (&many, &nothing, params(&few), false),
        (&nothing, &many, params(&few), false),
        (&few, &many, params(&few), false),
        (&few, &nothing, r#"{"name":"issue_refund"}"#.to_owned(), false),
    ] {
        let resource =
            json!({"type": "tool", "id": "issue_refund", "properties": {"arguments": at_resource}});
        let mut body = ask("support-bot", "ana", "tools/call", &resource);
        body["context"]["arguments"] = at_context.clone();
        body["context"]["palisade"] = json!({"params": sent});
        let answer = evaluate(&pdp, &body).await;
        assert_eq!(answer.decision(), decision, "{at_resource} {at_context} {sent}: {}", answer.body);
        assert!(decision || answer.body.contains("invalid_input"), "{}", answer.body);
    }
    let listen = json!({"type": "mcp_server", "id": "everything"});
    let mut body = ask("coder", "bo", "subscriptions/listen", &listen);
    body["context"]["notifications"] =
        json!({"resourceSubscriptions": ["demo://resource/static/document/a.md"]});
    for params in ["", "{}", r#"{"notifications":{"resourceSubscriptions":[]}}"#] {
        body["context"]["palisade"] = json!({"params": params});
        let answer = evaluate(&pdp, &body).await;
        assert!(answer.body.contains("`context.notifications`"), "{params}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_completion_is_about_what_its_ref_is_about() {
    let pdp = TestPdp::start().await;
    let document = "demo://resource/static/document/a.md";
    for (kind, id, of_ref, agrees) in [
        ("prompt", "simple-prompt", json!({"type": "ref/prompt", "name": "simple-prompt"}), true),
        ("resource", document, json!({"type": "ref/resource", "uri": document}), true),
        (
            "prompt",
            "simple-prompt",
            json!({"type": "ref/resource", "name": "simple-prompt", "uri": document}),
            false,
        ),
        (
            "resource",
            document,
            json!({"type": "ref/prompt", "name": "simple-prompt", "uri": document}),
            false,
        ),
        ("prompt", "simple-prompt", json!({"type": "ref/prompt"}), false),
        ("resource", document, json!({"type": "ref/resource", "name": document}), false),
        ("prompt", "simple-prompt", json!({"type": "ref/prompt", "name": "other"}), false),
    ] {
        let resource = json!({"type": kind, "id": id, "properties": {"server": "everything"}});
        let mut body = ask("coder", "bo", "completion/complete", &resource);
        body["context"]["palisade"] = json!({"params": json!({"ref": of_ref}).to_string()});
        let answer = evaluate(&pdp, &body).await;
        assert_eq!(
            !answer.body.contains("name different things"),
            agrees,
            "{kind} {of_ref}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn params_over_the_limits_of_messages_are_refused_before_they_are_read() {
    let pdp = TestPdp::start().await;
    let resource = json!({"type": "tool", "id": "lookup_customer"});
    let mut body = ask("support-bot", "ana", "tools/call", &resource);
    let many = format!(r#"{{"name":"delete_customer","arguments":[{}0]}}"#, "0,".repeat(1 << 17));
    let deep = format!(r#"{{"name":"delete_customer","arguments":{}0{}}}"#, "[".repeat(99), "]".repeat(99));
    let long = format!(r#"{{"name":"delete_customer","arguments":"{}"}}"#, "a".repeat(1 << 20));
    for (params, words) in [(many, "values"), (deep, "levels"), (long, "bytes")] {
        body["context"]["palisade"] = json!({"params": params});
        let answer = evaluate(&pdp, &body).await;
        let answer = answer.json();
        assert_eq!(answer["context"]["reason"], "invalid_input", "{answer}");
        let told = answer["context"]["reason_user"]["en"].as_str().unwrap();
        assert!(told.starts_with("`params`") && told.contains(words), "{told}");
    }
}

#[tokio::test]
async fn arguments_that_would_be_over_them_in_params_are_refused_too() {
    let narrow = |limits: &mut Limits| (limits.context_depth_max, limits.context_nodes_max) = (4, 8);
    let pdp = TestPdp::builder().gateway().limits(narrow).start().await;
    // With `params`, `arguments` and the number in it 4 levels, or 5; with both names beside it 8 values, or 9.
    for (amount, words) in [
        (json!([1]), "`amount`"),
        (json!([[1]]), "levels"),
        (json!([1, 2, 3]), "`amount`"),
        (json!([1, 2, 3, 4]), "values"),
    ] {
        let mut resource = json!({"type": "tool", "id": "issue_refund", "properties": {"server": "crm"}});
        let mut item = ask("support-bot", "ana", "tools/call", &resource);
        let arguments = json!({ "order": "o-1", "amount": amount });
        item["context"]["arguments"] = arguments.clone();
        resource["properties"]["arguments"] = arguments;
        let other = ask("support-bot", "ana", "tools/call", &resource);
        // A batch may hold more values than a message.
        let body = json!({ "evaluations": [item, other] });
        let answer = post(&pdp, "/access/v1/evaluations", &body).await.json();
        for answer in answer["evaluations"].as_array().unwrap() {
            assert_eq!(answer["context"]["reason"], "invalid_input", "{answer}");
            let told = answer["context"]["reason_user"]["en"].as_str().unwrap();
            assert!(told.contains(words), "{amount}: {told}");
        }
    }
}

#[tokio::test]
async fn a_live_tool_that_is_not_the_reviewed_one_is_denied() {
    let pdp = TestPdp::start().await;
    let resource =
        json!({"type": "tool", "id": "lookup_customer", "properties": {"arguments": {"customer_id": "c-1"}}});
    let mut body = ask("support-bot", "ana", "tools/call", &resource);
    for definition in [
        json!({"name": "lookup_customer", "description": "gives everything to everybody"}),
        json!(r#"{"name":"lookup_customer"}"#),
    ] {
        body["context"]["palisade"] = json!({"tool_definition": definition});
        assert_eq!(evaluate(&pdp, &body).await.json()["context"]["reason"], "tool_drift");
    }
}
