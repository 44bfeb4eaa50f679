mod token;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::value::{Extension, Uid, Value};

const NOW: i64 = 1_795_256_200;
const CEILING: Ceiling = Ceiling { ttl_max_s: 900, depth_max: 3 };

fn asked() -> Asked {
    Asked { scope: Scope::default(), calls_max: None, ttl_s: 300, key: Some("of-the-task".into()) }
}

fn parties() -> Parties {
    Parties {
        principal: Uid::new("Human", "ana"),
        actor: Some(Uid::new("Agent", "planner")),
        earlier_actors: vec![],
    }
}

fn start(asked: Asked) -> Result<Grant, Exceeds> {
    Grant::start(TaskId(1), parties(), Uid::new("Purpose", "refund"), asked, CEILING, NOW)
}

fn part(parent: &Grant, asked: Asked, calls_left: Option<u64>) -> Result<Grant, Exceeds> {
    let asked = Asked { key: Some("of-the-part".into()), ..asked };
    parent.delegate(TaskId(2), Uid::new("Agent", "bot"), asked, CEILING, calls_left, NOW + 10)
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn amount(limit: Limit) -> Bound {
    Bound { tool: "crm/refund".into(), argument: vec!["amount".into()], limit }
}

fn scope() -> Scope {
    Scope {
        servers: Only::these(["crm"]),
        tools: Only::these(["crm/refund", "crm/lookup"]),
        classes: Only::these(["customer", "internal"]),
        bounds: vec![amount(Limit::AtMost(1_000_000))],
    }
}

/// A call of a tool with these arguments.
fn call(scope: &Scope, tool: &str, classes: &[&str], input: &Value) -> Result<(), OutOfScope> {
    let classes = names(classes);
    let server = tool.split_once('/').map(|(server, _)| server);
    scope.covers(&Touched { server, tool: Some(tool), classes: &classes, input: Some(input) })
}

#[test]
fn the_id_of_a_task_has_one_text() {
    let id = TaskId(0x0193_5a7c_0000_7000_8000_0000_0000_00ab);
    let text = id.to_string();
    assert_eq!(text, "tsk_01935a7c0000700080000000000000ab");
    assert_eq!(text.parse(), Ok(id));
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
    assert_eq!(serde_json::from_str::<TaskId>(&format!("\"{text}\"")).unwrap(), id);
    let too_long = format!("{text}0");
    for wrong in [
        "",
        "tsk_",
        "01935a7c0000700080000000000000ab",
        "tsk_01935A7C0000700080000000000000AB",
        "tsk_+1935a7c0000700080000000000000ab",
        "TSK_01935a7c0000700080000000000000ab",
        &too_long,
    ] {
        assert_eq!(wrong.parse::<TaskId>(), Err(NotATaskId), "{wrong}");
    }
}

#[test]
fn every_state_under_every_event() {
    let events = [
        Event::Use,
        Event::Delegate,
        Event::Renew,
        Event::End(End::Completed),
        Event::End(End::Failed),
        Event::End(End::Cancelled),
        Event::Revoke,
        Event::Expire,
    ];
    // Use, Delegate, Renew, End (completed, failed, cancelled), Revoke, Expire.
    let table = "
open       open open open completed failed cancelled revoked expired
completed  - - - completed - - revoked completed
failed     - - - - failed - revoked failed
cancelled  - - - - - cancelled revoked cancelled
expired    - - - - - - revoked expired
revoked    - - - - - - revoked revoked";
    let rows: Vec<Vec<&str>> = table.trim().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), State::ALL.len());
    for (state, row) in State::ALL.into_iter().zip(rows) {
        let after = events.map(|event| state.after(event).map_or("-", State::name));
        assert_eq!([&[state.name()], &after[..]].concat(), row);
    }
    assert_eq!(State::Ended(End::Failed).after(Event::Use), Err(NotPossible::Ended(End::Failed)));
    assert_eq!(State::Expired.after(Event::Renew), Err(NotPossible::Expired));
    assert_eq!(State::Revoked.after(Event::End(End::Completed)), Err(NotPossible::Revoked));
}

