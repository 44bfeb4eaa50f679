//! The policies of a bundle: parsed, named, and held strictly against the schema.
//! Never drops a policy silently: what cannot be honoured is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Policy, PolicyId, PolicySet, Schema, ValidationMode, ValidationWarning, Validator,
};

use super::bounds::{self, Language};
use super::cedar;
use super::rule::Rule;
use super::schema::{TOOL_GROUP_ACTION, finding};
use super::snapshot::PolicyInfo;
use crate::access::Effect;
use crate::diagnostic::{Diagnostic, File, chain};

/// The longest policy id.
const ID_LEN_MAX: usize = 128;

/// Annotations that promise behaviour which does not exist yet: honouring them halfway would permit too much.
const REFUSED_ANNOTATIONS: [(&str, &str); 2] = [
    ("mode", "shadow mode does not exist yet: remove the annotation, or keep the policy out of the bundle"),
    ("obligation", "obligations do not exist yet: a permit that carries one would be given without it"),
];

/// A policy with the file it came from.
pub(super) struct Written {
    pub(super) policy: Policy,
    pub(super) file: File,
    pub(super) span: std::ops::Range<usize>,
}

/// Parses the files of `policies/` and gives every policy its id.
pub(super) fn parse(files: &[&File], findings: &mut Vec<Diagnostic>) -> Vec<Written> {
    let mut written: Vec<Written> = Vec::new();
    for file in files {
        if !bounds::holds(file, Language::Policies, findings) {
            continue;
        }
        match file.text.parse::<PolicySet>() {
            Ok(set) => written.extend(named(&set, file, findings)),
            Err(errors) => {
                findings.extend(errors.iter().map(|error| parse_finding(error, file)));
            }
        }
    }
    refuse_duplicates(&written, findings);
    written
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
    let mut policies: Vec<(std::ops::Range<usize>, &Policy)> =
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
        written.push(Written { policy: policy.new_id(PolicyId::new(id)), file: file.clone(), span });
    }
    written
}

fn check_annotations(
    policy: &Policy,
    file: &File,
    span: &std::ops::Range<usize>,
    findings: &mut Vec<Diagnostic>,
) {
    for (name, why) in REFUSED_ANNOTATIONS {
        if policy.annotation(name).is_some() {
            let start =
                file.text.get(span.clone()).and_then(|text| text.find(&format!("@{name}"))).unwrap_or(0);
            let at = span.start + start..span.start + start + name.len() + 1;
            findings.push(
                Diagnostic::error("policy::annotation", format!("`@{name}` is not supported"))
                    .at(file, at, "this annotation")
                    .help(why),
            );
        }
    }
}

fn refuse_duplicates(written: &[Written], findings: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<String, &Written> = BTreeMap::new();
    for policy in written {
        let id = policy.policy.id().to_string();
        if let Some(earlier) = first.get(&id) {
            let (line, _) = earlier.file.position(earlier.span.start);
            findings.push(
                Diagnostic::error("policy::duplicate-id", format!("the policy id `{id}` is used twice"))
                    .at(&policy.file, policy.span.clone(), "the second")
                    .help(format!(
                        "the first stands in {} line {line}; give one of them another `@id`",
                        earlier.file.path
                    )),
            );
        } else {
            first.insert(id, policy);
        }
    }
}

/// The actions that policies name and that neither the schema nor the catalog has, but that look like tools.
/// They stay nameable, apply to nothing, and are warned about: a tool that its server dropped must not make a bundle
/// unloadable. Calls to such a tool are denied as unknown before any policy is asked.
pub(super) fn tombstones(
    written: &[Written],
    known: &dyn Fn(&str) -> bool,
    nearest: &dyn Fn(&str) -> Option<String>,
    findings: &mut Vec<Diagnostic>,
) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    for policy in written {
        for uid in policy.policy.entity_literals() {
            let uid = cedar::uid_of(&uid);
            if uid.kind != "Action" || known(&uid.id) || !looks_like_a_tool(&uid.id) {
                continue;
            }
            let text = policy.file.text.get(policy.span.clone()).unwrap_or_default();
            let start = policy.span.start + text.find(&format!("\"{}\"", uid.id)).unwrap_or(0);
            let help = match nearest(&uid.id) {
                Some(name) => {
                    format!("did you mean `{name}`? If the server dropped the tool, remove the rule")
                }
                None => "capture the server's tools again, or remove the rule".into(),
            };
            findings.push(
                Diagnostic::warning("policy::tombstone", format!("the catalog has no tool `{}`", uid.id))
                    .at(&policy.file, start..start + uid.id.len() + 2, "this rule can never apply to it")
                    .help(help),
            );
            missing.insert(uid.id);
        }
    }
    missing
}

fn looks_like_a_tool(id: &str) -> bool {
    id.split_once('/').is_some_and(|(server, tool)| {
        !tool.is_empty() && !crate::catalog::RESERVED_SERVER_IDS.contains(&server)
    })
}

