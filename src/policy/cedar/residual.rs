//! Conditions of which something is not known yet: what they come to all the same, or what is left to ask.
//! Never says that something holds or fails when it could still come out otherwise without failing.

use std::collections::BTreeSet;

use cedar_policy_core::ast::{self, Expr, ExprKind, Literal, UnaryOp, Value, ValueKind, Var};
use cedar_policy_core::evaluator::EvaluationError;
use cedar_policy_core::expr_builder::ExprBuilder as _;

use super::condition::Condition;
use super::evaluate::Evaluation;

/// The members of the context that nobody knows yet, by name.
pub(in crate::policy) type Blanks = BTreeSet<String>;

/// What a condition comes to while members of the context are not known.
#[derive(Debug, Clone)]
pub(in crate::policy) enum Leaning {
    /// It holds, or cannot be evaluated, whatever they turn out to be.
    Holds,
    /// It does not hold, whatever they turn out to be.
    Fails,
    /// It cannot be evaluated, whatever they turn out to be.
    Errs,
    /// This is left to ask.
    Open(Expr),
}

/// The longest set that is written out where a value is known.
const SET_SHOWN_MAX: usize = 8;

/// What an expression comes to. An operand that is not known may fail to evaluate, so that `Known` means: this, or a failure.
enum Part {
    Known(Value),
    Errs,
    Open(Expr),
}

