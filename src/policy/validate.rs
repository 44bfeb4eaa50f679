//! The policies of a bundle held strictly against its schema: each once for every kind of request that it could be asked
//! about, and not again while neither it nor that kind of request changed.
//! Never lets a policy pass that Cedar's validator would not: whatever is not plainly sound is given to it whole.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Policy, PolicyId, PolicySet, Schema, ValidationMode, ValidationWarning, Validator,
};
use sha2::{Digest as _, Sha256};

use super::cedar::{self, Action, Check, Checker, EntityUID};
use super::policies::{PolicyFile, Written};
use super::rule::Rule;
use super::schema::TOOL_GROUP_ACTION;
use crate::diagnostic::{Diagnostic, File, chain};

/// A kind of request, named by everything that the verdict on a policy depends on: the schema's own files, and the
/// action, or, for a tool, no more of it than the policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind([u8; 16]);

/// That a policy is well typed for a kind of request, and whether it can hold there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    kind: Kind,
    holds: bool,
}

/// The kinds of requests that a schema with a catalog admits.
pub(super) struct Kinds<'s> {
    schema: &'s Schema,
    checker: Checker<'s>,
    /// Whether everything that the schema names is defined: Cedar's validator accuses every policy otherwise.
    complete: bool,
    /// Names the schema's own files: its types, its written actions and their groups.
    base: [u8; 32],
    actions: HashSet<&'s EntityUID>,
    /// The actions that the schema's own files write, each with the groups above it.
    written: Vec<(Kind, &'s EntityUID, HashSet<&'s EntityUID>)>,
    /// The tools' actions, each with what names the types of its arguments.
    tools: Vec<(EntityUID, [u8; 32])>,
    places: HashMap<EntityUID, usize>,
    /// The groups that hold every tool.
    above_tools: HashSet<&'s EntityUID>,
}

impl<'s> Kinds<'s> {
    /// `tools` are the actions that the catalog adds, with the form of their arguments' types.
    pub(super) fn of(schema: &'s Schema, base: [u8; 32], tools: &[(EntityUID, String)]) -> Self {
        let checker = Checker::new(schema);
        let actions: HashSet<&EntityUID> = checker.actions().collect();
        let places: HashMap<EntityUID, usize> = tools.iter().map(|(uid, _)| uid.clone()).zip(0..).collect();
        let mut above: HashMap<&EntityUID, HashSet<&EntityUID>> = HashMap::new();
        let mut above_tools = HashSet::new();
        for group in actions.iter().copied() {
            // A schema's own action may stand below a tool, which then is a group like any other.
            if !places.contains_key(group) {
                above.entry(group).or_default().insert(group);
            }
            for member in checker.members(group) {
                if places.contains_key(member) {
                    above_tools.insert(group);
                } else {
                    above.entry(member).or_default().insert(group);
                }
            }
        }
        let tools = tools.iter().map(|(uid, form)| (uid.clone(), Sha256::digest(form).into())).collect();
        let (complete, written) = (schema.is_complete(), Vec::new());
        let mut this = Self { schema, checker, complete, base, actions, written, tools, places, above_tools };
        let named = |(action, groups): (&'s EntityUID, _)| {
            (this.kind(&[b"written", action.to_string().as_bytes()]), action, groups)
        };
        this.written = above.into_iter().map(named).collect();
        this
    }

    /// The kinds of requests that a policy could be asked about, each with an action that stands for it.
    fn met_by(&self, policy: &Written) -> BTreeMap<Kind, &EntityUID> {
        let scope = &policy.rule.scope.action;
        let reaches = |groups: &HashSet<&EntityUID>, action: Option<&EntityUID>| match scope {
            Action::Any => true,
            Action::Equal(wanted) => action == Some(wanted.as_ref()),
            Action::In(wanted) => wanted.iter().any(|group| groups.contains(group.as_ref())),
        };
        let written = self.written.iter().filter(|(_, action, groups)| reaches(groups, Some(action)));
        let mut met: BTreeMap<Kind, &EntityUID> = written.map(|(kind, action, _)| (*kind, *action)).collect();
        let reads_input = policy.rule.condition.reads_input;
        let seen = |input: &[u8; 32]| if reads_input { input.to_vec() } else { Vec::new() };
        let named: HashSet<usize> =
            policy.actions.iter().filter_map(|uid| self.places.get(uid).copied()).collect();
        for (action, input) in named.iter().filter_map(|place| self.tools.get(*place)) {
            met.insert(self.kind(&[b"named", action.to_string().as_bytes(), &seen(input)]), action);
        }
        if reaches(&self.above_tools, None) {
            let unnamed = self.tools.iter().zip(0..).filter(|(_, place)| !named.contains(place));
            // One tool stands for all whose arguments are not looked at.
            let standing = if reads_input { usize::MAX } else { 1 };
            for ((action, input), _) in unnamed.take(standing) {
                met.entry(self.kind(&[b"tool", &seen(input)])).or_insert(action);
            }
        }
        met
    }

    fn kind(&self, parts: &[&[u8]]) -> Kind {
        let mut digest = Sha256::new_with_prefix(self.base);
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let mut kind = [0; 16];
        kind.iter_mut().zip(digest.finalize()).for_each(|(place, byte)| *place = byte);
        Kind(kind)
    }

