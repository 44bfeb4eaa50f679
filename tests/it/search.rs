//! Searches over gRPC and embedded: what is found is what would be permitted, page by page, on the record.
//! Never a stand-in: the same PDP that answers each step.

mod agreement;
pub mod certification;
mod pages;
mod reach;
mod tools;

use palisade::api::proto::v1;
use palisade::api::proto::v1::search_client::SearchClient;
use palisade::diagnostic::File;
use palisade::identity::{Role, Servers};
use tonic::Code;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::asks::{lookup, uid};
use crate::pdp::{Bearer, TOKEN, TestPdp, caller, gateway, snapshot};

pub type Client = SearchClient<InterceptedService<Channel, Bearer>>;

/// On behalf of somebody.
#[expect(clippy::unnecessary_wraps, reason = "as it stands in messages")]
pub fn parties(principal: &str, actor: Option<&str>) -> Option<v1::Parties> {
    let subject =
        v1::Subject { principal: Some(uid(principal)), actor: actor.map(uid), earlier_actors: vec![] };
    Some(v1::Parties { subject: Some(subject), ..v1::Parties::default() })
}

pub fn ids(results: &[v1::EntityUid]) -> Vec<&str> {
    results.iter().map(|uid| uid.id.as_str()).collect()
}

/// A bundle of so many documents, of which a reader may read those with an even number.
pub fn documents(count: usize) -> Vec<File> {
    let mut entities =
        vec![r#"{"uid": {"type": "User", "id": "ana"}, "attrs": {}, "parents": []}"#.to_owned()];
    entities.extend((0..count).map(|n| {
        let id = format!(r#"{{"type": "Doc", "id": "d-{n:05}"}}"#);
        format!(r#"{{"uid": {id}, "attrs": {{"even": {}}}, "parents": []}}"#, n % 2 == 0)
    }));
    vec![
        File::new(
            "schemas/doc.cedarschema",
            "entity User; entity Doc = { even: Bool };
             action read, write appliesTo { principal: [User], resource: [Doc], context: { why?: String } };",
        ),
        File::new("entities/doc.json", format!("[{}]", entities.join(","))),
        File::new(
            "policies/doc.cedar",
            r#"permit (principal == User::"ana", action == Action::"read", resource) when { resource.even };
               forbid (principal, action, resource) when { context has why && context.why == "none" };"#,
        ),
    ]
}

/// A PDP over documents, and a gateway that asks without agents.
pub async fn desk(files: &[File]) -> (TestPdp, Client) {
    let mut asking = caller("gateway", &[Role::Authorize, Role::Assert, Role::Explain]);
    asking.agentless = true;
    let mut other = caller("other", &[Role::Authorize, Role::Assert]);
    other.agentless = true;
    let builder = TestPdp::builder().snapshot(snapshot(files));
    let pdp = builder.caller(TOKEN, asking).caller("t-other", other).start().await;
    let client = pdp.search_of(TOKEN).await;
    (pdp, client)
}

pub fn what_ana_reads() -> v1::SearchResourcesRequest {
    v1::SearchResourcesRequest {
        parties: parties("User::\"ana\"", None),
        action: Some(uid("Action::\"read\"")),
        resource_type: "Doc".into(),
        ..v1::SearchResourcesRequest::default()
    }
}

#[tokio::test]
async fn a_search_is_one_record_and_without_it_there_is_no_answer() {
    let (pdp, mut client) = desk(&documents(10)).await;
    let mut request = what_ana_reads();
    request.parties.as_mut().unwrap().request_id = "r-1".into();
    let found = client.search_resources(request.clone()).await.unwrap().into_inner();
    assert_eq!(ids(&found.results), ["d-00000", "d-00002", "d-00004", "d-00006", "d-00008"]);
    let info = found.info.unwrap();
    assert_eq!(info.request_id, "r-1");
    let record = pdp.ledger.last();
    assert_eq!(pdp.ledger.records().len(), 1);
    assert_eq!(record["type"], "searched");
    assert_eq!(record["kind"], "resources");
    assert_eq!(record["search"], info.search_id.as_str());
    assert_eq!(record["revision"], info.revision.as_str());
    assert_eq!(record["request_id"], "r-1");
    assert_eq!(record["principal"]["id"], "ana");
    assert_eq!(record["assurance"], "asserted");
    assert_eq!(record["action"]["id"], "read");
    assert_eq!(record["sought"], "Doc");
    assert_eq!(record["evaluated"], 10);
    assert_eq!(record["found"], 5);
    assert_eq!(record["more"], false);

    pdp.ledger.set_room(0);
    let status = client.search_resources(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    pdp.stop();
}

#[tokio::test]
async fn what_nobody_knows_finds_nothing() {
    let (pdp, mut client) = desk(&documents(4)).await;
    let nobody = parties("User::\"zoe\"", None);
    let requests = [
        v1::SearchResourcesRequest { resource_type: "spaceship".into(), ..what_ana_reads() },
        v1::SearchResourcesRequest { resource_type: "no type".into(), ..what_ana_reads() },
        v1::SearchResourcesRequest { action: Some(uid("Action::\"fly\"")), ..what_ana_reads() },
        v1::SearchResourcesRequest { parties: nobody, ..what_ana_reads() },
        v1::SearchResourcesRequest { server: "crm".into(), ..what_ana_reads() },
    ];
    for request in requests {
        let found = client.search_resources(request.clone()).await.unwrap().into_inner();
        assert_eq!(ids(&found.results), Vec::<&str>::new(), "{request:?}");
        assert_eq!(found.page.unwrap().next_token, "");
    }
    let unknown = v1::SearchActionsRequest {
        parties: parties("User::\"ana\"", None),
        resource: Some(uid("Doc::\"d-9\"")),
        ..v1::SearchActionsRequest::default()
    };
    assert_eq!(client.search_actions(unknown).await.unwrap().into_inner().results, []);
    pdp.stop();
}

#[tokio::test]
async fn what_is_missing_from_a_search_is_said() {
    let (pdp, mut client) = desk(&documents(1)).await;
    let no_type = v1::SearchResourcesRequest { resource_type: String::new(), ..what_ana_reads() };
    let no_action = v1::SearchResourcesRequest { action: None, ..what_ana_reads() };
    for (request, words) in [(no_type, "`resource_type` is missing"), (no_action, "`action` is missing")] {
        let status = client.search_resources(request).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, words));
    }
    assert_eq!(pdp.ledger.records().len(), 0);
    pdp.stop();
}

#[tokio::test]
async fn what_a_request_brings_is_found_too() {
    let (pdp, mut client) = desk(&documents(3)).await;
    let draft = v1::Entity {
        uid: Some(uid("Doc::\"a draft\"")),
        attributes: [("even".to_owned(), v1::Value { kind: Some(v1::value::Kind::BoolValue(true)) })].into(),
    };
    let request = v1::SearchResourcesRequest { entities: vec![draft], ..what_ana_reads() };
    let found = client.search_resources(request).await.unwrap().into_inner();
    assert_eq!(ids(&found.results), ["a draft", "d-00000", "d-00002"]);
    pdp.stop();
}

#[tokio::test]
async fn the_context_counts_as_in_any_question() {
    let (pdp, mut client) = desk(&documents(3)).await;
    let why = v1::Value { kind: Some(v1::value::Kind::StringValue("none".into())) };
    let request =
        v1::SearchResourcesRequest { context: [("why".to_owned(), why)].into(), ..what_ana_reads() };
    assert_eq!(client.search_resources(request).await.unwrap().into_inner().results, []);
    pdp.stop();
}

#[tokio::test]
async fn a_caller_that_may_assert_nobody_finds_nobody_and_is_told_why() {
    let mut asking = caller("gateway", &[Role::Authorize]);
    asking.agentless = true;
    let pdp = TestPdp::builder().snapshot(snapshot(&documents(3))).caller(TOKEN, asking).start().await;
    let mut client = pdp.search_of(TOKEN).await;
    let found = client.search_resources(what_ana_reads()).await.unwrap().into_inner();
    assert_eq!(found.results, []);
    assert_eq!(found.info.unwrap().reason(), v1::DenyReason::Unauthenticated);
    assert_eq!(pdp.ledger.last()["reason"], "Unauthenticated");
    let subjects = v1::SearchSubjectsRequest {
        subject_type: "User".into(),
        action: Some(uid("Action::\"read\"")),
        resource: Some(uid("Doc::\"d-00000\"")),
        ..v1::SearchSubjectsRequest::default()
    };
    assert_eq!(client.search_subjects(subjects).await.unwrap().into_inner().results, []);
    pdp.stop();
}

#[tokio::test]
async fn a_caller_of_named_servers_finds_what_is_there_and_nothing_else() {
    let mut crm = caller("gateway", &[Role::Authorize, Role::Assert]);
    crm.servers = Servers::Named(["crm".to_owned()].into());
    let pdp = TestPdp::builder().caller(TOKEN, crm).caller("t-all", gateway()).start().await;
    let whose = || parties("Human::\"ana\"", Some("Agent::\"support-bot\""));
    let tools = v1::SearchResourcesRequest {
        parties: whose(),
        action: Some(uid("Action::\"tools/list\"")),
        resource_type: "Server".into(),
        ..v1::SearchResourcesRequest::default()
    };
    let mut client = pdp.search_of(TOKEN).await;
    let found = client.search_resources(tools.clone()).await.unwrap().into_inner();
    assert_eq!(ids(&found.results), ["crm"]);
    let mut all = pdp.search_of("t-all").await;
    assert!(all.search_resources(tools.clone()).await.unwrap().into_inner().results.len() > 1);
    let elsewhere = v1::SearchResourcesRequest { server: "git".into(), ..tools };
    assert_eq!(client.search_resources(elsewhere).await.unwrap_err().code(), Code::PermissionDenied);
    let list = v1::ListToolsRequest { parties: whose(), server: "git".into(), tools_list: vec![] };
    assert_eq!(client.list_tools(list).await.unwrap_err().code(), Code::PermissionDenied);
    pdp.stop();
}

#[tokio::test]
async fn a_search_binds_no_session_and_goes_by_the_one_that_is() {
    let pdp = TestPdp::start().await;
    let mut client = pdp.search_of(TOKEN).await;
    let list = |principal: &str, actor: &str| {
        let mut parties = parties(principal, Some(actor)).unwrap();
        parties.session = "s-1".into();
        v1::ListToolsRequest { parties: Some(parties), server: "crm".into(), tools_list: vec![] }
    };
    let bo = list("Human::\"bo\"", "Agent::\"support-bot\"");
    client.list_tools(bo.clone()).await.unwrap();
    let step = v1::AuthorizeRequest { session: "s-1".into(), ..lookup() };
    let answer = pdp.client().await.authorize(step).await.unwrap().into_inner();
    assert_eq!(answer.decision(), v1::Decision::Permit, "bo's search has bound nothing");
    let strange = client.list_tools(bo).await.unwrap().into_inner();
    assert_eq!(strange.info.unwrap().reason(), v1::DenyReason::SessionMismatch);
    assert!(strange.names.is_empty());
    let own = client.list_tools(list("Human::\"ana\"", "Agent::\"support-bot\"")).await.unwrap().into_inner();
    assert!(!own.names.is_empty());
    pdp.stop();
}
