//! Parts that no index looks into, valid whatever the scope. Some of them fail all the same, when evaluated.

use super::super::dice::Dice;
use super::super::names::{COLORS, FOLDERS, Name, PEOPLE, Palette, TEAMS, literal};
use super::super::scopes::{one_action, some_actions};
use super::super::values::{Kind, TAGS, fitting};
use super::pieces::{equal, guarded, has, path};

pub(super) fn tame(dice: &mut Dice, palette: &Palette) -> String {
    let form = dice.weigh(&[
        (4, attributes as fn(&mut Dice, &Palette) -> String),
        (3, chain),
        (5, ends),
        (3, named),
        (4, sets),
        (3, tags),
        (3, kinds),
        (4, hierarchy),
        (5, counterparts),
        (2, actions),
        (4, arithmetic),
        (2, patterns),
        (4, extensions),
        (2, branches),
        (2, booleans),
    ]);
    form(dice, palette)
}

fn literals(dice: &mut Dice, palette: &Palette, kind: Kind, count: usize) -> String {
    let all: Vec<_> = (0..count).map(|_| fitting(dice, palette, kind).text()).collect();
    format!("[{}]", all.join(", "))
}

/// Attributes of the principal and the resource.
fn attributes(dice: &mut Dice, palette: &Palette) -> String {
    let role = *dice.pick(&["principal", "resource"]);
    let text = fitting(dice, palette, Kind::Text).text();
    match dice.below(8) {
        0 | 1 => {
            let read = path(dice, role, &["dept"]);
            let asked = equal(dice, &read, &text);
            let guard = has(dice, role, &["dept"]);
            guarded(dice, &guard, &asked)
        }
        2 => format!("{role}.level > {}", dice.below(4)),
        3 => format!("{role} has dept"),
        4 => equal(dice, &format!("{role}.name"), &text),
        5 => "principal.active".to_owned(),
        6 => "resource has owner && resource.owner == principal".to_owned(),
        _ => equal(dice, "principal.name", "resource.name"),
    }
}

/// From entity to entity. An entity on the way may be missing, which is an error.
fn chain(dice: &mut Dice, palette: &Palette) -> String {
    let text = fitting(dice, palette, Kind::Text).text();
    let steps = dice.pick::<&[&str]>(&[
        &["manager"],
        &["manager", "manager"],
        &["manager", "manager", "manager"],
        &["card", "owner"],
        &["card", "owner", "manager"],
    ]);
    let role = path(dice, "principal", steps);
    let guard = has(dice, "principal", steps);
    match dice.below(4) {
        0 => format!("{guard} && {role}.level >= 2"),
        1 => format!("{guard} && {role} == principal"),
        _ => {
            let deep = [*steps, &["dept"]].concat();
            let asked = equal(dice, &format!("{role}.dept"), &text);
            let guard = has(dice, "principal", &deep);
            guarded(dice, &guard, &asked)
        }
    }
}

/// From entity to entity, with nothing behind the last: whoever looks there finds it or not, and what looks less deep
/// is not enough.
fn ends(dice: &mut Dice, palette: &Palette) -> String {
    let far = *dice.pick(&["manager.manager.dept", "manager.dept", "manager.manager.manager.dept"]);
    let (near, _) = far.rsplit_once('.').unwrap_or((far, ""));
    let level = dice.below(4);
    let text = fitting(dice, palette, Kind::Text).text();
    match dice.below(8) {
        0 => format!("principal has {far}"),
        1 => format!("!(principal has {far})"),
        2 => "context has who.manager.dept".to_owned(),
        3 => "!(context has who.dept)".to_owned(),
        4 => format!("principal has {near} && [principal.{near}.level, {level}].contains(1)"),
        5 => format!("principal has {near} && {{\"of\": principal.{near}.level}}.of > {level}"),
        6 => format!("principal has {far} && {text} == principal.{far}"),
        _ => "resource has owner.manager.level".to_owned(),
    }
}

