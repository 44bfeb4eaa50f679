//! The rules that ask the same of action and principal, ordered by what they ask of the resource and by how their
//! conditions open.
//! Never evaluates a condition.

use std::collections::BTreeMap;

use super::{Candidate, Key, RuleId};
use crate::policy::OwnMap;
use crate::policy::cedar::{Literal, Path, Record, ValueKind};

/// The rules of one action key and one principal key, by resource key.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    racks: BTreeMap<Key, Rack>,
}

impl Shelf {
    pub(super) fn add(&mut self, resource: Key, opening: Option<&(u32, Literal)>, candidate: Candidate) {
        self.racks.entry(resource).or_default().add(opening, candidate);
    }

    /// All racks, each with its resource key.
    pub(super) fn racks(&self) -> impl Iterator<Item = (Key, &Rack)> {
        self.racks.iter().map(|(key, rack)| (*key, rack))
    }

    /// The racks of these resource keys, which come in order: the shorter side is walked, the longer one searched.
    pub(super) fn each<'s>(&'s self, resource: &[Key], mut each: impl FnMut(&'s Rack)) {
        if self.racks.len() <= resource.len() {
            let asked = self.racks.iter().filter(|(key, _)| resource.binary_search(key).is_ok());
            asked.for_each(|(_, rack)| each(rack));
        } else {
            resource.iter().filter_map(|key| self.racks.get(key)).for_each(each);
        }
    }
}

/// The rules of one scope.
#[derive(Debug, Default)]
pub(super) struct Rack {
    plain: Vec<Candidate>,
    /// Rules whose conditions open with a comparison: by the path of the member that is compared.
    opened: BTreeMap<u32, OwnMap<Literal, Vec<Candidate>>>,
}

impl Rack {
    fn add(&mut self, opening: Option<&(u32, Literal)>, candidate: Candidate) {
        let Some((path, literal)) = opening else {
            self.plain.push(candidate);
            return;
        };
        self.opened.entry(*path).or_default().entry(literal.clone()).or_default().push(candidate);
    }

    /// Whether one of its rules is such.
    pub(super) fn any(&self, mut is_such: impl FnMut(RuleId) -> bool) -> bool {
        self.all().any(|candidate| is_such(candidate.rule))
    }

    /// Every rule.
    pub(super) fn all(&self) -> impl Iterator<Item = Candidate> {
        let opened = self.opened.values().flat_map(|by_literal| by_literal.values().flatten());
        self.plain.iter().chain(opened).copied()
    }

    /// The rules that may be satisfied or fail in this context, of which some members may not be known.
    pub(super) fn candidates(
        &self,
        paths: &[Path],
        context: &Record,
        is_blank: impl Fn(&str) -> bool,
        found: &mut Vec<Candidate>,
    ) {
        found.extend_from_slice(&self.plain);
        for (path, by_literal) in &self.opened {
            let path = paths.get(*path as usize);
            let known = path.filter(|path| path.first().is_none_or(|(name, _)| !is_blank(name)));
            match known.map_or(Reading::Unsure, |path| read(path, context)) {
                Reading::Is(literal) => found.extend(by_literal.get(literal).into_iter().flatten()),
                Reading::IsNot => {}
                Reading::Unsure => found.extend(by_literal.values().flatten()),
            }
        }
    }
}

/// What stands at a path of the context.
enum Reading<'a> {
    /// This literal.
    Is(&'a Literal),
    /// Something that equals no literal, or nothing, of which the condition has made sure: it is false.
    IsNot,
    /// The condition itself must look: it may fail.
    Unsure,
}

fn read<'a>(path: &Path, context: &'a Record) -> Reading<'a> {
    let mut record = context;
    let mut steps = path.iter();
    while let Some((name, made_sure)) = steps.next() {
        let Some(value) = record.get(name) else {
            return if *made_sure { Reading::IsNot } else { Reading::Unsure };
        };
        match (value.value_kind(), steps.len()) {
            (ValueKind::Lit(literal), 0) => return Reading::Is(literal),
            (_, 0) => return Reading::IsNot,
            (ValueKind::Record(members), _) => record = members,
            (ValueKind::Lit(_) | ValueKind::Set(_) | ValueKind::ExtensionValue(_), _) => {
                return Reading::Unsure;
            }
        }
    }
    Reading::Unsure
}
