//! That each form of scope and condition is written often.

use proptest::strategy::Strategy as _;

use super::super::shrink::Worlds;
use super::*;

/// What texts must say, and how many of ten thousand policies at least.
const FORMS: &[(&str, usize)] = &[
    ("permit (", 5000),
    ("forbid (", 2000),
    ("(principal, action, resource)", 100),
    ("(principal == Org::User::", 300),
    ("(principal in Team::", 300),
    ("(principal in Org::User::", 30),
    ("(principal is Org::User,", 300),
    ("(principal is Org::User in Team::", 150),
    ("(principal == ?principal", 100),
    ("(principal in ?principal", 100),
    (" in ?principal, ", 200),
    ("resource == ?resource)", 100),
    ("resource in ?resource)", 100),
    ("resource is Doc in ?resource)", 50),
    ("resource == Doc::", 300),
    ("resource in Folder::", 200),
    ("resource is Doc)", 200),
    ("resource is Doc in Folder::", 30),
    (", action == ", 1000),
    (", action in Action::\"view\"", 200),
    (", action in [Action::", 500),
    (", action in [],", 30),
    ("::\"ghost\"", 100),
    ("Ghost::", 50),
    ("Action::\"nope\"", 20),
    ("@id(", 1000),
    ("}\nwhen {", 500),
    ("unless {", 1000),
    ("{ context.b == ", 100),
    ("context has a && ", 100),
    (" == context.", 500),
    ("context has task.purpose && ", 100),
    ("context has task && context.task has purpose", 20),
    ("{ context.task.purpose == ", 20),
    ("{ context.a == ", 50),
    ("context has task && context.task.purpose", 20),
    ("context has a.b", 2),
    ("context.a.b", 2),
    ("context[\"a\"]", 50),
    ("context[\"odd key\"]", 50),
    ("context == {", 10),
    ("context.task == {", 2),
    (" != ", 500),
    (" || ", 500),
    ("if ", 500),
    ("!(", 1000),
    ("decimal(\"1.0", 100),
    ("decimal(\"x\")", 10),
    ("ip(\"", 100),
    ("datetime(\"", 100),
    ("duration(\"", 100),
    (".isInRange(", 50),
    (".offset(", 50),
    (".durationSince(", 20),
    (" like ", 200),
    (".contains(", 200),
    (".containsAll(", 50),
    (".containsAny(", 100),
    (".isEmpty()", 50),
    (".hasTag(", 300),
    (".getTag(", 300),
    ("principal in [", 50),
    ("action in [", 500),
    ("principal == resource", 10),
    (".manager.manager.", 100),
    ("\"boss\".level", 20),
    ("principal has ", 200),
    ("9223372036854775807", 100),
    ("-9223372036854775808", 20),
    ("{ true }", 1),
    ("{ 1 }", 1),
    (" is Lab::User", 200),
];

#[test]
fn each_form_is_written() {
    let mut runner = TestRunner::deterministic();
    let (mut texts, mut same) = (Vec::new(), 0);
    for _ in 0..800 {
        let tree = Worlds { requests: 1 }.new_tree(&mut runner).unwrap();
        let now = &tree.now;
        let world: Vec<_> =
            now.policies.iter().flatten().map(|draft| draft.write(&now.palette).text).collect();
        let conditions = world.iter().filter_map(|text| Some(text.split_once(")\n")?.1));
        let mut seen = BTreeMap::<_, usize>::new();
        conditions.for_each(|text| *seen.entry(text).or_default() += 1);
        same += seen.values().filter(|count| **count > 1).sum::<usize>();
        texts.extend(world);
    }
    println!("of {} policies {same} have the conditions of another of their world", texts.len());
    assert!(same * 10 > texts.len());
    let mut rare = Vec::new();
    for (needle, least) in FORMS {
        let count = texts.iter().filter(|text| text.contains(needle)).count() * 10_000 / texts.len();
        println!("{count:>6} {needle:?}");
        if count < *least {
            rare.push((needle, count));
        }
    }
    assert!(rare.is_empty(), "too rare: {rare:?}");
}
