//! What conditions come to while the arguments of a call are not known.

use std::sync::Arc;

use cedar_policy::Policy;
use cedar_policy_core::ast::EntityUID;
use cedar_policy_core::entities::Entities;

use super::*;
use crate::policy::cedar::{Asked, Record};

/// `holds`, `fails`, `errs`, or what is left to ask.
fn leaning(condition: &str, blanks: &[&str]) -> String {
    let policy = Policy::parse(None, format!("permit (principal, action, resource) when {{ {condition} }};"));
    let condition = Condition::of(policy.unwrap().as_ref());
    let uid = |kind: &str, id: &str| Arc::new(EntityUID::with_eid_and_type(kind, id).unwrap());
    let context = Record::from([("limit".into(), 100.into()), ("why".into(), "x".into())]);
    let asked = Asked {
        principal: uid("Human", "ana"),
        action: uid("Action", "pay"),
        resource: uid("Tool", "t"),
        context: Arc::new(context),
    };
    let entities = Entities::new();
    let blanks: Blanks = blanks.iter().map(|name| (*name).to_owned()).collect();
    match Evaluation::new(asked, &entities).lean(&condition, &blanks) {
        Leaning::Holds => "holds".to_owned(),
        Leaning::Fails => "fails".to_owned(),
        Leaning::Errs => "errs".to_owned(),
        Leaning::Open(rest) => text(&rest),
    }
}

#[track_caller]
fn check(condition: &str, expected: &str) {
    assert_eq!(leaning(condition, &["input"]), expected, "{condition}");
}

#[test]
fn what_does_not_look_at_the_unknown_is_evaluated() {
    check("context.limit == 100", "holds");
    check("context.limit < 100", "fails");
    check("context.missing == 1", "errs");
    check("principal.missing == 1", "errs");
    check("principal == Human::\"ana\"", "holds");
}

#[test]
fn what_is_left_to_ask_has_what_is_known_written_in() {
    check("context.input.amount <= context.limit", "context.input.amount <= 100");
    // Cedar knows no other form of it.
    check("context.limit >= context.input.amount", "!(100 < context.input.amount)");
    check("context.input.who == principal", "context.input.who == Human::\"ana\"");
    check("context.input.name like \"a*\"", "context.input.name like \"a*\"");
    check("!context.input.urgent", "!context.input.urgent");
    check("[1, 2].contains(context.input.n)", "[1, 2].contains(context.input.n)");
}

#[test]
fn what_settles_a_conjunction_settles_it_from_either_side() {
    check("context.limit < 100 && context.input.ok", "fails");
    check("context.input.ok && context.limit < 100", "fails");
    check("context.limit == 100 && context.input.ok", "context.input.ok");
    check("context.input.ok && context.limit == 100", "context.input.ok");
    check("context.limit == 100 || context.input.ok", "holds");
    check("context.input.ok || context.limit == 100", "holds");
    check("context.limit < 100 || context.input.ok", "context.input.ok");
    check("!(context.input.ok && context.limit < 100)", "holds");
}

#[test]
fn what_fails_whatever_comes_fails() {
    check("context.input.amount < context.missing", "errs");
    check("context.missing && context.input.ok", "errs");
    // It may be settled before it comes to that.
    check("context.input.ok && context.missing", "context.input.ok && context.missing");
}

#[test]
fn branches_are_chosen_where_that_is_known() {
    check("if context.limit == 100 then context.input.a else false", "context.input.a");
    check("if context.input.a then true else true", "holds");
    check("if context.input.a then context.limit == 1 else false", "fails");
    check(
        "if context.input.a then true else context.input.b",
        "if context.input.a then true else context.input.b",
    );
}

#[test]
fn the_context_as_a_whole_and_questions_for_the_unknown_are_open() {
    check("context has input", "context has input");
    check("context has input.amount", "context has input.amount");
    check("context has limit", "holds");
    check("context == context", "context == context");
    assert_eq!(leaning("context == context", &[]), "holds");
}
