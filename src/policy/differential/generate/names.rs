//! The few names of a world, and which of them it favours.

use std::cell::RefCell;
use std::collections::HashMap;
use std::str::FromStr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};

use super::dice::Dice;

/// A type and an id.
pub(super) type Name = (&'static str, &'static str);

pub(super) const PEOPLE: &[Name] = &[
    ("Org::User", "a"),
    ("Org::User", "b"),
    ("Lab::User", "a"),
    ("Org::Agent", "a"),
    ("Org::User", "boss"),
    ("Lab::User", "b"),
    ("Org::Agent", "b"),
    ("Org::User", "c \"q\" é"),
];
pub(super) const THINGS: &[Name] = &[
    ("Doc", "a"),
    ("Doc", "b"),
    ("Org::Tool", "a"),
    ("Org::Tool", "b"),
    ("Doc", "c"),
    ("Folder", "0"),
    ("Folder", "1"),
];
/// Folders that are parents, lowest first.
pub(super) const FOLDERS: &[Name] = &[("Folder", "0"), ("Folder", "1"), ("Folder", "2"), ("Folder", "top")];
/// Teams, lowest first: a chain of all of them is thirteen long, twelve steps deep.
pub(super) const TEAMS: &[Name] = &[
    ("Team", "0"),
    ("Team", "1"),
    ("Team", "2"),
    ("Team", "3"),
    ("Team", "4"),
    ("Team", "5"),
    ("Team", "6"),
    ("Team", "7"),
    ("Team", "8"),
    ("Team", "9"),
    ("Team", "10"),
    ("Team", "11"),
    ("Team", "12"),
];
pub(super) const UNITS: &[Name] = &[("Org::Unit", "0"), ("Org::Unit", "1")];
pub(super) const COLORS: &[Name] = &[("Color", "red"), ("Color", "green"), ("Color", "blue")];
pub(super) const GHOSTS: &[Name] =
    &[("Org::User", "ghost"), ("Doc", "ghost"), ("Team", "ghost"), ("Ghost", "a")];
pub(super) const ACTIONS: &[Name] = &[
    ("Action", "read"),
    ("Action", "write"),
    ("Org::Action", "invoke"),
    ("Action", "list"),
    ("Lab::Action", "invoke"),
    ("Action", "tools/call"),
];
pub(super) const ACTION_GROUPS: &[Name] =
    &[("Action", "view"), ("Action", "all"), ("Org::Action", "tools"), ("Action", "edit")];
pub(super) const UNKNOWN_ACTIONS: &[Name] =
    &[("Action", "nope"), ("Ghost::Action", "read"), ("Lab::Action", "read")];
pub(super) const TYPES: &[&str] =
    &["Org::User", "Lab::User", "Doc", "Org::Agent", "Org::Tool", "Folder", "Team", "Color", "Ghost"];

/// How a name is written in a policy.
pub(super) fn literal(name: Name) -> String {
    format!("{}::{:?}", name.0, name.1)
}

/// A name as Cedar has it, each parsed only once.
pub(super) fn uid(name: Name) -> EntityUid {
    thread_local! { static KNOWN: RefCell<HashMap<Name, EntityUid>> = RefCell::default(); }
    KNOWN.with_borrow_mut(|known| {
        let made = known.entry(name).or_insert_with(|| {
            let kind = EntityTypeName::from_str(name.0).unwrap();
            EntityUid::from_type_name_and_id(kind, EntityId::new(name.1))
        });
        made.clone()
    })
}

/// What a world favours, so that its policies and requests meet.
#[derive(Clone, Debug)]
pub(super) struct Palette {
    people: Vec<Name>,
    things: Vec<Name>,
    groups: Vec<Name>,
    actions: Vec<Name>,
    action_groups: Vec<Name>,
    /// Of a hundred things said in policies, how many need not be valid.
    pub(super) wild: u64,
    /// Which of the schemas.
    pub(super) variant: usize,
    /// Parts that many conditions share.
    pub(super) leads: Vec<u64>,
    pub(super) others: Vec<u64>,
    /// Whole conditions that many policies share.
    pub(super) bodies: Vec<u64>,
    /// Contexts that many requests share, and entities that many bring.
    pub(super) contexts: Vec<u64>,
    pub(super) guests: Vec<u64>,
    /// Whether the teams are one deep chain.
    pub(super) deep: bool,
}

impl Palette {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let some = |dice: &mut Dice, all: &[Name], count| (0..count).map(|_| *dice.favour(all)).collect();
        let mut groups: Vec<Name> = some(dice, TEAMS, 2);
        groups.extend([*dice.pick(FOLDERS), *dice.pick(UNITS), ("Team", "12")]);
        Self {
            people: some(dice, PEOPLE, 3),
            things: some(dice, THINGS, 3),
            groups,
            actions: some(dice, ACTIONS, 3),
            action_groups: some(dice, ACTION_GROUPS, 2),
            wild: dice.weigh(&[(3, 0), (4, 35), (3, 80)]),
            variant: dice.below(super::schema::VARIANTS),
            leads: dice.seeds(7),
            others: dice.seeds(8),
            bodies: dice.seeds(4),
            contexts: dice.seeds(12),
            guests: dice.seeds(3),
            deep: dice.chance(60),
        }
    }

    /// Someone who might ask.
    pub(super) fn person(&self, dice: &mut Dice) -> Name {
        self.or_other(dice, &self.people, PEOPLE, GHOSTS)
    }

    /// Something that might be asked for.
    pub(super) fn thing(&self, dice: &mut Dice) -> Name {
        self.or_other(dice, &self.things, THINGS, GHOSTS)
    }

    pub(super) fn group(&self, dice: &mut Dice) -> Name {
        let any = *dice.pick(&[TEAMS, FOLDERS, UNITS]);
        self.or_other(dice, &self.groups, any, GHOSTS)
    }

    pub(super) fn action(&self, dice: &mut Dice) -> Name {
        self.or_other(dice, &self.actions, ACTIONS, UNKNOWN_ACTIONS)
    }

    pub(super) fn action_group(&self, dice: &mut Dice) -> Name {
        self.or_other(dice, &self.action_groups, ACTION_GROUPS, UNKNOWN_ACTIONS)
    }

    /// Any entity but an action, of whatever role.
    pub(super) fn anything(&self, dice: &mut Dice) -> Name {
        match dice.below(8) {
            0..3 => self.person(dice),
            3..5 => self.thing(dice),
            5 => self.group(dice),
            6 => *dice.pick(COLORS),
            _ => *dice.pick(if self.wild > 0 { GHOSTS } else { &GHOSTS[..3] }),
        }
    }

    fn or_other(&self, dice: &mut Dice, favoured: &[Name], all: &[Name], unknown: &[Name]) -> Name {
        if self.wild > 0 && dice.chance(5) {
            return *dice.pick(unknown);
        }
        if dice.chance(80) { *dice.pick(favoured) } else { *dice.pick(all) }
    }
}
