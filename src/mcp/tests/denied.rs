//! What is denied before any policy, and that nothing panics.

use proptest::prelude::*;

use super::*;

const CALL: &str = r#"{"name":"issue_refund","arguments":{"order":7}}"#;

#[test]
fn malformed_messages_are_denied_and_the_member_is_named() {
    for (method, params, words) in [
        ("tools/call", "{", "`params`: "),
        ("tools/call", "[]", "`params` must be an object, found an array"),
        ("tools/call", "null", "`params` must be an object, found null"),
        ("tools/call", "", "`params.name` is missing"),
        ("tools/call", r#"{"name":7}"#, "`params.name` must be a string, found an integer"),
        ("tools/call", r#"{"name":""}"#, "`params.name` is empty"),
        ("tools/call", r#"{"name":"issue_refund","name":"find"}"#, "name each member of an object once"),
        ("tools/call", r#"{"name":"issue_refund","n\u0061me":"find"}"#, "name each member of an object once"),
        (
            "tools/call",
            r#"{"name":"issue_refund","arguments":{"order":1,"order":2}}"#,
            "name each member of an object once",
        ),
        (
            "tools/call",
            r#"{"name":"issue_refund","arguments":[]}"#,
            "arguments must be an object, found an array",
        ),
        ("tools/call", r#"{"name":"issue_refund"}"#, "`required`"),
        ("tools/call", r#"{"name":"issue_refund","arguments":{"order":1,"as_root":true}}"#, "`as_root`"),
        ("resources/read", "{}", "`params.uri` is missing"),
        ("resources/read", r#"{"uri":"../secret"}"#, "`params.uri` is not an absolute URI"),
        (
            "resources/subscribe",
            r#"{"uri":"crm://x/%2fy"}"#,
            "`params.uri` contains an encoded slash or backslash",
        ),
        ("prompts/get", r#"{"name":"a\nb"}"#, "`params.name` contains a control character"),
        ("tasks/get", r#"{"taskId":["t"]}"#, "`params.taskId` must be a string, found an array"),
        ("completion/complete", "{}", "`params.ref` is missing"),
        ("completion/complete", r#"{"ref":"x"}"#, "`params.ref` must be an object"),
        ("completion/complete", r#"{"ref":{"type":"ref/tool","name":"x"}}"#, "`params.ref.type` must be"),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","name":"x"}}"#,
            "`params.ref.uri` is missing",
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","uri":"crm://{"}}"#,
            "`params.ref.uri` is not a URI",
        ),
        ("notifications/initialized", "[", "`params`: "),
    ] {
        let sent = legacy(method, params);
        let refusal = refusal(&sent);
        assert_eq!(refusal.reason, DenyReason::InvalidInput, "{method} {params}");
        assert!(refusal.words.contains(words), "{method} {params}: {}", refusal.words);
    }
}

#[test]
fn a_subscription_list_is_held_to_its_kind_and_length() {
    let many = vec![r#""crm://public/a""#; Limits::default().subscriptions_max + 1].join(",");
    for (notifications, words) in [
        ("[]".to_owned(), "`params.notifications` must be an object"),
        (
            r#"{"resourceSubscriptions":{}}"#.to_owned(),
            "`params.notifications.resourceSubscriptions` must be an array",
        ),
        (r#"{"resourceSubscriptions":["crm://public/a",7]}"#.to_owned(), "resourceSubscriptions[1]` must be"),
        (r#"{"resourceSubscriptions":["a"]}"#.to_owned(), "resourceSubscriptions[0]` is not an absolute URI"),
        (format!(r#"{{"resourceSubscriptions":[{many}]}}"#), "names more than 16 resources"),
    ] {
        let sent = modern("subscriptions/listen", &format!(r#"{{"notifications":{notifications}}}"#));
        let refusal = refusal(&sent);
        assert_eq!(refusal.reason, DenyReason::InvalidInput);
        assert!(refusal.words.contains(words), "{}", refusal.words);
    }
}

#[test]
fn what_the_catalog_does_not_have_is_unknown() {
    let mut sent = legacy("tools/call", r#"{"name":"drop`\u202e_all","arguments":{"order":7}}"#);
    let denied = refusal(&sent);
    assert_eq!(denied.reason, DenyReason::UnknownTool);
    assert_eq!(denied.words, r"tool `drop\u{202e}_all` of server `crm` is not in the catalog");
    assert_eq!(denied.arguments, Some(&br#"{"order":7}"#[..]));
    sent.server = "mail".into();
    for method in METHODS.iter().filter(|method| method.direction() != Direction::Either) {
        for version in Version::ALL.into_iter().filter(|version| method.eras.include(version.era())) {
            sent.method = method.name.into();
            sent.protocol_version = Some(version.name().into());
            let denied = refusal(&sent);
            assert_eq!(
                (denied.reason, &*denied.words),
                (DenyReason::UnknownTool, "server `mail` is not in the catalog")
            );
        }
    }
}

#[test]
fn a_tool_of_another_server_is_not_reached_through_a_name_with_a_slash() {
    let sent = legacy("tools/call", r#"{"name":"../crm/issue_refund"}"#);
    assert_eq!(refusal(&sent).reason, DenyReason::UnknownTool);
}

#[test]
fn unknown_versions_and_methods_are_denied_in_bounded_words() {
    let mut sent = legacy("tools/call", CALL);
    for version in ["", "2025-11-26", "2027-01-01", "latest"] {
        sent.protocol_version = Some(version.into());
        assert_eq!(refusal(&sent).words, format!("protocol version `{version}` is not known"));
    }
    for method in ["Tools/Call", "tools/call\n", "mcp/response", &"x".repeat(10_000)] {
        let sent = legacy(method, CALL);
        let refusal = refusal(&sent);
        assert_eq!(refusal.reason, DenyReason::InvalidInput);
        assert!(refusal.words.len() < 200 && !refusal.words.contains('\n'), "{}", refusal.words);
    }
}

#[test]
fn a_denied_call_still_says_what_it_would_have_been() {
    let sent = legacy("tools/call", r#"{"name":"issue_refund","arguments":{"order":"seven-secret"}}"#);
    let refusal = refusal(&sent);
    let id = "crm/issue_refund";
    let about = About { action: Uid::new("Action", id), resource: Uid::new("Tool", id) };
    assert_eq!(refusal.about.as_deref(), Some(&about));
    assert_eq!(refusal.arguments, Some(&br#"{"order":"seven-secret"}"#[..]));
    assert!(!refusal.words.contains("secret"), "{}", refusal.words);
}

#[test]
fn an_unreadable_definition_is_denied() {
    let mut sent = legacy("tools/call", CALL);
    for definition in ["", "{", r#"{"name":"a","name":"b"}"#] {
        sent.tool_definition = Some(definition.into());
        let refusal = refusal(&sent);
        assert_eq!(refusal.reason, DenyReason::InvalidInput);
        assert!(refusal.words.starts_with("`tool_definition`: "), "{}", refusal.words);
    }
    sent.tool_definition = Some("{}".into());
    assert_eq!(refusal(&sent).reason, DenyReason::ToolDrift);
}

#[test]
fn every_limit_has_an_answer() {
    let limits = Limits {
        name_bytes_max: 4,
        uri_bytes_max: 16,
        headers_max: 1,
        header_bytes_max: 24,
        ..Limits::default()
    };
    let deep = format!("{}{}", r#"{"a":"#.repeat(33), "}".repeat(33));
    let mut crowded = legacy("ping", "");
    crowded.headers = [("Mcp-A", "1"), ("Mcp-B", "2")].map(|(n, v)| (n.into(), v.into())).into();
    let mut wide = legacy("ping", "");
    wide.headers = [("Mcp-A".into(), "x".repeat(25))].into();
    for (sent, words) in [
        (legacy("tools/call", r#"{"name":"abcde"}"#), "`params.name` is longer than 4 bytes"),
        (legacy("resources/read", r#"{"uri":"crm://customers/7"}"#), "`params.uri` is longer than 16 bytes"),
        (legacy("ping", &deep), "`params`: at byte"),
        (legacy("ping", &" ".repeat((1 << 20) + 1)), "`params`: the JSON text is"),
        (crowded, "`headers` has more than 1 entries"),
        (wide, "header `Mcp-A` is longer than 24 bytes"),
    ] {
        match map(&sent, &catalog(), &limits) {
            Mapped::Deny(refusal) => assert!(refusal.words.contains(words), "{}", refusal.words),
            other => panic!("{other:?}"),
        }
    }
}

fn any_params() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"name\"",
        "\"uri\"",
        "\"arguments\"",
        "\"ref\"",
        "\"type\"",
        "\"taskId\"",
        "\"issue_refund\"",
        "\"order\"",
        "\"crm://customers/%2e\"",
        "\"ref/resource\"",
        "\"notifications\"",
        "\"_meta\"",
        "\"resourceSubscriptions\"",
        "7",
        "-0",
        "1e999",
        "null",
        "true",
        "\"\\ud800\"",
        "\u{0}",
        " ",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        prop::collection::vec(piece.clone(), 0..24).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec((piece.clone(), piece), 0..4).prop_map(|members| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        }),
    ]
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(
        method in prop_oneof![prop::sample::select(METHODS.map(|m| m.name).to_vec()).prop_map(String::from), any::<String>()],
        server in prop_oneof![Just("crm".to_owned()), any::<String>()],
        params in any_params(),
        protocol_version in prop::option::of(prop_oneof![
            prop::sample::select(Version::ALL.map(Version::name).to_vec()).prop_map(String::from),
            any::<String>(),
        ]),
        headers in prop::collection::btree_map("Mcp-[A-Za-z-]{0,8}|MCP-Protocol-Version", any::<String>(), 0..4),
        tool_definition in prop::option::of(any_params()),
        arguments_unseen: bool,
    ) {
        let params = params.into();
        let sent =
            Message { server, method, params, protocol_version, headers, tool_definition, arguments_unseen };
        match map(&sent, &catalog(), &Limits::default()) {
            Mapped::Pass => {
                prop_assert!(sent.method == "ping" || sent.method.starts_with("notifications/"));
            }
            Mapped::Ask(step) => prop_assert!(step.questions().count() > 0 && sent.server == "crm"),
            Mapped::AskBack(back) => prop_assert_eq!(back.principal, Uid::new("Server", "crm")),
            Mapped::Deny(refusal) => {
                prop_assert!(!refusal.words.is_empty() && refusal.words.len() < 2048);
                prop_assert!(!refusal.words.contains(char::is_control), "{:?}", refusal.words);
            }
        }
    }
}
