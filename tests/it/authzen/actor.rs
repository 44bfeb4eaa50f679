//! The agent that acts, wherever a PEP names it.

use serde_json::{Value as Json, json};

use super::ask::{Answer, evaluate};
use crate::pdp::TestPdp;

/// Ana's lookup of a customer, with these members more.
fn lookup(more: &Json) -> Json {
    let mut body = json!({
        "subject": {"type": "identity", "id": "ana", "properties": {}},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": "lookup_customer",
            "properties": {"server": "crm", "arguments": {"customer_id": "c-1"}}},
        "context": {},
    });
    merge(&mut body, more);
    body
}

fn merge(into: &mut Json, more: &Json) {
    match (into, more) {
        (Json::Object(into), Json::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name.clone()).or_insert(Json::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

async fn asked(pdp: &TestPdp, more: &Json) -> Answer {
    evaluate(pdp, &lookup(more)).await
}

#[tokio::test]
async fn the_agent_is_found_in_each_of_its_usual_places() {
    let pdp = TestPdp::start().await;
    for more in [
        json!({"context": {"agent": "support-bot"}}),
        json!({"context": {"agent": "spiffe://acme.example/agent/support-bot"}}),
        json!({"context": {"agent": {"id": "support-bot"}}}),
        json!({"context": {"actor": "support-bot"}}),
        json!({"context": {"actor": {"type": "agent", "id": "support-bot"}}}),
        json!({"context": {"actor": {"type": "workload", "id": "spiffe://acme.example/agent/support-bot"}}}),
        json!({"context": {"act": {"iss": "https://id.acme.example", "sub": "support-bot"}}}),
        json!({"context": {"client": {"actor": {"sub": "support-bot"}}}}),
        json!({"client": {"actor": {"sub": "support-bot"}}}),
        json!({"subject": {"properties": {"act": {"iss": "i", "sub": "support-bot", "sub_profile": "ai_agent"}}}}),
        json!({"subject": {"properties": {"actor": {"type": "Agent", "id": "support-bot"}}}}),
        json!({"context": {"palisade": {"actor": {"type": "Agent", "id": "support-bot"}}}}),
        json!({"context": {"agent": "support-bot", "act": {"sub": "spiffe://acme.example/agent/support-bot"}}}),
    ] {
        let answer = asked(&pdp, &more).await;
        assert_eq!(answer.body, r#"{"decision":true}"#, "{more}");
        assert_eq!(pdp.ledger.last()["actor"], json!({"type": "Agent", "id": "support-bot"}), "{more}");
    }
}

#[tokio::test]
async fn places_that_disagree_are_denied_and_named() {
    let pdp = TestPdp::start().await;
    let act = json!({"sub": "support-bot", "act": {"sub": "lead-bot"}});
    for (more, places) in [
        (
            json!({"context": {"agent": "support-bot", "actor": "coder"}}),
            ["`context.agent`", "`context.actor`"],
        ),
        (
            json!({"context": {"agent": "coder"}, "subject": {"properties": {"act": {"sub": "support-bot"}}}}),
            ["`context.agent`", "`subject.properties.act`"],
        ),
        (
            json!({"context": {"act": act, "palisade": {"earlier_actors": ["coder"]}}}),
            ["`context.palisade.earlier_actors`", "nested `act`"],
        ),
        (
            json!({"context": {"act": act}, "client": {"actor": {"sub": "support-bot", "act": {"sub": "coder"}}}}),
            ["`context.act`", "`client.actor`"],
        ),
    ] {
        let answer = asked(&pdp, &more).await.json();
        assert_eq!(answer["context"]["reason"], "invalid_input", "{more}: {answer}");
        let words = answer["context"]["reason_user"]["en"].as_str().unwrap().to_owned();
        assert!(places.iter().all(|place| words.contains(place)), "{more}: {words}");
        let record = pdp.ledger.last();
        assert_eq!(
            (&record["outcome"], &record["reason"]),
            (&"deny".into(), &"InvalidInput".into()),
            "{more}"
        );
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_read_or_that_nobody_has_is_never_nobody() {
    let pdp = TestPdp::start().await;
    for agent in
        [json!(""), json!(7), json!({}), json!([]), json!(true), json!({"type": "agent"}), json!("ghost")]
    {
        for more in [json!({"context": {"agent": agent}}), json!({"subject": {"properties": {"act": agent}}})]
        {
            let answer = asked(&pdp, &more).await.json();
            assert_eq!(answer["decision"], false, "{more}");
            assert_eq!(answer["context"]["reason"], "invalid_input", "{more}: {answer}");
        }
    }
    // Nobody at all: a person does not come without an agent.
    let answer = asked(&pdp, &json!({"context": {"agent": null}})).await.json();
    assert_eq!(answer["context"]["reason"], "actor_missing");
}

#[tokio::test]
async fn actors_inside_an_actor_acted_earlier() {
    let pdp = TestPdp::start().await;
    let chain =
        json!({"sub": "support-bot", "act": {"sub": "lead-bot", "act": {"type": "Agent", "id": "coder"}}});
    asked(&pdp, &json!({"context": {"agent": "support-bot", "act": chain}})).await.json();
    let record = pdp.ledger.last();
    assert_eq!(record["actor"]["id"], "support-bot");
    let earlier: Vec<&Json> =
        record["earlier_actors"].as_array().unwrap().iter().map(|uid| &uid["id"]).collect();
    assert_eq!(earlier, ["lead-bot", "coder"]);

    let deep = (0..12).fold(json!({"sub": "coder"}), |inner, _| json!({"sub": "coder", "act": inner}));
    let answer = asked(&pdp, &json!({"context": {"act": deep}})).await.json();
    assert_eq!(answer["context"]["reason"], "invalid_input");
}

#[tokio::test]
async fn an_agent_that_names_itself_works_on_its_own() {
    let pdp = TestPdp::start().await;
    let mut body = json!({
        "subject": {"type": "identity", "id": "night-watch"},
        "action": {"name": "tools/call"},
        "resource": {"type": "tool", "id": "git_status", "properties": {"arguments": {"repo_path": "."}}},
        "context": {"agent": "night-watch"},
    });
    for kind in ["identity", "client", "workload", "Agent"] {
        body["subject"]["type"] = kind.into();
        assert_eq!(evaluate(&pdp, &body).await.body, r#"{"decision":true}"#, "{kind}");
        let record = pdp.ledger.last();
        assert_eq!(record["principal"], json!({"type": "Agent", "id": "night-watch"}), "{kind}");
        assert_eq!(record["actor"], Json::Null, "{kind}");
    }
    body["subject"]["type"] = "user".into();
    assert!(!evaluate(&pdp, &body).await.decision(), "an agent is no user");
}

#[tokio::test]
async fn an_identity_that_is_no_person_is_an_agent_only_when_it_is_named_as_one() {
    let pdp = TestPdp::start().await;
    let ask = |kind: &str, context: Json| {
        json!({
            "subject": {"type": kind, "id": "night-watch"},
            "action": {"name": "tools/call"},
            "resource": {"type": "tool", "id": "git_status", "properties": {"arguments": {"repo_path": "."}}},
            "context": context,
        })
    };
    for context in [json!({}), json!({"agent": null}), json!({"agent": "coder"})] {
        let answer = evaluate(&pdp, &ask("identity", context.clone())).await.json();
        assert_eq!(answer["context"]["reason"], "invalid_input", "{context}: {answer}");
        let words = answer["context"]["reason_user"]["en"].as_str().unwrap().to_owned();
        assert!(words.contains("`context.agent`") && words.contains("`agent`"), "{words}");
    }
    for context in [
        json!({"act": {"sub": "spiffe://acme.example/agent/night-watch"}}),
        json!({"palisade": {"actor": {"type": "Agent", "id": "night-watch"}}}),
        // The tokens alone say who asks, and there are none.
        json!({"palisade": {"claim": false}}),
    ] {
        let answer = evaluate(&pdp, &ask("identity", context.clone())).await.json();
        assert_ne!(answer["context"]["reason"], "invalid_input", "{context}: {answer}");
    }
    for kind in ["client", "workload", "agent", "Agent"] {
        assert_eq!(evaluate(&pdp, &ask(kind, json!({}))).await.body, r#"{"decision":true}"#, "{kind}");
    }
}

#[tokio::test]
async fn agents_of_different_issuers_are_different_agents() {
    let pdp = TestPdp::start().await;
    let act = |issuer: Json| json!({"iss": issuer, "sub": "support-bot"});
    let (one, other) = ("https://id.acme.example", "https://id.other.example");
    for more in [
        json!({"context": {"act": act(one.into())}, "client": {"actor": act(one.into())}}),
        json!({"context": {"act": act(one.into()), "agent": "support-bot"}}),
        json!({"context": {"act": act(Json::Null)}, "client": {"actor": act(one.into())}}),
    ] {
        assert_eq!(asked(&pdp, &more).await.body, r#"{"decision":true}"#, "{more}");
    }
    for more in [
        json!({"context": {"act": act(one.into())}, "client": {"actor": act(other.into())}}),
        json!({"context": {"agent": "support-bot", "act": act(one.into())}, "client": {"actor": act(other.into())}}),
    ] {
        let answer = asked(&pdp, &more).await.json();
        assert_eq!(answer["context"]["reason"], "invalid_input", "{more}: {answer}");
        let words = answer["context"]["reason_user"]["en"].as_str().unwrap();
        assert!(words.contains("`context.act`") && words.contains("`client.actor`"), "{more}: {words}");
    }
    let unreadable = asked(&pdp, &json!({"context": {"act": act(7.into())}})).await.json();
    assert_eq!(unreadable["context"]["reason"], "invalid_input");

    let nested = |issuer: &str| json!({"sub": "support-bot", "act": {"iss": issuer, "sub": "coder"}});
    let more = json!({"context": {"act": nested(one)}, "client": {"actor": nested(other)}});
    assert_eq!(asked(&pdp, &more).await.json()["context"]["reason"], "invalid_input");
}

#[tokio::test]
async fn a_deny_for_unclear_agents_says_on_record_who_asked_and_about_what() {
    let pdp = TestPdp::start().await;
    let unclear = json!({"context": {"agent": "support-bot", "actor": "coder"}});
    asked(&pdp, &unclear).await.json();
    let record = pdp.ledger.last();
    assert_eq!(record["principal"], json!({"type": "Human", "id": "ana"}), "{record}");
    assert_eq!(record["actor"], Json::Null);
    assert_eq!(record["action"]["id"], "crm/lookup_customer", "{record}");
    assert_eq!(record["resource"], json!({"type": "Tool", "id": "crm/lookup_customer"}), "{record}");

    let mut other = unclear.clone();
    other["action"] = json!({"name": "resources/read"});
    other["resource"] = json!({"type": "resource", "id": "CRM://a/b"});
    asked(&pdp, &other).await.json();
    let record = pdp.ledger.last();
    assert_eq!(record["action"]["id"], "resources/read", "{record}");
    assert_eq!(record["resource"], json!({"type": "Resource", "id": "crm/crm://a/b"}), "{record}");

    let mut generic = unclear;
    generic["resource"] = json!({"type": "Human", "id": "bo"});
    asked(&pdp, &generic).await.json();
    let record = pdp.ledger.last();
    assert_eq!(record["principal"], json!({"type": "Human", "id": "ana"}), "{record}");
    assert_eq!(record["resource"], json!({"type": "Human", "id": "bo"}), "{record}");
}