    /// Whether a policy is plainly sound: what it names exists, and it is well typed for every kind of request that it
    /// meets and can hold for one. None when that cannot be said without its tree.
    fn is_sound(&self, policy: &mut Written) -> Option<bool> {
        if !self.complete || policy.actions.iter().any(|action| !self.actions.contains(action)) {
            return Some(false);
        }
        let mut checked = Vec::new();
        let names = self.kind(&[b"names"]);
        let known = |kind: Kind| policy.checked.iter().find(|checked| checked.kind == kind).copied();
        match (known(names), &policy.tree) {
            (Some(sound), _) => checked.push(sound),
            (None, None) => return None,
            (None, Some(tree)) if self.checker.names_are_sound(tree.as_ref()) => {
                checked.push(Checked { kind: names, holds: false });
            }
            (None, Some(_)) => return Some(false),
        }
        for (kind, action) in self.met_by(policy) {
            match (known(kind), &policy.tree) {
                (Some(before), _) => checked.push(before),
                (None, None) => return None,
                (None, Some(tree)) => match self.checker.check(tree.as_ref(), action) {
                    Check::Holds => checked.push(Checked { kind, holds: true }),
                    Check::Never => checked.push(Checked { kind, holds: false }),
                    Check::Faulty => return Some(false),
                },
            }
        }
        let holds = checked.iter().any(|checked| checked.holds);
        policy.checked = checked;
        Some(holds)
    }
}

/// Validates every policy strictly; `dead` are actions that apply to nothing on purpose. Trees are let go as soon as
/// they are not needed any more.
pub(super) fn validate<'f>(
    files: impl IntoIterator<Item = &'f mut PolicyFile>,
    kinds: &Kinds<'_>,
    dead: &BTreeSet<String>,
    findings: &mut Vec<Diagnostic>,
) {
    let mut suspects = Vec::new();
    for file in files {
        let mut suspect = Vec::new();
        let (mut place, mut grown) = (0, false);
        while let Some(policy) = file.written.get_mut(place) {
            match kinds.is_sound(policy) {
                Some(true) => {}
                Some(false) => suspect.push(place),
                None if !grown => {
                    grown = true;
                    file.grow_trees();
                    continue;
                }
                // Nothing can be said for it: let Cedar look at it, or refuse it.
                None => suspect.push(place),
            }
            place += 1;
        }
        if !suspect.is_empty() && file.written.iter().any(|written| written.tree.is_none()) {
            file.grow_trees();
        }
        for place in suspect {
            let Some(written) = file.written.get_mut(place) else { continue };
            match written.tree.take() {
                Some(tree) => suspects.push((tree, written.rule.clone())),
                None => findings.push(unread(&file.file, &written.rule)),
            }
        }
        file.fell_trees();
    }
    if !suspects.is_empty() {
        accuse(&suspects, kinds.schema, dead, findings);
    }
}

/// A policy that cannot be read again: it is not in force unseen.
fn unread(file: &File, rule: &Rule) -> Diagnostic {
    Diagnostic::error("policy::unread", format!("the policy `{}` could not be validated", rule.info.id))
        .in_file(file)
        .help("this is a defect of Palisade: please report it with the policy")
}

/// What Cedar's validator finds about these policies.
pub(super) fn accuse(
    suspects: &[(Policy, Arc<Rule>)],
    schema: &Schema,
    dead: &BTreeSet<String>,
    findings: &mut Vec<Diagnostic>,
) {
    let mut set = PolicySet::new();
    let mut by_id: BTreeMap<&PolicyId, (&Policy, &Rule)> = BTreeMap::new();
    for (policy, rule) in suspects {
        if !by_id.contains_key(policy.id()) && set.add(policy.clone()).is_ok() {
            by_id.insert(policy.id(), (policy, rule));
        }
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    // A policy with a type error, or that no action can reach, is called impossible as well: the cause is enough.
    let mut accused: BTreeSet<&PolicyId> = BTreeSet::new();
    for error in result.validation_errors() {
        accused.insert(error.policy_id());
        if let Some(policy) = by_id.get(error.policy_id()) {
            findings.push(validation_finding(Diagnostic::error("policy::type", ""), error, *policy));
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
            && let Some(found) = warning_finding(warning, *policy, dead)
        {
            findings.push(found);
        }
    }
}

fn validation_finding(
    base: Diagnostic,
    error: &dyn miette::Diagnostic,
    (policy, rule): (&Policy, &Rule),
) -> Diagnostic {
    let text = chain(error);
    let message = match text.split_once(", ") {
        Some((start, rest)) if start.starts_with("for policy `") => {
            format!("in policy `{}`: {rest}", policy.id())
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
    Diagnostic { message, ..base }.at(rule.file(), span.unwrap_or(rule.span()), "here").help(help)
}

fn warning_finding(
    warning: &ValidationWarning,
    (policy, rule): (&Policy, &Rule),
    dead: &BTreeSet<String>,
) -> Option<Diagnostic> {
    match warning {
        ValidationWarning::InvalidActionApplication(_) | ValidationWarning::ImpossiblePolicy(_)
            if names_only_dead_actions(policy, dead) =>
        {
            None
        }
        ValidationWarning::InvalidActionApplication(_) => {
            let base = Diagnostic::error("policy::scope", "");
            Some(validation_finding(base, warning, (policy, rule)).help(scope_help(policy)))
        }
        ValidationWarning::ImpossiblePolicy(_)
        | ValidationWarning::MixedScriptString(_)
        | ValidationWarning::BidiCharsInString(_)
        | ValidationWarning::MixedScriptIdentifier(_)
        | ValidationWarning::BidiCharsInIdentifier(_)
        | ValidationWarning::ConfusableIdentifier(_) => {
            Some(validation_finding(Diagnostic::warning("policy::lint", ""), warning, (policy, rule)))
        }
        _ => Some(validation_finding(Diagnostic::warning("policy::lint", ""), warning, (policy, rule))),
    }
}

/// A rule on the group itself is dead, and its author meant something else.
fn scope_help(policy: &Policy) -> String {
    match policy.action_constraint() {
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