#[test]
fn a_scope_covers_what_it_names_and_nothing_else() {
    let scope = scope();
    let input = Value::record([("amount", Value::Long(100))]);
    assert_eq!(call(&scope, "crm/refund", &["customer"], &input), Ok(()));
    assert_eq!(call(&scope, "crm/lookup", &[], &Value::record::<String>([])), Ok(()));
    let refused = |tool: &str, classes: &[&str], fault| {
        assert_eq!(call(&scope, tool, classes, &input), Err(fault), "{tool}");
    };
    refused("git/push", &[], OutOfScope::Server("git".into()));
    refused("crm/export", &[], OutOfScope::Tool("crm/export".into()));
    refused("crm/refund", &["customer", "restricted"], OutOfScope::Class("restricted".into()));
    // What is no call: only server and classes count.
    let classes = names(&[]);
    let step = |server| scope.covers(&Touched { server, tool: None, classes: &classes, input: None });
    assert_eq!(step(Some("crm")), Ok(()));
    assert_eq!(step(Some("git")), Err(OutOfScope::Server("git".into())));
    assert_eq!(step(None), Err(OutOfScope::NoServer));
    assert_eq!(call(&Scope::default(), "git/push", &["restricted"], &input), Ok(()));
}

#[test]
fn a_bound_holds_for_what_it_can_be_held_against_and_denies_the_rest() {
    let under = |limit: Limit, value: Option<Value>| {
        let scope = Scope { bounds: vec![amount(limit)], ..Scope::default() };
        let members = value.map(|value| ("amount", value));
        call(&scope, "crm/refund", &[], &Value::record(members)).is_ok()
    };
    let decimal = |text: &str| Some(Value::Extension(Extension::Decimal, text.into()));
    let most = || Limit::AtMost(1_000_000);
    for (value, holds) in [
        (Some(Value::Long(100)), true),
        (Some(Value::Long(101)), false),
        (Some(Value::Long(i64::MAX)), false),
        (Some(Value::Long(i64::MIN)), true),
        (decimal("100.0000"), true),
        (decimal("100.0001"), false),
        (Some(Value::Number("99.5".into())), true),
        (Some(Value::Number("1e2".into())), true),
        (Some(Value::Number("1e300".into())), false),
        (Some(Value::Number("0.00001".into())), false),
        (Some(Value::String("1".into())), false),
        (Some(Value::Null), false),
        (None, false),
    ] {
        assert_eq!(under(most(), value.clone()), holds, "{value:?}");
    }
    assert!(under(Limit::AtLeast(-50_000), Some(Value::Long(-5))));
    assert!(!under(Limit::AtLeast(-50_000), Some(Value::Long(-6))));
    let one_of = || Limit::OneOf(names(&["eu", "us"]));
    assert!(under(one_of(), Some(Value::String("eu".into()))));
    assert!(under(one_of(), Some(Value::Entity(Uid::new("Region", "us")))));
    assert!(!under(one_of(), Some(Value::String("EU".into()))));
    assert!(!under(one_of(), Some(Value::Set(vec![Value::String("eu".into())]))));
    // In the depth, and where nothing is known of the arguments.
    let deep =
        Bound { tool: "crm/refund".into(), argument: vec!["order".into(), "total".into()], limit: most() };
    let scope = Scope { bounds: vec![deep], ..Scope::default() };
    let order = |total| Value::record([("order", Value::record([("total", Value::Long(total))]))]);
    assert!(call(&scope, "crm/refund", &[], &order(100)).is_ok());
    assert!(call(&scope, "crm/refund", &[], &order(101)).is_err());
    assert!(call(&scope, "crm/refund", &[], &Value::record([("order", Value::Long(1))])).is_err());
    assert!(call(&scope, "crm/lookup", &[], &order(101)).is_ok(), "the bound is another tool's");
    let none = names(&[]);
    let unknown = Touched { server: Some("crm"), tool: Some("crm/refund"), classes: &none, input: None };
    assert!(scope.covers(&unknown).is_err());
}

