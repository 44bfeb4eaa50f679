//! What the claims of a token say, each read into one shape.
//! Never one that could be read in two ways.

use super::fault::TokenFault;
use super::jwt::Claims;
use super::trust::Describe;
use super::verify::{AgentName, Confirmation, Description, agent_name};
use crate::value::{Uid, Value};

/// How many audiences, scopes or methods of authentication a token may name.
const NAMES_MAX: usize = 64;
/// How many parents a token may give an entity.
const PARENTS_MAX: usize = 256;

pub(super) fn names(claims: &Claims, name: &str, required: bool) -> Result<Vec<String>, TokenFault> {
    let texts = claims.texts(name)?;
    match texts.len() {
        0 if required => Err(TokenFault::missing(name)),
        count if count > NAMES_MAX => Err(TokenFault::claim(name, "short enough")),
        _ => Ok(texts.into_iter().map(str::to_owned).collect()),
    }
}

/// `scope` is one text with spaces (RFC 8693, section 4.2).
pub(super) fn scopes(claims: &Claims) -> Result<Vec<String>, TokenFault> {
    // Some issuers write none as an empty text.
    let words = |text: &str| text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    let mut scopes: Vec<String> = match (claims.get("scope"), claims.get("scp")) {
        (Some(Value::String(text)), _) if text.is_empty() => Vec::new(),
        // As some write it: a list, or one text.
        (None, Some(Value::Set(_))) => claims.texts("scp")?.into_iter().map(str::to_owned).collect(),
        (None, Some(_)) => words(claims.text("scp")?.unwrap_or_default()),
        (_, _) => words(claims.text("scope")?.unwrap_or_default()),
    };
    scopes.sort();
    scopes.dedup();
    if scopes.len() > NAMES_MAX {
        return Err(TokenFault::claim("scope", "short enough"));
    }
    Ok(scopes)
}

pub(super) fn confirmation(claims: &Claims) -> Result<Confirmation, TokenFault> {
    let fault = || TokenFault::claim("cnf", "an object with `jkt` or `x5t#S256`");
    let members = match claims.get("cnf") {
        None => return Ok(Confirmation::default()),
        Some(Value::Record(members)) => members,
        Some(_) => return Err(fault()),
    };
    let text = |name| match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.to_string())),
        Some(_) => Err(fault()),
    };
    let confirmation = Confirmation { jkt: text("jkt")?, x5t: text("x5t#S256")? };
    // A binding that we do not understand is a binding that we could not check.
    if confirmation == Confirmation::default() { Err(fault()) } else { Ok(confirmation) }
}

/// `act`, from the current actor inwards (RFC 8693, section 4.1).
pub(super) fn actors(claims: &Claims, depth_max: usize) -> Result<Vec<AgentName>, TokenFault> {
    let fault = || TokenFault::claim("act", "an object with `sub`");
    let mut actors = Vec::new();
    let mut next = claims.get("act");
    while let Some(actor) = next {
        let Value::Record(members) = actor else { return Err(fault()) };
        let Some(Value::String(sub)) =
            members.get("sub").filter(|sub| !matches!(sub, Value::String(empty) if empty.is_empty()))
        else {
            return Err(fault());
        };
        if actors.len() == depth_max {
            return Err(TokenFault::ActorDepth { depth_max });
        }
        actors.push(agent_name(sub));
        next = members.get("act");
    }
    Ok(actors)
}

fn is_left_out(claims: &Claims, name: &str) -> bool {
    let elsewhere =
        matches!(claims.get("_claim_names"), Some(Value::Record(names)) if names.contains_key(name));
    elsewhere || (name == "groups" && claims.get("hasgroups").is_some())
}

pub(super) fn describe(how: &Describe, claims: &Claims) -> Result<Description, TokenFault> {
    let mut parents = Vec::new();
    for parent in &how.parents {
        let fault = || TokenFault::claim(&parent.claim, "a text or a list of texts");
        let items = match claims.get(&parent.claim) {
            // An issuer that leaves a long list out says so, in its own way (OpenID Connect Core, section 5.6.2).
            None if is_left_out(claims, &parent.claim) => {
                return Err(TokenFault::claim(
                    &parent.claim,
                    "in the token itself: its issuer left it out for its length",
                ));
            }
            None => continue,
            Some(one @ Value::String(_)) => std::slice::from_ref(one),
            Some(Value::Set(items)) => items.as_slice(),
            Some(_) => return Err(fault()),
        };
        for item in items {
            let Value::String(id) = item else { return Err(fault()) };
            parents.push(Uid::new(parent.kind.as_str(), id.as_str()));
        }
    }
    if parents.len() > PARENTS_MAX {
        return Err(TokenFault::claim("parents", "short enough"));
    }
    Ok(Description { parents, attributes: how.attributes.clone() })
}
