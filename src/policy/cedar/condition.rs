//! The conditions of policies, ready to be evaluated many times: without places in a text, and with what can be known
//! of them beforehand.
//! Never changes what a condition means.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy_core::ast::{self, BinaryOp, EntityUID, Expr, ExprKind, Literal, UnaryOp, Var};
use cedar_policy_core::expr_builder::ExprBuilder as _;
use smol_str::SmolStr;

/// Members of the context that differ between the two halves of a delegated call.
pub(in crate::policy) const COUNTERPARTS: [&str; 2] = ["actor", "requester"];

/// The member of a tool's context that holds its typed arguments.
pub(in crate::policy) const INPUT: &str = "input";

/// The member of the context that holds the instant of the decision.
pub(in crate::policy) const NOW: &str = "now";

/// The member of the context that holds what a verified token says.
pub(in crate::policy) const TOKEN: &str = "token";

/// The member of the context that holds the task that a call belongs to.
pub(in crate::policy) const TASK: &str = "task";

/// Members of the context that are made when something looks at them: making one costs more than most conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::policy) struct Late {
    /// The instant of the decision.
    pub(in crate::policy) now: bool,
    /// The token.
    pub(in crate::policy) token: bool,
    /// The task.
    pub(in crate::policy) task: bool,
}

impl Late {
    /// All of them.
    const ALL: Self = Self { now: true, token: true, task: true };

    /// The one of that name, or none.
    pub(in crate::policy) fn named(name: &str) -> Self {
        Self { now: name == NOW, token: name == TOKEN, task: name == TASK }
    }

    /// Those of either.
    #[must_use]
    pub(in crate::policy) fn or(self, other: Self) -> Self {
        Self { now: self.now || other.now, token: self.token || other.token, task: self.task || other.task }
    }
}

/// With what the value of a condition can differ, on one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Differs {
    /// Only with the principal: it has one value in all questions about that party.
    Party,
    /// Only with action, resource and context: both halves of a delegated call give it one value.
    Question,
    /// With either.
    Both,
}

/// What a policy asks beyond its scope: its `when` and `unless` as one expression.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Condition {
    /// None when there is nothing to ask.
    pub(in crate::policy) expression: Option<Expr>,
    /// What its value can differ with.
    pub(in crate::policy) differs: Differs,
    /// Whether it looks at the arguments of a tool, whose types differ from tool to tool.
    pub(in crate::policy) reads_input: bool,
    /// Which late members of the context it looks at.
    pub(in crate::policy) reads: Late,
    /// The entities that it names.
    pub(in crate::policy) names: Box<[Arc<EntityUID>]>,
    /// How many entities in a chain it may look into: `principal.owner.active` looks into two.
    pub(in crate::policy) depth: usize,
}

impl Condition {
    /// The condition of a policy.
    pub(in crate::policy) fn of(policy: &ast::Policy) -> Self {
        let Some(expression) = policy.non_scope_constraints().map(bare) else {
            return Self::nothing();
        };
        let mut survey =
            Survey { differs: None, reads_input: false, reads: Late::default(), names: HashSet::new() };
        let depth = survey.visit(&expression);
        let Survey { differs, reads_input, reads, names } = survey;
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        Self {
            differs: differs.unwrap_or(Differs::Question),
            reads_input,
            reads,
            names: names.into(),
            depth,
            expression: Some(expression),
        }
    }

    /// Asks for nothing.
    fn nothing() -> Self {
        Self {
            expression: None,
            differs: Differs::Question,
            reads_input: false,
            reads: Late::default(),
            names: Box::new([]),
            depth: 0,
        }
    }
}

/// One walk over an expression.
struct Survey {
    differs: Option<Differs>,
    reads_input: bool,
    reads: Late,
    names: HashSet<Arc<EntityUID>>,
}

impl Survey {
    fn differ(&mut self, with: Differs) {
        self.differs = Some(match self.differs {
            Some(before) if before != with => Differs::Both,
            Some(_) | None => with,
        });
    }