#[test]
fn a_task_lasts_as_long_as_it_says_and_no_longer() {
    let grant = start(asked()).unwrap();
    assert_eq!((grant.started_s, grant.expires_s, grant.ceiling_s), (NOW, NOW + 300, NOW + 900));
    assert!(!grant.is_over(NOW + 299) && grant.is_over(NOW + 300));
    for ttl_s in [0, -1, i64::MIN] {
        assert_eq!(start(Asked { ttl_s, ..asked() }), Err(Exceeds::NoTime));
    }
    for ttl_s in [901, i64::MAX] {
        assert_eq!(start(Asked { ttl_s, ..asked() }), Err(Exceeds::Time { asked_s: ttl_s, left_s: 900 }));
    }
    assert_eq!(start(Asked { calls_max: Some(0), ..asked() }), Err(Exceeds::NoCalls));
    assert_eq!(grant.renewed(500, NOW + 400), Ok(NOW + 900));
    assert_eq!(grant.renewed(501, NOW + 400), Err(Exceeds::Time { asked_s: 501, left_s: 500 }));
    assert_eq!(grant.renewed(1, NOW + 900), Err(Exceeds::Time { asked_s: 1, left_s: 0 }));
}

#[test]
fn a_part_asks_for_no_more_than_its_task_has() {
    let grant = start(Asked { scope: scope(), calls_max: Some(10), ..asked() }).unwrap();
    let with = |scope: Scope| part(&grant, Asked { scope, calls_max: Some(1), ..asked() }, Some(10));
    let with = |scope: Scope| with(scope).map(|part| part.scope);
    let narrow = |change: fn(&mut Scope)| {
        let mut scope = Scope::default();
        change(&mut scope);
        scope
    };
    let short = || Asked { calls_max: Some(1), ttl_s: 290, ..asked() };
    assert_eq!(part(&grant, short(), Some(10)).unwrap().scope, scope(), "what was not named is as it is");
    let refused = |change: fn(&mut Scope), fault| {
        let asked = Asked { scope: narrow(change), ..short() };
        assert_eq!(part(&grant, asked, Some(10)), Err(fault));
    };
    refused(|scope| scope.servers = Only::these(["crm", "git"]), Exceeds::Servers);
    refused(|scope| scope.tools = Only::these(["crm/export"]), Exceeds::Tools);
    refused(|scope| scope.classes = Only::these(["restricted"]), Exceeds::Classes);
    refused(
        |scope| scope.bounds = vec![amount(Limit::AtMost(1_000_001))],
        Exceeds::Bound { tool: "crm/refund".into(), argument: "amount".into() },
    );
    assert_eq!(with(Scope::default()), Err(Exceeds::Time { asked_s: 300, left_s: 290 }));
    let calls =
        |calls_max, left| part(&grant, Asked { calls_max, ..short() }, left).map(|part| part.calls_max);
    assert_eq!(calls(Some(4), Some(3)), Err(Exceeds::Calls { asked: 4, left: 3 }));
    assert_eq!(calls(None, Some(3)), Err(Exceeds::EndlessCalls { left: 3 }));
    assert_eq!(calls(Some(3), Some(3)), Ok(Some(3)));
    let same = Asked { key: grant.key.clone(), ..short() };
    let same = grant.delegate(TaskId(2), Uid::new("Agent", "bot"), same, CEILING, Some(10), NOW);
    assert_eq!(same, Err(Exceeds::SameKey));
    // Both bounds hold.
    let tight =
        narrow(|scope| scope.bounds = vec![amount(Limit::AtMost(500_000)), amount(Limit::AtLeast(0))]);
    let part = part(&grant, Asked { scope: tight, ..short() }, Some(10)).unwrap();
    assert_eq!(part.scope.bounds, [amount(Limit::AtMost(500_000)), amount(Limit::AtLeast(0))]);
    for (paid, holds) in [(50, true), (51, false), (-1, false)] {
        let input = Value::record([("amount", Value::Long(paid))]);
        assert_eq!(call(&part.scope, "crm/refund", &[], &input).is_ok(), holds, "{paid}");
    }
}