/// Entities named in a condition.
fn named(dice: &mut Dice, palette: &Palette) -> String {
    let one = match dice.below(4) {
        0 => ("Org::User", "ghost"),
        1 => PEOPLE[4],
        _ => palette_person(dice, palette),
    };
    let one = literal(one);
    match dice.below(6) {
        0 | 1 => format!("{one}.level > 1"),
        2 => format!("{one} has dept && {one}.dept == \"x\""),
        3 => format!("principal == {one}"),
        4 => format!("{one}.active"),
        _ => format!("{one} in {}", literal(*dice.favour(TEAMS))),
    }
}

/// One whose type the schema knows.
fn palette_person(dice: &mut Dice, palette: &Palette) -> Name {
    let one = palette.person(dice);
    if PEOPLE.contains(&one) { one } else { PEOPLE[0] }
}

fn sets(dice: &mut Dice, palette: &Palette) -> String {
    let many = dice.between(1, 3);
    let texts = literals(dice, palette, Kind::Text, many);
    let text = fitting(dice, palette, Kind::Text).text();
    match dice.below(10) {
        0 => format!("principal.labels.contains({text})"),
        1 => "resource.labels.containsAny(principal.labels)".to_owned(),
        2 => format!("principal.labels.containsAll({texts})"),
        3 => format!("resource.labels.containsAny({texts})"),
        4 => format!("{texts}.contains(context.b)"),
        5 => format!("context has labels && context.labels.contains({text})"),
        6 => "principal.friends.isEmpty()".to_owned(),
        7 => "context has crew && context.crew.contains(Org::User::\"a\")".to_owned(),
        8 => format!("{}.contains(context.m)", literals(dice, palette, Kind::Long, many)),
        _ => format!("principal.labels == {texts}"),
    }
}

fn tags(dice: &mut Dice, palette: &Palette) -> String {
    let role = *dice.pick(&["principal", "resource"]);
    let tag = *dice.favour(TAGS);
    let text = fitting(dice, palette, Kind::Text).text();
    match dice.below(5) {
        0 => format!("{role}.hasTag({tag:?})"),
        1 => format!("{role}.hasTag(context.b) && {role}.getTag(context.b) == {text}"),
        2 => format!("{role}.hasTag({tag:?}) && {text} != {role}.getTag({tag:?})"),
        _ => format!("{role}.hasTag({tag:?}) && {role}.getTag({tag:?}) == {text}"),
    }
}

fn kinds(dice: &mut Dice, _: &Palette) -> String {
    let person = *dice.pick(&["Org::User", "Lab::User", "Org::Agent"]);
    let thing = *dice.pick(&["Doc", "Folder", "Org::Tool"]);
    match dice.below(5) {
        0 => format!("principal is {person}"),
        1 => format!("resource is {thing} && resource.open"),
        2 => format!("principal is {person} in {}", literal(*dice.favour(TEAMS))),
        3 => format!("!(resource is {thing} in {})", literal(*dice.favour(FOLDERS))),
        _ => format!("resource is {thing}"),
    }
}

fn hierarchy(dice: &mut Dice, palette: &Palette) -> String {
    let team = literal(*dice.favour(TEAMS));
    let folder = literal(*dice.favour(FOLDERS));
    match dice.below(8) {
        0 => format!("principal in {team}"),
        1 => format!("resource in {folder}"),
        2 => format!("principal in [{team}, {}]", literal(TEAMS[12])),
        3 => "context has crew && principal in context.crew".to_owned(),
        4 => format!("resource in [{folder}, Folder::\"top\"]"),
        5 => format!("context has who && context.who in {team}"),
        6 => format!("principal in {}", literal(palette_person(dice, palette))),
        _ => "principal has manager && principal.manager in principal.friends".to_owned(),
    }
}

/// The other party of a delegated call, which each half sees as another.
fn counterparts(dice: &mut Dice, palette: &Palette) -> String {
    let role = *dice.pick(&["actor", "requester"]);
    let text = fitting(dice, palette, Kind::Text).text();
    match dice.below(9) {
        7 => format!("{{\"all\": context}}.all has {role}"),
        8 => format!("(if context.off then context else context) has {role}"),
        0 => format!("context has {role}"),
        1 => format!("context has {role} && context.{role} != principal"),
        2 => format!("context has {role} && context.{role}.level > {}", dice.below(4)),
        3 => format!("context has {role}.dept && context.{role}.dept == {text}"),
        4 => format!("context has {role} && resource has owner && resource.owner == context[{role:?}]"),
        5 => format!("context has {role} && context.{role} in {}", literal(*dice.favour(TEAMS))),
        _ => format!("[context].contains({{{role:?}: {}}})", literal(PEOPLE[0])),
    }
}

