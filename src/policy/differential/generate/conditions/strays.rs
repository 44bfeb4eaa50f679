//! Parts that no index looks into and that a schema would refuse: most fail when evaluated, and some only seem to.

use super::super::dice::Dice;
use super::super::names::{GHOSTS, Palette, TYPES, UNKNOWN_ACTIONS, literal};
use super::super::values::any;
use super::pieces::equal;

pub(super) fn wild(dice: &mut Dice, palette: &Palette) -> String {
    let form = dice.weigh(&[
        (3, constants as fn(&mut Dice, &Palette) -> String),
        (4, attributes),
        (5, tags),
        (3, operators),
        (3, extensions),
        (3, entities),
        (2, late),
        (5, super::others::tame),
    ]);
    form(dice, palette)
}

/// Conditions that are no conditions.
fn constants(dice: &mut Dice, palette: &Palette) -> String {
    match dice.below(8) {
        0 => "1".to_owned(),
        1 => "\"x\"".to_owned(),
        2 => any(dice, palette).text(),
        3 => "context".to_owned(),
        4 => "principal".to_owned(),
        5 => "(if 1 then true else false)".to_owned(),
        6 => "!1 == false".to_owned(),
        _ => "(false || context.m)".to_owned(),
    }
}

/// Attributes without a guard, or that no type has.
fn attributes(dice: &mut Dice, palette: &Palette) -> String {
    let with = any(dice, palette).text();
    match dice.below(12) {
        0 => "principal.manager.manager.dept == \"x\"".to_owned(),
        1 => "principal.dept == resource.dept".to_owned(),
        2 => equal(dice, "resource.owner", "principal"),
        3 => equal(dice, "principal.nothing", &with),
        4 => "principal has nothing".to_owned(),
        5 => "resource has owner.manager.dept && resource.owner.manager.dept == \"x\"".to_owned(),
        6 => "context has principal.level".to_owned(),
        7 => equal(dice, "context.nothing", &with),
        8 => equal(dice, "principal.level", &with),
        9 => "action has name && action.name == \"x\"".to_owned(),
        10 => "context.task.tool.name like \"x*\"".to_owned(),
        _ => "resource.meta.owner.level > 0".to_owned(),
    }
}

/// Tags without a guard, or with another's.
fn tags(dice: &mut Dice, palette: &Palette) -> String {
    let role = *dice.pick(&["principal", "resource"]);
    let with = any(dice, palette).text();
    match dice.below(9) {
        6 => format!("{role}.hasTag(\"x\") && {role}.getTag(\"x\") has level"),
        7 => format!("{role}.hasTag(\"role\") && {role}.getTag(\"role\").level > 1"),
        8 => format!("{role}.hasTag(\"x\") && {role}.getTag(\"x\") in Team::\"12\""),
        0 => equal(dice, "principal.getTag(\"role\")", &with),
        1 => "resource.getTag(context.b) like \"x*\"".to_owned(),
        2 => format!("{role}.hasTag(\"x\") && {role}.getTag(\"role\") == \"x\""),
        3 => format!("{role}.hasTag(context.a)"),
        4 => format!("{role}.getTag({with}) == \"x\""),
        _ => format!("{role}.getTag(\"x\") != {role}.getTag(\"role\")"),
    }
}

/// Operators given what they do not take.
fn operators(dice: &mut Dice, palette: &Palette) -> String {
    let with = any(dice, palette).text();
    match dice.below(14) {
        0 => format!("context.a < {with}"),
        1 => format!("{with} in principal"),
        2 => format!("principal in {with}"),
        3 => "context.b.contains(\"x\")".to_owned(),
        4 => format!("context.labels.containsAll({with})"),
        5 => format!("{with}.isEmpty()"),
        6 => "context.m like \"1*\"".to_owned(),
        7 => format!("{with} is Org::User"),
        8 => format!("{with}.hasTag(\"role\")"),
        9 => format!("principal.hasTag({with})"),
        10 => format!("[context.a, {with}].contains(context.b)"),
        11 => format!("[1, \"x\", principal, {with}].contains(principal)"),
        12 => "-context.a == 1".to_owned(),
        _ => format!("context.m + {with} == 2"),
    }
}

fn extensions(dice: &mut Dice, palette: &Palette) -> String {
    let with = any(dice, palette).text();
    match dice.below(11) {
        0 => "decimal(\"x\") == decimal(\"1.0\")".to_owned(),
        1 => "ip(\"10.0.0.300\").isIpv4()".to_owned(),
        2 => "datetime(\"yesterday\") < datetime(\"2024-01-01\")".to_owned(),
        3 => "duration(\"soon\").toDays() == 0".to_owned(),
        4 => "decimal(context.b).lessThan(decimal(\"1.0\"))".to_owned(),
        5 => "context.a.isIpv4()".to_owned(),
        6 => format!("context.cost.lessThan({with})"),
        7 => format!("context.addr.isInRange({with})"),
        8 => "context.cost < decimal(\"1.0\")".to_owned(),
        9 => "datetime(\"2024-01-01\").offset(duration(\"9223372036854775807ms\")) > context.now".to_owned(),
        _ => format!("context.now.offset({with}) == context.now"),
    }
}

/// Entities and types that nobody knows.
fn entities(dice: &mut Dice, _: &Palette) -> String {
    let ghost = literal(*dice.pick(GHOSTS));
    match dice.below(9) {
        0 => format!("principal == {ghost}"),
        1 => format!("principal in {ghost}"),
        2 => format!("{ghost} in principal"),
        3 => format!("{ghost}.level > 3"),
        4 => format!("{ghost} has level"),
        5 => format!("principal is {}", dice.pick(TYPES)),
        6 => format!("action in [{}, {}]", literal(*dice.pick(UNKNOWN_ACTIONS)), ghost),
        7 => "principal == resource".to_owned(),
        _ => "resource in principal".to_owned(),
    }
}

/// What fails only if it is reached.
fn late(dice: &mut Dice, _: &Palette) -> String {
    match dice.below(6) {
        0 => "(context.off || context.nothing)".to_owned(),
        1 => "(context.m == 1 || 1 + \"x\" == 2)".to_owned(),
        2 => "(if context.off then context.nothing else true)".to_owned(),
        3 => "(context.nothing || context.off)".to_owned(),
        4 => "!(context.off && principal.nothing)".to_owned(),
        _ => "[context.nothing].isEmpty()".to_owned(),
    }
}