    /// How many entities in a chain the expression may look into.
    fn visit(&mut self, expr: &Expr) -> usize {
        match expr.expr_kind() {
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                self.names.insert(uid.clone());
                0
            }
            ExprKind::Lit(_) => 0,
            ExprKind::Slot(_) | ExprKind::Unknown(_) | ExprKind::Var(Var::Action | Var::Resource) => {
                self.differ(Differs::Question);
                0
            }
            ExprKind::Var(Var::Principal) => {
                self.differ(Differs::Party);
                0
            }
            ExprKind::Var(Var::Context) => {
                self.differ(Differs::Both);
                (self.reads_input, self.reads) = (true, Late::ALL);
                0
            }
            ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => {
                self.member(expr, attr).unwrap_or_else(|| 1 + self.visit(expr))
            }
            ExprKind::ExtHasAttr { expr, attrs } => {
                let further = attrs.len();
                self.member(expr, attrs.first()).map_or_else(|| further + self.visit(expr), |_| further)
            }
            ExprKind::If { test_expr, then_expr, else_expr } => {
                self.visit(test_expr).max(self.visit(then_expr)).max(self.visit(else_expr))
            }
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                self.visit(left).max(self.visit(right))
            }
            ExprKind::BinaryApp { op: BinaryOp::In | BinaryOp::GetTag | BinaryOp::HasTag, arg1, arg2 } => {
                (1 + self.visit(arg1)).max(self.visit(arg2))
            }
            ExprKind::BinaryApp { op: _, arg1, arg2 } => self.visit(arg1).max(self.visit(arg2)),
            ExprKind::UnaryApp { op: _, arg: expr }
            | ExprKind::Like { expr, .. }
            | ExprKind::Is { expr, .. } => self.visit(expr),
            ExprKind::ExtensionFunctionApp { fn_name: _, args: items } | ExprKind::Set(items) => {
                items.iter().map(|item| self.visit(item)).max().unwrap_or(0)
            }
            ExprKind::Record(members) => members.values().map(|item| self.visit(item)).max().unwrap_or(0),
        }
    }

    /// A member of the context: not an entity's, and the same in both halves unless it names the other party.
    fn member(&mut self, of: &Expr, name: &str) -> Option<usize> {
        let of_context = matches!(of.expr_kind(), ExprKind::Var(Var::Context));
        if of_context {
            let counterpart = COUNTERPARTS.contains(&name);
            self.differ(if counterpart { Differs::Both } else { Differs::Question });
        }
        self.reads_input |= of_context && name == INPUT;
        if of_context {
            self.reads = self.reads.or(Late::named(name));
        }
        of_context.then_some(0)
    }
}

/// The same expression without its places in a text: evaluating copies a place at every step, and equal conditions of
/// different policies become one.
fn bare(expr: &Expr) -> Expr {
    let build = ast::ExprBuilder::<()>::new;
    match expr.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => {
            let (kind, id) = uid.as_ref().clone().components();
            build().val(EntityUID::from_components(kind.with_loc(None), id, None))
        }
        ExprKind::Lit(literal) => build().val(literal.clone()),
        ExprKind::Var(var) => build().var(*var),
        ExprKind::Slot(slot) => build().slot(*slot),
        ExprKind::Unknown(unknown) => build().unknown(unknown.clone()),
        ExprKind::If { test_expr, then_expr, else_expr } => {
            build().ite(bare(test_expr), bare(then_expr), bare(else_expr))
        }
        ExprKind::And { left, right } => build().and(bare(left), bare(right)),
        ExprKind::Or { left, right } => build().or(bare(left), bare(right)),
        ExprKind::UnaryApp { op, arg } => match op {
            UnaryOp::Not => build().not(bare(arg)),
            UnaryOp::Neg => build().neg(bare(arg)),
            UnaryOp::IsEmpty => build().is_empty(bare(arg)),
        },
        ExprKind::BinaryApp { op, arg1, arg2 } => build().binary_app(*op, bare(arg1), bare(arg2)),
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            let Ok(call) = build().call_extension_fn(fn_name.clone(), args.iter().map(bare));
            call
        }
        ExprKind::GetAttr { expr, attr } => build().get_attr(bare(expr), attr.clone()),
        ExprKind::HasAttr { expr, attr } => build().has_attr(bare(expr), attr.clone()),
        ExprKind::ExtHasAttr { expr, attrs } => build().extended_has_attr(bare(expr), attrs.clone()),
        ExprKind::Like { expr, pattern } => build().like(bare(expr), pattern.clone()),
        ExprKind::Is { expr, entity_type } => build().is_entity_type(bare(expr), entity_type.clone()),
        ExprKind::Set(items) => build().set(items.iter().map(bare)),
        ExprKind::Record(members) => {
            let members = members.iter().map(|(name, item)| (name.clone(), bare(item)));
            // Names are unique already; a record that could not be rebuilt stays as it is.
            build().record(members).unwrap_or_else(|_| expr.clone())
        }
    }
}

