//! The policies of a bundle: parsed and named, each file on its own.
//! Never drops a policy silently: what cannot be honoured is refused.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet};

use super::bounds::{self, Language};
use super::cedar::{self, EntityUID};
use super::obligations;
use super::rule::Rule;
use super::schema::finding;
use super::snapshot::PolicyInfo;
use super::validate::Checked;
use crate::access::{Effect, Obligation};
use crate::diagnostic::{Diagnostic, File};

/// The longest policy id.
const ID_LEN_MAX: usize = 128;

/// Annotations that promise behaviour which does not exist yet: honouring them halfway would permit too much.
const REFUSED_ANNOTATIONS: [(&str, &str); 1] =
    [("mode", "shadow mode does not exist yet: remove the annotation, or keep the policy out of the bundle")];

/// A policy of a file.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) rule: Arc<Rule>,
    /// The actions that it names.
    pub(super) actions: Box<[EntityUID]>,
    /// As it was parsed. Let go when it has been checked: a syntax tree is large.
    pub(super) tree: Option<Policy>,
    /// What the checks of earlier bundles came to.
    pub(super) checked: Vec<Checked>,
}

/// The policies of one file, and what was found while reading it.
#[derive(Debug)]
pub(super) struct PolicyFile {
    pub(super) file: File,
    pub(super) written: Vec<Written>,
    pub(super) findings: Vec<Diagnostic>,
}

impl PolicyFile {
    /// Parses a file of `policies/` and gives every policy its id.
    pub(super) fn parse(file: &File) -> Self {
        let mut this = Self { file: file.clone(), written: Vec::new(), findings: Vec::new() };
        if bounds::holds(file, Language::Policies, &mut this.findings) {
            match file.text.parse::<PolicySet>() {
                Ok(set) => this.written = named(&set, file, &mut this.findings),
                Err(errors) => this.findings.extend(errors.iter().map(|error| parse_finding(error, file))),
            }
        }
        this
    }

    /// Parses the file again, for the trees.
    pub(super) fn grow_trees(&mut self) {
        let again = Self::parse(&self.file).written;
        for (written, again) in self.written.iter_mut().zip(again) {
            written.tree = again.tree;
        }
    }

    /// Lets the trees go.
    pub(super) fn fell_trees(&mut self) {
        for written in &mut self.written {
            written.tree = None;
        }
    }
}

fn parse_finding(error: &cedar_policy::ParseError, file: &File) -> Diagnostic {
    let finding = finding("policy::parse", error, file);
    match finding.help {
        Some(_) => finding,
        None => finding
            .help("fix the syntax at the marked place; the other policies of this file were not looked at"),
    }
}

fn named(set: &PolicySet, file: &File, findings: &mut Vec<Diagnostic>) -> Vec<Written> {
    for template in set.templates() {
        let spot = file.text.find('?').unwrap_or(0);
        findings.push(
            Diagnostic::error(
                "policy::template",
                format!("`{}` is a template, and bundles have no links", template.id()),
            )
            .at(file, spot..spot + 1, "slot")
            .help("name the principal and the resource in the scope, or use a group"),
        );
    }
    let mut policies: Vec<(Range<usize>, &Policy)> =
        set.policies().map(|policy| (cedar::span_of(policy).unwrap_or(0..0), policy)).collect();
    policies.sort_by_key(|(span, _)| span.start);
    let mut written = Vec::new();
    for (place, (span, policy)) in policies.into_iter().enumerate() {
        check_annotations(policy, file, &span, findings);
        let id = match policy.annotation("id") {
            Some(id) if id.is_empty() || id.len() > ID_LEN_MAX || id.chars().any(char::is_control) => {
                findings.push(
                    Diagnostic::error(
                        "policy::id",
                        format!("an `@id` has 1 to {ID_LEN_MAX} printable characters"),
                    )
                    .at(file, span.clone(), "this policy")
                    .help("shorten the id; it stands in every answer and record"),
                );
                continue;
            }
            Some(id) => id.to_owned(),
            None => format!("{}#{place}", file.path),
        };
        let obligations = obligations::read(policy, &id, file, &span, findings);
        written.push(Written::of(policy.new_id(PolicyId::new(id)), file, span, obligations));
    }
    written
}