/// Validates every policy strictly; `dead` are actions that apply to nothing on purpose.
pub(super) fn validate(
    written: &[Written],
    schema: &Schema,
    dead: &BTreeSet<String>,
    findings: &mut Vec<Diagnostic>,
) {
    let mut set = PolicySet::new();
    let mut by_id: BTreeMap<&PolicyId, &Written> = BTreeMap::new();
    for policy in written {
        if by_id.contains_key(policy.policy.id()) {
            continue;
        }
        if set.add(policy.policy.clone()).is_ok() {
            by_id.insert(policy.policy.id(), policy);
        }
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    // A policy with a type error, or that no action can reach, is called impossible as well: the cause is enough.
    let mut accused: BTreeSet<&PolicyId> = BTreeSet::new();
    for error in result.validation_errors() {
        accused.insert(error.policy_id());
        if let Some(policy) = by_id.get(error.policy_id()) {
            findings.push(validation_finding(Diagnostic::error("policy::type", ""), error, policy));
        } else {
            findings.push(Diagnostic::error("policy::type", chain(error)));
        }
    }
    let mut warnings: Vec<&ValidationWarning> = result.validation_warnings().collect();
    warnings.sort_by_key(|warning| matches!(warning, ValidationWarning::ImpossiblePolicy(_)));
    for warning in warnings {
        let consequence = matches!(
            warning,
            ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_)
        );
        if consequence && !accused.insert(warning.policy_id()) {
            continue;
        }
        if let Some(policy) = by_id.get(warning.policy_id())
            && let Some(found) = warning_finding(warning, policy, dead)
        {
            findings.push(found);
        }
    }
}

fn validation_finding(base: Diagnostic, error: &dyn miette::Diagnostic, policy: &Written) -> Diagnostic {
    let text = chain(error);
    let message = match text.split_once(", ") {
        Some((start, rest)) if start.starts_with("for policy `") => {
            format!("in policy `{}`: {rest}", policy.policy.id())
        }
        Some(_) | None => text,
    };
    let span = error.labels().and_then(|mut l| l.next()).map(|l| l.offset()..l.offset() + l.len());
    let help = error.help().map_or_else(
        || {
            "the schema's types are in schemas/ and, for a tool's `context.input`, in its file under tools/"
                .to_owned()
        },
        |help| help.to_string(),
    );
    Diagnostic { message, ..base }.at(&policy.file, span.unwrap_or(policy.span.clone()), "here").help(help)
}

fn warning_finding(
    warning: &ValidationWarning,
    policy: &Written,
    dead: &BTreeSet<String>,
) -> Option<Diagnostic> {
    match warning {
        ValidationWarning::InvalidActionApplication(_) | ValidationWarning::ImpossiblePolicy(_)
            if names_only_dead_actions(&policy.policy, dead) =>
        {
            None
        }
        ValidationWarning::InvalidActionApplication(_) => {
            let base = Diagnostic::error("policy::scope", "");
            Some(validation_finding(base, warning, policy).help(scope_help(policy)))
        }
        ValidationWarning::ImpossiblePolicy(_)
        | ValidationWarning::MixedScriptString(_)
        | ValidationWarning::BidiCharsInString(_)
        | ValidationWarning::MixedScriptIdentifier(_)
        | ValidationWarning::BidiCharsInIdentifier(_)
        | ValidationWarning::ConfusableIdentifier(_) => {
            Some(validation_finding(Diagnostic::warning("policy::lint", ""), warning, policy))
        }
        _ => Some(validation_finding(Diagnostic::warning("policy::lint", ""), warning, policy)),
    }
}

/// A rule on the group itself is dead, and its author meant something else.
fn scope_help(policy: &Written) -> String {
    match policy.policy.action_constraint() {
        ActionConstraint::Eq(uid) if cedar::uid_of(&uid).id == TOOL_GROUP_ACTION => {
            format!("`{TOOL_GROUP_ACTION}` is a group: write `action in Action::\"{TOOL_GROUP_ACTION}\"`")
        }
        ActionConstraint::Any | ActionConstraint::Eq(_) | ActionConstraint::In(_) => {
            "no action of the scope applies to such a principal and resource: the rule could never hold"
                .into()
        }
    }
}

/// Whether the scope names tombstones only, or the group of tools in a bundle that has none: nothing to complain
/// about, since a catalog may shrink.
fn names_only_dead_actions(policy: &Policy, dead: &BTreeSet<String>) -> bool {
    let is_dead = |uid: &cedar_policy::EntityUid| dead.contains(uid.id().unescaped());
    match policy.action_constraint() {
        ActionConstraint::Any => false,
        ActionConstraint::Eq(uid) => is_dead(&uid) && uid.id().unescaped() != TOOL_GROUP_ACTION,
        ActionConstraint::In(uids) => !uids.is_empty() && uids.iter().all(is_dead),
    }
}

/// A policy as it decides.
pub(super) fn rule(written: &Written) -> Arc<Rule> {
    let Written { policy, file, span } = written;
    let (line, column) = file.position(span.start);
    let info = PolicyInfo {
        id: policy.id().to_string().into(),
        effect: match policy.effect() {
            cedar_policy::Effect::Permit => Effect::Permit,
            cedar_policy::Effect::Forbid => Effect::Forbid,
        },
        annotations: Arc::new(policy.annotations().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()),
        path: file.path.clone(),
        line,
        column,
    };
    Arc::new(Rule::of(policy.as_ref(), info, file, span.clone()))
}
