//! What all sorts of conditions are made of: paths, guards and equalities.

use super::super::dice::Dice;

/// An attribute of `base`, now and then in brackets.
pub(super) fn dot(dice: &mut Dice, base: &str, attr: &str) -> String {
    if attr.contains(' ') || dice.chance(8) { format!("{base}[{attr:?}]") } else { format!("{base}.{attr}") }
}

pub(super) fn path(dice: &mut Dice, base: &str, steps: &[&str]) -> String {
    steps.iter().fold(base.to_owned(), |path, step| dot(dice, &path, step))
}

/// `left == right`, or the other way round.
pub(super) fn equal(dice: &mut Dice, left: &str, right: &str) -> String {
    let sign = if dice.chance(88) { "==" } else { "!=" };
    if dice.chance(65) { format!("{left} {sign} {right}") } else { format!("{right} {sign} {left}") }
}

/// That `base` has each of the steps, in one `has` or in several.
pub(super) fn has(dice: &mut Dice, base: &str, steps: &[&str]) -> String {
    if steps.iter().any(|step| step.contains(' ')) {
        return format!("{base} has {:?}", steps.join("."));
    }
    if dice.chance(55) {
        return format!("{base} has {}", steps.join("."));
    }
    let mut said = Vec::new();
    let mut at = base.to_owned();
    for step in steps {
        let quoted = dice.chance(10);
        said.push(if quoted { format!("{at} has {step:?}") } else { format!("{at} has {step}") });
        at = dot(dice, &at, step);
    }
    said.join(" && ")
}

/// `guard && then`, one of them perhaps in parentheses.
pub(super) fn guarded(dice: &mut Dice, guard: &str, then: &str) -> String {
    if dice.chance(10) { format!("({guard}) && {then}") } else { format!("{guard} && {then}") }
}
