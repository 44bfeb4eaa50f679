//! Requests: what goes on, what does not, and what the gateway and its client are told.

use palisade::api::proto::ext_mcp::authorization_error::Code;
use palisade::identity::{Role, Servers};
use serde_json::json;

use super::ask::{Asked, Does, start, start_of};
use crate::pdp::{TOKEN, TestPdp, caller, gateway};

#[tokio::test]
async fn a_permitted_call_passes_as_it_is_and_the_gateway_is_told_by_which_policies() {
    let pdp = start().await;
    let answer = Asked::refund(30).header("x-request-id", "r-9").ask(&pdp).await;
    assert_eq!(answer.does, Does::Pass);
    let record = pdp.ledger.last();
    let metadata = &answer.metadata;
    assert_eq!(metadata["decision"], "permit");
    assert_eq!(metadata["policies"], json!(["support/bots", "support/refund"]));
    assert_eq!((&metadata["decision_id"], &metadata["revision"]), (&record["decision"], &record["revision"]));
    let said = ["face", "outcome", "server", "method", "tool", "caller", "request_id"];
    let said = said.map(|name| record[name].clone());
    assert_eq!(said, ["ext_mcp", "permit", "crm", "tools/call", "issue_refund", "gateway", "r-9"]);
    assert_eq!((&record["principal"]["id"], &record["actor"]["id"]), (&"ana".into(), &"support-bot".into()));
}

#[tokio::test]
async fn a_denied_call_is_an_error_with_the_safe_words_and_the_decisions_id() {
    let pdp = start().await;
    let answer = Asked::refund(300).ask(&pdp).await;
    let data = json!({"decision_id": pdp.ledger.last()["decision"], "reason": "no_permit"});
    let words = "no policy permits this step to the party that the agent acts for".to_owned();
    assert_eq!(answer.does, Does::Refuse(Code::PermissionDenied, words, data));
    let unknown = Asked::call("wire_money", &json!({})).ask(&pdp).await;
    assert_eq!(unknown.does.refusal(), (Code::PermissionDenied, "unknown_tool"));
}

#[tokio::test]
async fn each_reason_has_its_code() {
    let pdp = start().await;
    let check = async |asked: Asked, code: Code, reason: &str| {
        let answer = asked.ask(&pdp).await;
        assert_eq!(answer.does.refusal(), (code, reason), "{answer:?}");
    };
    check(Asked::call("delete_customer", &json!({"customer_id": "c"})), Code::PermissionDenied, "forbidden")
        .await;
    check(Asked::refund(30).without("workload"), Code::PermissionDenied, "actor_missing").await;
    let nobody = Asked::refund(30).without("workload").without("jwt");
    check(nobody, Code::PermissionDenied, "unauthenticated").await;
    check(Asked::of("tools/call", "{"), Code::Invalid, "invalid_input").await;
    check(Asked::refund(30).to(&["nobody"]), Code::PermissionDenied, "unknown_tool").await;
}

