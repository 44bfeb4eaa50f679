//! How deep conditions look, and what makes them fail before they are asked: one policy for each action, so that none
//! looks deeper in another's stead. Bo's rank is one that nobody else has.

use super::fixtures::{ADA, CHART, CY, DIARY, ENTITIES};
use super::{Case, allow, deny};

/// Ada's deputy and her substitutes are in her tags, as entities.
const DEPUTIES: &str = r#"[
{ "uid": { "type": "Nurse", "id": "ada" }, "attrs": {}, "parents": [],
  "tags": { "deputy": { "__entity": { "type": "Nurse", "id": "cy" } },
    "others": [{ "__entity": { "type": "Nurse", "id": "bo" } }] } },
{ "uid": { "type": "Ward", "id": "east" }, "attrs": {}, "parents": [] },
{ "uid": { "type": "Nurse", "id": "bo" }, "attrs": { "rank": 2 }, "parents": [] },
{ "uid": { "type": "Nurse", "id": "cy" }, "attrs": { "rank": 0 }, "parents": [{ "type": "Ward", "id": "east" }] }
]"#;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "conditions that look into another entity, each in its own way",
        schema: None,
        policies: r#"
            @id("set") permit (principal, action == Action::"set", resource)
              when { [1, principal.mentor.rank].contains(9223372036854775807) };
            @id("record") permit (principal, action == Action::"record", resource)
              when { {"of": principal.mentor.rank}.of > 3 };
            @id("has") permit (principal, action == Action::"has", resource)
              when { principal has mentor.rank };
            @id("far") permit (principal, action == Action::"far", resource)
              unless { resource has author.mentor.mentor.rank };
            @id("then") permit (principal, action == Action::"then", resource)
              when { if context has reason then principal.mentor.rank > 3 else false };
            @id("else") permit (principal, action == Action::"else", resource)
              when { if context has nothing then true else principal.mentor.rank > 3 };
            @id("right") permit (principal, action == Action::"right", resource)
              when { 3 < principal.mentor.rank };
            @id("call") permit (principal, action == Action::"call", resource)
              when { decimal(if principal.mentor.rank > 3 then "1.0" else "x") == decimal("1.0") };
            @id("in") permit (principal, action == Action::"in", resource)
              when { principal.mentor in Ward::"west" };
            @id("among") permit (principal, action == Action::"among", resource)
              when { Ward::"west" in [principal] || Nurse::"bo" in [Ward::"east", resource] };
            @id("like") permit (principal, action == Action::"like", resource)
              when { resource.author.shift like "n*" };
            @id("not") permit (principal, action == Action::"not", resource)
              when { !(principal.mentor.rank < 4) };
            @id("is") permit (principal, action == Action::"is", resource)
              when { principal.mentor.mentor is Nurse };
            @id("tag") permit (principal, action == Action::"tag", resource)
              when { resource.author.hasTag("badge") && resource.author.getTag("badge") == "blue" };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, r#"Action::"set""#, CHART, "{}", allow(&["set"])),
            (ADA, r#"Action::"record""#, CHART, "{}", allow(&["record"])),
            (ADA, r#"Action::"has""#, CHART, "{}", allow(&["has"])),
            (ADA, r#"Action::"far""#, CHART, "{}", allow(&["far"])),
            (ADA, r#"Action::"then""#, CHART, r#"{"reason": "x"}"#, allow(&["then"])),
            (ADA, r#"Action::"else""#, CHART, "{}", allow(&["else"])),
            (ADA, r#"Action::"right""#, CHART, "{}", allow(&["right"])),
            (ADA, r#"Action::"call""#, CHART, "{}", allow(&["call"])),
            (ADA, r#"Action::"in""#, CHART, "{}", allow(&["in"])),
            (ADA, r#"Action::"among""#, CHART, "{}", allow(&["among"])),
            (ADA, r#"Action::"like""#, CHART, "{}", allow(&["like"])),
            (ADA, r#"Action::"not""#, CHART, "{}", allow(&["not"])),
            (ADA, r#"Action::"is""#, CHART, "{}", allow(&["is"])),
            (ADA, r#"Action::"tag""#, CHART, "{}", allow(&["tag"])),
            (ADA, r#"Action::"tag""#, DIARY, "{}", deny(&[]).failing(&["tag"])),
        ],
    },
    Case {
        name: "a member of the context leads to an entity",
        schema: None,
        policies: r#"
            @id("has") permit (principal, action == Action::"has", resource) when { context has who.mentor.rank };
            @id("read") permit (principal, action == Action::"read", resource) when { context.who.mentor.rank > 3 };
            @id("in") permit (principal, action == Action::"in", resource) when { context.who in Ward::"house" };
            @id("inner") permit (principal, action == Action::"inner", resource)
              when { context has task.by && context.task.by.mentor.rank > 3 };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (CY, r#"Action::"has""#, DIARY, WHO, allow(&["has"])),
            (CY, r#"Action::"read""#, DIARY, WHO, allow(&["read"])),
            (CY, r#"Action::"in""#, DIARY, WHO, allow(&["in"])),
            (CY, r#"Action::"inner""#, DIARY, WHO, allow(&["inner"])),
            (CY, r#"Action::"inner""#, DIARY, "{}", deny(&[])),
        ],
    },
    Case {
        name: "a tag leads to an entity",
        schema: None,
        policies: r#"
            @id("tag") permit (principal, action == Action::"tag", resource)
              when { principal.hasTag("deputy") && principal.getTag("deputy").rank == 0 };
            @id("above") permit (principal, action == Action::"above", resource)
              when { principal.getTag("deputy") in Ward::"east" };
            @id("others") permit (principal, action == Action::"others", resource)
              when { principal.getTag("others").contains(Nurse::"bo") && Nurse::"bo".rank == 2 };"#,
        links: &[],
        entities: DEPUTIES,
        requests: &[
            (ADA, r#"Action::"tag""#, DIARY, "{}", allow(&["tag"])),
            (ADA, r#"Action::"above""#, DIARY, "{}", allow(&["above"])),
            (ADA, r#"Action::"others""#, DIARY, "{}", allow(&["others"])),
        ],
    },
    Case {
        name: "a guard that fails before the comparison is reached",
        schema: None,
        policies: r#"
            @id("elsewhere") permit (principal, action == Action::"elsewhere", resource)
              when { context has n.x && context.reason == "x" };
            @id("before") permit (principal, action == Action::"before", resource)
              when { context.task has x && context.reason == "x" };
            @id("after") permit (principal, action == Action::"after", resource)
              when { context has reason && context has n.x && context.reason == "x" };
            @id("party") permit (principal, action == Action::"party", resource)
              when { principal has shift && principal.shift == "night" };"#,
        links: &[],
        entities: ENTITIES,
        requests: &[
            (ADA, r#"Action::"elsewhere""#, CHART, GUARDS, deny(&[]).failing(&["elsewhere"])),
            (ADA, r#"Action::"before""#, CHART, GUARDS, deny(&[]).failing(&["before"])),
            (ADA, r#"Action::"after""#, CHART, GUARDS, deny(&[]).failing(&["after"])),
            (ADA, r#"Action::"party""#, CHART, GUARDS, allow(&["party"])),
        ],
    },
];

/// Ada, by herself and inside a record.
const WHO: &str = r#"{"who": {"__entity": {"type": "Nurse", "id": "ada"}},
    "task": {"by": {"__entity": {"type": "Nurse", "id": "ada"}}}}"#;

/// What a policy asks for below `n` is in no number.
const GUARDS: &str = r#"{"n": 1, "reason": "y"}"#;
