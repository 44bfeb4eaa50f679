//! The agent that acts, wherever a PEP names it: COAZ, token exchange, access requests, our own place.
//! Never chooses between two names, and never takes an unreadable one for none.

use super::decode::Scope;
use super::names;
use super::tuple::{Members, Named};
use crate::api::wire::{EARLIER_ACTORS_MAX, UID_BYTES_MAX};
use crate::value::{Uid, Value};

/// Who acts, and who acted before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acting {
    pub(super) actor: Party,
    /// The most recent first.
    pub(super) earlier: Vec<Party>,
}

/// A party, with the issuer that its name is said to be of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Party {
    pub(in crate::api) uid: Uid,
    issuer: Option<String>,
}

impl Party {
    /// Whether both can be the same one: an issuer that only one place says contradicts nothing.
    fn agrees(&self, other: &Self) -> bool {
        let issuers = self.issuer.as_ref().zip(other.issuer.as_ref());
        self.uid == other.uid && issuers.is_none_or(|(one, other)| one == other)
    }
}

/// Whether both can be the same ones, in the same order.
pub(super) fn agree(one: &[Party], other: &[Party]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.agrees(other))
}

/// A place that may name the agent.
struct Place<'v> {
    name: &'static str,
    value: &'v Value,
}

/// Where to look.
pub(super) struct Places<'v> {
    pub(super) subject: &'v Named,
    pub(super) context: &'v Members,
    /// The member `client` of the request.
    pub(super) client: Option<&'v Value>,
    /// `context.palisade.actor`
    pub(super) own: Option<&'v Value>,
}

impl<'v> Places<'v> {
    /// Those that are used. A member of the context that `taken` says policies read for themselves is none.
    fn used(&self, taken: impl Fn(&str) -> bool) -> impl Iterator<Item = Place<'v>> {
        let of = |value: Option<&'v Value>, member: &str| match value {
            Some(Value::Record(members)) => members.get(member),
            _ => None,
        };
        let context = |name: &str| self.context.get(name).filter(|_| !taken(name));
        let properties = &self.subject.properties;
        [
            ("context.palisade.actor", self.own),
            ("context.agent", context("agent")),
            ("context.actor", context("actor")),
            ("context.act", context("act")),
            ("context.client.actor", of(context("client"), "actor")),
            ("client.actor", of(self.client, "actor")),
            ("subject.properties.act", properties.get("act")),
            ("subject.properties.actor", properties.get("actor")),
        ]
        .into_iter()
        .filter_map(|(name, value)| {
            Some(Place { name, value: value.filter(|value| **value != Value::Null)? })
        })
    }

    /// Who acts, if anybody is named; or words that say what is not clear.
    pub(super) fn acting(
        &self,
        scope: &Scope<'_>,
        taken: impl Fn(&str) -> bool,
    ) -> Result<Option<Acting>, String> {
        let mut found: Vec<(&'static str, Acting)> = Vec::new();
        for Place { name, value } in self.used(taken) {
            let acting = read(name, value, scope)?;
            // With each of them: two that say an issuer need not follow one another.
            for (before_place, before) in &found {
                let chains = !before.earlier.is_empty() && !acting.earlier.is_empty();
                if !before.actor.agrees(&acting.actor) || (chains && !agree(&before.earlier, &acting.earlier))
                {
                    return Err(format!("`{before_place}` and `{name}` name different agents; send one"));
                }
            }
            found.push((name, acting));
        }
        let chain = found.iter().map(|(_, acting)| &acting.earlier).find(|earlier| !earlier.is_empty());
        let earlier = chain.cloned().unwrap_or_default();
        Ok(found.into_iter().next().map(|(_, Acting { actor, .. })| Acting { actor, earlier }))
    }
}

/// A name, `{"type", "id"}`, `{"id"}`, or RFC 8693's `{"iss", "sub", "act"}` with earlier actors inside.
fn read<'v>(place: &str, value: &'v Value, scope: &Scope<'_>) -> Result<Acting, String> {
    let before = |value: &'v Value| match value {
        Value::Record(members) => members.get("act").filter(|act| **act != Value::Null),
        _ => None,
    };
    let actor = party(place, value, scope)?;
    let mut earlier = Vec::new();
    let mut next = before(value);
    while let Some(value) = next {
        if earlier.len() == EARLIER_ACTORS_MAX {
            return Err(format!(
                "`{place}` nests more than the limit of {EARLIER_ACTORS_MAX} earlier agents"
            ));
        }
        earlier.push(party(place, value, scope)?);
        next = before(value);
    }
    Ok(Acting { actor, earlier })
}

fn is_name(text: &str) -> bool {
    (1..=UID_BYTES_MAX).contains(&text.len())
}

/// One party.
pub(in crate::api) fn party(place: &str, value: &Value, scope: &Scope<'_>) -> Result<Party, String> {
    let Scope { names: known, types, .. } = *scope;
    let two = |error| format!("`{place}`: {error}");
    let text = |members: &Members, name: &str| match members.get(name) {
        Some(Value::String(text)) if is_name(text) => Some(text.clone()),
        _ => None,
    };
    let unreadable =
        || format!("`{place}` names no agent: send its name, or an object with `type` and `id`, or `sub`");
    let uid = match value {
        Value::String(name) if is_name(name) => names::agent(known, name).map_err(two),
        Value::Record(members) => match (text(members, "type"), text(members, "id"), text(members, "sub")) {
            (Some(kind), Some(id), None) => types.party(known, &kind, &id).map_err(two),
            (None, Some(name), None) | (None, None, Some(name)) => names::agent(known, &name).map_err(two),
            _ => Err(unreadable()),
        },
        _ => Err(unreadable()),
    }?;
    let issuer = match value {
        Value::Record(members) => members.get("iss").filter(|issuer| **issuer != Value::Null),
        _ => None,
    };
    match issuer {
        None => Ok(Party { uid, issuer: None }),
        Some(Value::String(issuer)) => Ok(Party { uid, issuer: Some(issuer.to_string()) }),
        Some(other) => Err(format!("`{place}.iss` must be a string, found {}", other.kind())),
    }
}
