//! What shapes admit, held against Cedar's own validation of requests.

use proptest::prelude::*;

use super::*;
use crate::diagnostic::File;
use crate::policy::compile;
use crate::value::{Members, SmolStr};

const SCHEMA: &str = r#"
entity Colour enum ["red", "green"];
entity Team;
entity User in [Team] = { colour: Colour };
type Pair = { x: Long, y?: decimal };
action look appliesTo { principal: [User, Colour], resource: [User, Colour], context: {
  text: String, long?: Long, flag?: Bool, colour?: Colour, user?: User, colours?: Set<Colour>, users?: Set<User>,
  pair?: Pair, pairs?: Set<Pair>, at?: datetime, span?: duration, address?: ipaddr, price?: decimal,
} };
"#;

const ENTITIES: &str = r#"[
  {"uid": {"type": "User", "id": "ana"}, "attrs": {"colour": {"type": "Colour", "id": "red"}}, "parents": []},
  {"uid": {"type": "Colour", "id": "red"}, "attrs": {}, "parents": []}
]"#;

fn snapshot() -> Snapshot {
    let files = [
        File::new("schemas/s.cedarschema", SCHEMA),
        File::new("entities/e.json", ENTITIES),
        File::new("policies/p.cedar", "permit (principal, action, resource);"),
    ];
    compile(&files).unwrap().snapshot
}

fn value() -> impl Strategy<Value = Value> {
    let text = |texts: &'static [&'static str]| prop::sample::select(texts).prop_map(str::to_owned);
    let uid = prop::sample::select(
        &[
            ("Colour", "red"),
            ("Colour", "blue"),
            ("User", "ana"),
            ("User", "nobody"),
            ("Team", "t"),
            ("no name", "x"),
        ][..],
    );
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Long),
        text(&["1.5", "1e2", "9.99999", "1e400", "-0.25"]).prop_map(|text| Value::Number(text.into())),
        text(&["", "red", "1.5", "10.0.0.1", "2026-11-21", "2026-11-21T10:00:00Z", "1h30m", "::1/64", "x"])
            .prop_map(|text| Value::String(text.into())),
        uid.prop_map(|(kind, id)| Value::Entity(Uid::new(kind, id))),
        (
            prop::sample::select(
                &[Extension::Decimal, Extension::Datetime, Extension::Duration, Extension::Ip][..]
            ),
            text(&["1.5", "2026-11-21", "1h", "10.0.0.0/8", "x"]),
        )
            .prop_map(|(kind, text)| Value::Extension(kind, text.into())),
    ];
    scalar.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Set),
            prop::collection::btree_map(
                prop::sample::select(&["x", "y", "type", "id", "other"][..]).prop_map(SmolStr::new_static),
                inner,
                0..3
            )
            .prop_map(|members| Value::Record(members.into_iter().collect())),
        ]
    })
}

fn context() -> impl Strategy<Value = Members> {
    let names = [
        "long",
        "flag",
        "colour",
        "user",
        "colours",
        "users",
        "pair",
        "pairs",
        "at",
        "span",
        "address",
        "price",
        "undeclared",
    ];
    prop::collection::btree_map(
        prop::sample::select(names.to_vec()).prop_map(SmolStr::new_static),
        value(),
        0..3,
    )
    .prop_map(|members| {
        let mut context: Members = members.into_iter().collect();
        context.insert("text".into(), Value::String("t".into()));
        context
    })
}

fn parties() -> impl Strategy<Value = (Uid, Uid)> {
    let uid = || {
        prop::sample::select(&[("User", "ana"), ("Colour", "red"), ("Colour", "blue"), ("Team", "t")][..])
            .prop_map(|(kind, id)| Uid::new(kind, id))
    };
    (uid(), uid())
}

fn facts(principal: Uid) -> Facts {
    Facts {
        principal,
        actor: None,
        actor_depth: 0,
        session: None,
        described: None,
        token: None,
        task: None,
        established: Members::new(),
        now: Timestamp(0),
    }
}

#[test]
fn whatever_is_prepared_is_valid_for_cedar_too() {
    let snapshot = snapshot();
    let (mut valid, mut refused) = (0, 0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let counts = std::cell::RefCell::new((&mut valid, &mut refused));
    runner
        .run(&(parties(), context()), |((principal, resource), context)| {
            let mut question = Question::new(Uid::new("Action", "look"), resource);
            question.context = context;
            let mut counts = counts.borrow_mut();
            let facts = facts(principal);
            let Ok(prepared) = prepare(&snapshot, &question, &facts, &Blanks::new()) else {
                *counts.1 += 1;
                return Ok(());
            };
            *counts.0 += 1;
            let request = cedar_policy::Request::from(prepared.asked(&prepared.halves[0]).request());
            let again = cedar_policy::Request::new(
                request.principal().unwrap().clone(),
                request.action().unwrap().clone(),
                request.resource().unwrap().clone(),
                request.context().unwrap().clone(),
                Some(&snapshot.schema.schema),
            );
            prop_assert!(again.is_ok(), "{:?}", again.err());
            Ok(())
        })
        .unwrap();
    assert!(valid > 300 && refused > 300, "{valid} valid, {refused} refused");
}

#[test]
fn an_id_that_an_enumeration_does_not_declare_is_refused_wherever_it_stands() {
    let snapshot = snapshot();
    let ask = |principal: Uid, context: &[(&str, Value)]| {
        let mut question = Question::new(Uid::new("Action", "look"), Uid::new("User", "ana"));
        question.context = context.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        question.context.insert("text".into(), Value::String("t".into()));
        prepare(&snapshot, &question, &facts(principal), &Blanks::new())
            .map(|_| ())
            .map_err(|refusal| refusal.words)
    };
    let colour = |id: &str| Value::Entity(Uid::new("Colour", id));
    assert_eq!(ask(Uid::new("Colour", "red"), &[("colour", colour("green"))]), Ok(()));
    assert_eq!(ask(Uid::new("Colour", "blue"), &[]), Err("the schema declares no such `Colour`".to_owned()));
    assert_eq!(
        ask(Uid::new("User", "ana"), &[("colours", Value::Set(vec![colour("red"), colour("blue")]))]),
        Err("`context.colours`: expected a declared Colour, found an entity reference".to_owned())
    );
}
