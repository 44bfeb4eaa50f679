//! PORC over HTTP, as `ToolHive` asks: its messages in, its answers out.
//! Never through our own client code: requests are text.

mod malformed;
pub mod say;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use palisade::identity::{Caller, Role, Servers};
use serde_json::{Value as Json, json};

use crate::authzen::ask::{Answer, post_as, post_with};
use crate::pdp::{TOKEN, TestPdp, caller, gateway, shipped_files, snapshot};
use palisade::diagnostic::File;

pub const PATH: &str = "/decision";

/// A step as `ToolHive` says it with everything that it can be told to send.
pub fn porc(
    sub: &str,
    agent: &str,
    (server, feature, verb, id): (&str, &str, &str, &str),
    args: &Json,
) -> Json {
    let mut body = json!({
        "principal": {"sub": sub, "mroles": ["support"], "mannotations": {"agent": agent}},
        "operation": format!("mcp:{feature}:{verb}"),
        "resource": format!("mrn:mcp:{server}:{feature}:{id}"),
        "context": {"mcp": {"feature": feature, "operation": verb, "resource_id": id}},
    });
    if !args.is_null() {
        body["context"]["mcp"]["args"] = args.clone();
    }
    body
}

fn call(tool: &str, args: &Json) -> Json {
    porc("ana", "support-bot", ("crm", "tool", "call", tool), args)
}

async fn ask(pdp: &TestPdp, body: &Json) -> Answer {
    post_as(pdp, TOKEN, PATH, body).await
}

