//! A world as seeds: what can be cloned, cut and built again.

use std::ops::Range;

use cedar_policy::{Entities, Entity};

use super::dice::Dice;
use super::names::Palette;
use super::policies::{self, Draft};
use super::requests::Desk;
use super::{Asked, World, entities, schema};

/// The seeds of a world's parts; a part that was cut is none.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    pub(super) palette: Palette,
    pub(super) policies: Vec<Option<Draft>>,
    entities: Vec<Option<u64>>,
    actions: Option<u64>,
    requests: Vec<Option<(u64, Bringing)>>,
}

/// Whether a request still brings its entities.
type Bringing = bool;

/// What may be left out.
#[derive(Clone, Debug)]
pub(super) enum Cut {
    Requests(Range<usize>),
    Policies(Range<usize>),
    Entities(Range<usize>),
    Actions,
    Brought(usize),
    Link(usize, usize),
    Clause(usize, usize),
    Part(usize, usize, usize),
}

impl Sketch {
    pub(super) fn new(dice: &mut Dice, requests: usize) -> Self {
        let palette = Palette::new(dice);
        // Among many policies one looks deeper than the others, and hides that they look too.
        let policies = if dice.chance(20) { dice.between(3, 9) } else { dice.between(18, 34) };
        Self {
            policies: (0..policies).map(|_| Some(Draft::new(dice, &palette))).collect(),
            palette,
            entities: dice.seeds(entities::count()).into_iter().map(Some).collect(),
            actions: Some(dice.seed()),
            requests: dice.seeds(requests).into_iter().map(|seed| Some((seed, true))).collect(),
        }
    }

    pub(super) fn world(&self) -> World {
        World {
            schema: schema::known(self.palette.variant).text.clone(),
            policies: policies::set(&self.policies, &self.palette),
            entities: Entities::from_entities(self.stored(), None).unwrap(),
            requests: self.asked(),
        }
    }

    /// The entities of the store, each with its own parents only.
    pub(super) fn stored(&self) -> Vec<Entity> {
        let seeds = self.entities.iter().enumerate().filter_map(|(at, seed)| Some((at, (*seed)?)));
        let stored = seeds.filter_map(|(at, seed)| entities::stored(at, seed, &self.palette));
        let actions: Vec<Entity> =
            self.actions.map(|seed| entities::actions(seed, &self.palette)).unwrap_or_default();
        stored.chain(actions).collect()
    }

    fn asked(&self) -> Vec<Asked> {
        let mut desk = Desk::new(&self.palette);
        let made = self.requests.iter().flatten().map(|(seed, bringing)| {
            let (request, mut brought) = desk.request(*seed);
            brought.retain(|_| *bringing);
            Asked { request, brought }
        });
        made.collect()
    }

    /// What may be left out, the largest first.
    pub(super) fn cuts(&self) -> Vec<Cut> {
        let mut cuts: Vec<Cut> = ranges(self.requests.len()).map(Cut::Requests).collect();
        cuts.extend(ranges(self.policies.len()).map(Cut::Policies));
        cuts.extend((0..self.requests.len()).map(Cut::Brought));
        cuts.push(Cut::Actions);
        cuts.extend(ranges(self.entities.len()).map(Cut::Entities));
        for (at, draft) in self.policies.iter().flatten().enumerate() {
            cuts.extend((0..draft.links.len()).map(|link| Cut::Link(at, link)));
            for (number, clause) in draft.clauses.iter().flatten().enumerate() {
                cuts.push(Cut::Clause(at, number));
                cuts.extend((0..clause.parts.len()).map(|part| Cut::Part(at, number, part)));
            }
        }
        cuts
    }

    /// Leaves that out; false if it was no more there.
    pub(super) fn cut(&mut self, cut: &Cut) -> bool {
        match cut {
            Cut::Requests(range) => clear(&mut self.requests[range.clone()]),
            Cut::Policies(range) => clear(&mut self.policies[range.clone()]),
            Cut::Entities(range) => clear(&mut self.entities[range.clone()]),
            Cut::Actions => self.actions.take().is_some(),
            Cut::Brought(at) => {
                self.requests[*at].as_mut().is_some_and(|(_, bringing)| std::mem::replace(bringing, false))
            }
            Cut::Link(at, link) => {
                self.policies[*at].as_mut().is_some_and(|draft| draft.links[*link].take().is_some())
            }
            Cut::Clause(at, clause) => {
                self.policies[*at].as_mut().is_some_and(|draft| draft.clauses[*clause].take().is_some())
            }
            Cut::Part(at, clause, part) => {
                let draft = self.policies[*at].as_mut();
                let clause = draft.and_then(|draft| draft.clauses[*clause].as_mut());
                clause.is_some_and(|clause| clause.parts[*part].take().is_some())
            }
        }
    }
}

fn clear<T>(some: &mut [Option<T>]) -> bool {
    some.iter_mut().filter_map(Option::take).count() > 0
}

/// Halves, quarters and so on down to each alone.
fn ranges(count: usize) -> impl Iterator<Item = Range<usize>> {
    let sizes = std::iter::successors(Some(count.div_ceil(2)), |size| (*size > 1).then(|| size.div_ceil(2)));
    sizes
        .filter(|size| *size > 0)
        .flat_map(move |size| (0..count).step_by(size).map(move |start| start..(start + size).min(count)))
}
