//! What a gateway is told, and through it the client.

use palisade::api::ext_authz::{Settings, Telling};
use serde_json::json;

use super::ask::{Exchange, ask, start, start_with};
use crate::pdp::{TOKEN, TestPdp};

fn refund(amount: i64) -> Exchange {
    Exchange::call("issue_refund", &json!({"order": "o-1", "amount": amount}))
}

#[tokio::test]
async fn a_permitted_call_goes_on_and_tells_the_gateway_by_which_policies() {
    let pdp = start().await;
    let answer = refund(30).ask(&pdp).await;
    assert!(answer.permit, "{answer:?}");
    assert_eq!(answer.metadata["decision"], "permit");
    assert_eq!(answer.metadata["policies"], json!(["support/bots", "support/refund"]));
    let record = pdp.ledger.last();
    assert_eq!(answer.metadata["decision_id"], record["decision"]);
    assert_eq!(answer.metadata["revision"], record["revision"]);
    let said = ["face", "outcome", "server", "method", "tool", "caller"].map(|name| record[name].clone());
    assert_eq!(said, ["ext_authz", "permit", "crm", "tools/call", "issue_refund", "gateway"]);
    assert_eq!(record["principal"]["id"], "ana");
    assert_eq!(record["actor"]["id"], "support-bot");
}

#[tokio::test]
async fn a_denied_call_is_answered_with_its_id_and_the_safe_words() {
    let pdp = start().await;
    let answer = refund(300).ask(&pdp).await;
    assert_eq!((answer.permit, answer.code, answer.status), (false, 7, 403), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers.get("www-authenticate"), None);
    let record = pdp.ledger.last();
    assert_eq!(
        answer.json(),
        json!({"jsonrpc": "2.0", "id": 7, "error": {
            "code": -32001,
            "message": "no policy permits this step to the party that the agent acts for",
            "data": {"decision_id": record["decision"], "reason": "no_permit"},
        }})
    );
    assert_eq!(answer.metadata["decision"], "deny");
    assert_eq!(answer.metadata["decision_id"], record["decision"]);
}

#[tokio::test]
async fn status_and_code_of_a_deny_are_the_operators() {
    let pdp = start_with(Settings {
        telling: Telling { deny_status: 200, deny_code: -32050 },
        ..Settings::default()
    })
    .await;
    let answer = refund(300).ask(&pdp).await;
    assert_eq!((answer.permit, answer.code, answer.status), (false, 7, 200));
    assert_eq!(answer.json()["error"]["code"], -32050);
    // What proves nobody is 401 all the same: clients look for it.
    let answer = refund(30).unclaimed().header("authorization", "Bearer a.b.c").ask(&pdp).await;
    assert_eq!((answer.code, answer.status), (16, 401));
}

#[tokio::test]
async fn who_shows_nothing_is_told_where_tokens_come_from() {
    let pdp = start().await;
    let mut nobody = refund(30).unclaimed();
    nobody.peer.clear();
    let answer = nobody.clone().ask(&pdp).await;
    assert_eq!((answer.code, answer.status), (16, 401));
    assert_eq!(
        answer.headers["www-authenticate"],
        "Bearer resource_metadata=\"https://crm.acme.example/.well-known/oauth-protected-resource/mcp\""
    );
    let answer = nobody.header("authorization", "Bearer e30.e30.e30").ask(&pdp).await;
    let challenge = &answer.headers["www-authenticate"];
    assert!(challenge.starts_with("Bearer error=\"invalid_token\", resource_metadata="), "{challenge}");
    assert!(!answer.body.contains("e30"), "{}", answer.body);
}

#[tokio::test]
async fn what_a_client_sends_under_our_names_goes_no_further() {
    let pdp = start().await;
    let forged = ["palisade-decision", "x-authz-user", "x-palisade-x", "txn-token"];
    let asked = forged.iter().fold(refund(30), |asked, name| asked.header(name, "x"));
    let answer = asked.header("x-request-id", "r-9").ask(&pdp).await;
    assert!(answer.permit);
    let mut forged = forged.map(str::to_owned);
    forged.sort();
    assert_eq!(answer.removed, forged);
    assert_eq!(pdp.ledger.last()["request_id"], "r-9");
    // A session means nothing in the newer era, and something to a server of the older.
    let modern =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "issue_refund")];
    let modern = modern.into_iter().fold(refund(30), |asked, (name, value)| asked.header(name, value));
    let answer = modern.header("mcp-session-id", "s-1").ask(&pdp).await;
    assert_eq!((answer.permit, &answer.removed[..]), (true, &["mcp-session-id".to_owned()][..]));
    let answer = refund(30).header("mcp-session-id", "s-1").ask(&pdp).await;
    assert!(answer.permit && answer.removed.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn the_methods_without_a_tool_have_their_rules() {
    let pdp = start().await;
    let message = |text: &str| Exchange::post(text.as_bytes());
    for good in [
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    ] {
        let answer = message(good).ask(&pdp).await;
        assert!(answer.permit, "{good}: {answer:?}");
    }
    let modern = |text: &str, method: &str| {
        message(text).header("mcp-protocol-version", "2026-07-28").header("mcp-method", method)
    };
    for (good, method) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#, "server/discover"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#, "tools/list"),
    ] {
        let answer = modern(good, method).ask(&pdp).await;
        assert!(answer.permit, "{good}: {answer:?}");
    }
    // Every resource of a subscription is decided on.
    let listen = r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":["file:///secret"]}}}"#;
    let answer = modern(listen, "subscriptions/listen").ask(&pdp).await;
    assert!(!answer.permit);
}

