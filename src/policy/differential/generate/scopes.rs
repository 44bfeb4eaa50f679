//! The scopes of policies, in every form.

use super::dice::Dice;
use super::names::{Name, Palette, TYPES, UNKNOWN_ACTIONS, literal};

/// A scope, and which slots of a template it has.
pub(super) struct Scope {
    pub(super) text: String,
    pub(super) principal_slot: bool,
    pub(super) resource_slot: bool,
}

/// A scope; that of a template has at least one slot.
pub(super) fn scope(dice: &mut Dice, palette: &Palette, template: bool) -> Scope {
    let (principal_slot, resource_slot) = if template {
        dice.weigh(&[(2, (true, false)), (2, (false, true)), (3, (true, true))])
    } else {
        (false, false)
    };
    let principal = role(dice, palette, "principal", principal_slot);
    let action = action(dice, palette);
    let resource = role(dice, palette, "resource", resource_slot);
    Scope { text: format!("({principal}, {action}, {resource})"), principal_slot, resource_slot }
}

/// An entity that a scope or a link names for a role.
pub(super) fn named(dice: &mut Dice, palette: &Palette, principal: bool, group: bool) -> Name {
    if group && dice.chance(80) {
        palette.group(dice)
    } else if principal != dice.chance(4) {
        palette.person(dice)
    } else {
        palette.thing(dice)
    }
}

fn role(dice: &mut Dice, palette: &Palette, role: &str, slot: bool) -> String {
    let principal = role == "principal";
    let form = if slot {
        dice.weigh(&[(4, 1), (5, 2), (3, 4)])
    } else {
        dice.weigh(&[(9, 0), (4, 1), (5, 2), (4, 3), (4, 4)])
    };
    let kinds =
        if principal { &["Org::User", "Lab::User", "Org::Agent"] } else { &["Doc", "Org::Tool", "Folder"] };
    let kind = if palette.wild > 0 && dice.chance(10) { *dice.pick(TYPES) } else { *dice.favour(kinds) };
    let target = if slot { format!("?{role}") } else { literal(named(dice, palette, principal, form != 1)) };
    match form {
        0 => role.to_owned(),
        1 => format!("{role} == {target}"),
        2 => format!("{role} in {target}"),
        3 => format!("{role} is {kind}"),
        _ => format!("{role} is {kind} in {target}"),
    }
}

fn action(dice: &mut Dice, palette: &Palette) -> String {
    match dice.weigh(&[(9, 0), (6, 1), (5, 2), (6, 3), (1, 4), (1, 5)]) {
        0 => "action".to_owned(),
        1 => format!("action == {}", literal(palette.action(dice))),
        2 => format!("action in {}", literal(palette.action_group(dice))),
        3 => {
            let count = dice.between(1, 3);
            format!("action in {}", some_actions(dice, palette, count))
        }
        4 if palette.wild > 0 => "action in []".to_owned(),
        // A group named as if it were an action, an action as if it were a group.
        4 => format!("action in {}", literal(palette.action(dice))),
        _ if palette.wild > 0 => format!("action == {}", literal(*dice.pick(UNKNOWN_ACTIONS))),
        _ => format!("action == {}", literal(palette.action_group(dice))),
    }
}

/// An action or a group.
pub(super) fn one_action(dice: &mut Dice, palette: &Palette) -> Name {
    if dice.chance(65) { palette.action(dice) } else { palette.action_group(dice) }
}

/// So many actions and groups, as a set. A schema wants them to be of one type.
pub(super) fn some_actions(dice: &mut Dice, palette: &Palette, count: usize) -> String {
    let mut all: Vec<Name> = (0..count).map(|_| one_action(dice, palette)).collect();
    if palette.wild == 0 {
        let first = all[0].0;
        all.retain(|one| one.0 == first);
    }
    format!("[{}]", all.into_iter().map(literal).collect::<Vec<_>>().join(", "))
}
