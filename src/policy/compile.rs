//! A bundle's files become one immutable snapshot, or a list of everything that is wrong with them.
//! Never publishes, and never stops at the first finding.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::index::{Index, Indexed};
use super::policies::PolicyFile;
use super::rule::Rule;
use super::schema::{CompiledSchema, Fragments, TOOL_GROUP_ACTION};
use super::snapshot::Snapshot;
use super::store::Store;
use super::told::Told;
use super::validate::{Kinds, validate};
use super::{cedar, declared, entities, policies, schema};
use crate::access::Revision;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, File, Level, sort};

/// How many policies may stand in memory as syntax trees, which are large, until they are checked. Those of a larger
/// bundle are parsed a second time.
const TREES_MAX: usize = 20_000;

/// What compiling gave: the snapshot, and warnings that its author should look at.
#[derive(Debug)]
pub struct Compiled {
    /// The bundle, ready to decide.
    pub snapshot: Snapshot,
    /// Findings that did not stop it.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles the files of a bundle, as [`Compiler::compile`] does for the first time.
///
/// # Errors
/// Every finding of the whole bundle, warnings included, when at least one of them is an error.
pub fn compile(files: &[File]) -> Result<Compiled, Vec<Diagnostic>> {
    Compiler::default().compile(files)
}

/// Compiles one bundle after another. What did not change since the last one is not done again: files are parsed and
/// policies are validated once, and the schema, the catalog and the entities are shared by the snapshots.
#[derive(Debug, Default)]
pub struct Compiler {
    policies: BTreeMap<Arc<str>, PolicyFile>,
    fragments: Option<Stage<Vec<File>, Arc<Fragments>>>,
    catalog: Option<Stage<Vec<File>, Arc<Catalog>>>,
    schema: Option<Stage<SchemaKey, Option<Arc<CompiledSchema>>>>,
    store: Option<Stage<StoreKey, Option<Arc<Store>>>>,
}

/// What a schema is made of: the files of `schemas/` and of `tools/`, and the names of tools that are gone.
#[derive(Debug, Clone, PartialEq)]
struct SchemaKey {
    schemas: Vec<File>,
    tools: Vec<File>,
    dead: BTreeSet<String>,
}

/// What a store of entities is made of: the schema, and the files of `entities/`.
type StoreKey = (SchemaKey, Vec<File>);

/// A part of a compilation, with what it was made of.
#[derive(Debug)]
struct Stage<K, T> {
    key: K,
    product: T,
    findings: Vec<Diagnostic>,
}

/// Makes something, or takes what was made of the same before; reports the same findings either way.
fn staged<K: PartialEq, T: Clone>(
    stage: &mut Option<Stage<K, T>>,
    key: K,
    findings: &mut Vec<Diagnostic>,
    make: impl FnOnce(&mut Vec<Diagnostic>) -> T,
) -> T {
    let before = stage.take().filter(|stage| stage.key == key);
    let stage = stage.insert(before.unwrap_or_else(|| {
        let mut findings = Vec::new();
        let product = make(&mut findings);
        Stage { key, product, findings }
    }));
    findings.extend(stage.findings.iter().cloned());
    stage.product.clone()
}

impl Compiler {
    /// Compiles the files of a bundle. Files outside `schemas/`, `policies/`, `entities/` and `tools/`, and policy
    /// tests, are passed over.
    ///
    /// # Errors
    /// Every finding of the whole bundle, warnings included, when at least one of them is an error.
    pub fn compile(&mut self, files: &[File]) -> Result<Compiled, Vec<Diagnostic>> {
        let mut findings = empty_files(files);
        let of = |folder: &str, ending: &str| -> Vec<File> {
            let ours = |file: &&File| file.path.starts_with(folder) && file.path.ends_with(ending);
            files.iter().filter(ours).cloned().collect()
        };
        let (schemas, tools) = (of("schemas/", ".cedarschema"), of("tools/", ""));
        let catalog = staged(&mut self.catalog, tools.clone(), &mut findings, |findings| {
            let (catalog, found) = Catalog::load(&tools);
            findings.extend(found);
            Arc::new(catalog)
        });
        let fragments = staged(&mut self.fragments, schemas.clone(), &mut findings, |findings| {
            Arc::new(schema::parse(&schemas, findings))
        });
        self.parse_policies(of("policies/", ".cedar"));
        let mut dead = self.look_at_policies(&fragments, &catalog, &mut findings);
        if has_errors(&findings) && fragments_are_broken(&findings) {
            return Err(sorted(findings));
        }
        let key = SchemaKey { schemas, tools, dead: dead.clone() };
        let compiled = staged(&mut self.schema, key.clone(), &mut findings, |findings| {
            schema::compile(&fragments, &catalog, &dead, findings).map(Arc::new)
        });
        let Some(compiled) = compiled else { return Err(sorted(findings)) };
        if catalog.servers().all(|server| server.tools.is_empty()) {
            dead.insert(TOOL_GROUP_ACTION.into());
        }
        let base = digest(&key.schemas);
        let kinds = Kinds::of(&compiled.schema, base, &compiled.tools);
        validate(self.policies.values_mut(), &kinds, &dead, &mut findings);

        let declared = of("entities/", ".json");
        let store = staged(&mut self.store, (key, declared.clone()), &mut findings, |findings| {
            let declared = declared::parse(&declared, &compiled.schema, findings);
            entities::build(declared, &catalog, &compiled, findings).map(Arc::new)
        });
        match store {
            Some(store) if !has_errors(&findings) => Ok(Compiled {
                snapshot: self.assemble(revision(files), compiled, store, catalog),
                warnings: sorted(findings),
            }),
            Some(_) | None => Err(sorted(findings)),
        }
    }

