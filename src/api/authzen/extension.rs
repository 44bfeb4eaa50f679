//! `context.palisade`: what a PEP can tell this PDP beyond AuthZEN; and the members of the context that are protocol.
//! Never reaches a policy or a log: tokens are among it.

use std::collections::BTreeSet;

use super::decode::Told;
use super::tuple::{Members, Named, required_object, wrong};
use crate::access::ObligationType;
use crate::api::wire::{
    ENTITIES_MAX, HEADERS_MAX, INTENT_BYTES_MAX, Malformed, NAME_BYTES_MAX, URL_BYTES_MAX, text,
};
use crate::identity::{Proof, TOKEN_BYTES_MAX, Token};
use crate::value::Value;

/// Where it stands.
const PLACE: &str = "context.palisade";

/// What a PEP says that it understands (AuthZEN Obligations, Draft 1): for this PDP, never for a policy.
#[derive(Debug, Default)]
pub(super) struct Understood {
    /// The obligations that it fulfils; none unless it opted in.
    pub(super) obligations: BTreeSet<ObligationType>,
}

/// The extension of AuthZEN that obligations are. Others are none of ours, and change nothing.
const OBLIGATIONS: &str = "obligations";

impl Understood {
    /// Takes the members of the context that are protocol.
    pub(super) fn take(context: &mut Members) -> Result<Self, Malformed> {
        // Somebody's yes is verified before it counts, and nothing verifies it here.
        context.remove("approval");
        let extensions = texts(context, "supported_mandatory_extensions")?;
        let types = texts(context, "supported_obligations")?;
        let opted_in = extensions.iter().any(|name| name == OBLIGATIONS);
        // Types that nobody demands here are of no use to it.
        let known = types.iter().filter(|_| opted_in).filter_map(|name| ObligationType::named(name));
        Ok(Self { obligations: known.collect() })
    }
}

fn texts(context: &mut Members, name: &str) -> Result<Vec<String>, Malformed> {
    let fault = |found: &Value| wrong(&format!("context.{name}"), "an array of strings", found);
    match context.remove(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Set(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.into()),
                other => Err(fault(&other)),
            })
            .collect(),
        Some(other) => Err(fault(&other)),
    }
}

/// What `context.palisade` says.
#[derive(Debug, Default)]
pub(super) struct Extension {
    pub(super) told: Told,
    /// False: the subject is not claimed, and the tokens alone say who asks.
    pub(super) claims: bool,
    pub(super) actor: Option<Value>,
    pub(super) earlier_actors: Vec<Value>,
    pub(super) entities: Vec<Named>,
    /// The text of the JSON-RPC `params` of an MCP message.
    pub(super) params: Option<String>,
    /// The HTTP headers of an MCP message.
    pub(super) headers: Vec<(String, String)>,
    /// The definition of a tool as the server lists it: an object, or its text.
    pub(super) tool_definition: Option<Value>,
}

impl Extension {
    /// Takes it out of the context. Here every name is ours, so that one that we do not know is a mistake.
    pub(super) fn take(context: &mut Members) -> Result<Self, Malformed> {
        let mut taken = Self { claims: true, ..Self::default() };
        let Some(sent) = context.remove("palisade").filter(|value| *value != Value::Null) else {
            return Ok(taken);
        };
        let members = required_object(PLACE, Some(sent))?;
        for (name, value) in members.into_iter().filter(|(_, value)| *value != Value::Null) {
            taken.set(&name, value)?;
        }
        Ok(taken)
    }

    fn set(&mut self, name: &str, value: Value) -> Result<(), Malformed> {
        let field = format!("{PLACE}.{name}");
        let field = field.as_str();
        match name {
            "session" => self.told.session = some(field, value, NAME_BYTES_MAX)?,
            "task" => self.told.task = some(field, value, NAME_BYTES_MAX)?,
            "purpose" => self.told.purpose = some(field, value, NAME_BYTES_MAX)?,
            "intent" => self.told.intent = some(field, value, INTENT_BYTES_MAX)?,
            "subject_token" => self.told.credentials.subject = token(field, value)?,
            "actor_token" => self.told.credentials.actor = token(field, value)?,
            "task_token" => self.told.credentials.task = token(field, value)?,
            "proof" => self.told.credentials.proof = Some(proof(field, value)?),
            "preview" => self.told.preview = flag(field, &value)?,
            "explain" => self.told.explain = flag(field, &value)?,
            "claim" => self.claims = flag(field, &value)?,
            "min_state_revision" => self.told.min_state = number(field, &value)?,
            "actor" => self.actor = Some(value),
            "earlier_actors" => self.earlier_actors = items(field, value)?,
            "entities" => self.entities = entities(field, value)?,
            "params" => self.params = Some(string(field, value)?),
            "headers" => self.headers = headers(field, value)?,
            "tool_definition" => self.tool_definition = Some(value),
            // The name is the sender's own; only where it stands is said.
            _ => return Err(Malformed::new(PLACE, "has a member that is not known here")),
        }
        Ok(())
    }
}

