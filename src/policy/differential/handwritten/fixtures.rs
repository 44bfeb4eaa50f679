//! A schema and entities that many cases share.

/// A clinic's documents: people in wards, wards in a house, records in cabinets.
pub(super) const SCHEMA: &str = r"
entity Ward in [Ward];
entity Nurse in [Ward] { rank: Long, mentor?: Nurse, shift?: String } tags String;
entity Cabinet in [Cabinet];
entity Record in [Cabinet] { author?: Nurse, secret: Bool, labels: Set<String> } tags String;
action any;
action look in [any];
action change in [any];
action open in [look] appliesTo { principal: [Nurse], resource: [Record],
    context: { reason?: String, n?: Long, task?: { purpose?: String, step: Long } } };
action amend in [change, look] appliesTo { principal: [Nurse], resource: [Record],
    context: { reason?: String, n?: Long, task?: { purpose?: String, step: Long } } };
action burn in [change] appliesTo { principal: [Nurse], resource: [Record],
    context: { reason?: String, n?: Long, task?: { purpose?: String, step: Long } } };
";

/// Ada is in the east ward, Bo in the west and the east, Cy in none; all wards are in the house. Ada's mentor is Bo,
/// Bo's is Dee, whom the store does not know. The chart is in the drawer, which is in the safe.
pub(super) const ENTITIES: &str = r#"[
{ "uid": { "type": "Ward", "id": "house" }, "attrs": {}, "parents": [] },
{ "uid": { "type": "Ward", "id": "east" }, "attrs": {}, "parents": [{ "type": "Ward", "id": "house" }] },
{ "uid": { "type": "Ward", "id": "west" }, "attrs": {}, "parents": [{ "type": "Ward", "id": "house" }] },
{ "uid": { "type": "Nurse", "id": "ada" },
  "attrs": { "rank": 3, "mentor": { "__entity": { "type": "Nurse", "id": "bo" } }, "shift": "night" },
  "parents": [{ "type": "Ward", "id": "east" }], "tags": { "badge": "blue" } },
{ "uid": { "type": "Nurse", "id": "bo" },
  "attrs": { "rank": 9223372036854775807, "mentor": { "__entity": { "type": "Nurse", "id": "dee" } } },
  "parents": [{ "type": "Ward", "id": "west" }, { "type": "Ward", "id": "east" }], "tags": {} },
{ "uid": { "type": "Nurse", "id": "cy" }, "attrs": { "rank": 0 }, "parents": [] },
{ "uid": { "type": "Cabinet", "id": "safe" }, "attrs": {}, "parents": [] },
{ "uid": { "type": "Cabinet", "id": "drawer" }, "attrs": {}, "parents": [{ "type": "Cabinet", "id": "safe" }] },
{ "uid": { "type": "Record", "id": "chart" },
  "attrs": { "author": { "__entity": { "type": "Nurse", "id": "ada" } }, "secret": false, "labels": ["x", "y"] },
  "parents": [{ "type": "Cabinet", "id": "drawer" }], "tags": { "kind": "chart", "badge": "blue" } },
{ "uid": { "type": "Record", "id": "diary" }, "attrs": { "secret": true, "labels": [] }, "parents": [] }
]"#;

pub(super) const ADA: &str = r#"Nurse::"ada""#;
pub(super) const BO: &str = r#"Nurse::"bo""#;
pub(super) const CY: &str = r#"Nurse::"cy""#;
/// Whom the store does not know.
pub(super) const DEE: &str = r#"Nurse::"dee""#;
pub(super) const CHART: &str = r#"Record::"chart""#;
pub(super) const DIARY: &str = r#"Record::"diary""#;
pub(super) const OPEN: &str = r#"Action::"open""#;
pub(super) const AMEND: &str = r#"Action::"amend""#;
pub(super) const BURN: &str = r#"Action::"burn""#;