/// A member of the context: the names that lead to it, each with whether the condition has made sure, before it looks,
/// that the member is there.
pub(in crate::policy) type Path = Vec<(SmolStr, bool)>;

/// A condition that begins by comparing a member of the context with a literal. What it did before cannot fail, so
/// that the condition is false, and nothing else, wherever the member has another value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::policy) struct Opening {
    pub(in crate::policy) path: Path,
    pub(in crate::policy) literal: Literal,
}

impl Opening {
    /// How a condition opens, if it opens so. It may ask first whether the member is there.
    pub(in crate::policy) fn of(condition: &Condition) -> Option<Self> {
        let mut conjuncts = Vec::new();
        flatten(condition.expression.as_ref()?, &mut conjuncts);
        let mut guards: Vec<Vec<SmolStr>> = Vec::new();
        for conjunct in conjuncts {
            match conjunct.expr_kind() {
                ExprKind::HasAttr { expr, attr } => {
                    guard(&mut guards, path_of(expr)?, std::iter::once(attr))?;
                }
                ExprKind::ExtHasAttr { expr, attrs } => guard(&mut guards, path_of(expr)?, attrs)?,
                ExprKind::BinaryApp { op: BinaryOp::Eq, arg1, arg2 } => {
                    let (path, literal) = match (arg1.expr_kind(), arg2.expr_kind()) {
                        (_, ExprKind::Lit(literal)) => (path_of(arg1)?, literal),
                        (ExprKind::Lit(literal), _) => (path_of(arg2)?, literal),
                        _ => return None,
                    };
                    return opening(&guards, path, literal);
                }
                _ => return None,
            }
        }
        None
    }
}

/// Adds what a question for members makes sure of. None when the question itself could fail.
fn guard<'a>(
    guards: &mut Vec<Vec<SmolStr>>,
    base: Vec<SmolStr>,
    members: impl IntoIterator<Item = &'a SmolStr>,
) -> Option<()> {
    if !base.is_empty() && !guards.contains(&base) {
        return None;
    }
    let mut path = base;
    for member in members {
        path.push(member.clone());
        guards.push(path.clone());
    }
    Some(())
}

fn opening(guards: &[Vec<SmolStr>], path: Vec<SmolStr>, literal: &Literal) -> Option<Opening> {
    // A question below a member fails when that member is no record. On the path itself we see that; elsewhere not.
    let elsewhere = |guard: &Vec<SmolStr>| guard.len() > 1 && !path.starts_with(guard);
    if path.is_empty() || guards.iter().any(elsewhere) {
        return None;
    }
    let guarded: Vec<bool> = (1..=path.len())
        .map(|length| guards.iter().any(|guard| Some(guard.as_slice()) == path.get(..length)))
        .collect();
    Some(Opening { path: path.into_iter().zip(guarded).collect(), literal: literal.clone() })
}

/// `a && b && c` in the order of evaluation.
fn flatten<'e>(expr: &'e Expr, conjuncts: &mut Vec<&'e Expr>) {
    match expr.expr_kind() {
        ExprKind::And { left, right } => {
            flatten(left, conjuncts);
            flatten(right, conjuncts);
        }
        _ => conjuncts.push(expr),
    }
}

/// The names in `context.a.b`; empty for `context` itself.
fn path_of(expr: &Expr) -> Option<Vec<SmolStr>> {
    match expr.expr_kind() {
        ExprKind::Var(Var::Context) => Some(Vec::new()),
        ExprKind::GetAttr { expr, attr } => {
            let mut path = path_of(expr)?;
            path.push(attr.clone());
            Some(path)
        }
        _ => None,
    }
}
