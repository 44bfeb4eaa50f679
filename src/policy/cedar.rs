//! The one room that touches Cedar's internals: types of a compiled schema, scopes and conditions, entities, values.
//! Never decides. `cedar-policy-core` promises no stability, so both crates are pinned exactly.

mod check;
mod condition;
mod entity;
mod evaluate;
mod residual;
mod schema;
mod scope;
mod value;

pub(super) use check::{Check, Checker};
pub(super) use condition::{COUNTERPARTS, Condition, Differs, Late, NOW, Opening, Path, TASK, TOKEN};
pub(super) use entity::{entity, mentioned, neighbours, rebuilt, store, stored, with_attributes};
pub(super) use evaluate::{Asked, Evaluation, error_kind, span_of};
pub(super) use residual::{Blanks, Leaning, text};
pub(super) use schema::{ActionShape, Shapes};
pub(super) use scope::{Action, Party, Scope};
pub(super) use value::{
    Record, Types, core_uid, entity_type, entity_uid, expression, id_of, references, uid_of, uid_of_core,
};

pub(super) use cedar_policy_core::ast::{Entity, EntityType, EntityUID, Expr, Literal, Policy, ValueKind};
pub(super) use cedar_policy_core::entities::Entities;
pub(super) use cedar_policy_core::evaluator::EvaluationError;

#[cfg(test)]
pub(super) mod raw {
    //! Cedar's public values taken apart, for tests that compare ours with Cedar's own.
    use std::sync::Arc;

    pub(in crate::policy) use cedar_policy_core::ast::Context;

    /// A request, as conditions are evaluated for it.
    pub(in crate::policy) fn asked(request: &cedar_policy::Request) -> super::Asked {
        let uid = |uid: Option<&cedar_policy::EntityUid>| Arc::new(super::core_uid(uid.unwrap().clone()));
        let Context::Value(context) = request.context().unwrap().as_ref().clone() else {
            panic!("a context with unknown members")
        };
        super::Asked {
            principal: uid(request.principal()),
            action: uid(request.action()),
            resource: uid(request.resource()),
            context,
        }
    }
}
