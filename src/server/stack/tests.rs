//! Files at the bounds compile on the stack that a compile gets; files beyond them are findings, never an abort.

use super::*;
use crate::diagnostic::{File, Level};
use crate::policy::compile;

/// The bounds of `policy`.
const NESTING_MAX: usize = 100;
const OPERATORS_MAX: usize = 2_000;

const SCHEMA: &str = "entity User = { deep?: DEEP }; entity Doc;
    action read appliesTo { principal: [User], resource: [Doc], context: { b: Bool, n: Long, DEEPER } };";

const NO_POLICY: &str = "// none";

/// The codes of the errors of a bundle, compiled on a thread with the stack of a compile.
fn errors(schema: &str, policies: &str, entities: &str) -> Vec<&'static str> {
    let files = [
        File::new("schemas/s.cedarschema", schema),
        File::new("policies/p.cedar", policies),
        File::new("entities/e.json", entities),
    ];
    let findings = deep(|| compile(&files).err().unwrap_or_default()).unwrap();
    findings.iter().filter(|f| f.level == Level::Error).map(|f| f.code).collect()
}

fn schema(deep: &str, deeper: &str) -> String {
    SCHEMA.replace("DEEPER", deeper).replace("DEEP", deep)
}

fn policy(condition: &str) -> String {
    format!("permit (principal, action, resource) when {{ {condition} }};")
}

fn policy_errors(condition: &str) -> Vec<&'static str> {
    errors(&schema("Bool", "a?: Bool"), &policy(condition), "[]")
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

/// Each way in which a condition nests or chains: what opens a level, what stands within all, what closes a level,
/// and how many operators and brackets a level has.
const LEVELS: [(&str, &str, &str, usize); 12] = [
    ("context.b && ", "true", "", 2),
    ("true && ", "context.b", "", 1),
    ("false || ", "context.b", "", 1),
    ("1 + ", "context.n == 1", "", 1),
    ("1 - ", "context.n == 1", "", 1),
    ("2 * ", "context.n == 1", "", 1),
    ("if context.b then false else ", "true", "", 2),
    ("if ", "context.b", " then false else true", 1),
    ("", "context", ".a", 1),
    ("", "context has a", ".a", 1),
    ("!", "context.b", "", 1),
    ("-", "context.n == 1", "", 1),
];

#[test]
fn conditions_up_to_the_bound_of_operators_are_compiled_and_longer_ones_are_findings() {
    for (open, inner, close, operators) in LEVELS {
        // The policy around the levels has four of its own at most.
        let levels = (OPERATORS_MAX - 6) / operators;
        let found = policy_errors(&nested(open, inner, close, levels));
        assert!(!found.contains(&"policy::depth"), "{open}{inner}{close}: {found:?}");
        for levels in [OPERATORS_MAX / operators + 1, 100_000] {
            let found = policy_errors(&nested(open, inner, close, levels));
            assert_eq!(found, ["policy::depth"], "{open}{inner}{close} {levels}");
        }
    }
}

#[test]
fn brackets_nest_up_to_their_bound_with_chains_in_them() {
    let around = NESTING_MAX - 1;
    let chain = "true && ".repeat(OPERATORS_MAX - 3 * NESTING_MAX);
    for (open, inner, close) in [
        ("(", "true", ")"),
        ("!(", "true", ")"),
        ("(if context.b then true else ", "true", ")"),
        ("(", &format!("{chain}true"), ")"),
        ("[", "1", "]"),
        ("{a: ", "1", "}"),
    ] {
        let found = policy_errors(&nested(open, inner, close, around));
        assert!(!found.contains(&"policy::depth"), "{open}: {found:?}");
        for levels in [NESTING_MAX, 20_000] {
            assert_eq!(
                policy_errors(&nested(open, inner, close, levels)),
                ["policy::depth"],
                "{open} {levels}"
            );
        }
    }
}

#[test]
fn a_long_chain_and_plain_nests_within_the_bounds_are_whole_bundles() {
    for condition in [
        nested("true && ", "context.b", "", OPERATORS_MAX - 6),
        nested("if context.b then false else ", "true", "", 900),
        nested("(", "context.b", ")", NESTING_MAX - 1),
    ] {
        assert_eq!(policy_errors(&condition), [""; 0]);
    }
}

#[test]
fn a_schema_nests_up_to_its_bound() {
    for (open, close) in [("Set<", ">"), ("{a: ", "}")] {
        let deep =
            |levels| errors(&schema(&nested(open, "Long", close, levels), "a?: Bool"), NO_POLICY, "[]");
        assert_eq!(deep(NESTING_MAX - 1), [""; 0], "{open}");
        for levels in [NESTING_MAX, 20_000] {
            assert_eq!(deep(levels), ["schema::depth"], "{open} {levels}");
        }
    }
}

#[test]
fn entities_nest_up_to_their_bound_and_none_is_lost_silently() {
    let schema = schema(&nested("Set<", "Long", ">", NESTING_MAX - 3), "a?: Bool");
    let entity = |deep: &str| {
        errors(
            &schema,
            NO_POLICY,
            &format!(r#"[{{"uid":{{"type":"User","id":"a"}},"parents":[],"attrs":{{"deep":{deep}}}}}]"#),
        )
    };
    assert_eq!(entity(&nested("[", "1", "]", NESTING_MAX - 3)), [""; 0]);
    assert_eq!(entity(&nested("[", "1", "]", NESTING_MAX)), ["entity::depth"]);
    assert_eq!(entity(&nested("[", "1", "]", 100_000)), ["entity::depth"]);
    assert_eq!(entity(&nested(r#"{"a":"#, "1", "}", 100_000)), ["entity::depth"]);
    // What JSON's grammar allows and no value can hold.
    assert_eq!(entity("[1e999]"), ["entity::json"]);
}

#[test]
fn a_tool_that_nests_deep_is_a_finding() {
    let deep = nested(r#"{"type":"object","properties":{"a":"#, "{}", "}}", 50_000);
    let tool = format!(r#"{{"tools":[{{"name":"t","description":"d","inputSchema":{deep}}}]}}"#);
    let findings = compile(&[File::new("tools/crm.json", tool)]).unwrap_err();
    assert!(
        findings.iter().any(|f| f.level == Level::Error && f.code.starts_with("catalog::")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn what_runs_beside_gives_what_it_found_and_tells_of_its_panic() {
    assert_eq!(deep_beside("finds", || 7).await.unwrap(), 7);
    let panicked = deep_beside("breaks", || assert_eq!(1, 2, "on purpose")).await.unwrap_err();
    assert_eq!(panicked.to_string(), "the thread `breaks` ended in a panic");
}
