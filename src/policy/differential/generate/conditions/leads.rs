//! Parts that an index can dispatch on: equalities of attributes of the context, guarded or not, and what looks so.

use super::super::dice::Dice;
use super::super::names::Palette;
use super::super::values::{Kind, Lit, any, fitting};
use super::pieces::{equal, guarded, has, path};

/// A path of the context, its type, and whether it may be read without a guard.
type Lead = (&'static [&'static str], Kind, bool);

const LEADS: &[Lead] = &[
    (&["a"], Kind::Text, false),
    (&["b"], Kind::Text, true),
    (&["task", "purpose"], Kind::Text, false),
    (&["m"], Kind::Long, true),
    (&["n"], Kind::Long, false),
    (&["who"], Kind::Person, false),
    (&["off"], Kind::Bool, true),
    (&["actor"], Kind::Person, false),
    (&["requester"], Kind::Person, false),
    (&["on"], Kind::Bool, false),
    (&["task", "stage"], Kind::Long, false),
    (&["task", "tool", "name"], Kind::Text, false),
    (&["task", "tool", "risk"], Kind::Long, false),
    (&["task", "owner"], Kind::Person, false),
    (&["odd key"], Kind::Text, false),
    (&["hue"], Kind::Hue, false),
    (&["labels"], Kind::Texts, false),
    (&["cost"], Kind::Decimal, false),
    (&["addr"], Kind::Address, false),
    (&["now"], Kind::Time, false),
    (&["wait"], Kind::Span, false),
    (&["crew"], Kind::People, false),
];

/// One that is valid whatever the scope.
pub(super) fn tame(dice: &mut Dice, palette: &Palette) -> String {
    if dice.chance(8) {
        return of_a_party(dice, palette);
    }
    let (steps, kind, free) = *dice.prefer(LEADS);
    let read = path(dice, "context", steps);
    let with = fitting(dice, palette, kind).text();
    let asked = match (kind, dice.below(12)) {
        (Kind::Bool, 0..5) => read,
        (Kind::Bool, 5) => format!("!{read}"),
        (Kind::Person, 0..2) => format!("{read} == principal"),
        (_, 0) => format!("!({})", equal(dice, &read, &with)),
        _ => equal(dice, &read, &with),
    };
    if free && dice.chance(75) {
        return asked;
    }
    let guard = has(dice, "context", steps);
    let said = guarded(dice, &guard, &asked);
    if dice.chance(95) { said } else { format!("{guard} && ({asked} || context.off)") }
}

/// One that looks like the others, and is not about the context.
fn of_a_party(dice: &mut Dice, palette: &Palette) -> String {
    let (role, steps, kind) = *dice.pick::<(&str, &[&str], Kind)>(&[
        ("principal", &["dept"], Kind::Text),
        ("principal", &["manager"], Kind::Person),
        ("principal", &["card", "purpose"], Kind::Text),
        ("resource", &["owner"], Kind::Person),
        ("resource", &["dept"], Kind::Text),
    ]);
    let read = path(dice, role, steps);
    let with = fitting(dice, palette, kind).text();
    let guard = has(dice, role, steps);
    let asked = equal(dice, &read, &with);
    guarded(dice, &guard, &asked)
}

/// One that may be without its guard, with another's guard, or of another type.
pub(super) fn wild(dice: &mut Dice, palette: &Palette) -> String {
    let (steps, kind, _) = *dice.prefer(LEADS);
    let read = path(dice, "context", steps);
    let with = if dice.chance(70) { fitting(dice, palette, kind) } else { any(dice, palette) };
    let asked = equal(dice, &read, &with.text());
    let (others, _, _) = *dice.prefer(LEADS);
    match dice.below(20) {
        // Without a guard.
        16..20 | 0..4 => asked,
        // With one that is too shallow, or that of another.
        4..6 => format!("{} && {asked}", has(dice, "context", &steps[..1])),
        6 => format!("{} && {asked}", has(dice, "context", others)),
        // After what it guards.
        7 => format!("{asked} && {}", has(dice, "context", steps)),
        // Too late, or in an alternative.
        8 => format!("({} || {asked})", has(dice, "context", others)),
        9 => format!("(!({}) || {asked})", has(dice, "context", steps)),
        // Steps into what is no record.
        10 => into_no_record(dice),
        11 => whole(dice, palette),
        // Two paths.
        12 => {
            let other = path(dice, "context", others);
            equal(dice, &read, &other)
        }
        13 => constant(dice, palette),
        14 => {
            let guard = has(dice, "context", steps);
            let other = any(dice, palette).text();
            format!("{guard} && {}", equal(dice, &read, &other))
        }
        // A guard that asks for more than is read.
        _ => format!("context has task.tool.risk && {asked}"),
    }
}

fn into_no_record(dice: &mut Dice) -> String {
    match dice.below(7) {
        0 => "context has a && context.a.b == 1".to_owned(),
        1 => "context has a.b && context.a.b == 1".to_owned(),
        2 => "context has n.x".to_owned(),
        3 => "context.b has x".to_owned(),
        4 => "context has who.level && context.who.level == 3".to_owned(),
        5 => "context has who && context.who.level == 3".to_owned(),
        _ => "context.task.purpose.name == \"x\"".to_owned(),
    }
}

/// The context, or a record in it, as a whole.
fn whole(dice: &mut Dice, palette: &Palette) -> String {
    let tiny = super::super::requests::tiny(dice, palette);
    let task = fitting(dice, palette, Kind::Task).text();
    match dice.below(6) {
        0..3 => equal(dice, "context", &Lit::Record(tiny).text()),
        3 => format!("context has task && {}", equal(dice, "context.task", &task)),
        4 => "[context].contains({})".to_owned(),
        _ => format!("{} && context.b == \"x\"", equal(dice, "context", "context")),
    }
}

fn constant(dice: &mut Dice, palette: &Palette) -> String {
    let left = any(dice, palette);
    let right = if dice.chance(40) { left.clone() } else { any(dice, palette) };
    format!("{} == {}", left.text(), right.text())
}
