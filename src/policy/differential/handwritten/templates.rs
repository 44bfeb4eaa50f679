//! Templates and their links.

use super::fixtures::{ADA, BO, BURN, CHART, CY, DEE, DIARY, ENTITIES, OPEN, SCHEMA};
use super::{Case, allow, deny};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a template without links is no policy",
        schema: Some(SCHEMA),
        policies: r#"@id("t") permit (principal == ?principal, action, resource);
            @id("bad") forbid (principal in ?principal, action, resource) when { principal.rank + 1 > 0 };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[(ADA, OPEN, CHART, "{}", deny(&[])), (BO, OPEN, CHART, "{}", deny(&[]))],
    },
    Case {
        name: "links to whom it is",
        schema: Some(SCHEMA),
        policies: r#"@id("t") permit (principal == ?principal, action, resource == ?resource);"#,
        links: &[
            ("t", "ada's chart", Some(ADA), Some(CHART)),
            ("t", "again", Some(ADA), Some(CHART)),
            ("t", "bo's diary", Some(BO), Some(DIARY)),
            ("t", "dee's diary", Some(DEE), Some(DIARY)),
        ],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["ada's chart", "again"])),
            (ADA, OPEN, DIARY, "{}", deny(&[])),
            (BO, BURN, DIARY, "{}", allow(&["bo's diary"])),
            (DEE, BURN, DIARY, "{}", allow(&["dee's diary"])),
        ],
    },
    Case {
        name: "links to what it is in",
        schema: None,
        policies: r#"@id("t") permit (principal in ?principal, action, resource in ?resource);
            @id("f") forbid (principal, action == Action::"burn", resource in ?resource);"#,
        links: &[
            ("t", "east", Some(r#"Ward::"east""#), Some(r#"Cabinet::"safe""#)),
            ("t", "ada", Some(ADA), Some(DIARY)),
            ("t", "none", Some(r#"Ward::"none""#), Some(r#"Cabinet::"safe""#)),
            ("f", "safe", None, Some(r#"Cabinet::"safe""#)),
        ],
        entities: ENTITIES,
        requests: &[
            (BO, OPEN, CHART, "{}", allow(&["east"])),
            (ADA, OPEN, DIARY, "{}", allow(&["ada"])),
            (ADA, BURN, CHART, "{}", deny(&["safe"])),
            (CY, OPEN, CHART, "{}", deny(&[])),
        ],
    },
    Case {
        name: "links of is in",
        schema: Some(SCHEMA),
        policies: r#"@id("t") permit (principal is Nurse in ?principal, action in Action::"look",
              resource is Record in ?resource);"#,
        links: &[
            ("t", "house", Some(r#"Ward::"house""#), Some(r#"Cabinet::"drawer""#)),
            ("t", "west", Some(r#"Ward::"west""#), Some(r#"Cabinet::"safe""#)),
        ],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, "{}", allow(&["house"])),
            (BO, OPEN, CHART, "{}", allow(&["house", "west"])),
            (BO, BURN, CHART, "{}", deny(&[])),
            (r#"Ward::"east""#, OPEN, CHART, "{}", deny(&[])),
        ],
    },
    Case {
        name: "links share a condition, and each fails for itself",
        schema: None,
        policies: r#"@id("t") permit (principal in ?principal, action, resource)
              when { context.reason == "x" && principal.rank + 1 > 0 };
            @id("s") forbid (principal == Nurse::"cy", action, resource)
              when { context.reason == "x" && principal.rank + 1 > 0 };"#,
        links: &[
            ("t", "east", Some(r#"Ward::"east""#), None),
            ("t", "west", Some(r#"Ward::"west""#), None),
            ("t", "cy", Some(CY), None),
        ],
        entities: ENTITIES,
        requests: &[
            (ADA, OPEN, CHART, r#"{"reason": "x"}"#, allow(&["east"])),
            (ADA, OPEN, CHART, r#"{"reason": "y"}"#, deny(&[])),
            (ADA, OPEN, CHART, "{}", deny(&[]).failing(&["east"])),
            (BO, OPEN, CHART, r#"{"reason": "x"}"#, deny(&[]).failing(&["east", "west"])),
            (CY, OPEN, CHART, r#"{"reason": "x"}"#, deny(&["s"])),
            (CY, OPEN, CHART, "{}", deny(&[]).failing(&["cy", "s"])),
            (DEE, OPEN, CHART, "{}", deny(&[])),
        ],
    },
];