/// What is wrong with the answer and its record: allowed, or denied for this reason.
async fn check(pdp: &TestPdp, what: &str, body: &Json, reason: Option<&str>) -> Json {
    let answer = ask(pdp, body).await;
    let record = pdp.ledger.last();
    answer.json();
    assert_eq!(answer.body, format!(r#"{{"allow":{}}}"#, reason.is_none()), "{what}: {record}");
    assert_eq!(record["reason"].as_str(), reason, "{what}: {record}");
    assert_eq!((&record["type"], &record["face"]), (&"decided".into(), &"porc".into()), "{what}");
    assert_eq!(answer.header("x-palisade-decision-id"), record["decision"].as_str());
    assert_eq!(answer.header("x-palisade-revision"), record["revision"].as_str());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    record
}

#[tokio::test]
async fn a_call_is_decided_on_its_arguments_and_a_deny_is_an_answer() {
    let pdp = TestPdp::start().await;
    let refund = |amount: i64| call("issue_refund", &json!({"order": "o-1", "amount": amount}));
    check(&pdp, "small", &refund(30), None).await;
    check(&pdp, "large", &refund(101), Some("NoPermit")).await;
    check(&pdp, "forbidden", &call("delete_customer", &json!({"customer_id": "c-1"})), Some("Forbidden"))
        .await;
    check(&pdp, "not of its schema", &call("issue_refund", &json!({"order": 1})), Some("InvalidInput")).await;
    check(&pdp, "no such tool", &call("drop_tables", &json!({"x": 1})), Some("UnknownTool")).await;
}

#[tokio::test]
async fn the_record_says_what_was_asked_by_whom() {
    let pdp = TestPdp::start().await;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
        ("X-Request-ID", "thv-7"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let body = call("lookup_customer", &json!({"customer_id": "c-1"})).to_string();
    let answer = post_with(&pdp, PATH, &headers, body.as_bytes()).await;
    assert_eq!((answer.body.as_str(), answer.header("x-request-id")), (r#"{"allow":true}"#, Some("thv-7")));
    let record = pdp.ledger.last();
    for (member, wanted) in [
        ("face", json!("porc")),
        ("caller", json!("gateway")),
        ("request_id", json!("thv-7")),
        ("trace_id", json!("4bf92f3577b34da6a3ce929d0e0e4736")),
        ("principal", json!({"type": "Human", "id": "ana"})),
        ("actor", json!({"type": "Agent", "id": "support-bot"})),
        ("assurance", json!("asserted")),
        ("server", json!("crm")),
        ("method", json!("tools/call")),
        ("tool", json!("lookup_customer")),
        ("action", json!({"type": "Action", "id": "crm/lookup_customer"})),
        ("resource", json!({"type": "Tool", "id": "crm/lookup_customer"})),
        ("outcome", json!("permit")),
    ] {
        assert_eq!(record[member], wanted, "{member}: {record}");
    }
    assert!(record["arguments_digest"].is_string() && !record.to_string().contains("c-1"), "{record}");
}

#[tokio::test]
async fn every_operation_is_the_question_of_its_method() {
    let pdp = TestPdp::start().await;
    let document = "demo://resource/static/document/a.md";
    for (feature, verb, id, method, reason) in [
        ("tool", "call", "echo", "tools/call", None),
        ("tool", "list", "", "tools/list", None),
        ("prompt", "get", "simple-prompt", "prompts/get", None),
        ("prompt", "get", "invented", "prompts/get", Some("Forbidden")),
        ("prompt", "list", "a cursor", "prompts/list", None),
        ("resource", "read", document, "resources/read", None),
        ("resource", "read", "demo://resource/other", "resources/read", Some("Forbidden")),
        ("resource", "list", "", "resources/list", None),
    ] {
        let args = if feature == "tool" && verb == "call" { json!({"message": "hi"}) } else { Json::Null };
        let body = porc("bo", "coder", ("everything", feature, verb, id), &args);
        let record = check(&pdp, &format!("{feature}:{verb} {id}"), &body, reason).await;
        assert_eq!(
            (&record["method"], &record["server"]),
            (&method.into(), &"everything".into()),
            "{record}"
        );
    }
}

#[tokio::test]
async fn what_is_not_clear_is_denied_on_record() {
    let pdp = TestPdp::start().await;
    let good = call("lookup_customer", &json!({"customer_id": "c-1"}));
    for (member, value) in [
        ("/operation", json!("mcp:tool:Call")),
        ("/operation", json!("mcp:skill:get")),
        ("/operation", json!("tools/call")),
        ("/operation", json!("mcp:tool:call:")),
        ("/operation", json!("mcp:tool:list")),
        ("/operation", json!("")),
        ("/resource", json!("lookup_customer")),
        ("/resource", json!("mrn:mcp:crm:lookup_customer")),
        ("/resource", json!("mrn:mcp::tool:lookup_customer")),
        ("/resource", json!("mrn:mcp:crm:prompt:lookup_customer")),
        ("/resource", json!("mrn:mcp:crm:tool:issue_refund")),
        ("/context/mcp/feature", json!("prompt")),
        ("/context/mcp/operation", json!("get")),
        ("/context/mcp/resource_id", json!("issue_refund")),
        ("/context/mcp/args/customer_id", json!("c-\u{fffd}")),
        ("/principal/mannotations/agent", json!(7)),
        ("/principal/mannotations/agent", json!("")),
        ("/principal/sub", json!("night-watch")),
    ] {
        let mut body = good.clone();
        *body.pointer_mut(member).unwrap() = value.clone();
        let record = check(&pdp, &format!("{member} {value}"), &body, Some("InvalidInput")).await;
        assert!(record["reason_text"].as_str().is_some_and(|words| words.contains('`')), "{record}");
    }
}

#[tokio::test]
async fn numbers_that_were_rounded_on_the_way_are_not_decided_on() {
    let pdp = TestPdp::start().await;
    let good = call("issue_refund", &json!({"order": "o-1", "amount": 30})).to_string();
    for (amount, reason) in [
        ("30", None),
        ("9007199254740991", Some("NoPermit")),
        ("9007199254740992", Some("InvalidInput")),
        ("-9007199254740993", Some("InvalidInput")),
        ("1e+21", Some("InvalidInput")),
        ("9223372036854775808", Some("InvalidInput")),
        ("30.5", Some("InvalidInput")),
    ] {
        let body = good.replace(":30", &format!(":{amount}"));
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
        let answer = post_with(&pdp, PATH, &headers, body.as_bytes()).await;
        assert_eq!(answer.json(), json!({"allow": reason.is_none()}), "{amount}");
        assert_eq!(pdp.ledger.last()["reason"].as_str(), reason, "{amount}");
    }
}

#[tokio::test]
async fn without_arguments_only_that_is_permitted_which_does_not_depend_on_them() {
    let pdp = TestPdp::start().await;
    // The policies for it look at nothing but who, what and where.
    let record = check(&pdp, "any arguments", &call("lookup_customer", &Json::Null), None).await;
    assert_eq!((&record["tool"], &record["arguments_digest"]), (&"lookup_customer".into(), &Json::Null));
    // For whom the amount decides nothing is allowed, however small it may be.
    let record = check(&pdp, "the amount", &call("issue_refund", &Json::Null), Some("InvalidInput")).await;
    assert!(record["reason_text"].as_str().unwrap().contains("arguments"), "{record}");
    assert_eq!(record["resource"], json!({"type": "Tool", "id": "crm/issue_refund"}));
    check(&pdp, "for nobody", &call("delete_customer", &Json::Null), Some("Forbidden")).await;
    // The context may be missing as a whole: that is what a client sends that is told to send nothing.
    let mut bare = call("lookup_customer", &Json::Null);
    bare["context"] = json!({});
    check(&pdp, "an empty context", &bare, None).await;
    bare.as_object_mut().unwrap().remove("context");
    check(&pdp, "no context", &bare, None).await;
    // Empty ones are arguments, and not of the schema.
    check(&pdp, "none", &call("lookup_customer", &json!({})), Some("InvalidInput")).await;
}

#[tokio::test]
async fn a_policy_that_asks_whether_there_are_arguments_is_not_answered_with_no() {
    let added = |text: &str| {
        let added = File::new("policies/org/added.cedar", text);
        snapshot(&shipped_files().into_iter().chain([added]).collect::<Vec<_>>())
    };
    for (policy, reason) in [
        // What is settled before it is looked at the arguments is settled.
        (
            r#"@id("x") forbid (principal == Human::"bo", action == Action::"crm/lookup_customer", resource)
                when { context.input.customer_id == "c-9" };"#,
            None,
        ),
        (
            r#"@id("x") forbid (principal, action == Action::"crm/lookup_customer", resource)
                when { principal == Human::"bo" && context.input.customer_id == "c-9" };"#,
            None,
        ),
        (
            r#"@id("x") forbid (principal, action == Action::"crm/lookup_customer", resource)
                when { context.input.customer_id == "c-9" };"#,
            Some("InvalidInput"),
        ),
        (
            r#"@id("x") forbid (principal, action == Action::"crm/lookup_customer", resource)
                unless { context.input.customer_id == "c-1" };"#,
            Some("InvalidInput"),
        ),
        (
            r#"@id("x") forbid (principal, action == Action::"crm/lookup_customer", resource)
                when { context has input && context.input.customer_id == "c-9" };"#,
            Some("InvalidInput"),
        ),
        (
            r#"@id("x") permit (principal, action == Action::"crm/lookup_customer", resource)
                when { context.input.customer_id == "c-1" };"#,
            Some("InvalidInput"),
        ),
    ] {
        let pdp = TestPdp::builder().gateway().snapshot(added(policy)).start().await;
        check(&pdp, policy, &call("lookup_customer", &Json::Null), reason).await;
    }
}

#[tokio::test]
async fn what_needs_an_obligation_is_denied() {
    let obliged = File::new(
        "policies/org/obliged.cedar",
        r#"@id("x") @obligation("notification: { to: security@acme.example }")
            permit (principal in Team::"support", action == Action::"crm/lookup_customer", resource);"#,
    );
    let files: Vec<File> = shipped_files().into_iter().chain([obliged]).collect();
    let pdp = TestPdp::builder().gateway().snapshot(snapshot(&files)).start().await;
    for args in [json!({"customer_id": "c-1"}), Json::Null] {
        check(&pdp, "obliged", &call("lookup_customer", &args), Some("ObligationUnsupported")).await;
    }
}

#[tokio::test]
async fn a_principal_is_believed_only_of_a_caller_that_may_assert() {
    let pdp = TestPdp::builder()
        .gateway()
        .caller("t-plain", caller("plain", &[Role::Authorize]))
        .caller("t-people", Caller { agentless: true, ..gateway() })
        .start()
        .await;
    let body = call("lookup_customer", &json!({"customer_id": "c-1"}));
    let reason = async |token: &str, body: &Json| {
        let answer = post_as(&pdp, token, PATH, body).await;
        let record = pdp.ledger.last();
        assert_eq!(answer.json()["allow"], record["reason"].is_null(), "{record}");
        record["reason"].as_str().map(str::to_owned)
    };
    assert_eq!(reason(TOKEN, &body).await, None);
    assert_eq!(reason("t-plain", &body).await.as_deref(), Some("Unauthenticated"));
    // Nobody is nobody, whatever else is claimed.
    let mut nobody = body.clone();
    nobody["principal"] =
        json!({"mroles": ["admin"], "mclearance": "restricted", "mannotations": {"agent": "support-bot"}});
    assert_eq!(reason(TOKEN, &nobody).await.as_deref(), Some("Unauthenticated"));
    // What is said of groups and clearances gives nobody anything.
    let mut grown = call("export_customers", &json!({"format": "csv"}));
    let before = reason(TOKEN, &grown).await;
    grown["principal"] = json!({"sub": "ana", "mroles": ["support-lead"], "mgroups": ["support-lead"],
        "mclearance": "restricted", "mannotations": {"agent": "support-bot", "clearances": ["restricted"]}});
    assert!(before.is_some());
    assert_eq!(reason(TOKEN, &grown).await, before);
    // A person without an agent is one only where the caller stands for people.
    let mut alone = body.clone();
    alone["principal"] = json!({"sub": "ana", "roles": ["support"], "scopes": "openid"});
    assert_eq!(reason(TOKEN, &alone).await.as_deref(), Some("ActorMissing"));
    assert_eq!(reason("t-people", &alone).await, None);
    // An agent on its own says that it is one.
    let watch = |agent: &Json| {
        let mut body =
            porc("night-watch", "", ("git", "tool", "call", "git_status"), &json!({"repo_path": "."}));
        body["principal"]["mannotations"] = json!({"agent": agent});
        body
    };
    assert_eq!(reason(TOKEN, &watch(&json!("night-watch"))).await, None);
    assert_eq!(reason(TOKEN, &watch(&Json::Null)).await.as_deref(), Some("InvalidInput"));
}

#[tokio::test]
async fn only_a_caller_that_is_known_and_may_is_answered() {
    let one =
        Caller { servers: Servers::Named(["git".to_owned()].into()), ..caller("one", &[Role::Authorize]) };
    let pdp = TestPdp::builder()
        .gateway()
        .caller("t-other", caller("other", &[Role::Tasks]))
        .caller("t-one", one)
        .start()
        .await;
    let body = call("lookup_customer", &json!({"customer_id": "c-1"})).to_string();
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    for (authorization, status) in [
        (vec![], 401),
        (vec!["Bearer t-nobody".to_owned()], 401),
        (vec!["Basic".to_owned()], 401),
        (vec!["Basic !".to_owned()], 401),
        (vec![basic("no colon")], 401),
        (vec![basic("thv:t-nobody")], 401),
        (vec![basic(&format!("{TOKEN}:"))], 401),
        (vec![basic(&format!("thv:{TOKEN}\n"))], 401),
        (vec![basic(&format!("thv:{TOKEN}"))], 200),
        (vec![basic(&format!(":{TOKEN}"))], 200),
        (vec![format!("Bearer {TOKEN}")], 200),
        (vec!["Bearer t-other".to_owned()], 403),
        (vec![basic("thv:t-other")], 403),
        (vec!["Bearer t-one".to_owned()], 403),
        (vec![format!("Bearer {TOKEN}"), basic(&format!("thv:{TOKEN}"))], 400),
    ] {
        let mut headers = vec![("Content-Type", "application/json"), ("X-Request-ID", "r-7")];
        headers.extend(authorization.iter().map(|value| ("Authorization", value.as_str())));
        let records = pdp.ledger.records().len();
        let answer = post_with(&pdp, PATH, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{authorization:?}: {answer:?}");
        assert_eq!(answer.header("x-request-id"), Some("r-7"));
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{answer:?}");
        let recorded = pdp.ledger.records().len() - records;
        assert_eq!(recorded, usize::from([200, 403].contains(&status)), "{authorization:?}");
        if status == 403 {
            let record = pdp.ledger.last();
            assert_eq!((&record["type"], &record["face"]), (&"admin".into(), &"porc".into()));
        }
    }
    // Who is nobody learns nothing about its body.
    assert_eq!(post_with(&pdp, PATH, &[], b"{").await.status, 401);
}

#[tokio::test]
async fn a_probe_is_a_preview_and_on_record() {
    let pdp = TestPdp::start().await;
    let body = call("lookup_customer", &json!({"customer_id": "c-1"}));
    for (query, mode) in [
        ("", Json::Null),
        ("?probe=false", Json::Null),
        ("?probe=true", "preview".into()),
        ("?other=1", Json::Null),
    ] {
        let answer = post_as(&pdp, TOKEN, &format!("{PATH}{query}"), &body).await;
        assert_eq!(answer.body, r#"{"allow":true}"#, "{query}");
        assert_eq!(pdp.ledger.last()["mode"], mode, "{query}");
    }
    for query in ["?probe", "?probe=1", "?probe=true&probe=true", "?probe=TRUE"] {
        assert_eq!(post_as(&pdp, TOKEN, &format!("{PATH}{query}"), &body).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn without_a_record_there_is_no_answer() {
    let pdp = TestPdp::start().await;
    pdp.ledger.set_room(0);
    let answer = ask(&pdp, &call("lookup_customer", &json!({"customer_id": "c-1"}))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
}
