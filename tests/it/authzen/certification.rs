//! The scenario of the public certification (`authorization-api-1_0-scenario.md`): Basic and Batch, Core and Properties.

use std::sync::Arc;

use palisade::diagnostic::File;
use palisade::policy::Snapshot;
use serde_json::{Value as Json, json};

use super::ask::{Answer, evaluate, evaluate_all, post_with};
use crate::pdp::{TOKEN, TestPdp, snapshot};

/// The fixture: what the scenario asks of an implementation.
pub fn bundle() -> Arc<Snapshot> {
    let files = [
        ("schemas/records.cedarschema", include_str!("certification/records.cedarschema")),
        ("entities/records.json", include_str!("certification/records.json")),
        ("policies/records.cedar", include_str!("certification/records.cedar")),
    ];
    snapshot(&files.map(|(path, text)| File::new(path, text)))
}

/// The PDP of the scenario.
pub async fn start() -> TestPdp {
    TestPdp::builder().snapshot(bundle()).gateway().start().await
}

/// The eight rules: who, what, to what, and the decision.
fn rules() -> Vec<(Json, Json, Json, bool)> {
    let (alice, bob) = (json!({"type": "user", "id": "alice"}), json!({"type": "user", "id": "bob"}));
    let admin = json!({"type": "user", "id": "bob", "properties": {"role": "admin"}});
    let record = |id: &str| json!({"type": "record", "id": id});
    let archived = json!({"type": "record", "id": "record-2", "properties": {"status": "archived"}});
    let action = |name: &str| json!({"name": name});
    let delete = |soft: bool| json!({"name": "delete", "properties": {"soft": soft}});
    vec![
        (alice.clone(), action("read"), record("record-1"), true),
        (alice.clone(), action("write"), record("record-1"), true),
        (bob.clone(), action("read"), record("record-1"), true),
        (bob, action("write"), record("record-1"), false),
        (alice.clone(), action("write"), archived.clone(), false),
        (admin, action("write"), archived, true),
        (alice.clone(), delete(true), record("record-1"), true),
        (alice, delete(false), record("record-1"), false),
    ]
}

fn question((subject, action, resource, _): &(Json, Json, Json, bool)) -> Json {
    json!({"subject": subject, "action": action, "resource": resource})
}

