//! Requests, and what they bring.

use std::collections::HashMap;

use cedar_policy::{Context, Entity, Request};

use super::dice::Dice;
use super::entities;
use super::names::{ACTIONS, GHOSTS, Name, PEOPLE, Palette, THINGS, UNKNOWN_ACTIONS, uid};
use super::values::{CONTEXT, Lit, any, pairs, record};

/// Where requests are made. Many have the same context, or bring the same entities; what is the same is made once.
pub(super) struct Desk<'a> {
    palette: &'a Palette,
    contexts: HashMap<u64, Context>,
    brought: HashMap<(Name, u64), Entity>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(palette: &'a Palette) -> Self {
        Self { palette, contexts: HashMap::new(), brought: HashMap::new() }
    }

    /// A request by its seed, and what it brings.
    pub(super) fn request(&mut self, seed: u64) -> (Request, Vec<Entity>) {
        let dice = &mut Dice::new(seed);
        let palette = self.palette;
        let principal = asker(dice, palette);
        let resource = asked_for(dice, palette, principal);
        let action = action(dice, palette);
        let seed = if dice.chance(75) { *dice.favour(&palette.contexts) } else { dice.seed() };
        let made = || Context::from_pairs(pairs(&context(&mut Dice::new(seed), palette))).unwrap();
        let context = self.contexts.entry(seed).or_insert_with(made).clone();
        let request = Request::new(uid(principal), uid(action), uid(resource), context, None).unwrap();
        (request, self.brought(dice, principal, resource))
    }

    fn brought(&mut self, dice: &mut Dice, principal: Name, resource: Name) -> Vec<Entity> {
        let names = entities::brought(dice, self.palette, principal, resource);
        let made = names.into_iter().map(|name| {
            let seed = *dice.pick(&self.palette.guests);
            let make = || entities::entity(&mut Dice::new(seed), self.palette, name);
            self.brought.entry((name, seed)).or_insert_with(make).clone()
        });
        made.collect()
    }
}

fn asker(dice: &mut Dice, palette: &Palette) -> Name {
    match dice.below(20) {
        0 => *dice.pick(GHOSTS),
        1 => palette.anything(dice),
        2 | 3 => *dice.pick(PEOPLE),
        _ => palette.person(dice),
    }
}

fn asked_for(dice: &mut Dice, palette: &Palette, principal: Name) -> Name {
    match dice.below(20) {
        0 => *dice.pick(GHOSTS),
        1 => palette.anything(dice),
        2 => principal,
        3 | 4 => *dice.pick(THINGS),
        _ => palette.thing(dice),
    }
}

fn action(dice: &mut Dice, palette: &Palette) -> Name {
    match dice.below(20) {
        0 => *dice.pick(UNKNOWN_ACTIONS),
        1 => palette.action_group(dice),
        2 | 3 => *dice.pick(ACTIONS),
        _ => palette.action(dice),
    }
}

fn context(dice: &mut Dice, palette: &Palette) -> Vec<(&'static str, Lit)> {
    match dice.below(10) {
        0 => tiny(dice, palette),
        1..3 => record(dice, palette, CONTEXT, 35),
        3 => record(dice, palette, CONTEXT, 8),
        _ => record(dice, palette, CONTEXT, 0),
    }
}

/// A context of next to nothing, such as a policy may name as a whole.
pub(super) fn tiny(dice: &mut Dice, palette: &Palette) -> Vec<(&'static str, Lit)> {
    match dice.below(7) {
        0 | 1 => Vec::new(),
        6 => vec![("actor", Lit::Entity(PEOPLE[0]))],
        2 => vec![("a", Lit::Text("x"))],
        3 => vec![("m", Lit::Long(1)), ("b", Lit::Text("x"))],
        4 => vec![("b", Lit::Text("x")), ("task", Lit::Record(vec![("purpose", Lit::Text("x"))]))],
        _ => vec![("task", any(dice, palette))],
    }
}
