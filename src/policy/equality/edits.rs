//! What happens to a bundle between two compilations: one thing at a time, and it may be taken back.
//! Never writes a file: a bundle's parts are changed, and its files follow.

use proptest::prelude::*;

use super::bundles::{Bundle, CHANGES, EXTRAS, FAULTS, FORMS, TOOLS};
use super::policies::{Policy, policy};

/// One change. The numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    ChangePolicy(usize, usize, Policy),
    AddPolicy(usize, Policy),
    RemovePolicy(usize, usize),
    AddFile(Policy),
    RemoveFile(usize),
    PutTool(usize, usize),
    RemoveTool(usize),
    Facts(usize, Option<usize>),
    Schema(usize),
    Extra(usize),
    Entities(usize),
    Tame,
    Break(usize),
    Mend,
    Reverse,
}

pub(super) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        3 => (0..8_usize, 0..8_usize, policy()).prop_map(|(file, at, to)| Edit::ChangePolicy(file, at, to)),
        3 => (0..8_usize, policy()).prop_map(|(file, added)| Edit::AddPolicy(file, added)),
        2 => (0..8_usize, 0..8_usize).prop_map(|(file, at)| Edit::RemovePolicy(file, at)),
        1 => policy().prop_map(Edit::AddFile),
        1 => (0..8_usize).prop_map(Edit::RemoveFile),
        6 => (0..TOOLS.len().min(5), 0..FORMS.len()).prop_map(|(tool, form)| Edit::PutTool(tool, form)),
        3 => (0..TOOLS.len()).prop_map(Edit::RemoveTool),
        2 => (0..3_usize, prop::option::of(0..4_usize)).prop_map(|(server, facts)| Edit::Facts(server, facts)),
        4 => (0..CHANGES.len()).prop_map(Edit::Schema),
        2 => (0..EXTRAS.len()).prop_map(Edit::Extra),
        1 => (0..4_usize).prop_map(Edit::Entities),
        1 => Just(Edit::Tame),
        2 => (0..FAULTS.len()).prop_map(Edit::Break),
        3 => Just(Edit::Mend),
        1 => Just(Edit::Reverse),
    ];
    proptest::collection::vec(edit, 4..12)
}

impl Edit {
    /// Does it. What there is nothing for is passed over.
    pub(super) fn apply(&self, bundle: &mut Bundle) {
        let files = bundle.policies.len();
        match self {
            Self::ChangePolicy(file, at, to) if files > 0 => {
                let file = &mut bundle.policies[file % files];
                let count = file.len();
                if count > 0 {
                    file[at % count] = to.clone();
                }
            }
            Self::AddPolicy(file, added) if files > 0 => bundle.policies[file % files].push(added.clone()),
            Self::RemovePolicy(file, at) if files > 0 => {
                let file = &mut bundle.policies[file % files];
                if !file.is_empty() {
                    file.remove(at % file.len());
                }
            }
            Self::AddFile(first) => bundle.policies.push(vec![first.clone()]),
            Self::RemoveFile(file) if files > 0 => {
                bundle.policies.remove(file % files);
            }
            Self::ChangePolicy(..) | Self::AddPolicy(..) | Self::RemovePolicy(..) | Self::RemoveFile(_) => {}
            Self::PutTool(tool, form) => {
                bundle.tools.insert(*tool, *form);
            }
            Self::RemoveTool(tool) => {
                bundle.tools.remove(tool);
            }
            Self::Facts(server, Some(facts)) => {
                bundle.facts.insert(*server, *facts);
            }
            Self::Facts(server, None) => {
                bundle.facts.remove(server);
            }
            Self::Schema(change) => toggle(&mut bundle.changes, *change),
            Self::Extra(extra) => toggle(&mut bundle.extras, *extra),
            Self::Entities(entities) => bundle.entities = *entities,
            Self::Tame => bundle.tame = !bundle.tame,
            Self::Break(fault) => toggle(&mut bundle.faults, *fault),
            Self::Mend => bundle.faults.clear(),
            Self::Reverse => bundle.reversed = !bundle.reversed,
        }
    }
}

fn toggle(set: &mut std::collections::BTreeSet<usize>, place: usize) {
    if !set.remove(&place) {
        set.insert(place);
    }
}