#[test]
fn a_part_is_for_another_agent_of_the_same_person_and_dies_with_its_task() {
    let grant = start(asked()).unwrap();
    let short = || Asked { ttl_s: 60, ..asked() };
    let once = part(&grant, short(), None).unwrap();
    assert_eq!(once.parties.principal, Uid::new("Human", "ana"));
    assert_eq!(once.parties.actor, Some(Uid::new("Agent", "bot")));
    assert_eq!(once.parties.earlier_actors, [Uid::new("Agent", "planner")]);
    assert_eq!((once.ancestors.as_slice(), once.depth()), (&[TaskId(1)][..], 1));
    assert_eq!((&once.purpose, once.ceiling_s), (&grant.purpose, grant.expires_s));
    let next = |parent: &Grant, at: u128| {
        let asked = Asked { key: Some(format!("key {at}")), ..short() };
        parent.delegate(TaskId(at), Uid::new("Agent", format!("a{at}")), asked, CEILING, None, NOW)
    };
    let twice = next(&once, 3).unwrap();
    assert_eq!(twice.ancestors, [TaskId(2), TaskId(1)]);
    assert_eq!(twice.parties.earlier_actors, [Uid::new("Agent", "bot"), Uid::new("Agent", "planner")]);
    let thrice = next(&twice, 4).unwrap();
    assert_eq!(next(&thrice, 5), Err(Exceeds::Depth { depth_max: 3 }));
    // An agent on its own is no earlier actor of itself.
    let alone = Parties { principal: Uid::new("Agent", "night"), actor: None, earlier_actors: vec![] };
    let purpose = Uid::new("Purpose", "watch");
    let alone = Grant::start(TaskId(9), alone, purpose, asked(), CEILING, NOW).unwrap();
    let part = part(&alone, short(), None).unwrap();
    assert_eq!(part.parties.principal, Uid::new("Agent", "night"));
    assert!(part.parties.earlier_actors.is_empty());
}

fn only() -> impl Strategy<Value = Only> {
    let name = prop::sample::select(vec!["crm", "git", "mail"]);
    prop_oneof![Just(Only::All), prop::collection::btree_set(name, 0..3).prop_map(Only::these)]
}

fn bounds() -> impl Strategy<Value = Vec<Bound>> {
    let limit = prop_oneof![
        (-30_000_i64..30_000).prop_map(Limit::AtMost),
        (-30_000_i64..30_000).prop_map(Limit::AtLeast),
    ];
    prop::collection::vec(limit.prop_map(|limit| Bound { tool: "crm".into(), ..amount(limit) }), 0..3)
}

fn scopes() -> impl Strategy<Value = Scope> {
    (only(), only(), only(), bounds()).prop_map(|(servers, tools, classes, bounds)| Scope {
        servers,
        tools,
        classes,
        bounds,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever a part covers its whole covers too, and what was asked for.
    #[test]
    fn a_part_covers_nothing_that_its_whole_does_not(
        whole in scopes(),
        wanted in scopes(),
        server in prop::sample::select(vec![None, Some("crm"), Some("git")]),
        tool in prop::sample::select(vec![None, Some("crm"), Some("git"), Some("mail")]),
        class in prop::sample::select(vec!["crm", "git"]),
        amount in prop::option::of(-4_i64..4),
    ) {
        if let Ok(part) = whole.part(&wanted) {
            let (classes, input) = (names(&[class]), Value::record(amount.map(|n| ("amount", Value::Long(n)))));
            let step = Touched { server, tool, classes: &classes, input: Some(&input) };
            if part.covers(&step).is_ok() {
                prop_assert_eq!(whole.covers(&step), Ok(()));
                prop_assert_eq!(wanted.covers(&step), Ok(()));
            }
            // A part of a part is a part.
            prop_assert_eq!(whole.part(&part), Ok(part.clone()));
        }
    }
}