fn check_annotations(policy: &Policy, file: &File, span: &Range<usize>, findings: &mut Vec<Diagnostic>) {
    for (name, why) in REFUSED_ANNOTATIONS {
        if policy.annotation(name).is_some() {
            let at = place_of_annotation(name, file, span);
            findings.push(
                Diagnostic::error("policy::annotation", format!("`@{name}` is not supported"))
                    .at(file, at, "this annotation")
                    .help(why),
            );
        }
    }
}

/// Where an annotation of a policy stands, `@` included.
pub(super) fn place_of_annotation(name: &str, file: &File, span: &Range<usize>) -> Range<usize> {
    let start = file.text.get(span.clone()).and_then(|text| text.find(&format!("@{name}"))).unwrap_or(0);
    span.start + start..span.start + start + name.len() + 1
}

/// Ids that stand twice, in whatever files.
pub(super) fn refuse_duplicates(files: &[&PolicyFile], findings: &mut Vec<Diagnostic>) {
    let mut first: HashMap<&str, &Rule> = HashMap::new();
    for written in files.iter().flat_map(|file| &file.written) {
        let rule = written.rule.as_ref();
        if let Some(earlier) = first.insert(&rule.info.id, rule) {
            let (id, PolicyInfo { path, line, .. }) = (&rule.info.id, earlier.info.as_ref());
            findings.push(
                Diagnostic::error("policy::duplicate-id", format!("the policy id `{id}` is used twice"))
                    .at(rule.file(), rule.span(), "the second")
                    .help(format!("the first stands in {path} line {line}; give one of them another `@id`")),
            );
            first.insert(&rule.info.id, earlier);
        }
    }
}

/// The actions that policies name and that neither the schema nor the catalog has, but that look like tools.
/// They stay nameable, apply to nothing, and are warned about: a tool that its server dropped must not make a bundle
/// unloadable. Calls to such a tool are denied as unknown before any policy is asked.
pub(super) fn tombstones(
    files: &[&PolicyFile],
    known: &dyn Fn(&str) -> bool,
    nearest: &dyn Fn(&str) -> Option<String>,
    findings: &mut Vec<Diagnostic>,
) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    for Written { rule, actions, .. } in files.iter().flat_map(|file| &file.written) {
        for uid in actions.iter().map(cedar::uid_of_core) {
            if uid.kind != "Action" || known(&uid.id) || !looks_like_a_tool(&uid.id) {
                continue;
            }
            let start = rule.span().start + rule.text().find(&format!("\"{}\"", uid.id)).unwrap_or(0);
            let help = match nearest(&uid.id) {
                Some(name) => {
                    format!("did you mean `{name}`? If the server dropped the tool, remove the rule")
                }
                None => "capture the server's tools again, or remove the rule".into(),
            };
            findings.push(
                Diagnostic::warning("policy::tombstone", format!("the catalog has no tool `{}`", uid.id))
                    .at(rule.file(), start..start + uid.id.len() + 2, "this rule can never apply to it")
                    .help(help),
            );
            missing.insert(uid.id.into());
        }
    }
    missing
}

fn looks_like_a_tool(id: &str) -> bool {
    id.split_once('/').is_some_and(|(server, tool)| {
        !tool.is_empty() && !crate::catalog::RESERVED_SERVER_IDS.contains(&server)
    })
}

impl Written {
    fn of(policy: Policy, file: &File, span: Range<usize>, obligations: Arc<[Obligation]>) -> Self {
        let (line, column) = file.position(span.start);
        // What it demands is told apart, and only to those who can do it.
        let told = policy.annotations().filter(|(name, _)| *name != obligations::ANNOTATION);
        let annotations = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let info = PolicyInfo {
            id: policy.id().to_string().into(),
            effect: match policy.effect() {
                cedar_policy::Effect::Permit => Effect::Permit,
                cedar_policy::Effect::Forbid => Effect::Forbid,
            },
            annotations: Arc::new(annotations.collect()),
            obligations,
            path: file.path.clone(),
            line,
            column,
        };
        let named = policy.entity_literals().into_iter().map(cedar::core_uid);
        Self {
            rule: Arc::new(Rule::of(policy.as_ref(), info, file, span)),
            actions: named.filter(EntityUID::is_action).collect(),
            tree: Some(policy),
            checked: Vec::new(),
        }
    }
}