#[tokio::test]
async fn what_a_client_sends_under_our_names_goes_no_further() {
    let pdp = start().await;
    let forged = ["palisade-decision", "txn-token", "x-authz-user", "x-palisade-x"];
    let asked = forged.iter().fold(Asked::refund(30), |asked, name| asked.header(name, "x"));
    let answer = asked.header("X-Authz-User", "y").ask(&pdp).await;
    assert_eq!((answer.does, answer.removed), (Does::Pass, forged.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn the_methods_without_a_tool_have_their_rules() {
    let pdp = start().await;
    for good in
        ["initialize", "ping", "tools/list", "resources/list", "prompts/list", "resources/templates/list"]
    {
        assert_eq!(Asked::plain(good).ask(&pdp).await.does, Does::Pass, "{good}");
    }
    let modern = |asked: Asked| {
        let method = asked.method.clone();
        asked.header("mcp-protocol-version", "2026-07-28").header("mcp-method", method)
    };
    assert_eq!(modern(Asked::plain("server/discover")).ask(&pdp).await.does, Does::Pass);
    // The gateway does not pass on what is subscribed to.
    let listen = modern(Asked::plain("subscriptions/listen")).ask(&pdp).await;
    assert_eq!(listen.does.refusal(), (Code::Invalid, "invalid_input"));
    for bad in
        ["tools/run", "server/discover", "sampling/createMessage", "subscriptions/listen", "Tools/List", ""]
    {
        assert_eq!(Asked::plain(bad).ask(&pdp).await.does.refusal().0, Code::Invalid, "{bad}");
    }
    let read = Asked::of("resources/read", r#"{"uri":"file:///x"}"#).ask(&pdp).await;
    assert_eq!(read.does.refusal().0, Code::PermissionDenied);
}

#[tokio::test]
async fn headers_repeat_the_message_or_it_goes_nowhere() {
    let pdp = start().await;
    let modern = |name: &str| {
        Asked::refund(30)
            .header("MCP-Protocol-Version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", name)
    };
    for good in ["issue_refund", "=?base64?aXNzdWVfcmVmdW5k?=", "crm_issue_refund"] {
        assert_eq!(modern(good).ask(&pdp).await.does, Does::Pass, "{good}");
    }
    for bad in [
        "lookup_customer",
        "git_issue_refund",
        "crm+issue_refund",
        "crm_crm_issue_refund",
        "",
        "CRM_issue_refund",
    ] {
        assert_eq!(modern(bad).ask(&pdp).await.does.refusal().0, Code::Invalid, "{bad}");
    }
    // Resources have their target in front of the URI.
    let read = |name: &str| {
        let uri = "demo://resource/static/document/a.md";
        let read = Asked::of("resources/read", json!({ "uri": uri }).to_string()).to(&["everything"]);
        read.metadata("jwt", super::ask::claims("bo"))
            .metadata("workload", "spiffe://acme.example/agent/coder")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "resources/read")
            .header("mcp-name", name)
    };
    for good in ["demo://resource/static/document/a.md", "everything+demo://resource/static/document/a.md"] {
        assert_eq!(read(good).ask(&pdp).await.does, Does::Pass, "{good}");
    }
    for bad in ["everything_demo://resource/static/document/a.md", "everything+demo://resource/secret"] {
        assert_eq!(read(bad).ask(&pdp).await.does.refusal().0, Code::Invalid, "{bad}");
    }
    // Without headers the message itself says which revision is spoken.
    let meta = |version: &str| {
        let params = json!({"name": "issue_refund", "arguments": {"order": "o-1", "amount": 30},
            "_meta": {"io.modelcontextprotocol/protocolVersion": version}});
        Asked::of("tools/call", params.to_string())
    };
    assert_eq!(meta("2026-07-28").without_http().ask(&pdp).await.does, Does::Pass);
    assert_eq!(meta("2031-01-01").without_http().ask(&pdp).await.does.refusal().0, Code::Invalid);
    // Over HTTP it has to stand in the headers too (MCP 2026-07-28).
    assert_eq!(meta("2026-07-28").ask(&pdp).await.does.refusal().0, Code::Invalid);
    let other = meta("2026-07-28").header("mcp-protocol-version", "2025-11-25");
    assert_eq!(other.ask(&pdp).await.does.refusal().0, Code::Invalid);
}

#[tokio::test]
async fn a_session_belongs_to_whom_it_began_with() {
    let pdp = start().await;
    let session = |asked: Asked| asked.header("mcp-session-id", "s-1");
    assert_eq!(session(Asked::refund(30)).ask(&pdp).await.does, Does::Pass);
    let other = session(Asked::refund(30)).metadata("jwt", super::ask::claims("lea")).ask(&pdp).await;
    assert_eq!(other.does.refusal(), (Code::PermissionDenied, "session_mismatch"));
    let said = Asked::refund(30).metadata("session", "s-1").metadata("jwt", super::ask::claims("lea"));
    assert_eq!(said.ask(&pdp).await.does.refusal().1, "session_mismatch");
    let two = session(Asked::refund(30)).metadata("session", "s-2").ask(&pdp).await;
    assert_eq!(two.does.refusal().0, Code::Invalid);
}

#[tokio::test]
async fn without_a_record_there_is_no_answer() {
    let pdp = start().await;
    pdp.ledger.set_room(0);
    let status = Asked::refund(30).by(&pdp, TOKEN).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    let list = super::ask::Came::of("tools/list", r#"{"tools":[]}"#);
    assert_eq!(list.by(&pdp, TOKEN).await.unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn a_gateway_without_the_role_is_refused_on_record() {
    let mut crm = gateway();
    crm.servers = Servers::Named(["crm".to_owned()].into());
    let builder = TestPdp::builder().caller("t-crm", crm).caller("t-else", caller("else", &[Role::Assert]));
    let pdp = start_of(builder).await;
    let code = async |asked: Asked, token: &str| asked.by(&pdp, token).await.map_err(|status| status.code());
    assert_eq!(code(Asked::refund(30), "nobody's").await.unwrap_err(), tonic::Code::Unauthenticated);
    assert_eq!(code(Asked::refund(30), "t-else").await.unwrap_err(), tonic::Code::PermissionDenied);
    let record = pdp.ledger.last();
    let said = ["type", "face", "caller"].map(|name| record[name].clone());
    assert_eq!(said, ["admin", "ext_mcp", "else"]);
    let list = || super::ask::Came::of("tools/list", r#"{"tools":[]}"#);
    assert_eq!(list().by(&pdp, "t-else").await.unwrap_err().code(), tonic::Code::PermissionDenied);
    assert!(code(Asked::refund(30), "t-crm").await.is_ok());
    assert_eq!(
        code(Asked::refund(30).to(&["git"]), "t-crm").await.unwrap_err(),
        tonic::Code::PermissionDenied
    );
    assert_eq!(
        list().from(&["git"]).by(&pdp, "t-crm").await.unwrap_err().code(),
        tonic::Code::PermissionDenied
    );
    let fan_out = Asked::plain("tools/list").to(&["crm", "git"]);
    assert_eq!(code(fan_out, "t-crm").await.unwrap_err(), tonic::Code::PermissionDenied);
}
