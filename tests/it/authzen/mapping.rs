//! AuthZEN's entities as the schema's: types, properties, context, and what belongs to the protocol.

use palisade::api::authzen::Types;
use palisade::diagnostic::File;
use serde_json::{Value as Json, json};

use super::ask::{Answer, evaluate, post_as};
use crate::pdp::{TOKEN, TestPdp, caller, snapshot};
use palisade::identity::Role;

const SCHEMA: &str = r#"
entity Person = { level: Long };
entity Robot;
entity Doc = { @source("pep") owner?: Person, @source("pep") score?: decimal, @source("pep") size?: Long };
entity Parcel = { weight: decimal };
type Circumstances = {
  @source("pdp") now: datetime,
  "action"?: { soft?: Bool, ratio?: decimal },
  amount?: Long,
  limit?: decimal,
  agent?: String,
  approval?: Bool,
};
action read, write appliesTo { principal: [Person, Robot], resource: [Doc], context: Circumstances };
action send appliesTo { principal: [Person], resource: [Parcel], context: Circumstances };
"#;

const ENTITIES: &str = r#"[
  {"uid": {"type": "Person", "id": "ana"}, "attrs": {"level": 1}, "parents": []},
  {"uid": {"type": "Robot", "id": "r \"2\" ü"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Doc", "id": "a/b?c#d"}, "attrs": {"size": 1}, "parents": []}]"#;

const POLICIES: &str = r#"
@id("read") permit (principal, action == Action::"read", resource);
@id("write") permit (principal, action == Action::"write", resource)
when { context has action && context.action has ratio && context.action.ratio.lessThan(decimal("0.5")) };
@id("send") permit (principal, action == Action::"send", resource) when { resource.weight.lessThan(decimal("20.0")) };
@id("big") @reason("it is too much")
forbid (principal, action, resource) when { context has amount && context.amount > 9007199254740992 };
@id("large") forbid (principal, action, resource is Doc) when { resource has size && resource.size > 10 };
@id("browser") forbid (principal, action, resource) when { context has agent && context.agent == "curl" };
@id("approved") forbid (principal, action, resource) when { context has approval };
"#;

async fn start(types: Types) -> TestPdp {
    let files =
        [("schemas/s.cedarschema", SCHEMA), ("entities/e.json", ENTITIES), ("policies/p.cedar", POLICIES)];
    let bundle = snapshot(&files.map(|(path, text)| File::new(path, text)));
    let all = caller("all", &[Role::Authorize, Role::Assert, Role::Explain]);
    TestPdp::builder().snapshot(bundle).gateway().caller("t-all", all).types(types).start().await
}

fn types() -> Types {
    Types::default().with([
        ("user".to_owned(), vec!["Person".to_owned()]),
        ("identity".to_owned(), vec!["Person".to_owned(), "Robot".to_owned()]),
    ])
}

fn read() -> Json {
    json!({"subject": {"type": "user", "id": "ana"}, "action": {"name": "read"}, "resource": {"type": "Doc", "id": "a/b?c#d"}})
}

async fn with(pdp: &TestPdp, member: &str, value: Json) -> Answer {
    let mut body = read();
    body[member] = value;
    evaluate(pdp, &body).await
}

#[tokio::test]
async fn types_stand_for_those_that_the_configuration_says() {
    let pdp = start(types()).await;
    for (kind, id, decision) in [
        ("user", "ana", true),
        ("Person", "ana", true),
        ("identity", "ana", true),
        ("identity", "r \"2\" ü", true),
        ("Robot", "r \"2\" ü", true),
        ("user", "r \"2\" ü", false),
        ("identity", "ghost", false),
        ("workload", "ana", false),
        ("person", "ana", false),
    ] {
        let answer = with(&pdp, "subject", json!({"type": kind, "id": id})).await;
        assert_eq!(answer.decision(), decision, "{kind} {id}: {}", answer.body);
    }
    assert_eq!(pdp.ledger.records()[3]["principal"], json!({"type": "Robot", "id": "r \"2\" ü"}));
    let unsaid = start(Types::default()).await;
    assert!(!evaluate(&unsaid, &read()).await.decision(), "no type here is called User");
}

#[tokio::test]
async fn numbers_are_exact_or_denied_and_never_rounded() {
    let pdp = start(types()).await;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
    for (amount, wanted) in [
        ("9007199254740992", None),
        ("9007199254740993", Some("forbidden")),
        ("9223372036854775807", Some("forbidden")),
        ("9223372036854775808", Some("invalid_input")),
        ("1.5", Some("invalid_input")),
        ("1e400", Some("invalid_input")),
        ("2.0", None),
        ("\"1\"", Some("invalid_input")),
        ("null", None),
    ] {
        let mut body = read();
        body["context"] = json!({"amount": "?"});
        let body = body.to_string().replace("\"?\"", amount);
        let answer =
            super::ask::post_with(&pdp, "/access/v1/evaluation", &headers, body.as_bytes()).await.json();
        assert_eq!(answer["context"]["reason"].as_str(), wanted, "{amount}: {answer}");
        if wanted == Some("invalid_input") {
            assert!(
                answer["context"]["error"]["message"].as_str().unwrap().contains("context.amount"),
                "{answer}"
            );
        }
    }
    let denied = with(&pdp, "context", json!({"amount": 9_007_199_254_740_993_i64})).await.json();
    assert_eq!(denied["context"]["reason_user"]["en"], "it is too much");
}

#[tokio::test]
async fn properties_describe_within_what_the_schema_lets_them() {
    let pdp = start(types()).await;
    for (resource, wanted) in [
        (json!({"type": "Doc", "id": "a/b?c#d", "properties": {"size": 11}}), Some("forbidden")),
        (json!({"type": "Doc", "id": "a/b?c#d", "properties": {"size": "large"}}), Some("invalid_input")),
        (
            json!({"type": "Doc", "id": "a/b?c#d", "properties": {"score": 0.25, "owner": {"type": "Person", "id": "ana"}}}),
            None,
        ),
        (json!({"type": "Doc", "id": "a/b?c#d", "properties": {"score": 0.00001}}), Some("invalid_input")),
        (
            json!({"type": "Doc", "id": "a/b?c#d", "properties": {"active": 1, "clearances": 2, "nested": {"a": [1, "b", null]}}}),
            None,
        ),
        (json!({"type": "Doc", "id": "new", "properties": {"size": 1}}), None),
        // What the schema does not have describes nobody.
        (json!({"type": "Doc", "id": "new", "properties": {"colour": "red"}}), Some("invalid_input")),
        (json!({"type": "Doc", "id": "new", "properties": {}}), Some("invalid_input")),
        (json!({"type": "Doc", "id": "new"}), Some("invalid_input")),
    ] {
        let answer = with(&pdp, "resource", resource.clone()).await.json();
        assert_eq!(answer["context"]["reason"].as_str(), wanted, "{resource}: {answer}");
    }
    let parcel = |weight: f64| {
        json!({"subject": {"type": "user", "id": "ana"}, "action": {"name": "send"},
            "resource": {"type": "Parcel", "id": "p", "properties": {"weight": weight}}})
    };
    assert!(evaluate(&pdp, &parcel(19.5)).await.decision());
    assert!(!evaluate(&pdp, &parcel(20.5)).await.decision());
    // Of what the bundle has, only what the schema leaves to PEPs.
    let subject = json!({"type": "user", "id": "ana", "properties": {"level": 9}});
    assert!(with(&pdp, "subject", subject).await.decision());
}

#[tokio::test]
async fn properties_of_the_action_become_context() {
    let pdp = start(types()).await;
    let write = |properties: Json| json!({"name": "write", "properties": properties});
    for (action, decision) in [
        (write(json!({"ratio": 0.25})), true),
        (write(json!({"ratio": 0.75})), false),
        (write(json!({"ratio": 0.123_456})), false),
        (write(json!({})), false),
        (write(Json::Null), false),
        (json!({"name": "Action::\"read\""}), true),
    ] {
        let answer = with(&pdp, "action", action.clone()).await;
        assert_eq!(answer.decision(), decision, "{action}: {}", answer.body);
    }
    let mut twice = read();
    twice["action"] = write(json!({"ratio": 0.25}));
    twice["context"] = json!({"action": {"ratio": 0.1}});
    assert_eq!(evaluate(&pdp, &twice).await.json()["context"]["reason"], "invalid_input");
}

#[tokio::test]
async fn what_the_schema_declares_is_the_policies_and_what_is_protocol_is_not() {
    let pdp = start(types()).await;
    for (context, wanted) in [
        (json!({"agent": "curl"}), Some("forbidden")),
        (json!({"agent": "firefox"}), None),
        (
            json!({"approval": true, "supported_mandatory_extensions": ["obligations", "other"], "supported_obligations": []}),
            None,
        ),
        (json!({"now": "1999-01-01T00:00:00Z"}), Some("invalid_input")),
        (json!({"time": "now", "colour": {"red": 1.5}}), None),
        // No type here is an agent's, and a name that means nothing is not taken for none.
        (json!({"actor": "bot"}), Some("invalid_input")),
    ] {
        let answer = with(&pdp, "context", context.clone()).await.json();
        assert_eq!(answer["context"]["reason"].as_str(), wanted, "{context}: {answer}");
    }
}

#[tokio::test]
async fn details_are_for_callers_that_may_have_them() {
    let pdp = start(types()).await;
    let mut body = read();
    body["context"] = json!({"amount": 9_007_199_254_740_993_i64});
    let path = "/access/v1/evaluation";
    assert_eq!(evaluate(&pdp, &body).await.json()["context"].get("reason_admin"), None);
    let told = post_as(&pdp, "t-all", path, &body).await.json();
    assert_eq!(
        told["context"]["reason_admin"]["determining"],
        json!([{"id": "big", "effect": "forbid", "half": "principal"}])
    );
    body["context"]["palisade"] = json!({"explain": true});
    let explained = post_as(&pdp, "t-all", path, &body).await.json();
    assert!(
        !explained["context"]["reason_admin"]["explanation"].as_array().unwrap().is_empty(),
        "{explained}"
    );
    assert_eq!(evaluate(&pdp, &body).await.status, 403);
    assert_eq!(post_as(&pdp, "t-all", path, &read()).await.body, r#"{"decision":true}"#);
}