fn actions(dice: &mut Dice, palette: &Palette) -> String {
    let one = literal(one_action(dice, palette));
    match dice.below(4) {
        0 => format!("action == {one}"),
        1 => format!("action in {one}"),
        2 => format!("action in {}", some_actions(dice, palette, 2)),
        _ => format!("action != {one}"),
    }
}

/// Arithmetic overflows when a number is already as high or low as can be.
fn arithmetic(dice: &mut Dice, palette: &Palette) -> String {
    let long = fitting(dice, palette, Kind::Long).text();
    match dice.below(8) {
        0 => "context.m + 9223372036854775807 > 0".to_owned(),
        1 => format!("context.m - {long} >= 0"),
        2 => format!("context.m * 2 < {long}"),
        3 => "-context.m < 0".to_owned(),
        4 => format!("principal.level + context.m == {long}"),
        5 => "context has n && context.n + context.m <= 4".to_owned(),
        6 => format!("context.m >= {long}"),
        _ => format!("principal.level >= resource.level && context.m != {long}"),
    }
}

fn patterns(dice: &mut Dice, _: &Palette) -> String {
    let pattern = *dice.favour(&["x*", "*", "x\\*", "*inan*", "", "X"]);
    let read = *dice.favour(&["context.b", "principal.name", "resource.name"]);
    if dice.chance(30) {
        return format!("context has task.purpose && context.task.purpose like \"{pattern}\"");
    }
    format!("{read} like \"{pattern}\"")
}

fn extensions(dice: &mut Dice, palette: &Palette) -> String {
    let mut text = |kind| fitting(dice, palette, kind).text();
    let (decimal, address, time, span) =
        (text(Kind::Decimal), text(Kind::Address), text(Kind::Time), text(Kind::Span));
    let below = *dice.pick(&["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"]);
    let is = *dice.pick(&["isIpv4", "isIpv6", "isLoopback", "isMulticast"]);
    let unit = *dice.pick(&["Milliseconds", "Seconds", "Minutes", "Hours", "Days"]);
    match dice.below(12) {
        0 => format!("context has cost && context.cost.{below}({decimal})"),
        1 => format!("principal has score && principal.score.{below}({decimal})"),
        2 => format!("context has addr && context.addr.{is}()"),
        3 => format!("context has addr && context.addr.isInRange({address})"),
        4 => "principal has home && resource has net && principal.home.isInRange(resource.net)".to_owned(),
        5 => format!("context has now && context.now < {time}"),
        6 => format!("context has now && context.now.offset({span}) >= {time}"),
        7 => format!("context has now && context.now.durationSince({time}) > {span}"),
        8 => format!("context has now && context.now.toDate() == {time}"),
        9 => format!("context has wait && context.wait.to{unit}() > 0"),
        10 => format!("principal has joined && principal.joined.toTime() <= {span}"),
        _ => format!("context has wait && context.wait <= {span}"),
    }
}

fn branches(dice: &mut Dice, palette: &Palette) -> String {
    let (first, second, third) =
        (attributes(dice, palette), arithmetic(dice, palette), booleans(dice, palette));
    match dice.below(3) {
        0 => format!("(if {first} then {second} else {third})"),
        1 => format!("(if context has a then context.a == \"x\" else {first})"),
        _ => format!("(if context.off then {second} else {first}) == true"),
    }
}

fn booleans(dice: &mut Dice, palette: &Palette) -> String {
    match dice.below(6) {
        0 => "true".to_owned(),
        1 => "false".to_owned(),
        2 => "context.off".to_owned(),
        3 => "(context.off || context.m == 1)".to_owned(),
        4 => format!("({} || context.off)", sets(dice, palette)),
        _ => format!("{} == {}", literal(COLORS[0]), literal(*dice.favour(COLORS))),
    }
}
