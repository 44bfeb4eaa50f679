//! Blast radius: what a party can reach, by which policies, under which conditions.

use palisade::api::proto::v1;
use palisade::identity::Role;
use tonic::Code;

use super::{desk, documents, parties};
use crate::pdp::{TOKEN, TestPdp, caller};
use crate::tasks::{Desk, KEY, scoped};

async fn reach(pdp: &TestPdp, principal: &str, actor: Option<&str>) -> v1::ReachResponse {
    let mut client = pdp.search_of("t-explain").await;
    let request = v1::ReachRequest { parties: parties(principal, actor) };
    client.reach(request).await.unwrap().into_inner()
}

async fn start() -> TestPdp {
    let auditor = caller("auditor", &[Role::Authorize, Role::Assert, Role::Explain]);
    TestPdp::builder().gateway().caller("t-explain", auditor).start().await
}

fn of<'r>(reach: &'r v1::ReachResponse, action: &str) -> Option<&'r v1::Reachable> {
    reach.reached.iter().find(|reached| reached.action.as_ref().unwrap().id == action)
}

#[tokio::test]
async fn what_an_agent_reaches_for_its_person_comes_with_policies_and_conditions() {
    let pdp = start().await;
    let reach = reach(&pdp, "Human::\"ana\"", Some("Agent::\"support-bot\"")).await;
    let refund = of(&reach, "crm/issue_refund").expect("refunds are reached");
    assert_eq!(refund.resource.as_ref().unwrap().id, "crm/issue_refund");
    assert_eq!(refund.data_classes, ["payment"]);
    let [person, agent] = &refund.shares[..] else { panic!("two parties: {refund:?}") };
    assert_eq!((person.half(), agent.half()), (v1::Half::Principal, v1::Half::Actor));
    let [permit] = &person.permits[..] else { panic!("one permit: {person:?}") };
    assert_eq!(permit.policy_id, "support/refund");
    assert_eq!(permit.asks, "(0 < context.input.amount) && (context.input.amount <= 100)");
    assert_eq!(agent.permits[0].policy_id, "support/bots");
    assert_eq!(agent.permits[0].asks, "");
    let lookup = of(&reach, "crm/lookup_customer").expect("customers are reached");
    assert!(lookup.shares.iter().all(|share| share.permits.iter().all(|permit| permit.asks.is_empty())));
    assert_eq!(of(&reach, "crm/export_customers"), None);
    assert_eq!(of(&reach, "git/git_log"), None);
    assert!(of(&reach, "tools/list").is_some(), "servers are reached too");
    assert!(reach.data_classes.contains(&"payment".to_owned()));
    assert!(!reach.data_classes.contains(&"restricted".to_owned()));
    assert!(!reach.more);
    let record = pdp.ledger.last();
    assert_eq!((&record["type"], &record["kind"]), (&"searched".into(), &"reach".into()));
    assert_eq!(record["found"], reach.reached.len());
    pdp.stop();
}

#[tokio::test]
async fn only_a_caller_that_may_see_policies_asks_for_reach() {
    let pdp = start().await;
    let mut client = pdp.search_of(TOKEN).await;
    let request = v1::ReachRequest { parties: parties("Human::\"ana\"", None) };
    let status = client.reach(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("`explain`"), "{}", status.message());
    pdp.stop();
}

#[tokio::test]
async fn a_stranger_reaches_nothing() {
    let pdp = start().await;
    let stranger = reach(&pdp, "Human::\"nobody\"", Some("Agent::\"support-bot\"")).await;
    assert_eq!((stranger.reached, stranger.data_classes), (vec![], Vec::<String>::new()));
    pdp.stop();
}

#[tokio::test]
async fn a_bundle_of_ones_own_is_reached_by_its_own_actions_and_unsent_context_is_a_condition() {
    let (pdp, mut client) = desk(&documents(4)).await;
    let request = v1::ReachRequest { parties: parties("User::\"ana\"", None) };
    let reach = client.reach(request).await.unwrap().into_inner();
    let told: Vec<(&str, &str)> = reach
        .reached
        .iter()
        .map(|reached| (&*reached.action.as_ref().unwrap().id, &*reached.resource.as_ref().unwrap().id))
        .collect();
    assert_eq!(told, [("read", "d-00000"), ("read", "d-00002")]);
    let forbids = &reach.reached[0].shares[0].forbids;
    assert_eq!(forbids[0].asks, r#"(context has why) && (context.why == "none")"#);
    pdp.stop();
}

#[tokio::test]
async fn under_a_task_its_bounds_are_conditions() {
    let desk = Desk::of({
        let auditor = caller("auditor", &[Role::Authorize, Role::Attest, Role::Explain]);
        TestPdp::builder().tasks(crate::pdp::task_rules()).caller("t-explain", auditor)
    })
    .await;
    let limit = Some(v1::bound::Limit::AtMost("50".into()));
    let bound = v1::Bound { tool: "crm/issue_refund".into(), argument: vec!["amount".into()], limit };
    let servers = Some(v1::Names { names: vec!["crm".into()] });
    let held = desk.lent(scoped(v1::Scope { servers, bounds: vec![bound], ..v1::Scope::default() })).await;
    let proof = Some(v1::credentials::Proof::KeyThumbprint(KEY.into()));
    let credentials = v1::Credentials { task_token: held.token, proof, ..v1::Credentials::default() };
    let parties = v1::Parties { credentials: Some(credentials), ..v1::Parties::default() };
    let mut client = desk.pdp.search_of("t-explain").await;
    let request = v1::ReachRequest { parties: Some(parties) };
    let reach = client.reach(request).await.unwrap().into_inner();
    let refund = of(&reach, "crm/issue_refund").expect("refunds are reached");
    assert_eq!(refund.task_bounds, ["context.input.amount <= 50"]);
    desk.pdp.stop();
}
