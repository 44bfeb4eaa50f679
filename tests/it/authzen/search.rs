//! Searches: the certification's levels S1–S6, pages, and the tools of a list in terms of COAZ.

use palisade::diagnostic::File;
use palisade::identity::{Role, Servers};
use serde_json::{Value as Json, json};

use super::ask::{Answer, post, post_as, post_with};
use crate::pdp::{TOKEN, TestPdp, caller, snapshot};
use crate::search::certification::scenario;
use crate::search::documents;

const SUBJECT: &str = "/access/v1/search/subject";
const RESOURCE: &str = "/access/v1/search/resource";
const ACTION: &str = "/access/v1/search/action";

async fn over(files: &[File]) -> TestPdp {
    let mut asking = caller("gateway", &[Role::Authorize, Role::Assert]);
    asking.agentless = true;
    TestPdp::builder().snapshot(snapshot(files)).caller(TOKEN, asking).start().await
}

fn ids(answer: &Answer) -> Vec<String> {
    let results = answer.json()["results"].as_array().expect("results").clone();
    results.iter().map(|result| result["id"].as_str().expect("an id").to_owned()).collect()
}

fn names(answer: &Answer) -> Vec<String> {
    let results = answer.json()["results"].as_array().expect("results").clone();
    results.iter().map(|result| result["name"].as_str().expect("a name").to_owned()).collect()
}

fn user(id: &str) -> Json {
    json!({ "type": "user", "id": id })
}

fn record(id: &str) -> Json {
    json!({ "type": "record", "id": id })
}

#[tokio::test]
async fn the_certification_scenario_is_searched_at_every_level() {
    let pdp = over(&scenario()).await;
    let subjects = async |action: &str, id: &str| {
        let body = json!({"subject": {"type": "user"}, "action": {"name": action}, "resource": record(id)});
        ids(&post(&pdp, SUBJECT, &body).await)
    };
    let resources = async |who: &str, action: &str| {
        let body = json!({"subject": user(who), "action": {"name": action}, "resource": {"type": "record"}});
        ids(&post(&pdp, RESOURCE, &body).await)
    };
    let actions = async |who: &str, id: &str| {
        let body = json!({"subject": user(who), "resource": record(id)});
        names(&post(&pdp, ACTION, &body).await)
    };
    assert_eq!(subjects("read", "record-1").await, ["alice", "bob"], "S1");
    assert_eq!(resources("alice", "read").await, ["record-1", "record-2"], "S2");
    assert_eq!(actions("alice", "record-1").await, ["read", "write"], "S3");
    assert_eq!(subjects("write", "record-2").await, ["bob"], "S4");
    assert_eq!(resources("bob", "write").await, ["record-2"], "S5");
    assert_eq!(actions("bob", "record-2").await, ["read", "write"], "S6");
    let found = post(
        &pdp,
        SUBJECT,
        &json!({
        "subject": {"type": "user"}, "action": {"name": "read"}, "resource": record("record-1")}),
    )
    .await;
    let whole = json!({"results": [{"type": "user", "id": "alice"}, {"type": "user", "id": "bob"}]});
    assert_eq!(found.json(), whole, "no page, no context, no more than was asked for");
    assert!(found.header("x-palisade-search-id").is_some());
    assert_eq!(pdp.ledger.last()["face"], "authzen");
    pdp.stop();
}

#[tokio::test]
async fn the_id_of_what_is_looked_for_is_ignored_and_so_is_the_context_that_nobody_reads() {
    let pdp = over(&scenario()).await;
    let with_id = json!({
        "subject": {"type": "user", "id": "mallory", "properties": {"role": "admin"}},
        "action": {"name": "write"}, "resource": record("record-2"),
        "context": {"time": "2026-11-21T10:15:00Z"}, "strange": [1]});
    assert_eq!(ids(&post(&pdp, SUBJECT, &with_id).await), ["bob"]);
    let with_id = json!({
        "subject": user("bob"), "action": {"name": "write"},
        "resource": {"type": "record", "id": "record-1", "properties": {"status": "archived"}}});
    assert_eq!(ids(&post(&pdp, RESOURCE, &with_id).await), ["record-2"]);
    let with_action =
        json!({"subject": user("bob"), "action": {"name": "read"}, "resource": record("record-2")});
    assert_eq!(names(&post(&pdp, ACTION, &with_action).await), ["read", "write"]);
    pdp.stop();
}