#[tokio::test]
async fn a_call_that_is_sent_again_with_input_is_decided_again() {
    let pdp = start().await;
    let again = |amount: i64| {
        let params = json!({"name": "issue_refund", "arguments": {"order": "o-1", "amount": amount},
            "inputResponses": {"k": {"action": "accept"}}, "requestState": "permitted before"});
        Exchange::post(
            json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": params}).to_string(),
        )
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "=?base64?aXNzdWVfcmVmdW5k?=")
    };
    assert!(again(30).ask(&pdp).await.permit);
    assert!(!again(300).ask(&pdp).await.permit);
}

#[tokio::test]
async fn streams_and_sessions_belong_to_whom_they_began_with() {
    let pdp = start().await;
    let in_session = |exchange: Exchange| exchange.header("mcp-session-id", "s-1");
    assert!(in_session(refund(30)).ask(&pdp).await.permit);
    for mine in [in_session(Exchange::bodiless("GET")), in_session(Exchange::bodiless("DELETE"))] {
        let answer = mine.clone().ask(&pdp).await;
        assert!(answer.permit, "{answer:?}");
        assert_eq!(pdp.ledger.last()["action"]["id"], "initialize");
        let answer = mine.clone().by("bo").ask(&pdp).await;
        assert_eq!((answer.permit, answer.status), (false, 403));
        assert_eq!(pdp.ledger.last()["reason"], "SessionMismatch");
        assert!(!mine.header("mcp-protocol-version", "2026-07-28").ask(&pdp).await.permit);
    }
    let response = |session: bool| {
        let response = Exchange::post(r#"{"jsonrpc":"2.0","id":3,"result":{"roots":[]}}"#);
        if session { in_session(response) } else { response }
    };
    assert!(response(true).ask(&pdp).await.permit);
    // Its id is one of the server's, and no client may take an error for the answer to a request of its own.
    for denied in [response(true).by("bo"), response(false)] {
        let answer = denied.ask(&pdp).await;
        assert_eq!((answer.permit, &answer.json()["id"]), (false, &serde_json::Value::Null), "{answer:?}");
    }
    assert!(!Exchange::bodiless("DELETE").ask(&pdp).await.permit);
}

#[tokio::test]
async fn a_batch_passes_only_where_there_are_batches_and_only_as_a_whole() {
    let pdp = start().await;
    let batch = |amount: i64| {
        let call = |id: i64, amount: i64| {
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
                "params": {"name": "issue_refund", "arguments": {"order": "o-1", "amount": amount}}})
        };
        let note = json!({"jsonrpc": "2.0", "method": "notifications/progress"});
        Exchange::post(json!([call(1, 30), note, call(2, amount)]).to_string())
    };
    let answer = batch(40).ask(&pdp).await;
    assert!(answer.permit, "{answer:?}");
    assert_eq!(answer.metadata["decision_ids"].as_array().unwrap().len(), 3);
    let answer = batch(400).ask(&pdp).await;
    assert!(!answer.permit);
    let errors = answer.json();
    assert_eq!(
        (errors[0]["id"].as_i64(), errors[1]["id"].as_i64(), errors.as_array().unwrap().len()),
        (Some(1), Some(2), 2)
    );
    assert_eq!(errors[1]["error"]["data"]["reason"], "no_permit");
    for version in ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"] {
        assert!(!batch(40).header("mcp-protocol-version", version).ask(&pdp).await.permit, "{version}");
    }
    assert!(batch(40).header("mcp-protocol-version", "2025-03-26").ask(&pdp).await.permit);
}

#[tokio::test]
async fn without_a_record_there_is_no_answer() {
    let pdp = start().await;
    pdp.ledger.set_room(0);
    let status = ask(&pdp, TOKEN, refund(30).request()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    let status = ask(&pdp, "nobody's", refund(30).request()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn a_gateway_asks_only_about_the_servers_that_it_stands_before() {
    use palisade::identity::Servers;
    let mut crm = crate::pdp::gateway();
    crm.servers = Servers::Named(["crm".to_owned()].into());
    let pdp = TestPdp::builder()
        .caller(TOKEN, crm)
        .ext_authz(Settings { issuers: [super::ask::ISSUER.to_owned()].into(), ..Settings::default() })
        .start()
        .await;
    super::ask::trust(&pdp);
    // Its only server need not be named.
    let mut unnamed = refund(30);
    unnamed.route.clear();
    assert!(unnamed.ask(&pdp).await.permit);
    let status = ask(&pdp, TOKEN, refund(30).route("server", "git").request()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
}
