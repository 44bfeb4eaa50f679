//! Policies, templates and their links, written as text and read by Cedar's parser.

use std::cell::RefCell;
use std::collections::HashMap;
use std::str::FromStr;

use cedar_policy::{Policy, PolicyId, PolicySet, SlotId, Template};

use super::conditions::{self, Clause};
use super::dice::Dice;
use super::names::{Palette, uid};
use super::scopes::{named, scope};

/// A policy or a template: the seed of its head, and what is left of its clauses and links.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    head: u64,
    template: bool,
    pub(super) clauses: Vec<Option<Clause>>,
    pub(super) links: Vec<Option<u64>>,
}

/// A policy as text.
pub(super) struct Written {
    pub(super) text: String,
    principal_slot: bool,
    resource_slot: bool,
}

impl Draft {
    pub(super) fn new(dice: &mut Dice, palette: &Palette) -> Self {
        let template = dice.chance(18);
        let links = if template { dice.weigh(&[(1, 0), (2, 1), (3, 2), (2, 3), (1, 5)]) } else { 0 };
        Self {
            head: dice.seed(),
            template,
            clauses: conditions::clauses(dice, palette),
            links: dice.seeds(links).into_iter().map(Some).collect(),
        }
    }

    pub(super) fn write(&self, palette: &Palette) -> Written {
        let dice = &mut Dice::new(self.head);
        let notes = match dice.below(5) {
            0 => format!("@id(\"rule {}\")\n", dice.below(3)),
            1 => "@id(\"p1\") @reason(\"says \\\"no\\\"\") @note\n".to_owned(),
            _ => String::new(),
        };
        let effect = if dice.chance(70) { "permit" } else { "forbid" };
        let scope = scope(dice, palette, self.template);
        let clauses = self.clauses.iter().flatten();
        let clauses: Vec<_> =
            clauses.map(|clause| format!("\n{}", conditions::text(clause, palette))).collect();
        Written {
            text: format!("{notes}{effect} {}{};", scope.text, clauses.concat()),
            principal_slot: scope.principal_slot,
            resource_slot: scope.resource_slot,
        }
    }

    /// Puts it into a set, as the policy of that number.
    fn add(&self, at: usize, read: &Read, written: &Written, palette: &Palette, set: &mut PolicySet) {
        let id = PolicyId::new(format!("p{at}"));
        let template = match read {
            Read::Policy(policy) => return set.add(policy.new_id(id)).unwrap(),
            Read::Template(template) => template,
        };
        set.add_template(template.new_id(id.clone())).unwrap();
        for (number, seed) in self.links.iter().enumerate() {
            let Some(seed) = seed else { continue };
            let dice = &mut Dice::new(*seed);
            let group = dice.chance(50);
            let mut slots = HashMap::new();
            if written.principal_slot {
                slots.insert(SlotId::principal(), uid(named(dice, palette, true, group)));
            }
            if written.resource_slot {
                slots.insert(SlotId::resource(), uid(named(dice, palette, false, group)));
            }
            set.link(id.clone(), PolicyId::new(format!("p{at} link {number}")), slots).unwrap();
        }
    }
}

/// The set of the drafts that are left.
pub(super) fn set(drafts: &[Option<Draft>], palette: &Palette) -> PolicySet {
    let drafts = drafts.iter().enumerate().filter_map(|(at, draft)| Some((at, draft.as_ref()?)));
    let all: Vec<_> = drafts.map(|(at, draft)| (at, draft, draft.write(palette))).collect();
    let texts: Vec<&str> = all.iter().map(|(_, _, written)| written.text.as_str()).collect();
    let mut set = PolicySet::new();
    for ((at, draft, written), read) in all.iter().zip(read(&texts)) {
        draft.add(*at, &read, written, palette, &mut set);
    }
    set
}

/// What a text was read as.
#[derive(Clone)]
enum Read {
    Policy(Policy),
    Template(Template),
}

/// What the texts mean. Reading is slow, mostly in starting, and texts come again: so those that are new are read
/// at once, and kept.
fn read(texts: &[&str]) -> Vec<Read> {
    thread_local! { static KNOWN: RefCell<HashMap<String, Read>> = RefCell::default(); }
    KNOWN.with_borrow_mut(|known| {
        if known.len() > 20_000 {
            known.clear();
        }
        let new: Vec<&str> = texts.iter().copied().filter(|text| !known.contains_key(*text)).collect();
        let all = new.join("\n");
        let set = PolicySet::from_str(&all).unwrap_or_else(|error| panic!("{all}\n{error:?}"));
        for (at, text) in new.iter().enumerate() {
            let id = PolicyId::new(format!("policy{at}"));
            let policy = set.policy(&id).cloned().map(Read::Policy);
            let read = policy.or_else(|| set.template(&id).cloned().map(Read::Template)).unwrap();
            known.insert((*text).to_owned(), read);
        }
        texts.iter().map(|text| known[*text].clone()).collect()
    })
}
