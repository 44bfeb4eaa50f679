//! Values and what a decision rested on, as they are kept in tokens and in the state.
//! Never a form that anybody else sends: what is read here we have written and signed, or written to our own disk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::basis::{Asking, Basis};
use crate::identity::{Assurance, Description};
use crate::value::{Extension, Uid, Value};

/// An entity's id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entity {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

impl From<&Uid> for Entity {
    fn from(uid: &Uid) -> Self {
        Self { kind: uid.kind.to_string(), id: uid.id.to_string() }
    }
}

impl From<Entity> for Uid {
    fn from(Entity { kind, id }: Entity) -> Self {
        Self::new(kind, id)
    }
}

/// A value that says what kind it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Null,
    Bool(bool),
    Long(i64),
    Number(String),
    Text(String),
    Entity(Entity),
    Decimal(String),
    Datetime(String),
    Duration(String),
    Ip(String),
    Set(Vec<Kept>),
    Record(BTreeMap<String, Kept>),
}

impl From<&Value> for Kept {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Long(integer) => Self::Long(*integer),
            Value::Number(text) => Self::Number(text.to_string()),
            Value::String(text) => Self::Text(text.to_string()),
            Value::Entity(uid) => Self::Entity(uid.into()),
            Value::Extension(Extension::Decimal, text) => Self::Decimal(text.to_string()),
            Value::Extension(Extension::Datetime, text) => Self::Datetime(text.to_string()),
            Value::Extension(Extension::Duration, text) => Self::Duration(text.to_string()),
            Value::Extension(Extension::Ip, text) => Self::Ip(text.to_string()),
            Value::Set(items) => Self::Set(items.iter().map(Self::from).collect()),
            Value::Record(members) => {
                Self::Record(members.iter().map(|(name, value)| (name.to_string(), value.into())).collect())
            }
        }
    }
}

impl From<Kept> for Value {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Null => Self::Null,
            Kept::Bool(truth) => Self::Bool(truth),
            Kept::Long(integer) => Self::Long(integer),
            Kept::Number(text) => Self::Number(text.into()),
            Kept::Text(text) => Self::String(text.into()),
            Kept::Entity(entity) => Self::Entity(entity.into()),
            Kept::Decimal(text) => Self::Extension(Extension::Decimal, text.into()),
            Kept::Datetime(text) => Self::Extension(Extension::Datetime, text.into()),
            Kept::Duration(text) => Self::Extension(Extension::Duration, text.into()),
            Kept::Ip(text) => Self::Extension(Extension::Ip, text.into()),
            Kept::Set(items) => Self::Set(items.into_iter().map(Self::from).collect()),
            Kept::Record(members) => {
                Self::Record(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
            }
        }
    }
}

/// A person as claims described them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptDescription {
    parents: Vec<Entity>,
    attributes: BTreeMap<String, Kept>,
}

/// A [`Basis`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptBasis {
    revision: String,
    at_ms: i64,
    asking: Asking,
    ttl_s: i64,
    assurance: Assurance,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_assurance: Option<Assurance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    described: Option<KeptDescription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Kept>,
}

impl From<&Basis> for KeptBasis {
    fn from(basis: &Basis) -> Self {
        let Basis {
            revision,
            at_ms,
            asking,
            ttl_s,
            assurance,
            actor_assurance,
            token,
            described,
            caller,
            session,
            parent,
        } = basis;
        Self {
            revision: revision.to_string(),
            at_ms: *at_ms,
            asking: *asking,
            ttl_s: *ttl_s,
            assurance: *assurance,
            actor_assurance: *actor_assurance,
            token: token.as_ref().map(Kept::from),
            described: described.as_ref().map(|Description { parents, attributes }| KeptDescription {
                parents: parents.iter().map(Entity::from).collect(),
                attributes: attributes.iter().map(|(name, value)| (name.to_string(), value.into())).collect(),
            }),
            caller: Some(caller.to_string()),
            session: session.clone(),
            parent: parent.as_ref().map(Kept::from),
        }
    }
}

impl From<KeptBasis> for Basis {
    fn from(kept: KeptBasis) -> Self {
        let KeptBasis {
            revision,
            at_ms,
            asking,
            ttl_s,
            assurance,
            actor_assurance,
            token,
            described,
            caller,
            session,
            parent,
        } = kept;
        Self {
            revision: revision.into(),
            at_ms,
            asking,
            ttl_s,
            assurance,
            actor_assurance,
            token: token.map(Value::from),
            described: described.map(|KeptDescription { parents, attributes }| Description {
                parents: parents.into_iter().map(Uid::from).collect(),
                attributes: attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            }),
            caller: caller.unwrap_or_default().into(),
            session,
            parent: parent.map(Value::from),
        }
    }
}