#[tokio::test]
async fn what_a_request_says_of_the_other_party_counts_as_in_an_evaluation() {
    let pdp = over(&scenario()).await;
    let archived = json!({
        "subject": user("bob"),
        "resource": {"type": "record", "id": "record-1", "properties": {"status": "archived"}}});
    assert_eq!(names(&post(&pdp, ACTION, &archived).await), ["read", "write"]);
    pdp.stop();
}

#[tokio::test]
async fn what_is_missing_or_of_the_wrong_type_is_400() {
    let pdp = over(&scenario()).await;
    let read = json!({"name": "read"});
    let bad = [
        (SUBJECT, json!({"action": read, "resource": record("record-1")}), "`subject` is required"),
        (
            SUBJECT,
            json!({"subject": {}, "action": read, "resource": record("r")}),
            "`subject.type` is required",
        ),
        (SUBJECT, json!({"subject": {"type": "user"}, "resource": record("r")}), "`action` is required"),
        (SUBJECT, json!({"subject": {"type": "user"}, "action": read}), "`resource` is required"),
        (
            SUBJECT,
            json!({"subject": {"type": "user"}, "action": read, "resource": {"type": "record"}}),
            "`resource.id` is required",
        ),
        (
            RESOURCE,
            json!({"subject": {"type": "user"}, "action": read, "resource": {"type": "record"}}),
            "`subject.id` is required",
        ),
        (RESOURCE, json!({"subject": user("alice"), "action": read}), "`resource` is required"),
        (RESOURCE, json!({"subject": user("alice"), "resource": {"type": "record"}}), "`action` is required"),
        (ACTION, json!({"subject": user("alice")}), "`resource` is required"),
        (
            ACTION,
            json!({"subject": user("alice"), "resource": {"type": "record"}}),
            "`resource.id` is required",
        ),
        (
            ACTION,
            json!({"subject": user("alice"), "resource": record("r"), "page": {"limit": -1}}),
            "`page.limit` must be a whole number from 0 on, found an integer",
        ),
        (
            ACTION,
            json!({"subject": user("alice"), "resource": record("r"), "page": {"token": 7}}),
            "`page.token` must be a string, found an integer",
        ),
    ];
    for (path, body, words) in bad {
        let answer = post(&pdp, path, &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (400, words), "{path} {body}");
    }
    let headers = [("Authorization", "Bearer t-gateway"), ("Content-Type", "text/plain")];
    assert_eq!(post_with(&pdp, RESOURCE, &headers, b"{}").await.status, 400);
    let headers = [("Content-Type", "application/json"), ("X-Request-ID", "r-7")];
    let nobody = post_with(&pdp, RESOURCE, &headers, b"{}").await;
    assert_eq!((nobody.status, nobody.header("x-request-id")), (401, Some("r-7")));
    pdp.stop();
}

#[tokio::test]
async fn what_nobody_knows_has_no_results() {
    let pdp = over(&scenario()).await;
    let read = json!({"name": "read"});
    let unknown = [
        (SUBJECT, json!({"subject": {"type": "spaceship"}, "action": read, "resource": record("record-1")})),
        (SUBJECT, json!({"subject": {"type": "user"}, "action": read, "resource": record("record-9")})),
        (
            SUBJECT,
            json!({"subject": {"type": "user"}, "action": {"name": "launch"}, "resource": record("record-1")}),
        ),
        (RESOURCE, json!({"subject": user("carol"), "action": read, "resource": {"type": "record"}})),
        (RESOURCE, json!({"subject": user("alice"), "action": read, "resource": {"type": "spaceship"}})),
        (ACTION, json!({"subject": user("carol"), "resource": record("record-1")})),
        (ACTION, json!({"subject": user("alice"), "resource": {"type": "spaceship", "id": "x"}})),
    ];
    for (path, body) in unknown {
        assert_eq!(post(&pdp, path, &body).await.json(), json!({"results": []}), "{path} {body}");
    }
    pdp.stop();
}