fn decisions(answer: &Answer) -> Vec<bool> {
    let said = answer.json();
    said["evaluations"].as_array().unwrap().iter().map(|one| one["decision"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn basic_the_rules_hold_with_and_without_context_and_again() {
    let pdp = start().await;
    for rule in rules() {
        let mut body = question(&rule);
        for context in
            [None, Some(json!({})), Some(json!({"time": "2026-06-27T18:03-07:00", "ip": "10.0.0.1"}))]
        {
            body.as_object_mut().unwrap().extend(context.map(|context| ("context".to_owned(), context)));
            for _ in 0..2 {
                let answer = evaluate(&pdp, &body).await;
                assert_eq!(answer.decision(), rule.3, "{body}: {}", answer.body);
                assert!(answer.json().get("context").is_none_or(Json::is_object), "{}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn basic_extra_members_and_properties_are_ignored() {
    let pdp = start().await;
    let more = json!({"colour": "red", "number": 1.5, "none": null, "mixed": [1, "a", {}], "active": true, "clearances": []});
    for rule in rules() {
        let mut body = question(&rule);
        body["unknown"] = more.clone();
        body["context"] = more.clone();
        for entity in ["subject", "resource"] {
            body[entity]["unknown"] = more.clone();
            for (name, value) in more.as_object().unwrap() {
                body[entity]["properties"][name] = value.clone();
            }
        }
        let answer = evaluate(&pdp, &body).await;
        assert_eq!(answer.decision(), rule.3, "{body}: {}", answer.body);
    }
}

#[tokio::test]
async fn basic_what_is_missing_or_of_the_wrong_type_is_400() {
    let pdp = start().await;
    let good = question(&rules()[0]);
    let without = |path: &[&str]| {
        let mut body = good.clone();
        let (last, above) = path.split_last().unwrap();
        let object = above.iter().fold(&mut body, |object, name| &mut object[*name]);
        object.as_object_mut().unwrap().remove(*last);
        body
    };
    for path in [
        &["subject"][..],
        &["action"],
        &["resource"],
        &["subject", "type"],
        &["subject", "id"],
        &["action", "name"],
        &["resource", "type"],
        &["resource", "id"],
    ] {
        let answer = evaluate(&pdp, &without(path)).await;
        assert_eq!(answer.status, 400, "{path:?}: {answer:?}");
        assert!(answer.body.contains(&path.join(".")) && answer.body.contains("required"), "{}", answer.body);
    }
    let mut as_text = good.clone();
    as_text["subject"] = "alice".into();
    let mut as_number = good.clone();
    as_number["action"]["name"] = 7.into();
    for body in [as_text, as_number, json!([]), json!("x"), json!(null)] {
        assert_eq!(evaluate(&pdp, &body).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn basic_the_transport_is_the_standards() {
    let pdp = start().await;
    let bearer = format!("Bearer {TOKEN}");
    let good = question(&rules()[0]).to_string();
    let ask = async |content_type: &str, body: &str| {
        let headers =
            [("Authorization", &*bearer), ("Content-Type", content_type), ("X-Request-ID", "id 1/ä")];
        post_with(&pdp, "/access/v1/evaluation", &headers, body.as_bytes()).await
    };
    for (content_type, body, status) in [
        ("application/json", &*good, 200),
        ("application/json; charset=utf-8", &good, 200),
        ("text/plain", &good, 400),
        ("application/xml", &good, 400),
        ("application/json", "{", 400),
        ("application/json", "", 400),
    ] {
        let answer = ask(content_type, body).await;
        assert_eq!(answer.status, status, "{content_type} {body}: {answer:?}");
        assert_eq!(answer.header("x-request-id"), Some("id 1/ä"), "{answer:?}");
    }
}

#[tokio::test]
async fn basic_who_and_what_nobody_knows_is_a_deny() {
    let pdp = start().await;
    for (member, value) in [
        ("subject", json!({"type": "user", "id": "mallory"})),
        ("subject", json!({"type": "spaceship", "id": "alice"})),
        ("subject", json!({"type": "", "id": ""})),
        ("action", json!({"name": "launch"})),
        ("action", json!({"name": ""})),
        ("resource", json!({"type": "record", "id": "record-9"})),
        ("resource", json!({"type": "spaceship", "id": "record-1"})),
    ] {
        let mut body = question(&rules()[0]);
        body[member] = value.clone();
        let answer = evaluate(&pdp, &body).await;
        assert!(!answer.decision(), "{value}: {}", answer.body);
    }
}

#[tokio::test]
async fn batch_the_rules_hold_in_one_request_in_their_order() {
    let pdp = start().await;
    let wanted: Vec<bool> = rules().iter().map(|rule| rule.3).collect();
    let items: Vec<Json> = rules().iter().map(question).collect();
    let answer = evaluate_all(&pdp, &json!({"evaluations": items})).await;
    assert_eq!(decisions(&answer), wanted, "{}", answer.body);
    let stops = json!({"evaluations": items, "options": {"evaluations_semantic": "deny_on_first_deny"}});
    assert_eq!(decisions(&evaluate_all(&pdp, &stops).await), [true, true, true, false]);
    let stops = json!({"evaluations": items, "options": {"evaluations_semantic": "permit_on_first_permit"}});
    assert_eq!(decisions(&evaluate_all(&pdp, &stops).await), [true]);
}

#[tokio::test]
async fn batch_items_inherit_and_replace_whole_members() {
    let pdp = start().await;
    let body = json!({
        "subject": {"type": "user", "id": "alice", "properties": {"role": "admin"}},
        "action": {"name": "write"},
        "resource": {"type": "record", "id": "record-1"},
        "evaluations": [
            {},
            {"resource": {"type": "record", "id": "record-2"}},
            // Another subject brings nothing of the default's: alice is an admin above, and none here.
            {"subject": {"type": "user", "id": "alice"}, "resource": {"type": "record", "id": "record-2"}},
            {"subject": {"type": "user", "id": "bob"}},
            {"action": {"name": "read"}},
            {"resource": {"type": "record"}},
        ],
    });
    let answer = evaluate_all(&pdp, &body).await;
    assert_eq!(decisions(&answer), [true, true, false, false, true, false], "{}", answer.body);
}

#[tokio::test]
async fn batch_without_items_is_a_single_decision() {
    let pdp = start().await;
    for rule in rules() {
        for items in [None, Some(json!([]))] {
            let mut body = question(&rule);
            body.as_object_mut().unwrap().extend(items.map(|items| ("evaluations".to_owned(), items)));
            let answer = evaluate_all(&pdp, &body).await;
            assert_eq!(answer.decision(), rule.3, "{body}");
            assert!(answer.json().get("evaluations").is_none());
        }
    }
}
