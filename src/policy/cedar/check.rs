//! Policies held against the schema by Cedar's own validator, for one kind of request at a time.
//! Never judges a type itself.

use cedar_policy::Schema;
use cedar_policy_core::ast::{EntityUID, Policy};
use cedar_policy_core::validator::typecheck::{PolicyCheck, Typechecker};
use cedar_policy_core::validator::types::RequestEnv;
use cedar_policy_core::validator::{
    ValidationMode, Validator, ValidatorActionId, ValidatorSchema, confusable_string_checks,
};

/// What Cedar's validator says of a policy for all requests of one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Check {
    /// It is well typed and can hold.
    Holds,
    /// It is well typed and can never hold.
    Never,
    /// Something is wrong with it.
    Faulty,
}

/// Checks policies against one schema.
pub(in crate::policy) struct Checker<'s> {
    schema: &'s ValidatorSchema,
    typechecker: Typechecker<'s>,
}

impl<'s> Checker<'s> {
    /// Strictly.
    pub(in crate::policy) fn new(schema: &'s Schema) -> Self {
        let schema = schema.as_ref();
        Self { schema, typechecker: Typechecker::new(schema, ValidationMode::Strict) }
    }

    /// Every action that the schema has.
    pub(in crate::policy) fn actions(&self) -> impl Iterator<Item = &'s EntityUID> + use<'s> {
        self.schema.action_ids().map(ValidatorActionId::name)
    }

    /// The members of an action group, however deep.
    pub(in crate::policy) fn members(
        &self,
        group: &EntityUID,
    ) -> impl Iterator<Item = &'s EntityUID> + use<'s> {
        self.schema.get_action_id(group).into_iter().flat_map(ValidatorActionId::descendants)
    }

    /// Whether everything that a policy names exists, and is written in letters that cannot be mistaken.
    pub(in crate::policy) fn names_are_sound(&self, policy: &Policy) -> bool {
        let template = policy.template();
        Validator::validate_entity_types_and_literals(self.schema, template).next().is_none()
            && confusable_string_checks(std::iter::once(template)).next().is_none()
    }

    /// What the validator says of a policy for the requests of an action, whoever asks about whatever.
    pub(in crate::policy) fn check(&self, policy: &Policy, action: &EntityUID) -> Check {
        let Some(action) = self.schema.get_action_id(action) else { return Check::Faulty };
        let Some(context) = action.context() else { return Check::Never };
        let mut verdict = Check::Never;
        for principal in action.applies_to_principals() {
            for resource in action.applies_to_resources() {
                let request = RequestEnv::DeclaredAction {
                    principal,
                    action: action.name(),
                    resource,
                    context,
                    principal_slot: None,
                    resource_slot: None,
                };
                match self.typechecker.typecheck_by_single_request_env(policy.template(), &request) {
                    PolicyCheck::Success(_) => verdict = Check::Holds,
                    PolicyCheck::Irrelevant(errors, _) if errors.is_empty() => {}
                    PolicyCheck::Irrelevant(..) | PolicyCheck::Fail(_) => return Check::Faulty,
                }
            }
        }
        verdict
    }
}