impl Evaluation<'_> {
    /// What a condition comes to while these members of the context are not known.
    pub(in crate::policy) fn lean(&self, condition: &Condition, blanks: &Blanks) -> Leaning {
        let Some(expression) = &condition.expression else { return Leaning::Holds };
        if !reads(expression, blanks) {
            return self.holds(condition).into();
        }
        match self.look(expression, blanks) {
            Part::Known(value) => match truth(&value) {
                Some(true) => Leaning::Holds,
                Some(false) => Leaning::Fails,
                None => Leaning::Errs,
            },
            Part::Errs => Leaning::Errs,
            Part::Open(expression) => Leaning::Open(expression),
        }
    }

    fn look(&self, expr: &Expr, blanks: &Blanks) -> Part {
        if !reads(expr, blanks) {
            return self.value(expr).map_or(Part::Errs, Part::Known);
        }
        match expr.expr_kind() {
            ExprKind::And { left, right } => self.joined(left, right, false, blanks),
            ExprKind::Or { left, right } => self.joined(left, right, true, blanks),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                self.branch(test_expr, then_expr, else_expr, blanks)
            }
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => match self.look(arg, blanks) {
                Part::Known(value) => truth(&value).map_or(Part::Errs, |truth| known(!truth)),
                Part::Open(arg) => Part::Open(build().not(arg)),
                Part::Errs => Part::Errs,
            },
            ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => {
                Part::Open(expr.clone())
            }
            ExprKind::GetAttr { expr: of, .. }
            | ExprKind::HasAttr { expr: of, .. }
            | ExprKind::ExtHasAttr { expr: of, .. }
                if is_context(of) =>
            {
                Part::Open(expr.clone())
            }
            // What is left evaluates all of its operands.
            ExprKind::UnaryApp { .. }
            | ExprKind::BinaryApp { .. }
            | ExprKind::ExtensionFunctionApp { .. }
            | ExprKind::GetAttr { .. }
            | ExprKind::HasAttr { .. }
            | ExprKind::ExtHasAttr { .. }
            | ExprKind::Like { .. }
            | ExprKind::Is { .. }
            | ExprKind::Set(_)
            | ExprKind::Record(_) => self.operands(expr, blanks).map_or(Part::Errs, Part::Open),
        }
    }

    /// `left && right` where `settles` is false, `left || right` where it is true.
    fn joined(&self, left: &Expr, right: &Expr, settles: bool, blanks: &Blanks) -> Part {
        let join = |left, right| if settles { build().or(left, right) } else { build().and(left, right) };
        match self.look(left, blanks) {
            Part::Errs => Part::Errs,
            Part::Known(value) => match truth(&value) {
                None => Part::Errs,
                Some(truth) if truth == settles => known(settles),
                Some(_) => self.look(right, blanks),
            },
            Part::Open(left) => match self.look(right, blanks) {
                Part::Known(value) => match truth(&value) {
                    Some(truth) if truth == settles => known(settles),
                    Some(_) => Part::Open(left),
                    None => Part::Open(join(left, right.clone())),
                },
                Part::Errs => Part::Open(join(left, right.clone())),
                Part::Open(right) => Part::Open(join(left, right)),
            },
        }
    }

    fn branch(&self, test: &Expr, then: &Expr, otherwise: &Expr, blanks: &Blanks) -> Part {
        match self.look(test, blanks) {
            Part::Errs => Part::Errs,
            Part::Known(value) => match truth(&value) {
                None => Part::Errs,
                Some(true) => self.look(then, blanks),
                Some(false) => self.look(otherwise, blanks),
            },
            Part::Open(test) => match (self.look(then, blanks), self.look(otherwise, blanks)) {
                (Part::Known(a), Part::Known(b)) if a == b => Part::Known(a),
                (Part::Errs, Part::Errs) => Part::Errs,
                (a, b) => Part::Open(build().ite(test, a.written(then), b.written(otherwise))),
            },
        }
    }

    /// The expression with what is known of its operands written in. None when one of them cannot be evaluated.
    fn operands(&self, expr: &Expr, blanks: &Blanks) -> Option<Expr> {
        let look = |operand: &Expr| match self.look(operand, blanks) {
            Part::Errs => None,
            part => Some(part.written(operand)),
        };
        Some(match expr.expr_kind() {
            ExprKind::UnaryApp { op, arg } => match op {
                UnaryOp::Not => build().not(look(arg)?),
                UnaryOp::Neg => build().neg(look(arg)?),
                UnaryOp::IsEmpty => build().is_empty(look(arg)?),
            },
            ExprKind::BinaryApp { op, arg1, arg2 } => build().binary_app(*op, look(arg1)?, look(arg2)?),
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                let args = args.iter().map(look).collect::<Option<Vec<_>>>()?;
                let Ok(call) = build().call_extension_fn(fn_name.clone(), args);
                call
            }
            ExprKind::GetAttr { expr, attr } => build().get_attr(look(expr)?, attr.clone()),
            ExprKind::HasAttr { expr, attr } => build().has_attr(look(expr)?, attr.clone()),
            ExprKind::ExtHasAttr { expr, attrs } => build().extended_has_attr(look(expr)?, attrs.clone()),
            ExprKind::Like { expr, pattern } => build().like(look(expr)?, pattern.clone()),
            ExprKind::Is { expr, entity_type } => build().is_entity_type(look(expr)?, entity_type.clone()),
            ExprKind::Set(items) => build().set(items.iter().map(look).collect::<Option<Vec<_>>>()?),
            ExprKind::Record(members) => {
                let member = |(name, item): (&smol_str::SmolStr, &Expr)| Some((name.clone(), look(item)?));
                let members = members.iter().map(member).collect::<Option<Vec<_>>>()?;
                build().record(members).unwrap_or_else(|_| expr.clone())
            }
            ExprKind::Lit(_)
            | ExprKind::Var(_)
            | ExprKind::Slot(_)
            | ExprKind::Unknown(_)
            | ExprKind::If { .. }
            | ExprKind::And { .. }
            | ExprKind::Or { .. } => expr.clone(),
        })
    }
}

impl Condition {
    /// Whether it looks at a member of the context that is not known.
    pub(in crate::policy) fn reads(&self, blanks: &Blanks) -> bool {
        self.expression.as_ref().is_some_and(|expression| reads(expression, blanks))
    }

