//! The conditions of policies: clauses put together from parts, most of them led by an equality.

mod leads;
mod others;
mod pieces;
mod strays;

use super::dice::Dice;
use super::names::Palette;

/// A clause: the seed of its form, and those of its parts that are left.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    pub(super) seed: u64,
    pub(super) parts: Vec<Option<u64>>,
}

/// Clauses for a policy, none to three, often those of another policy.
pub(super) fn clauses(dice: &mut Dice, palette: &Palette) -> Vec<Option<Clause>> {
    let mut from =
        if dice.chance(35) { Dice::new(*dice.favour(&palette.bodies)) } else { Dice::new(dice.seed()) };
    let count = from.weigh(&[(2, 0), (9, 1), (3, 2), (1, 3)]);
    (0..count)
        .map(|_| {
            let parts = from.weigh(&[(5, 1), (5, 2), (3, 3), (1, 4)]);
            let parts = (0..parts).map(|at| Some(part_seed(&mut from, palette, at))).collect();
            Some(Clause { seed: from.seed(), parts })
        })
        .collect()
}

/// A seed that is odd makes a lead, an even one something else.
fn part_seed(dice: &mut Dice, palette: &Palette, at: usize) -> u64 {
    let lead = dice.chance(if at == 0 { 75 } else { 35 });
    let shared = if lead { &palette.leads } else { &palette.others };
    let seed = if dice.chance(60) { *dice.favour(shared) } else { dice.seed() };
    if lead { seed | 1 } else { seed & !1 }
}

/// A clause as text.
pub(super) fn text(clause: &Clause, palette: &Palette) -> String {
    let mut dice = Dice::new(clause.seed);
    let parts: Vec<String> = clause.parts.iter().flatten().map(|seed| part(*seed, palette)).collect();
    let word = if dice.chance(84) { "when" } else { "unless" };
    format!("{word} {{ {} }}", join(&mut dice, &parts))
}

/// A part as text. It may stand in a conjunction as it is.
pub(super) fn part(seed: u64, palette: &Palette) -> String {
    let dice = &mut Dice::new(seed);
    let wild = dice.chance(palette.wild);
    match (seed & 1 == 1, wild) {
        (true, false) => leads::tame(dice, palette),
        (true, true) => leads::wild(dice, palette),
        (false, false) => others::tame(dice, palette),
        (false, true) => strays::wild(dice, palette),
    }
}

fn join(dice: &mut Dice, parts: &[String]) -> String {
    let Some((first, rest)) = parts.split_first() else {
        return if dice.chance(70) { "true" } else { "false" }.to_owned();
    };
    let Some((second, others)) = rest.split_first() else {
        return match dice.below(14) {
            0 => format!("({first})"),
            1 => format!("!({first})"),
            2 => format!("({first}) == true"),
            3 => format!("true && {first}"),
            _ => first.clone(),
        };
    };
    let tail = others.iter().map(|part| format!(" && {part}")).collect::<Vec<_>>().concat();
    match dice.below(16) {
        0 => format!("{first} || {second}{tail}"),
        1 => format!("({first} || {second}){tail}"),
        2 => format!("{first}{tail} && (true || {second})"),
        3 => format!("if {first} then {second}{tail} else false"),
        4 => format!("(if {first} then true else {second}){tail}"),
        5 => format!("if {first} then {second} else !({first}){tail}"),
        6 => format!("{first} && ({second}{tail})"),
        7 => format!("({first} && {second}){tail}"),
        8 => format!("({first}) && ({second}){tail}"),
        9 => format!("!({first}) && {second}{tail}"),
        10 => format!("{first} && !({second}){tail}"),
        _ => format!("{first} && {second}{tail}"),
    }
}
