//! Plain HTTP behind a gateway: methods on paths, in terms of a schema that has them.

use palisade::api::ext_authz::Settings;
use palisade::diagnostic::File;

use super::ask::{Exchange, ISSUER, trust};
use crate::pdp::{TOKEN, TestPdp, gateway, snapshot};

const SCHEMA: &str = r"
    entity Human;
    entity Route = { tenant?: String };
    action GET, DELETE appliesTo { principal: [Human], resource: [Route], context: { path?: String, query?: String } };
";
const PEOPLE: &str = r#"[
    {"uid": {"type": "Human", "id": "ana"}, "attrs": {}, "parents": []},
    {"uid": {"type": "Human", "id": "bo"}, "attrs": {}, "parents": []}]"#;
const POLICIES: &str = r#"
    @id("shop/read") permit (principal, action == Action::"GET", resource == Route::"/orders/{id}")
    unless { context has query && context.query like "*all*" };
    @id("shop/plain") permit (principal == Human::"ana", action, resource == Route::"/orders/7");
    @id("shop/tenant") forbid (principal, action, resource) when { resource has tenant && resource.tenant == "t2" };
    @id("shop/scope") @scope("orders:write") @reason("deleting needs another token")
    forbid (principal == Human::"bo", action == Action::"DELETE", resource);
"#;

async fn start() -> TestPdp {
    let files = [
        ("schemas/shop.cedarschema", SCHEMA),
        ("entities/people.json", PEOPLE),
        ("policies/shop.cedar", POLICIES),
    ];
    let files: Vec<File> = files.into_iter().map(|(path, text)| File::new(path, text)).collect();
    let caller = palisade::identity::Caller { agentless: true, ..gateway() };
    let settings = Settings { issuers: [ISSUER.to_owned()].into(), ..Settings::default() };
    let pdp =
        TestPdp::builder().snapshot(snapshot(&files)).caller(TOKEN, caller).ext_authz(settings).start().await;
    trust(&pdp);
    pdp
}

fn request(method: &str, path: &str) -> Exchange {
    let mut exchange = Exchange::bodiless(method).route("profile", "http").by("ana");
    exchange.route.remove("server");
    exchange.peer.clear();
    Exchange { path: path.into(), ..exchange }
}

#[tokio::test]
async fn a_method_on_a_path_is_decided_on() {
    let pdp = start().await;
    let answer = request("DELETE", "/orders/7").ask(&pdp).await;
    assert!(answer.permit, "{answer:?}");
    let record = pdp.ledger.last();
    assert_eq!((&record["action"]["id"], &record["resource"]["id"]), (&"DELETE".into(), &"/orders/7".into()));
    let answer = request("DELETE", "/orders/8").ask(&pdp).await;
    assert_eq!((answer.permit, answer.status), (false, 403));
    assert_eq!(answer.json()["error"]["data"]["reason"], "no_permit");
    // A method that the schema does not have.
    assert!(!request("PATCH", "/orders/7").ask(&pdp).await.permit);
}

#[tokio::test]
async fn a_route_may_have_a_name_of_its_own_and_a_tenant() {
    let pdp = start().await;
    let named = |path: &str| request("GET", path).route("route", "/orders/{id}");
    assert!(named("/orders/9").by("bo").ask(&pdp).await.permit);
    assert!(named("/orders/9?brief").by("bo").ask(&pdp).await.permit);
    assert!(!named("/orders/9?all").by("bo").ask(&pdp).await.permit);
    // Nobody gets round a word by writing it otherwise.
    for query in ["%61ll", "x=%7Ey", "x=%2", "x=%zz"] {
        let answer = named(&format!("/orders/9?{query}")).by("bo").ask(&pdp).await;
        assert_eq!((answer.permit, answer.status), (false, 400), "{query}: {answer:?}");
    }
    assert!(named("/orders/9?x=%20%3A%C3%A9").by("bo").ask(&pdp).await.permit);
    assert!(named("/orders/9").route("tenant", "t1").ask(&pdp).await.permit);
    assert!(!named("/orders/9").route("tenant", "t2").ask(&pdp).await.permit);
}

#[tokio::test]
async fn a_policy_that_wants_a_scope_says_which() {
    let pdp = start().await;
    let answer = request("DELETE", "/orders/7").by("bo").ask(&pdp).await;
    assert_eq!((answer.permit, answer.status), (false, 403));
    assert_eq!(
        answer.headers["www-authenticate"],
        "Bearer error=\"insufficient_scope\", scope=\"orders:write\""
    );
    assert_eq!(answer.json()["error"]["message"], "deleting needs another token");
}

#[tokio::test]
async fn a_path_that_could_be_two_is_denied() {
    let pdp = start().await;
    for path in [
        "",
        "orders/7",
        "//orders/7",
        "/orders//7",
        "/orders/./7",
        "/x/../orders/7",
        "/orders/%37",
        "/orders/%2e%2e/7",
        "/orders%2F7",
        "/orders%2f7",
        "/orders\\7",
        "/orders/7;x=1",
        "/orders/7#x",
        "/orders/7 ",
        "/orders/7%00",
        "/orders/7%0a",
        "/orders/%e4",
        "/orders/%4",
        "/orders/%",
        "/orders/%25",
        "/orders/é",
        "https://gateway.acme.example/orders/7",
    ] {
        let answer = request("DELETE", path).ask(&pdp).await;
        assert_eq!((answer.permit, answer.status), (false, 400), "{path:?}: {answer:?}");
    }
    for path in ["/", "/orders/7/", "/a%20b", "/%C3%A9"] {
        let answer = request("GET", path).ask(&pdp).await;
        assert_eq!((answer.permit, answer.status), (false, 403), "{path:?}: {answer:?}");
    }
}
