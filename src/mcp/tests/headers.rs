//! Headers that agree with the body, and every way in which they do not.

use super::*;

const CALL: &str = r#"{"name":"issue_refund","arguments":{"order":7,"note":"café","dry_run":true}}"#;

fn with(mut message: Message, headers: &[(&str, &str)]) -> Message {
    message.headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    message
}

fn full_call() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "issue_refund"),
        ("Mcp-Param-Note", "=?base64?Y2Fmw6k=?="),
        ("Mcp-Param-Dry-Run", "true"),
    ])
}

fn call_with(headers: &BTreeMap<&str, &str>) -> Message {
    with(modern("tools/call", CALL), &headers.iter().map(|(name, value)| (*name, *value)).collect::<Vec<_>>())
}

#[test]
fn headers_that_agree_change_nothing() {
    let bare = modern("tools/call", CALL);
    assert_eq!(step(&call_with(&full_call())), step(&bare));
    let lower = with(
        modern("tools/call", CALL),
        &[
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("MCP-NAME", "=?base64?aXNzdWVfcmVmdW5k?="),
            ("mcp-param-note", "café"),
            ("mcp-param-DRY-run", "true"),
            ("mcp-session-id", "ignored"),
        ],
    );
    assert_eq!(step(&lower), step(&bare));
}

#[test]
fn each_header_is_required_once_any_is_there() {
    for missing in full_call().keys() {
        let mut headers = full_call();
        headers.remove(missing);
        let sent = call_with(&headers);
        let refusal = refusal(&sent);
        assert_eq!(
            (refusal.reason, refusal.words),
            (DenyReason::InvalidInput, format!("header `{missing}` is missing"))
        );
    }
}

#[test]
fn a_header_that_disagrees_is_denied() {
    for (header, value) in [
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Method", "Tools/call"),
        ("Mcp-Method", ""),
        ("Mcp-Name", "find_customer"),
        ("Mcp-Name", "issue_refund "),
        ("Mcp-Param-Note", "cafe"),
        ("Mcp-Param-Dry-Run", "True"),
        ("Mcp-Param-Level", "1"),
    ] {
        let mut headers = full_call();
        headers.insert(header, value);
        assert_eq!(
            refusal(&call_with(&headers)).words,
            format!("header `{header}` does not agree with the body")
        );
    }
}

#[test]
fn headers_that_cannot_be_compared_are_denied() {
    for (header, value, words) in [
        ("Mcp-Name", "=?base64?!?=", "header `Mcp-Name` is not base64 of UTF-8"),
        ("Mcp-Name", "=?base64?/w==?=", "header `Mcp-Name` is not base64 of UTF-8"),
        ("mcp-name", "issue_refund", "header `mcp-name` came twice"),
        ("Mcp-Param-Role", "admin", "header `mcp-param-role` repeats nothing in the body"),
    ] {
        let mut headers = full_call();
        headers.insert(header, value);
        assert_eq!(refusal(&call_with(&headers)).words, words);
    }
    let listing = with(
        modern("tools/list", ""),
        &[("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list"), ("Mcp-Param-A", "1")],
    );
    assert_eq!(refusal(&listing).words, "header `mcp-param-a` repeats nothing in the body");
}

#[test]
fn the_name_header_repeats_what_the_method_is_about() {
    for (method, params, name) in [
        ("resources/read", r#"{"uri":"CRM://Customers/7"}"#, "CRM://Customers/7"),
        ("prompts/get", r#"{"name":"summarise"}"#, "summarise"),
        ("tasks/get", r#"{"taskId":"t1"}"#, "t1"),
        ("tasks/update", r#"{"taskId":"t1"}"#, "t1"),
        ("tasks/cancel", r#"{"taskId":"t1"}"#, "t1"),
    ] {
        let headers =
            |name| [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method), ("Mcp-Name", name)];
        let bare = modern(method, params);
        assert_eq!(step(&with(bare.clone(), &headers(name))), step(&bare));
        assert_eq!(
            refusal(&with(bare.clone(), &headers("other"))).words,
            "header `Mcp-Name` does not agree with the body"
        );
        assert_eq!(refusal(&with(bare, &headers(name)[..2])).words, "header `Mcp-Name` is missing");
    }
}

#[test]
fn before_2026_only_the_version_is_compared() {
    let agrees = with(
        legacy("tools/call", CALL),
        &[("mcp-protocol-version", "2025-11-25"), ("Mcp-Name", "other"), ("Mcp-Param-Note", "other")],
    );
    assert_eq!(step(&agrees), step(&legacy("tools/call", CALL)));
    let session = with(legacy("tools/call", CALL), &[("Mcp-Session-Id", "s")]);
    assert_eq!(step(&session), step(&legacy("tools/call", CALL)));
    let mut disagrees = with(legacy("tools/call", CALL), &[("MCP-Protocol-Version", "2026-07-28")]);
    assert_eq!(refusal(&disagrees).words, "header `MCP-Protocol-Version` does not agree with the body");
    disagrees.protocol_version = None;
    assert_eq!(
        refusal(&disagrees).reason,
        DenyReason::InvalidInput,
        "a newer message may not pass as an older one"
    );
}

#[test]
fn the_version_in_the_body_must_agree_too() {
    let body = |version: &str| {
        format!(
            r#"{{"name":"issue_refund","arguments":{{"order":7}},"_meta":{{"io.modelcontextprotocol/protocolVersion":{version}}}}}"#
        )
    };
    assert!(step(&modern("tools/call", &body("\"2026-07-28\""))).also.is_empty());
    for version in ["\"2025-11-25\"", "null", "20260728"] {
        let sent = modern("tools/call", &body(version));
        assert!(refusal(&sent).words.starts_with("`params._meta.io.modelcontextprotocol/protocolVersion`"));
    }
    assert_eq!(
        refusal(&modern("tools/call", r#"{"name":"issue_refund","_meta":[]}"#)).words,
        "`params._meta` must be an object, found an array"
    );
}

#[test]
fn a_client_cannot_speak_with_the_servers_authority() {
    for header in ["Mcp-Method", "mcp-name", "Mcp-Param-X"] {
        let sent =
            with(modern("roots/list", ""), &[("MCP-Protocol-Version", "2026-07-28"), (header, "roots/list")]);
        assert!(refusal(&sent).words.starts_with("method `roots/list` is sent by servers"));
    }
    let answer = with(modern("roots/list", ""), &[("MCP-Protocol-Version", "2026-07-28")]);
    assert!(matches!(map(&answer, &catalog(), &Limits::default()), Mapped::AskBack(_)));
}

#[test]
fn a_notification_passes_with_its_own_name_or_without_one() {
    let note = |headers: &[(&str, &str)]| lines(&with(modern("notifications/cancelled", ""), headers));
    assert_eq!(note(&[("MCP-Protocol-Version", "2026-07-28")]), "passes");
    assert_eq!(note(&[("Mcp-Method", "notifications/cancelled")]), "passes");
    assert!(note(&[("Mcp-Method", "tools/call")]).contains("does not agree"));
    assert!(note(&[("MCP-Protocol-Version", "2025-11-25")]).contains("does not agree"));
}