    /// Parses the files that are new, and forgets those that are gone.
    fn parse_policies(&mut self, files: Vec<File>) {
        let mut before = std::mem::take(&mut self.policies);
        let mut trees = 0;
        for file in files {
            let known = before.remove(&file.path).filter(|known| known.file == file);
            let mut parsed = known.unwrap_or_else(|| PolicyFile::parse(&file));
            trees += parsed.written.iter().filter(|written| written.tree.is_some()).count();
            if trees > TREES_MAX {
                parsed.fell_trees();
            }
            self.policies.insert(file.path, parsed);
        }
    }

    /// What can be said of the policies without the schema. Returns the actions that are gone.
    fn look_at_policies(
        &self,
        fragments: &Fragments,
        catalog: &Catalog,
        findings: &mut Vec<Diagnostic>,
    ) -> BTreeSet<String> {
        let files: Vec<&PolicyFile> = self.policies.values().collect();
        findings.extend(files.iter().flat_map(|file| &file.findings).cloned());
        policies::refuse_duplicates(&files, findings);
        let known_actions = known_actions(fragments, catalog);
        let known = |id: &str| known_actions.contains(id);
        let nearest = |id: &str| nearest(id, &known_actions);
        // Where tools are not modelled none can have disappeared: an unknown action is a mistake.
        if known(TOOL_GROUP_ACTION) {
            policies::tombstones(&files, &known, &nearest, findings)
        } else {
            BTreeSet::new()
        }
    }

    /// Puts together what was compiled: the rules in the order of their ids, the index over them, and what their
    /// scopes ask of every action and entity.
    fn assemble(
        &self,
        revision: Revision,
        schema: Arc<CompiledSchema>,
        store: Arc<Store>,
        catalog: Arc<Catalog>,
    ) -> Snapshot {
        let written = self.policies.values().flat_map(|file| &file.written);
        let mut rules: Vec<Arc<Rule>> = written.map(|written| written.rule.clone()).collect();
        rules.sort_by(|a, b| a.info.id.cmp(&b.info.id));
        let index =
            Index::of(rules.iter().map(|rule| Indexed { scope: &rule.scope, condition: &rule.condition }));
        let keys = index.keys_of_store(store.iter());
        let mut action_keys = vec![Vec::new(); schema.actions.len()];
        for action in schema.actions.values() {
            if let Some(keys) = action_keys.get_mut(action.place) {
                *keys = index.action_keys(&action.uid, cedar::stored(store.entities(), &action.uid));
            }
        }
        Snapshot { revision, schema, rules, index, store, keys, action_keys, catalog, told: Told::default() }
    }
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
    let files: Vec<File> = files.iter().filter(|file| !file.path.ends_with("_test.yaml")).cloned().collect();
    Revision(crate::catalog::digest::name(&digest(&files)).into())
}

fn digest(files: &[File]) -> [u8; 32] {
    let mut files: Vec<&File> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut digest = Sha256::new();
    digest.update(b"palisade bundle 1\0");
    for file in files {
        for part in [file.path.as_bytes(), file.text.as_bytes()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    digest.finalize().into()
}

fn known_actions(fragments: &schema::Fragments, catalog: &Catalog) -> BTreeSet<String> {
    let tools =
        catalog.servers().flat_map(|server| server.tools.values()).map(|tool| tool.action().id.into());
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
