//! `authzen`: how the names of AuthZEN's parties are understood, as typed and checked.
//! Never takes a name that no schema could have.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::check::ConfigFile;
use super::{ConfigError, Tasks};
use crate::api::authzen::Types;

/// The most types that one type of a party may stand for.
const STANDS_FOR_MAX: usize = 16;

/// AuthZEN over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthZen {
    /// The entity types that the types of parties stand for.
    pub types: Types,
    /// Whether the metadata is signed too.
    pub signed_metadata: bool,
}

/// `authzen`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Typed {
    types: BTreeMap<String, Spanned<Vec<String>>>,
    signed_metadata: Option<Spanned<bool>>,
}

/// Checks it.
pub(super) fn check(file: &ConfigFile<'_>, typed: Typed, tasks: &Tasks) -> Result<AuthZen, ConfigError> {
    let Typed { types, signed_metadata: signed } = typed;
    let signed_metadata = signed.as_ref().is_some_and(|signed| signed.value);
    if signed_metadata && !tasks.enabled {
        let problem =
            "the keys that sign are those of tasks, which are off; set `tasks.enabled`, or leave this out";
        return Err(file.invalid("authzen.signed_metadata", signed.as_ref(), problem));
    }
    for (name, kinds) in &types {
        let key = format!("authzen.types.{name}");
        if kinds.value.is_empty() || kinds.value.len() > STANDS_FOR_MAX {
            let problem = format!("give it 1 to {STANDS_FOR_MAX} entity types, such as `[Human]`");
            return Err(file.invalid(&key, Some(kinds), problem));
        }
        if let Some(wrong) = kinds.value.iter().find(|kind| !is_type(kind)) {
            let problem =
                format!("`{wrong}` can be no entity type; write one as the schema has it, such as `Human`");
            return Err(file.invalid(&key, Some(kinds), problem));
        }
    }
    let stand_for = types.into_iter().map(|(name, kinds)| (name, kinds.value));
    Ok(AuthZen { types: Types::default().with(stand_for), signed_metadata })
}

/// `Name` or `Name::Space::Name`.
fn is_type(kind: &str) -> bool {
    kind.split("::").all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}
