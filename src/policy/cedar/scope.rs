//! The scopes of policies: whom, which actions and what they are about.
//! Never looks at conditions.

use std::sync::Arc;

use cedar_policy_core::ast::{
    self, ActionConstraint, EntityReference, EntityType, EntityUID, PrincipalOrResourceConstraint,
};

/// What a scope asks of the principal or of the resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::policy) enum Party {
    /// Nothing.
    Any,
    /// `is T`
    Is(Arc<EntityType>),
    /// `== e`
    Equal(Arc<EntityUID>),
    /// `in e`
    In(Arc<EntityUID>),
    /// `is T in e`
    IsIn(Arc<EntityType>, Arc<EntityUID>),
    /// A slot that nothing fills: never true. Bundles have none.
    Unfilled,
}

/// What a scope asks of the action.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::policy) enum Action {
    /// Nothing.
    Any,
    /// `== a`
    Equal(Arc<EntityUID>),
    /// `in [a, …]`; nothing is in an empty list.
    In(Vec<Arc<EntityUID>>),
}

/// The scope of one policy. It cannot fail to evaluate, so a policy whose scope does not match can be left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::policy) struct Scope {
    pub(in crate::policy) principal: Party,
    pub(in crate::policy) action: Action,
    pub(in crate::policy) resource: Party,
}

impl Scope {
    /// The scope of a policy; the slots of a linked one are filled in.
    pub(in crate::policy) fn of(policy: &ast::Policy) -> Self {
        let action = match policy.action_constraint() {
            ActionConstraint::Any => Action::Any,
            ActionConstraint::Eq(uid) => Action::Equal(uid.clone()),
            ActionConstraint::In(uids) => Action::In(uids.clone()),
        };
        Self {
            principal: party(policy.principal_constraint().as_inner()),
            action,
            resource: party(policy.resource_constraint().as_inner()),
        }
    }
}

fn party(constraint: &PrincipalOrResourceConstraint) -> Party {
    use PrincipalOrResourceConstraint as Constraint;
    match constraint {
        Constraint::Any => Party::Any,
        Constraint::Is(kind) => Party::Is(kind.clone()),
        Constraint::Eq(EntityReference::EUID(uid)) => Party::Equal(uid.clone()),
        Constraint::In(EntityReference::EUID(uid)) => Party::In(uid.clone()),
        Constraint::IsIn(kind, EntityReference::EUID(uid)) => Party::IsIn(kind.clone(), uid.clone()),
        Constraint::Eq(EntityReference::Slot(_))
        | Constraint::In(EntityReference::Slot(_))
        | Constraint::IsIn(_, EntityReference::Slot(_)) => Party::Unfilled,
    }
}
