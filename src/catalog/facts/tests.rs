use super::*;

fn facts(entry: &str, annotations: &str) -> ToolFacts {
    let entry: ToolEntry = serde_saphyr::from_str(entry).unwrap();
    let annotations = crate::json::parse(annotations.as_bytes(), crate::json::Limits::default()).unwrap();
    ToolFacts::of(&entry, Some(&annotations))
}

/// What the operator says, what the server says, and then: read-only, destructive, open-world.
#[test]
fn the_operator_wins_then_hints_that_tighten_then_the_careful_assumption() {
    const NOTHING: &str = "{}";
    for (operator, server, wanted) in [
        (NOTHING, NOTHING, (false, true, true)),
        // Hints never loosen.
        (NOTHING, r#"{"readOnlyHint":true}"#, (false, true, true)),
        (NOTHING, r#"{"destructiveHint":false}"#, (false, true, true)),
        (NOTHING, r#"{"openWorldHint":false}"#, (false, true, true)),
        (
            NOTHING,
            r#"{"readOnlyHint":true,"destructiveHint":false,"openWorldHint":false}"#,
            (false, true, true),
        ),
        (NOTHING, r#"{"destructiveHint":"false"}"#, (false, true, true)),
        // The operator's word.
        ("{read_only: true}", NOTHING, (true, false, true)),
        ("{read_only: false}", NOTHING, (false, true, true)),
        ("{destructive: false}", NOTHING, (false, false, true)),
        ("{open_world: false}", NOTHING, (false, true, false)),
        ("{read_only: true, open_world: false}", NOTHING, (true, false, false)),
        // Hints tighten what the operator did not say.
        ("{read_only: true}", r#"{"destructiveHint":true}"#, (true, true, true)),
        ("{open_world: false}", r#"{"destructiveHint":true}"#, (false, true, false)),
        // But not what the operator did say.
        ("{destructive: false}", r#"{"destructiveHint":true}"#, (false, false, true)),
        ("{open_world: false}", r#"{"openWorldHint":true}"#, (false, true, false)),
        ("{read_only: true}", r#"{"readOnlyHint":false}"#, (true, false, true)),
    ] {
        let facts = facts(operator, server);
        assert_eq!((facts.read_only, facts.destructive, facts.open_world), wanted, "{operator} {server}");
    }
}

#[test]
fn groups_follow_from_the_flags_beside_those_that_are_named() {
    let groups = |entry| facts(entry, "{}").groups.into_iter().collect::<Vec<_>>();
    assert_eq!(groups("{}"), ["destructive", "open-world"]);
    assert_eq!(groups("{read_only: true, open_world: false}"), ["read-only"]);
    assert_eq!(groups("{destructive: false, groups: [preapproved]}"), ["open-world", "preapproved"]);
}

#[test]
fn what_nobody_classified_is_unclassified() {
    assert_eq!(facts("{}", "{}").data_classes, BTreeSet::from(["unclassified".to_owned()]));
    assert_eq!(facts("{data_classes: []}", "{}").data_classes, BTreeSet::from(["unclassified".to_owned()]));
    assert_eq!(facts("{data_classes: [payment]}", "{}").data_classes, BTreeSet::from(["payment".to_owned()]));
}
