//! What a compiled schema says, in our own terms: shapes of contexts and entities.
//! Never resolves a name: Cedar has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::Schema;
use cedar_policy_core::ast;
use cedar_policy_core::validator::types::{Attributes, EntityKind, Type};
use cedar_policy_core::validator::{
    ValidatorActionId, ValidatorEntityType, ValidatorEntityTypeKind, ValidatorSchema,
};

use smol_str::ToSmolStr as _;

use super::value::uid_of_core;
use crate::policy::OwnMap;
use crate::value::{Extension, Member, Shape, SmolStr, Uid};

/// What a schema says of one action.
#[derive(Debug, Clone)]
pub(in crate::policy) struct ActionShape {
    /// Entity types that may be its principal.
    pub(in crate::policy) principals: Vec<SmolStr>,
    /// Entity types that may be its resource.
    pub(in crate::policy) resources: Vec<SmolStr>,
    /// Its context.
    pub(in crate::policy) context: BTreeMap<SmolStr, Member>,
}

/// The shapes of one schema.
pub(in crate::policy) struct Shapes<'a> {
    schema: &'a ValidatorSchema,
    choices: BTreeMap<SmolStr, Arc<BTreeSet<SmolStr>>>,
}

impl<'a> Shapes<'a> {
    /// Reads a schema.
    pub(in crate::policy) fn of(schema: &'a Schema) -> Self {
        let schema: &ValidatorSchema = schema.as_ref();
        let mut choices: BTreeMap<SmolStr, BTreeSet<SmolStr>> = BTreeMap::new();
        for action in schema.action_ids() {
            let Uid { kind, id } = uid_of_core(action.name());
            choices.entry(kind).or_default().insert(id);
        }
        for kind in schema.entity_types() {
            if let ValidatorEntityTypeKind::Enum(ids) = &kind.kind {
                let ids = ids.iter().map(|id| AsRef::<str>::as_ref(id).into());
                choices.insert(kind.name().to_smolstr(), ids.collect());
            }
        }
        let choices = choices.into_iter().map(|(kind, ids)| (kind, Arc::new(ids))).collect();
        Self { schema, choices }
    }

    /// The types whose ids are all declared: enumerations and actions.
    pub(in crate::policy) fn choices(&self) -> &BTreeMap<SmolStr, Arc<BTreeSet<SmolStr>>> {
        &self.choices
    }

    /// Every action with its types. A type that cannot come from a request (an open record, which strict schemas do
    /// not have) is left out, so that a value for it is refused.
    pub(in crate::policy) fn actions(&self) -> BTreeMap<Uid, ActionShape> {
        let shape = |action: &ValidatorActionId| ActionShape {
            principals: action.applies_to_principals().map(smol_str::ToSmolStr::to_smolstr).collect(),
            resources: action.applies_to_resources().map(smol_str::ToSmolStr::to_smolstr).collect(),
            context: match action.context() {
                Some(Type::Record { attrs, .. }) => self.members_of(attrs),
                Some(_) | None => BTreeMap::new(),
            },
        };
        self.schema.action_ids().map(|action| (uid_of_core(action.name()), shape(action))).collect()
    }

    /// Every entity type with its attributes.
    pub(in crate::policy) fn kinds(&self) -> OwnMap<SmolStr, BTreeMap<SmolStr, Member>> {
        let kind =
            |kind: &ValidatorEntityType| (kind.name().to_smolstr(), self.members_of(kind.attributes()));
        self.schema.entity_types().map(kind).collect()
    }

    /// The name of every entity type, actions included.
    pub(in crate::policy) fn type_names(&self) -> impl Iterator<Item = &ast::EntityType> {
        let actions = self.schema.action_ids().map(|action| action.name().entity_type());
        self.schema.entity_types().map(ValidatorEntityType::name).chain(actions)
    }

    fn members_of(&self, attributes: &Attributes) -> BTreeMap<SmolStr, Member> {
        attributes
            .iter()
            .filter_map(|(name, attribute)| {
                let shape = self.shape_of(&attribute.attr_type)?;
                Some((name.clone(), Member { shape, required: attribute.is_required }))
            })
            .collect()
    }

    fn shape_of(&self, kind: &Type) -> Option<Shape> {
        match kind {
            Type::Bool(_) => Some(Shape::Bool),
            Type::Long => Some(Shape::Long),
            Type::String => Some(Shape::String),
            Type::Set { element_type } => Some(Shape::Set(Box::new(self.shape_of(element_type.as_ref()?)?))),
            Type::Record { attrs, .. } => Some(Shape::Record(self.members_of(attrs))),
            Type::Entity(EntityKind::Entity(kinds)) => {
                let kind = kinds.get_single_entity()?.to_smolstr();
                Some(match self.choices.get(&kind) {
                    Some(ids) => Shape::Choice(kind, ids.clone()),
                    None => Shape::Entity(vec![kind]),
                })
            }
            Type::ExtensionType { name } => match name.to_string().as_str() {
                "decimal" => Some(Shape::Extension(Extension::Decimal)),
                "datetime" => Some(Shape::Extension(Extension::Datetime)),
                "duration" => Some(Shape::Extension(Extension::Duration)),
                "ipaddr" => Some(Shape::Extension(Extension::Ip)),
                _ => None,
            },
            Type::Never | Type::Entity(EntityKind::AnyEntity) => None,
        }
    }
}
