//! The searches of AuthZEN's certification scenario (S1–S6): who, what and how, by what the PDP itself knows.

use palisade::api::proto::v1;
use palisade::diagnostic::File;

use super::{Client, desk, ids, parties};
use crate::asks::uid;
use crate::pdp::TestPdp;

/// Two users, two records, three actions.
pub fn scenario() -> Vec<File> {
    let files = [
        ("schemas/records.cedarschema", include_str!("../authzen/certification/records.cedarschema")),
        ("entities/records.json", include_str!("../authzen/certification/records.json")),
        ("policies/records.cedar", include_str!("../authzen/certification/records.cedar")),
    ];
    files.map(|(path, text)| File::new(path, text)).into()
}

async fn subjects(client: &mut Client, action: &str, record: &str) -> Vec<String> {
    let request = v1::SearchSubjectsRequest {
        subject_type: "user".into(),
        action: Some(uid(&format!("Action::\"{action}\""))),
        resource: Some(uid(&format!("record::\"{record}\""))),
        ..v1::SearchSubjectsRequest::default()
    };
    let found = client.search_subjects(request).await.unwrap().into_inner();
    ids(&found.results).into_iter().map(str::to_owned).collect()
}

async fn resources(client: &mut Client, user: &str, action: &str) -> Vec<String> {
    let request = v1::SearchResourcesRequest {
        parties: parties(&format!("user::\"{user}\""), None),
        action: Some(uid(&format!("Action::\"{action}\""))),
        resource_type: "record".into(),
        ..v1::SearchResourcesRequest::default()
    };
    let found = client.search_resources(request).await.unwrap().into_inner();
    ids(&found.results).into_iter().map(str::to_owned).collect()
}

async fn actions(client: &mut Client, user: &str, record: &str) -> Vec<String> {
    let request = v1::SearchActionsRequest {
        parties: parties(&format!("user::\"{user}\""), None),
        resource: Some(uid(&format!("record::\"{record}\""))),
        ..v1::SearchActionsRequest::default()
    };
    let found = client.search_actions(request).await.unwrap().into_inner();
    ids(&found.results).into_iter().map(str::to_owned).collect()
}

async fn over_the_scenario() -> (TestPdp, Client) {
    desk(&scenario()).await
}

#[tokio::test]
async fn the_searches_of_the_certification_scenario_find_what_it_says() {
    let (pdp, mut client) = over_the_scenario().await;
    let client = &mut client;
    assert_eq!(subjects(client, "read", "record-1").await, ["alice", "bob"], "S1");
    assert_eq!(resources(client, "alice", "read").await, ["record-1", "record-2"], "S2");
    assert_eq!(actions(client, "alice", "record-1").await, ["read", "write"], "S3");
    assert_eq!(subjects(client, "write", "record-2").await, ["bob"], "S4");
    assert_eq!(resources(client, "bob", "write").await, ["record-2"], "S5");
    assert_eq!(actions(client, "bob", "record-2").await, ["read", "write"], "S6");
    pdp.stop();
}

#[tokio::test]
async fn what_the_scenario_does_not_know_is_no_result() {
    let (pdp, mut client) = over_the_scenario().await;
    let client = &mut client;
    assert_eq!(subjects(client, "read", "record-9").await, Vec::<String>::new());
    assert_eq!(subjects(client, "launch", "record-1").await, Vec::<String>::new());
    assert_eq!(resources(client, "carol", "read").await, Vec::<String>::new());
    assert_eq!(actions(client, "carol", "record-1").await, Vec::<String>::new());
    let ships = v1::SearchSubjectsRequest {
        subject_type: "spaceship".into(),
        action: Some(uid("Action::\"read\"")),
        resource: Some(uid("record::\"record-1\"")),
        ..v1::SearchSubjectsRequest::default()
    };
    assert_eq!(client.search_subjects(ships).await.unwrap().into_inner().results, []);
    pdp.stop();
}
