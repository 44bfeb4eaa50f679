//! Scopes, the hierarchy and how decisions are combined.

use super::fixtures::{ADA, AMEND, BO, BURN, CHART, CY, DEE, DIARY, ENTITIES, OPEN, SCHEMA};
use super::{Case, allow, deny};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "no policies deny",
        schema: Some(SCHEMA),
        policies: "",
        links: &[],
        entities: "[]",
        requests: &[(ADA, OPEN, CHART, "{}", deny(&[]))],
    },
    Case {
        name: "a forbid overrides a permit and alone determines",
        schema: Some(SCHEMA),
        policies: r#"@id("all") permit (principal, action, resource);
            @id("not ada") forbid (principal == Nurse::"ada", action, resource);"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", deny(&["not ada"])),
            (BO, OPEN, CHART, "{}", allow(&["all"])),
            (DEE, OPEN, CHART, "{}", allow(&["all"])),
        ],
    },
    Case {
        name: "every permit that holds determines",
        schema: Some(SCHEMA),
        policies: r#"@id("1") permit (principal, action, resource);
            @id("2") permit (principal in Ward::"house", action, resource);
            @id("3") permit (principal is Nurse, action, resource == Record::"diary");"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["1", "2"])),
            (CY, OPEN, DIARY, "{}", allow(&["1", "3"])),
            (ADA, OPEN, DIARY, "{}", allow(&["1", "2", "3"])),
        ],
    },
    Case {
        name: "groups of actions, one in two of them",
        schema: Some(SCHEMA),
        policies: r#"@id("look") permit (principal, action in Action::"look", resource);
            @id("change") permit (principal, action in Action::"change", resource);
            @id("any") permit (principal, action in Action::"any", resource);
            @id("is any") permit (principal, action == Action::"any", resource);"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["look", "any"])),
            (ADA, AMEND, CHART, "{}", allow(&["look", "change", "any"])),
            (ADA, BURN, CHART, "{}", allow(&["change", "any"])),
            (ADA, r#"Action::"any""#, CHART, "{}", allow(&["any", "is any"])),
        ],
    },
    Case {
        name: "lists of actions and groups",
        schema: Some(SCHEMA),
        policies: r#"@id("two") permit (principal, action in [Action::"open", Action::"burn"], resource);
            @id("mixed") permit (principal, action in [Action::"burn", Action::"look"], resource);
            @id("one") forbid (principal, action in [Action::"change"], resource == Record::"diary");"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["two", "mixed"])),
            (ADA, AMEND, CHART, "{}", allow(&["mixed"])),
            (ADA, BURN, DIARY, "{}", deny(&["one"])),
            (ADA, OPEN, DIARY, "{}", allow(&["two", "mixed"])),
        ],
    },
    Case {
        name: "an empty list of actions holds for none",
        schema: None,
        policies: r#"@id("none") permit (principal, action in [], resource);
            @id("not none") permit (principal, action, resource) unless { action in [] };"#,
        links: &[],
        entities: "[]",
        requests: &[(ADA, OPEN, CHART, "{}", allow(&["not none"]))],
    },
    Case {
        name: "actions that the store does not know are in themselves only",
        schema: None,
        policies: r#"@id("is") permit (principal, action == Action::"open", resource);
            @id("in") permit (principal, action in Action::"open", resource);
            @id("group") permit (principal, action in Action::"look", resource);
            @id("list") forbid (principal, action in [Action::"look", Action::"burn"], resource);"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["is", "in"])),
            (ADA, BURN, CHART, "{}", deny(&["list"])),
            (ADA, AMEND, CHART, "{}", deny(&[])),
        ],
    },
    Case {
        name: "actions of other namespaces are others",
        schema: None,
        policies: r#"@id("plain") permit (principal, action == Action::"open", resource);
            @id("shop") permit (principal, action == Shop::Action::"open", resource);
            @id("both") permit (principal, action in [Shop::Action::"open", Action::"open"], resource);"#,
        links: &[],
        entities: "[]",
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["plain", "both"])),
            (ADA, r#"Shop::Action::"open""#, CHART, "{}", allow(&["shop", "both"])),
            (ADA, r#"Shop::Deep::Action::"open""#, CHART, "{}", deny(&[])),
        ],
    },
    Case {
        name: "in, through the hierarchy",
        schema: Some(SCHEMA),
        policies: r#"@id("east") permit (principal in Ward::"east", action, resource in Cabinet::"safe");
            @id("west") permit (principal in Ward::"west", action, resource in Cabinet::"drawer");
            @id("house") forbid (principal in Ward::"house", action == Action::"burn", resource);"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["east"])),
            (BO, OPEN, CHART, "{}", allow(&["east", "west"])),
            (BO, BURN, CHART, "{}", deny(&["house"])),
            (CY, BURN, CHART, "{}", deny(&[])),
            (BO, OPEN, DIARY, "{}", deny(&[])),
        ],
    },
    Case {
        name: "everything is in itself, known or not",
        schema: None,
        policies: r#"@id("in") permit (principal in Nurse::"dee", action, resource in Record::"diary");
            @id("is in") permit (principal is Nurse in Nurse::"ada", action, resource);"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (DEE, OPEN, DIARY, "{}", allow(&["in"])),
            (ADA, OPEN, CHART, "{}", allow(&["is in"])),
            (BO, OPEN, DIARY, "{}", deny(&[])),
        ],
    },
    Case {
        name: "is, and is in",
        schema: None,
        policies: r#"@id("nurse") permit (principal is Nurse, action, resource);
            @id("nurse in") permit (principal is Nurse in Ward::"house", action, resource is Record);
            @id("guest") forbid (principal is Guest, action, resource);
            @id("shop") forbid (principal is Shop::Nurse, action, resource is Record in Cabinet::"safe");"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["nurse", "nurse in"])),
            (CY, OPEN, CHART, "{}", allow(&["nurse"])),
            (r#"Guest::"ada""#, OPEN, CHART, "{}", deny(&["guest"])),
            (r#"Shop::Nurse::"ada""#, OPEN, CHART, "{}", deny(&["shop"])),
            (r#"Shop::Nurse::"ada""#, OPEN, DIARY, "{}", deny(&[])),
        ],
    },
    Case {
        name: "a deep chain with a way around",
        schema: None,
        policies: r#"@id("top") permit (principal in T::"5", action, resource);
            @id("side") permit (principal in T::"side", action, resource);
            @id("up") forbid (principal == T::"5", action, resource in T::"0");"#,
        links: &[],
        entities: r#"[
            { "uid": { "type": "T", "id": "0" }, "attrs": {}, "parents": [{ "type": "T", "id": "1" }] },
            { "uid": { "type": "T", "id": "1" }, "attrs": {},
              "parents": [{ "type": "T", "id": "2" }, { "type": "T", "id": "side" }] },
            { "uid": { "type": "T", "id": "2" }, "attrs": {}, "parents": [{ "type": "T", "id": "3" }] },
            { "uid": { "type": "T", "id": "side" }, "attrs": {}, "parents": [{ "type": "T", "id": "4" }] },
            { "uid": { "type": "T", "id": "3" }, "attrs": {}, "parents": [{ "type": "T", "id": "4" }] },
            { "uid": { "type": "T", "id": "4" }, "attrs": {}, "parents": [{ "type": "T", "id": "5" }] }
        ]"#,
        requests: &[
            (r#"T::"0""#, OPEN, CHART, "{}", allow(&["top", "side"])),
            (r#"T::"2""#, OPEN, CHART, "{}", allow(&["top"])),
            (r#"T::"5""#, OPEN, CHART, "{}", allow(&["top"])),
            (r#"T::"5""#, OPEN, r#"T::"0""#, "{}", deny(&["up"])),
            (r#"T::"6""#, OPEN, CHART, "{}", deny(&[])),
        ],
    },
    Case {
        name: "one who is asked for",
        schema: None,
        policies: r#"@id("same") permit (principal, action, resource) when { principal == resource };
            @id("within") permit (principal, action, resource) when { principal in resource };
            @id("around") forbid (principal, action, resource) when { resource in principal && principal != resource };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, ADA, "{}", allow(&["same", "within"])),
            (ADA, OPEN, r#"Ward::"house""#, "{}", allow(&["within"])),
            (r#"Ward::"house""#, OPEN, ADA, "{}", deny(&["around"])),
            (DEE, OPEN, DEE, "{}", allow(&["same", "within"])),
        ],
    },
];
