//! A bundle's files become one immutable snapshot, or a list of everything that is wrong with them.
//! Never publishes, and never stops at the first finding.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::index::{Index, Indexed};
use super::rule::Rule;
use super::schema::{CompiledSchema, TOOL_GROUP_ACTION};
use super::snapshot::Snapshot;
use super::store::Store;
use super::{cedar, declared, entities, policies, schema};
use crate::access::Revision;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, File, Level, sort};

/// What compiling gave: the snapshot, and warnings that its author should look at.
#[derive(Debug)]
pub struct Compiled {
    /// The bundle, ready to decide.
    pub snapshot: Snapshot,
    /// Findings that did not stop it.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles the files of a bundle. Files outside `schemas/`, `policies/`, `entities/` and `tools/`, and policy tests,
/// are passed over.
///
/// # Errors
/// Every finding of the whole bundle, warnings included, when at least one of them is an error.
pub fn compile(files: &[File]) -> Result<Compiled, Vec<Diagnostic>> {
    let mut findings = empty_files(files);
    let of = |folder: &str, ending: &str| -> Vec<&File> {
        files.iter().filter(|file| file.path.starts_with(folder) && file.path.ends_with(ending)).collect()
    };
    let tool_files: Vec<File> =
        files.iter().filter(|file| file.path.starts_with("tools/")).cloned().collect();
    let (catalog, catalog_findings) = Catalog::load(&tool_files);
    findings.extend(catalog_findings);

    let fragments = schema::parse(&of("schemas/", ".cedarschema"), &mut findings);
    let written = policies::parse(&of("policies/", ".cedar"), &mut findings);
    let known_actions = known_actions(&fragments, &catalog);
    let known = |id: &str| known_actions.contains(id);
    let nearest = |id: &str| nearest(id, &known_actions);
    // Where tools are not modelled none can have disappeared: an unknown action is a mistake.
    let mut dead = BTreeSet::new();
    if known(TOOL_GROUP_ACTION) {
        dead = policies::tombstones(&written, &known, &nearest, &mut findings);
    }

    if has_errors(&findings) && fragments_are_broken(&findings) {
        return Err(sorted(findings));
    }
    let Some(compiled) = schema::compile(fragments, &catalog, &dead, &mut findings) else {
        return Err(sorted(findings));
    };
    if catalog.servers().all(|server| server.tools.is_empty()) {
        dead.insert(TOOL_GROUP_ACTION.into());
    }
    policies::validate(&written, &compiled.schema, &dead, &mut findings);
    let declared = declared::parse(&of("entities/", ".json"), &compiled.schema, &mut findings);
    let below = entities::classes_below(&declared);
    let store = entities::build(declared, &catalog, &compiled, &below, &mut findings);
    match store {
        Some(store) if !has_errors(&findings) => Ok(Compiled {
            snapshot: assemble(revision(files), &written, compiled, store, below, catalog),
            warnings: sorted(findings),
        }),
        Some(_) | None => Err(sorted(findings)),
    }
}

/// Puts together what was compiled: the rules in the order of their ids, the index over them, and what their scopes
/// ask of every action and entity.
fn assemble(
    revision: Revision,
    written: &[policies::Written],
    mut schema: CompiledSchema,
    store: Store,
    classes_below: BTreeMap<String, BTreeSet<String>>,
    catalog: Catalog,
) -> Snapshot {
    let mut rules: Vec<Arc<Rule>> = written.iter().map(policies::rule).collect();
    rules.sort_by(|a, b| a.info.id.cmp(&b.info.id));
    let index =
        Index::of(rules.iter().map(|rule| Indexed { scope: &rule.scope, condition: &rule.condition }));
    for action in schema.actions.values_mut() {
        action.keys = index.action_keys(&action.uid, cedar::stored(store.entities(), &action.uid));
    }
    let keys = index.keys_of_store(store.iter());
    Snapshot { revision, schema, rules, index, store, keys, classes_below, catalog }
}

/// An empty file is one that somebody is about to write: taken for what it says, its rules would be gone meanwhile.
fn empty_files(files: &[File]) -> Vec<Diagnostic> {
    let empty = files.iter().filter(|file| file.text.trim().is_empty());
    let finding = |file: &File| {
        Diagnostic::error("bundle::empty", format!("`{}` is empty", file.path))
            .in_file(file)
            .help("remove the file, or say in a comment why it holds nothing; write files whole, by rename")
    };
    empty.map(finding).collect()
}

/// The digest of a bundle's content: SHA-256 over path and content of each file that decides, in the order of their
/// paths. Policy tests do not decide.
pub(super) fn revision(files: &[File]) -> Revision {
    let mut files: Vec<&File> = files.iter().filter(|file| !file.path.ends_with("_test.yaml")).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut digest = Sha256::new();
    digest.update(b"palisade bundle 1\0");
    for file in files {
        for part in [file.path.as_bytes(), file.text.as_bytes()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    Revision(crate::catalog::digest::name(&digest.finalize()).into())
}

fn known_actions(fragments: &schema::Fragments, catalog: &Catalog) -> BTreeSet<String> {
    let tools = catalog.servers().flat_map(|server| server.tools.values()).map(|tool| tool.action().id);
    schema::written_actions(fragments).into_iter().chain(tools).collect()
}

/// The known action whose name is most alike, if it is alike enough to be meant.
fn nearest(id: &str, known: &BTreeSet<String>) -> Option<String> {
    let distance = |name: &String| strsim::damerau_levenshtein(id, name);
    known
        .iter()
        .map(|name| (distance(name), name))
        .filter(|(d, _)| *d <= 3)
        .min()
        .map(|(_, name)| name.clone())
}

fn has_errors(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Error)
}

/// Without a whole schema and catalog every policy would be accused of what is not its fault.
fn fragments_are_broken(findings: &[Diagnostic]) -> bool {
    let broken = |finding: &Diagnostic| {
        finding.level == Level::Error
            && (finding.code.starts_with("schema::") || finding.code.starts_with("catalog::"))
    };
    findings.iter().any(broken)
}

fn sorted(mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    sort(&mut findings);
    findings
}
