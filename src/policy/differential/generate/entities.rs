//! Entities: those in the store and those that requests bring. Parents stand later in the order of all entities
//! than their children, in the store and in what is brought, so that there is never a cycle.

use std::sync::LazyLock;

use cedar_policy::Entity;

use super::dice::Dice;
use super::names::{COLORS, FOLDERS, Name, PEOPLE, Palette, TEAMS, THINGS, UNITS, uid};
use super::schema;
use super::values::{Attr, GROUP, Kind, PERSON, TAGS, THING, any, fitting, pairs, record};

/// How many there may be.
pub(super) fn count() -> usize {
    everything().len()
}

/// All that may be, children before parents.
fn everything() -> &'static [Name] {
    static ALL: LazyLock<Vec<Name>> = LazyLock::new(|| {
        let mut all = Vec::new();
        for one in [PEOPLE, THINGS, FOLDERS, TEAMS, UNITS, COLORS].concat() {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    });
    &ALL
}

/// The entity at a place of the order by its seed, if the store has it.
pub(super) fn stored(at: usize, seed: u64, palette: &Palette) -> Option<Entity> {
    let dice = &mut Dice::new(seed);
    let name = everything()[at];
    let share = match name.0 {
        "Team" if palette.deep => 100,
        "Team" => 35,
        "Color" => 50,
        _ => 88,
    };
    dice.chance(share).then(|| entity(dice, palette, name))
}

/// The actions that the store knows: most often all of the schema.
pub(super) fn actions(seed: u64, palette: &Palette) -> Vec<Entity> {
    let dice = &mut Dice::new(seed);
    let all = &schema::known(palette.variant).actions;
    match dice.below(12) {
        0..9 => all.clone(),
        9 => all.iter().filter(|_| dice.chance(50)).cloned().collect(),
        _ => Vec::new(),
    }
}

/// What a request brings: often nothing, else its principal, its resource or others, known to the store or not.
pub(super) fn brought(dice: &mut Dice, palette: &Palette, principal: Name, resource: Name) -> Vec<Name> {
    if dice.chance(62) {
        return Vec::new();
    }
    let all = everything();
    let mut names: Vec<Name> = Vec::new();
    for _ in 0..dice.between(1, 3) {
        let name = match dice.below(10) {
            0..4 => principal,
            4..7 => resource,
            7 => palette.group(dice),
            8 => *dice.pick(all),
            _ => ("Org::User", "ghost"),
        };
        if !names.contains(&name) && !name.0.ends_with("Action") {
            names.push(name);
        }
    }
    names
}

/// An entity with attributes, tags and parents.
pub(super) fn entity(dice: &mut Dice, palette: &Palette, name: Name) -> Entity {
    let astray = dice.weigh(&[(7, 0), (2, 15), (1, 60)]);
    let attrs = if name.0 == "Color" { Vec::new() } else { record(dice, palette, table(name), astray) };
    let mut tags = Vec::new();
    for tag in TAGS {
        if name.0 != "Color" && dice.chance(45) {
            let held = match dice.below(20) {
                0..17 => fitting(dice, palette, Kind::Text),
                17 | 18 => fitting(dice, palette, Kind::Person),
                _ => any(dice, palette),
            };
            tags.push((*tag, held));
        }
    }
    let parents: Vec<_> = parents(dice, palette, name).into_iter().map(uid).collect();
    Entity::new_with_tags(uid(name), pairs(&attrs), parents, pairs(&tags)).unwrap()
}

fn table(name: Name) -> &'static [Attr] {
    match name.0 {
        "Team" | "Org::Unit" => GROUP,
        "Doc" | "Folder" | "Org::Tool" => THING,
        _ => PERSON,
    }
}

fn parents(dice: &mut Dice, palette: &Palette, name: Name) -> Vec<Name> {
    if dice.chance(12) && !(palette.deep && name.0 == "Team") {
        return Vec::new();
    }
    let mut parents = match name.0 {
        "Color" | "Ghost" => Vec::new(),
        "Team" | "Org::Unit" | "Folder" => above(dice, palette, name),
        "Doc" | "Org::Tool" => some(dice, FOLDERS),
        _ => some(dice, &[TEAMS, UNITS].concat()),
    };
    // One that no store has, and that a request may bring.
    if PEOPLE.contains(&name) && dice.chance(10) {
        parents.push(("Org::User", "ghost"));
    }
    // Now and then one of another kind: a person in a person, a document in a team.
    if dice.chance(12) {
        let all = everything();
        let from = all.iter().position(|one| *one == name).map_or(0, |at| at + 1);
        if from < all.len() && name.1 != "ghost" {
            parents.push(all[dice.between(from, all.len() - 1)]);
        }
    }
    parents
}

/// A few, or very many.
fn some(dice: &mut Dice, all: &[Name]) -> Vec<Name> {
    let count = if dice.chance(6) { all.len() } else { dice.between(1, 3) };
    (0..count).map(|_| *dice.favour(all)).collect()
}

/// The next of the chain, often with the one after it, so that ways part and meet again.
fn above(dice: &mut Dice, palette: &Palette, name: Name) -> Vec<Name> {
    let chain = if name.0 == "Folder" { FOLDERS } else { TEAMS };
    let Some(at) = chain.iter().position(|one| *one == name) else { return Vec::new() };
    let next = if palette.deep || dice.chance(70) { at + 1 } else { at + 2 };
    let mut parents: Vec<Name> = chain.get(next).copied().into_iter().collect();
    if dice.chance(40) {
        parents.extend(chain.get(at + 2));
    }
    if parents.is_empty() && name.0 == "Team" || dice.chance(10) {
        parents.push(*dice.pick(UNITS));
    }
    if name.0 == "Folder" && dice.chance(25) {
        parents.push(*dice.pick(TEAMS));
    }
    parents
}