    /// Whether it could look at such a member and take its absence for an answer: evaluation without the member does not fail then.
    pub(in crate::policy) fn is_blind_to(&self, blanks: &Blanks) -> bool {
        let Some(expression) = &self.expression else { return false };
        // Each look at the context that is for one member, against each at all.
        let (mut of_one, mut at_all) = (0, 0);
        for part in expression.subexpressions() {
            match part.expr_kind() {
                ExprKind::Var(Var::Context) => at_all += 1,
                ExprKind::GetAttr { expr, .. } if is_context(expr) => of_one += 1,
                ExprKind::HasAttr { expr, attr } if is_context(expr) && !blanks.contains(attr.as_str()) => {
                    of_one += 1;
                }
                ExprKind::ExtHasAttr { expr, attrs }
                    if is_context(expr) && !blanks.contains(attrs.first().as_str()) =>
                {
                    of_one += 1;
                }
                _ => {}
            }
        }
        of_one != at_all
    }
}

impl From<Result<bool, Box<EvaluationError>>> for Leaning {
    fn from(held: Result<bool, Box<EvaluationError>>) -> Self {
        match held {
            Ok(true) => Self::Holds,
            Ok(false) => Self::Fails,
            Err(_) => Self::Errs,
        }
    }
}

impl Part {
    /// As an operand: its value where that is short, else the expression that it is of.
    fn written(self, expr: &Expr) -> Expr {
        match self {
            Self::Open(open) => open,
            Self::Known(value) if is_short(&value) => Expr::from(value),
            Self::Known(_) | Self::Errs => expr.clone(),
        }
    }
}

/// Whether an expression looks at something that is not known.
fn reads(expr: &Expr, blanks: &Blanks) -> bool {
    if blanks.is_empty() {
        return false;
    }
    match expr.expr_kind() {
        ExprKind::Lit(_) | ExprKind::Slot(_) => false,
        ExprKind::Var(Var::Principal | Var::Action | Var::Resource) => false,
        ExprKind::Var(Var::Context) | ExprKind::Unknown(_) => true,
        ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } if is_context(expr) => {
            blanks.contains(attr.as_str())
        }
        ExprKind::ExtHasAttr { expr, attrs } if is_context(expr) => blanks.contains(attrs.first().as_str()),
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
        | ExprKind::Like { expr, .. }
        | ExprKind::Is { expr, .. } => reads(expr, blanks),
        ExprKind::UnaryApp { op: _, arg } => reads(arg, blanks),
        ExprKind::If { test_expr, then_expr, else_expr } => {
            reads(test_expr, blanks) || reads(then_expr, blanks) || reads(else_expr, blanks)
        }
        ExprKind::And { left, right } | ExprKind::Or { left, right } => {
            reads(left, blanks) || reads(right, blanks)
        }
        ExprKind::BinaryApp { op: _, arg1, arg2 } => reads(arg1, blanks) || reads(arg2, blanks),
        ExprKind::ExtensionFunctionApp { fn_name: _, args: items } | ExprKind::Set(items) => {
            items.iter().any(|item| reads(item, blanks))
        }
        ExprKind::Record(members) => members.values().any(|item| reads(item, blanks)),
    }
}

/// An expression in Cedar's language, on one line.
pub(in crate::policy) fn text(expr: &Expr) -> String {
    expr.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr.expr_kind(), ExprKind::Var(Var::Context))
}

fn is_short(value: &Value) -> bool {
    match value.value_kind() {
        ValueKind::Lit(_) | ValueKind::ExtensionValue(_) => true,
        ValueKind::Set(set) => {
            set.len() <= SET_SHOWN_MAX
                && set.iter().all(|item| matches!(item.value_kind(), ValueKind::Lit(_)))
        }
        ValueKind::Record(_) => false,
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value.value_kind() {
        ValueKind::Lit(Literal::Bool(truth)) => Some(*truth),
        ValueKind::Lit(_) | ValueKind::Set(_) | ValueKind::Record(_) | ValueKind::ExtensionValue(_) => None,
    }
}

fn known(truth: bool) -> Part {
    Part::Known(truth.into())
}

fn build() -> ast::ExprBuilder<()> {
    ast::ExprBuilder::<()>::new()
}

#[cfg(test)]
mod tests;
