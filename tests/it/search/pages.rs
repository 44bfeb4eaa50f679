//! Pages: in order, complete, and only for whoever asked for them.

use palisade::api::proto::v1;
use palisade::pdp::PAGE_QUESTIONS_MAX;
use tonic::Code;

use super::{Client, desk, documents, ids, what_ana_reads};
use crate::asks::uid;
use crate::pdp::snapshot;

fn page(token: &str, limit: u32) -> v1::SearchResourcesRequest {
    v1::SearchResourcesRequest { page: Some(v1::Page { limit, token: token.into() }), ..what_ana_reads() }
}

async fn found(client: &mut Client, request: v1::SearchResourcesRequest) -> (Vec<String>, v1::NextPage) {
    let found = client.search_resources(request).await.unwrap().into_inner();
    (ids(&found.results).into_iter().map(str::to_owned).collect(), found.page.unwrap())
}

async fn refused(client: &mut Client, request: v1::SearchResourcesRequest) -> String {
    let status = client.search_resources(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    status.message().to_owned()
}

#[tokio::test]
async fn pages_follow_each_other_until_there_is_no_more() {
    let (pdp, mut client) = desk(&documents(10)).await;
    let (first, next) = found(&mut client, page("", 2)).await;
    assert_eq!(first, ["d-00000", "d-00002"]);
    assert_eq!(pdp.ledger.last()["more"], true);
    let (second, next) = found(&mut client, page(&next.next_token, 0)).await;
    assert_eq!(second, ["d-00004", "d-00006"], "the limit is the first one's");
    let (third, next) = found(&mut client, page(&next.next_token, 2)).await;
    assert_eq!(third, ["d-00008"]);
    assert_eq!(next.next_token, "");
    pdp.stop();
}

#[tokio::test]
async fn a_full_page_that_is_the_last_one_says_so() {
    let (pdp, mut client) = desk(&documents(4)).await;
    let (all, next) = found(&mut client, page("", 2)).await;
    assert_eq!((all.len(), next.next_token.as_str()), (2, ""));
    pdp.stop();
}

#[tokio::test]
async fn without_a_limit_a_page_has_a_hundred_results() {
    let (pdp, mut client) = desk(&documents(300)).await;
    assert_eq!(found(&mut client, what_ana_reads()).await.0.len(), 100);
    assert_eq!(found(&mut client, page("", u32::MAX)).await.0.len(), 150);
    pdp.stop();
}

#[tokio::test]
async fn a_page_token_goes_on_with_nothing_but_its_search() {
    let (pdp, mut client) = desk(&documents(10)).await;
    let (_, next) = found(&mut client, page("", 2)).await;
    let token = next.next_token;
    let mut other = page(&token, 2);
    other.action = Some(uid("Action::\"write\""));
    assert!(refused(&mut client, other).await.contains("another search"));
    let mut other = page(&token, 2);
    other.parties.as_mut().unwrap().subject.as_mut().unwrap().principal = Some(uid("User::\"bo\""));
    assert!(refused(&mut client, other).await.contains("another search"));
    let mut other = page(&token, 2);
    let why = v1::Value { kind: Some(v1::value::Kind::StringValue("because".into())) };
    other.context = [("why".to_owned(), why)].into();
    assert!(refused(&mut client, other).await.contains("another search"));
    assert!(refused(&mut client, page(&token, 3)).await.contains("the limit 2"));
    // Of another caller, who asks the same.
    let mut stranger = pdp.search_of("t-other").await;
    assert!(refused(&mut stranger, page(&token, 2)).await.contains("not given to this caller"));
    let mut tampered = token.clone();
    let last = tampered.pop().unwrap();
    tampered.push(if last == 'A' { 'B' } else { 'A' });
    assert!(refused(&mut client, page(&tampered, 2)).await.contains("not given to this caller"));
    assert!(refused(&mut client, page("nonsense", 2)).await.contains("not given to this caller"));
    assert!(refused(&mut client, page(&"A".repeat(9_000), 2)).await.contains("8192"));
    // It still is what it was.
    assert_eq!(found(&mut client, page(&token, 2)).await.0, ["d-00004", "d-00006"]);
    pdp.stop();
}

#[tokio::test]
async fn a_search_goes_on_under_another_bundle_and_says_where_it_began() {
    let (pdp, mut client) = desk(&documents(10)).await;
    let (_, next) = found(&mut client, page("", 2)).await;
    let begun = next.begun_revision.clone();
    assert_eq!(begun, pdp.pdp.snapshot().revision().to_string());
    let mut files = documents(10);
    files.push(palisade::diagnostic::File::new(
        "policies/more.cedar",
        r#"forbid (principal, action, resource == Doc::"d-00004");"#,
    ));
    pdp.pdp.publish(snapshot(&files));
    let (second, after) = found(&mut client, page(&next.next_token, 2)).await;
    assert_eq!(second, ["d-00006", "d-00008"], "each page is decided on its own");
    assert_eq!(after.begun_revision, begun);
    assert_ne!(pdp.ledger.last()["revision"], begun.as_str());
    pdp.stop();
}

#[tokio::test]
async fn a_page_costs_no_more_than_it_may_and_is_short_then() {
    let count = PAGE_QUESTIONS_MAX + 10;
    let mut files = documents(count);
    let last = format!("d-{:05}", count - 1);
    files[2] = palisade::diagnostic::File::new(
        "policies/doc.cedar",
        format!(r#"permit (principal, action, resource) when {{ resource == Doc::"{last}" }};"#),
    );
    let (pdp, mut client) = desk(&files).await;
    let (none, next) = found(&mut client, what_ana_reads()).await;
    assert_eq!(none, Vec::<String>::new());
    assert_eq!(pdp.ledger.last()["evaluated"], PAGE_QUESTIONS_MAX);
    let (rest, next) = found(&mut client, page(&next.next_token, 0)).await;
    assert_eq!((rest, next.next_token.as_str()), (vec![last], ""));
    pdp.stop();
}

#[tokio::test]
async fn what_no_policy_could_permit_costs_no_question() {
    let mut files = documents(500);
    files[2] = palisade::diagnostic::File::new(
        "policies/doc.cedar",
        r#"permit (principal, action, resource == Doc::"d-00007") when { !resource.even };"#,
    );
    let (pdp, mut client) = desk(&files).await;
    assert_eq!(found(&mut client, what_ana_reads()).await.0, ["d-00007"]);
    assert_eq!(pdp.ledger.last()["evaluated"], 1);
    pdp.stop();
}