#[tokio::test]
async fn pages_follow_each_other_without_a_limit_and_end_with_an_empty_token() {
    let pdp = over(&documents(10)).await;
    let page = |page: Json| {
        json!({"subject": {"type": "User", "id": "ana"}, "action": {"name": "read"},
               "resource": {"type": "Doc"}, "page": page})
    };
    let first = post(&pdp, RESOURCE, &page(json!({"limit": 2}))).await;
    assert!(first.body.starts_with(r#"{"page":{"next_token":""#), "the page comes first: {}", first.body);
    assert_eq!(first.json()["page"]["count"], 2);
    assert_eq!(ids(&first), ["d-00000", "d-00002"]);
    let token = first.json()["page"]["next_token"].clone();
    let second = post(&pdp, RESOURCE, &page(json!({"token": token}))).await;
    assert_eq!(ids(&second), ["d-00004", "d-00006"]);
    let third = post(&pdp, RESOURCE, &page(json!({"token": second.json()["page"]["next_token"]}))).await;
    assert_eq!(third.json()["page"], json!({"next_token": "", "count": 1}));
    assert_eq!(ids(&third), ["d-00008"]);
    let other = post(&pdp, RESOURCE, &page(json!({"token": token, "limit": 3}))).await;
    assert_eq!(other.status, 400);
    let mut changed = page(json!({"token": token}));
    changed["action"]["name"] = json!("write");
    assert_eq!(post(&pdp, RESOURCE, &changed).await.status, 400);
    assert_eq!(post(&pdp, RESOURCE, &page(json!({"token": "nonsense"}))).await.status, 400);
    let all = post(&pdp, RESOURCE, &page(json!({}))).await;
    assert_eq!(all.json()["page"], json!({"next_token": "", "count": 5}));
    pdp.stop();
}

fn tools(properties: &Json) -> Json {
    json!({
        "subject": {"type": "identity", "id": "ana"}, "action": {"name": "tools/call"},
        "resource": {"type": "tool", "properties": properties}, "context": {"agent": "support-bot"}})
}

#[tokio::test]
async fn a_list_of_tools_is_filtered_in_terms_of_coaz() {
    let pdp = TestPdp::start().await;
    let found = post(&pdp, RESOURCE, &tools(&json!({"server": "crm"}))).await;
    let listed = ids(&found);
    assert!(listed.contains(&"issue_refund".to_owned()) && !listed.contains(&"delete_customer".to_owned()));
    assert_eq!(found.json()["results"][0], json!({"type": "tool", "id": listed[0]}));
    let by_audience = post(&pdp, RESOURCE, &tools(&json!({"server": "https://crm.acme.example/mcp"}))).await;
    assert_eq!(ids(&by_audience), listed);
    let everywhere = post(&pdp, RESOURCE, &tools(&json!({}))).await;
    assert_eq!(everywhere.json()["results"][0]["properties"], json!({"server": "crm"}));
    assert_eq!(ids(&everywhere), listed, "ana's bot has nothing elsewhere");
    let nowhere = post(&pdp, RESOURCE, &tools(&json!({"server": "nowhere"}))).await;
    assert_eq!(ids(&nowhere), Vec::<String>::new());
    pdp.stop();
}

#[tokio::test]
async fn subjects_and_actions_are_found_in_terms_of_coaz() {
    let pdp = TestPdp::start().await;
    let refund = json!({"type": "tool", "id": "issue_refund", "properties": {"server": "crm"}});
    let who = json!({
        "subject": {"type": "identity"}, "action": {"name": "tools/call"}, "resource": refund,
        "context": {"agent": "support-bot"}});
    let people = ids(&post(&pdp, SUBJECT, &who).await);
    assert!(people.contains(&"ana".to_owned()) && !people.contains(&"kim".to_owned()), "{people:?}");
    let mut large = who.clone();
    large["context"]["arguments"] = json!({"order": "o-1", "amount": 500});
    let leads = ids(&post(&pdp, SUBJECT, &large).await);
    assert!(!leads.contains(&"ana".to_owned()), "with arguments it is the call itself: {leads:?}");
    let ana = json!({"type": "identity", "id": "ana"});
    let what = json!({"subject": ana, "resource": refund, "context": {"agent": "support-bot"}});
    assert_eq!(names(&post(&pdp, ACTION, &what).await), ["tools/call"]);
    let server = json!({
        "subject": ana, "resource": {"type": "mcp_server", "id": "crm"}, "context": {"agent": "support-bot"}});
    let methods = names(&post(&pdp, ACTION, &server).await);
    assert!(methods.contains(&"tools/list".to_owned()), "{methods:?}");
    let servers = json!({
        "subject": ana, "action": {"name": "tools/list"}, "resource": {"type": "mcp_server"},
        "context": {"agent": "support-bot"}});
    assert!(ids(&post(&pdp, RESOURCE, &servers).await).contains(&"crm".to_owned()));
    pdp.stop();
}

#[tokio::test]
async fn a_search_that_is_not_clear_finds_nothing_and_says_why() {
    let pdp = TestPdp::start().await;
    let two = json!({
        "subject": {"type": "identity", "id": "ana"}, "action": {"name": "tools/call"},
        "resource": {"type": "tool"}, "context": {"agent": "support-bot", "actor": "lead-bot"}});
    let found = post(&pdp, RESOURCE, &two).await.json();
    assert_eq!(found["results"], json!([]));
    assert_eq!(found["context"]["reason"], "invalid_input");
    pdp.stop();
}

#[tokio::test]
async fn a_caller_searches_the_servers_that_it_enforces() {
    let mut crm = caller("crm", &[Role::Authorize, Role::Assert]);
    crm.servers = Servers::Named(["crm".to_owned()].into());
    let pdp = TestPdp::builder().caller("t-crm", crm).caller("t-none", caller("none", &[])).start().await;
    let here = post_as(&pdp, "t-crm", RESOURCE, &tools(&json!({"server": "crm"}))).await;
    assert!(!ids(&here).is_empty());
    assert_eq!(post_as(&pdp, "t-crm", RESOURCE, &tools(&json!({"server": "git"}))).await.status, 403);
    assert_eq!(post_as(&pdp, "t-none", RESOURCE, &tools(&json!({"server": "crm"}))).await.status, 403);
    // What stands on no server is nothing that it could ask about.
    let of_purpose = json!({"subject": {"type": "Human", "id": "ana"}, "context": {"agent": "support-bot"},
        "resource": {"type": "Purpose", "id": "customer-care"}});
    assert_eq!(post_as(&pdp, "t-crm", ACTION, &of_purpose).await.json()["results"], json!([]));
    pdp.stop();
}

#[tokio::test]
async fn a_name_of_a_task_that_is_too_long_finds_nothing_about_messages_and_is_nothing_elsewhere() {
    let long = "n".repeat(300);
    let agent = json!({"agent": "support-bot", "task": long});
    let pdp = TestPdp::start().await;
    let ana = json!({"type": "identity", "id": "ana"});
    let call = json!({"name": "tools/call"});
    let tool = json!({"type": "tool", "id": "lookup_customer", "properties": {"server": "crm"}});
    let on_crm = json!({"type": "tool", "properties": {"server": "crm"}});
    for (path, body) in [
        (
            SUBJECT,
            json!({"subject": {"type": "identity"}, "action": call, "resource": tool, "context": agent}),
        ),
        (RESOURCE, json!({"subject": ana, "action": call, "resource": on_crm, "context": agent})),
        (ACTION, json!({"subject": ana, "resource": tool, "context": agent})),
    ] {
        let records = pdp.ledger.records().len();
        let answer = post(&pdp, path, &body).await;
        assert_eq!(answer.json()["results"], json!([]), "{path}: {answer:?}");
        let record = pdp.ledger.last();
        assert_eq!(pdp.ledger.records().len(), records + 1, "{path}");
        assert_eq!(
            (&record["type"], &record["reason"]),
            (&"searched".into(), &"InvalidInput".into()),
            "{record}"
        );
        assert!(!record.to_string().contains(&long) && !answer.body.contains(&long), "{record}");
        let mut short = body;
        short["context"]["task"] = "t-1".into();
        let found = post(&pdp, path, &short).await;
        assert_ne!(found.json()["results"], json!([]), "{path}: {found:?}");
    }
    pdp.stop();
    // No policy reads it, and it need not be the name of a task.
    let pdp = over(&scenario()).await;
    let body = json!({"subject": user("alice"), "action": {"name": "read"}, "resource": {"type": "record"},
        "context": {"task": long}});
    assert_eq!(ids(&post(&pdp, RESOURCE, &body).await), ["record-1", "record-2"]);
    assert!(pdp.ledger.last()["reason"].is_null());
    let body = json!({"subject": user("alice"), "resource": record("record-1"), "context": {"task": long}});
    assert_eq!(names(&post(&pdp, ACTION, &body).await), ["read", "write"]);
    pdp.stop();
}