fn string(field: &str, value: Value) -> Result<String, Malformed> {
    match value {
        Value::String(text) => Ok(text.into()),
        other => Err(wrong(field, "a string", &other)),
    }
}

/// Text; none when it is empty.
fn some(field: &str, value: Value, bytes_max: usize) -> Result<Option<String>, Malformed> {
    let value = text(field, string(field, value)?, bytes_max)?;
    Ok(Some(value).filter(|value| !value.is_empty()))
}

fn token(field: &str, value: Value) -> Result<Option<Token>, Malformed> {
    Ok(some(field, value, TOKEN_BYTES_MAX)?.map(Token::new))
}

fn flag(field: &str, value: &Value) -> Result<bool, Malformed> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        other => Err(wrong(field, "a boolean", other)),
    }
}

/// A whole number, however it is written.
pub(super) fn number(field: &str, value: &Value) -> Result<u64, Malformed> {
    match value {
        Value::Long(number) => u64::try_from(*number).ok(),
        Value::Number(text) => text.parse().ok().or_else(|| whole(text)),
        _ => None,
    }
    .ok_or_else(|| wrong(field, "a whole number from 0 on", value))
}

/// A whole number that is written as another: `1e3`, `7.0`.
fn whole(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok().filter(|number| *number >= 0.0)?;
    if number.fract() == 0.0 { format!("{:.0}", number.abs()).parse().ok() } else { None }
}

fn items(field: &str, value: Value) -> Result<Vec<Value>, Malformed> {
    match value {
        Value::Set(items) => Ok(items),
        other => Err(wrong(field, "an array", &other)),
    }
}

/// One of the three ways to show a key.
fn proof(field: &str, value: Value) -> Result<Proof, Malformed> {
    let ways = || Malformed::new(field, "must have one of `dpop`, `certificate_sha256`, `key_thumbprint`");
    let members = required_object(field, Some(value))?;
    let mut members = members.into_iter().filter(|(_, value)| *value != Value::Null);
    let (way, value) = members.next().ok_or_else(ways)?;
    if members.next().is_some() {
        return Err(ways());
    }
    let needed = |name: &str, value: Value, bytes_max| {
        let field = format!("{field}.{name}");
        some(&field, value, bytes_max)?.ok_or_else(|| Malformed::new(field, "is empty"))
    };
    match way.as_str() {
        "dpop" => {
            let mut dpop = required_object(&format!("{field}.dpop"), Some(value))?;
            let mut part = |name: &str, bytes_max| {
                needed(&format!("dpop.{name}"), dpop.remove(name).unwrap_or(Value::Null), bytes_max)
            };
            Ok(Proof::Dpop {
                proof: Token::new(part("proof", TOKEN_BYTES_MAX)?),
                method: part("method", NAME_BYTES_MAX)?,
                url: part("url", URL_BYTES_MAX)?,
            })
        }
        "certificate_sha256" => Ok(Proof::Certificate(needed("certificate_sha256", value, NAME_BYTES_MAX)?)),
        "key_thumbprint" => Ok(Proof::Key(needed("key_thumbprint", value, NAME_BYTES_MAX)?)),
        _ => Err(ways()),
    }
}

fn entities(field: &str, value: Value) -> Result<Vec<Named>, Malformed> {
    let items = items(field, value)?;
    if items.len() > ENTITIES_MAX {
        let problem = format!("has {} items, more than the limit of {ENTITIES_MAX}", items.len());
        return Err(Malformed::new(field, problem));
    }
    items.into_iter().map(|item| Named::of(field, item)).collect()
}

fn headers(field: &str, value: Value) -> Result<Vec<(String, String)>, Malformed> {
    let members = required_object(field, Some(value))?;
    if members.len() > HEADERS_MAX {
        let problem = format!("has {} members, more than the limit of {HEADERS_MAX}", members.len());
        return Err(Malformed::new(field, problem));
    }
    members.into_iter().map(|(name, value)| Ok((name.into(), string(field, value)?))).collect()
}
