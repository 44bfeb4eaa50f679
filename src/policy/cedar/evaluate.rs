//! Conditions, evaluated by Cedar's own interpreter.
//! Never interprets anything itself.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::Policy;
use cedar_policy_core::ast::{self, Context, EntityUID, EntityUIDEntry, Expr, Literal, Request, ValueKind};
use cedar_policy_core::entities::Entities;
use cedar_policy_core::evaluator::{EvaluationError, Evaluator};
use cedar_policy_core::extensions::Extensions;

use super::condition::Condition;
use super::value::Record;

/// What conditions are evaluated for.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Asked {
    pub(in crate::policy) principal: Arc<EntityUID>,
    pub(in crate::policy) action: Arc<EntityUID>,
    pub(in crate::policy) resource: Arc<EntityUID>,
    pub(in crate::policy) context: Arc<Record>,
}

impl Asked {
    /// As Cedar's request, not held against a schema again.
    pub(in crate::policy) fn request(self) -> Request {
        let known = |euid| EntityUIDEntry::Known { euid, loc: None };
        let Self { principal, action, resource, context } = self;
        Request::new_unchecked(
            known(principal),
            known(action),
            known(resource),
            Some(Context::Value(context)),
        )
    }
}

/// One request on one store of entities.
pub(in crate::policy) struct Evaluation<'e> {
    evaluator: Evaluator<'e>,
    slots: ast::SlotEnv,
}

impl<'e> Evaluation<'e> {
    /// Ready to evaluate conditions.
    pub(in crate::policy) fn new(asked: Asked, entities: &'e Entities) -> Self {
        let evaluator = Evaluator::new(asked.request(), entities, Extensions::all_available());
        Self { evaluator, slots: ast::SlotEnv::new() }
    }

    /// What an expression comes to; none when it cannot be evaluated.
    pub(super) fn value(&self, expression: &Expr) -> Option<ast::Value> {
        self.evaluator.interpret(expression, &self.slots).ok()
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    /// Cedar's, when it cannot be evaluated.
    pub(in crate::policy) fn holds(&self, condition: &Condition) -> Result<bool, Box<EvaluationError>> {
        let Some(expression) = &condition.expression else { return Ok(true) };
        match self.evaluator.interpret(expression, &self.slots).map_err(Box::new)?.value_kind() {
            ValueKind::Lit(Literal::Bool(holds)) => Ok(*holds),
            // Let Cedar say what is wrong with something that is neither true nor false.
            ValueKind::Lit(_) | ValueKind::Set(_) | ValueKind::Record(_) | ValueKind::ExtensionValue(_) => {
                let asserted = Expr::and(Expr::val(true), expression.clone());
                self.evaluator.interpret(&asserted, &self.slots).map(|_| false).map_err(Box::new)
            }
        }
    }
}

/// What failed, without the values that it failed on.
pub(in crate::policy) fn error_kind(error: &EvaluationError) -> &'static str {
    match error {
        EvaluationError::EntityDoesNotExist(_) => "an entity does not exist",
        EvaluationError::EntityAttrDoesNotExist(_) => "an entity lacks an attribute or tag",
        EvaluationError::RecordAttrDoesNotExist(_) => "a record lacks a member",
        EvaluationError::FailedExtensionFunctionLookup(_) => "an extension function does not exist",
        EvaluationError::TypeError(_) => "a value has the wrong type",
        EvaluationError::WrongNumArguments(_) => "a function was given too few or too many arguments",
        EvaluationError::IntegerOverflow(_) => "integer overflow",
        EvaluationError::UnlinkedSlot(_) => "a slot is not linked",
        EvaluationError::FailedExtensionFunctionExecution(_) => "an extension function failed",
        EvaluationError::NonValue(_) => "a value is unknown",
        EvaluationError::RecursionLimit(_) => "recursion limit",
    }
}

/// Where a policy stands in the text it was parsed from.
pub(in crate::policy) fn span_of(policy: &Policy) -> Option<Range<usize>> {
    let policy: &ast::Policy = policy.as_ref();
    policy.loc().map(|loc| loc.start()..loc.end())
}
